#include "node/device/script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define SCRIPT_MAX_BYTES (1u << 20)
#define WORDS_MAX 4

struct line {
	struct list link;
	unsigned number;
	uint64_t at_ms;
	bool quietly;
	char *text; /* owns what words point into */
	char *words[WORDS_MAX];
	size_t count;
};

struct script {
	char *folder;
	struct world world;
	struct list lines; /* still to play */
};

struct audience { /* of one step */
	struct script *script;
	struct device_model *model; /* NULL: nobody hears it */
	uint64_t now_ns;
};

static int fail(const struct script *s, unsigned number, char *error, size_t size, const char *what)
{
	snprintf(error, size, "%s/script, line %u: %s", s->folder, number, what);
	return -EBADMSG;
}

static void line_free(struct line *l)
{
	list_remove(&l->link);
	free(l->text);
	free(l);
}

void script_destroy(struct script *s)
{
	if (!s)
		return;
	list_for_each_safe(l, &s->lines, struct line, link)
		line_free(l);
	world_finish(&s->world);
	free(s->folder);
	free(s);
}

const struct world *script_world(const struct script *s)
{
	return &s->world;
}

/* Words apart by spaces; the fourth is the rest of the line. */
static size_t split(char *text, char *words[WORDS_MAX])
{
	size_t count = 0;
	while (count < WORDS_MAX) {
		text += strspn(text, " \t");
		if (!*text)
			break;
		words[count++] = text;
		if (count == WORDS_MAX)
			break;
		text += strcspn(text, " \t");
		if (*text)
			*text++ = '\0';
	}
	return count;
}

static int add_tree(struct script *s, const char *file, struct audience *a, char *error, size_t error_size);

static bool known_verb(const struct line *l)
{
	static const struct {
		const char *verb;
		size_t least, most; /* words behind it */
		bool quiet;
	} verbs[] = { { "add", 1, 1, true }, { "remove", 1, 1, true }, { "change", 1, 1, false }, { "set", 2, 3, true },
		{ "wedged", 2, 2, false }, { "again", 2, 2, false }, { "lost", 0, 0, false }, { "rescan", 0, 0, false },
		{ "look", 0, 0, false } };
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].verb, l->words[0]) == 0)
			return l->count - 1 >= verbs[i].least && l->count - 1 <= verbs[i].most &&
				(verbs[i].quiet || !l->quietly);
	return false;
}

static int read_line(struct script *s, char *text, unsigned number, uint64_t *last_ms, char *error, size_t error_size)
{
	text[strcspn(text, "#")] = '\0';
	text += strspn(text, " \t");
	if (!*text)
		return 0;
	if (strncmp(text, "there ", 6) == 0)
		return add_tree(s, text + 6, NULL, error, error_size);
	char *end;
	unsigned long long at_ms = strtoull(text, &end, 10);
	if (end == text || (*end != ' ' && *end != '\t') || at_ms < *last_ms)
		return fail(s, number, error, error_size, "it must begin with milliseconds, and these must not fall");
	struct line *l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	list_init(&l->link);
	l->number = number;
	l->at_ms = *last_ms = at_ms;
	end += strspn(end, " \t");
	l->quietly = strncmp(end, "quietly ", 8) == 0;
	l->text = strdup(l->quietly ? end + 8 : end);
	if (l->text)
		l->count = split(l->text, l->words);
	if (!l->text || l->count == 0 || !known_verb(l)) {
		line_free(l);
		return fail(s, number, error, error_size, "no such thing can happen, or it lacks a word");
	}
	list_append(&s->lines, &l->link);
	return 0;
}

int script_load(const char *folder, struct script **ret, char *error, size_t error_size)
{
	__attribute__((cleanup(free_pointer))) char *text = NULL;
	char path[DEVICE_PATH_MAX];
	size_t size;
	struct script *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	list_init(&s->lines);
	world_init(&s->world);
	s->folder = strdup(folder);
	int r = !s->folder                                                             ? -ENOMEM
		: snprintf(path, sizeof path, "%s/script", folder) >= (int)sizeof path ? -ENAMETOOLONG
										       : 0;
	if (r == 0) {
		r = file_read(path, SCRIPT_MAX_BYTES, &text, &size);
		if (r < 0)
			snprintf(error, error_size, "cannot read %s: %s", path, strerror(-r));
	}
	uint64_t last_ms = 0;
	unsigned number = 0;
	for (char *rest = text, *line; r == 0 && (line = strsep(&rest, "\n")) != NULL;)
		r = read_line(s, line, ++number, &last_ms, error, error_size);
	if (r < 0)
		script_destroy(s);
	else
		*ret = s;
	return r;
}

void script_start(struct script *s, struct device_model *m, uint64_t now_ns)
{
	world_sweep(&s->world, m, now_ns);
}

bool script_next(const struct script *s, uint64_t *ret_ms)
{
	if (list_empty(&s->lines))
		return false;
	*ret_ms = list_entry(s->lines.next, struct line, link)->at_ms;
	return true;
}

/* ---- what happens ---- */

static void added(void *ctx, struct world_device *d)
{
	struct audience *a = ctx;
	if (a && a->model)
		world_tell(&a->script->world, d, a->model, true, a->now_ns);
}

static int add_tree(struct script *s, const char *file, struct audience *a, char *error, size_t error_size)
{
	char path[DEVICE_PATH_MAX];
	if (snprintf(path, sizeof path, "%s/%s", s->folder, file) >= (int)sizeof path)
		return -ENAMETOOLONG;
	return world_add_file(&s->world, path, added, a, error, error_size);
}

static int play_on_device(struct audience *a, const struct line *l, char *error, size_t error_size)
{
	struct script *s = a->script;
	const char *verb = l->words[0];
	bool again = strcmp(verb, "again") == 0;
	char path[DEVICE_PATH_MAX];
	if (snprintf(path, sizeof path, "/sys%s", l->words[again ? 2 : 1]) >= (int)sizeof path)
		return -ENAMETOOLONG;
	struct world_device *d = world_find(&s->world, path);
	if (!d)
		return fail(s, l->number, error, error_size, "no such device has ever been there");
	if (strcmp(verb, "remove") == 0)
		world_remove(&s->world, path);
	if (strcmp(verb, "set") == 0) {
		int r = world_set(&s->world, path, l->words[2], l->count > 3 ? l->words[3] : NULL);
		if (r < 0)
			return fail(s, l->number, error, error_size, "it is not there now");
	}
	if (!a->model)
		return 0;
	if (strcmp(verb, "wedged") == 0)
		device_model_wedged(a->model, path, l->words[2]);
	else if (strcmp(verb, "remove") == 0 || (again && strcmp(l->words[1], "remove") == 0))
		device_model_remove(a->model, path, a->now_ns);
	else
		world_tell(&s->world, d, a->model, again, a->now_ns);
	return 0;
}

int script_step(struct script *s, struct device_model *m, uint64_t now_ns, bool *ret_look, char *error, size_t error_size)
{
	struct line *l = list_entry(s->lines.next, struct line, link);
	struct audience a = { .script = s, .model = l->quietly ? NULL : m, .now_ns = now_ns };
	const char *verb = l->words[0];
	int r = 0;
	*ret_look = strcmp(verb, "look") == 0;
	if (strcmp(verb, "add") == 0)
		r = add_tree(s, l->words[1], &a, error, error_size);
	else if (strcmp(verb, "lost") == 0 || strcmp(verb, "rescan") == 0)
		world_sweep(&s->world, m, now_ns);
	else if (!*ret_look)
		r = play_on_device(&a, l, error, error_size);
	line_free(l);
	return r;
}
