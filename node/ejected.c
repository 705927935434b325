#include "node/ejected.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_SIZE 64
#define GPUS_MAX 256
#define FILE_MAX_BYTES (GPUS_MAX * 128u)

struct gpu {
	struct list link;
	char name[96];
	uint64_t incarnation;
	bool seen; /* since the start, or ejected since then */
};

struct ejected {
	struct list gpus;
	size_t count;
	char *path;
	char boot[BOOT_SIZE];
};

static struct gpu *find(const struct ejected *e, const char *name)
{
	list_for_each(g, &e->gpus, struct gpu, link)
		if (strcmp(g->name, name) == 0)
			return g;
	return NULL;
}

static struct gpu *find_or_add(struct ejected *e, const char *name)
{
	struct gpu *g = find(e, name);
	if (g || e->count >= GPUS_MAX || !name[0] || strlen(name) >= sizeof g->name || strpbrk(name, " \n") ||
		!(g = calloc(1, sizeof *g)))
		return g;
	snprintf(g->name, sizeof g->name, "%s", name);
	list_append(&e->gpus, &g->link);
	e->count++;
	return g;
}

static void forget(struct ejected *e, struct gpu *g)
{
	list_remove(&g->link);
	free(g);
	e->count--;
}

/* "boot ID", then "GPU INCARNATION" each line. What a former run of the kernel counted says nothing now: those devices have all
 * come anew. */
static void load(struct ejected *e)
{
	__attribute__((cleanup(free_pointer))) char *text = NULL;
	size_t size;
	char *rest = NULL, boot[BOOT_SIZE] = "";
	if (file_read(e->path, FILE_MAX_BYTES, &text, &size) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char name[sizeof((struct gpu *)0)->name], end;
		uint64_t incarnation;
		if (sscanf(line, "boot %63s", boot) == 1 ||
			sscanf(line, "%95s %" SCNu64 "%c", name, &incarnation, &end) != 2 ||
			(incarnation != 0 && strcmp(boot, e->boot) != 0))
			continue;
		struct gpu *g = find_or_add(e, name);
		if (g)
			g->incarnation = incarnation;
	}
}

static int save(const struct ejected *e)
{
	struct buf text = { 0 };
	buf_printf(&text, "boot %s\n", e->boot);
	list_for_each(g, &e->gpus, struct gpu, link)
		buf_printf(&text, "%s %" PRIu64 "\n", g->name, g->incarnation);
	int r = text.failed ? -ENOMEM : file_write_atomic(e->path, text.data, text.size, 0600);
	buf_finish(&text);
	if (r < 0)
		log_warn("cannot keep in %s which GPUs are ejected: %s", e->path, strerror(-r));
	return r;
}

struct ejected *ejected_create(const char *path, const char *boot)
{
	struct ejected *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	list_init(&e->gpus);
	e->path = strdup(path);
	if (!e->path) {
		free(e);
		return NULL;
	}
	__attribute__((cleanup(free_pointer))) char *text = NULL;
	size_t size;
	if (!boot && file_read(BOOT_ID_PATH, BOOT_SIZE, &text, &size) == 0)
		boot = text;
	snprintf(e->boot, sizeof e->boot, "%.*s", boot ? (int)strcspn(boot, " \n") : 0, boot ? boot : "");
	if (!e->boot[0])
		strcpy(e->boot, "-");
	load(e);
	return e;
}

void ejected_destroy(struct ejected *e)
{
	if (!e)
		return;
	list_for_each_safe(g, &e->gpus, struct gpu, link)
		free(g);
	free(e->path);
	free(e);
}

int ejected_add(struct ejected *e, const char *gpu, uint64_t incarnation)
{
	struct gpu *g = find_or_add(e, gpu);
	if (!g)
		return -ENOSPC;
	g->incarnation = incarnation;
	g->seen = true;
	return save(e);
}

int ejected_remove(struct ejected *e, const char *gpu)
{
	struct gpu *g = find(e, gpu);
	if (!g)
		return 0;
	forget(e, g);
	return save(e);
}

bool ejected_has(const struct ejected *e, const char *gpu)
{
	return find(e, gpu) != NULL;
}

bool ejected_arrived(struct ejected *e, const char *gpu, uint64_t incarnation)
{
	struct gpu *g = find(e, gpu);
	if (!g)
		return false;
	if (!g->seen && g->incarnation == incarnation) {
		g->seen = true;
		return true;
	}
	(void)ejected_remove(e, gpu);
	return false;
}
