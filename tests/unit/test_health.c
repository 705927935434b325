/* Health: series of what was seen, recorded and made up (*.series in tests/data/health, where each says what it must come to), and lines of the
 * kernel's log. */
#include "tests/unit/test.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/health/health.h"
#include "node/health/history.h"
#include "node/health/kernel_log.h"

#define SECOND_NS 1000000000ull

struct series {
	const char *name;
	unsigned line, changes;
	struct health health;
	struct health_sample sample;
	struct health_verdict verdict;
	uint64_t now_ns;
	char gpu[16], driver[16];
};

static void see(struct series *s)
{
	health_see(&s->health, s->now_ns, &s->sample);
	health_judge(&s->health, s->now_ns, &s->verdict);
	s->changes += s->verdict.level != s->verdict.before;
}

static void advance(struct series *s, uint64_t seconds)
{
	uint64_t to_ns = (seconds + 1) * SECOND_NS; /* the clock starts at 1 s */
	while (s->now_ns + 2 * SECOND_NS < to_ns) {
		s->now_ns += 2 * SECOND_NS;
		see(s);
	}
	s->now_ns = to_ns;
}

static void take(struct series *s, char *word)
{
	char *value = strchr(word, '=');
	assert_non_null(value);
	*value++ = '\0';
	struct health_sample *m = &s->sample;
	const struct {
		const char *name;
		uint64_t *number;
	} numbers[] = { { "correctable", &m->correctable }, { "nonfatal", &m->nonfatal }, { "fatal", &m->fatal },
		{ "bridge_correctable", &m->bridge_correctable }, { "bridge_nonfatal", &m->bridge_nonfatal },
		{ "bridge_fatal", &m->bridge_fatal }, { "link", &m->link_mbps }, { "waiting", &m->waiting_ms },
		{ "completed", &m->completed }, { "latency", &m->latency_us }, { "programs", &m->programs } };
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (strcmp(word, numbers[i].name) == 0) {
			*numbers[i].number = strtoull(value, NULL, 10);
			return;
		}
	if (strcmp(word, "temperature") == 0)
		m->temperature_mc = strcmp(value, "none") == 0 ? HEALTH_UNKNOWN : atoi(value);
	else if (strcmp(word, "critical") == 0)
		m->critical_mc = atoi(value);
	else if (strcmp(word, "errors") == 0)
		m->has_errors = atoi(value);
	else if (strcmp(word, "failed") == 0) {
		m->sensor_failed = atoi(value);
		m->temperature_mc = HEALTH_UNKNOWN;
	} else
		fail_msg("%s:%u: unknown key %s", s->name, s->line, word);
}

static void feed_log(struct series *s, const char *name)
{
	char path[512], line[1024];
	snprintf(path, sizeof path, "%s/health/%s", TEST_DATA, name);
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	while (fgets(line, sizeof line, in)) {
		const char *message = strstr(line, " kernel: ");
		struct kernel_trouble t;
		message = message ? message + 9 : line;
		if (kernel_log_parse(message, strcspn(message, "\n"), &t) && kernel_trouble_is_of(&t, s->gpu, s->driver))
			health_report(&s->health, s->now_ns, t.kind, t.text);
	}
	fclose(in);
	see(s);
}

static void expect(struct series *s, const char *rest)
{
	char level[16];
	unsigned min, max;
	int used = 0;
	bool found = false;
	assert_true(sscanf(rest, "%15s %u %u %n", level, &min, &max, &used) >= 3);
	for (unsigned i = 0; i < s->verdict.reason_count; i++)
		found |= strstr(s->verdict.reasons[i], rest + used) != NULL;
	if (strcmp(level, health_level_name(s->verdict.level)) != 0 || s->verdict.score < min || s->verdict.score > max)
		fail_msg("%s:%u: %s %u (%s)", s->name, s->line, health_level_name(s->verdict.level), s->verdict.score,
			s->verdict.reason_count ? s->verdict.reasons[0] : "no reason");
	if (rest[used] && !found)
		fail_msg("%s:%u: no reason says \"%s\"; the first: %s", s->name, s->line, rest + used,
			s->verdict.reason_count ? s->verdict.reasons[0] : "none");
	assert_true(s->verdict.score == 100 || s->verdict.reason_count > 0);
}

static void play_line(struct series *s, char *line)
{
	char *rest = strchr(line, ' ');
	if (line[0] == '#' || line[0] == '\0')
		return;
	assert_non_null(rest);
	*rest++ = '\0';
	if (strcmp(line, "at") == 0) {
		advance(s, strtoull(rest, &rest, 10));
		for (char *word = strtok(rest, " "); word; word = strtok(NULL, " "))
			take(s, word);
		see(s);
	} else if (strcmp(line, "until") == 0) {
		advance(s, strtoull(rest, NULL, 10));
		see(s);
	} else if (strcmp(line, "gpu") == 0) {
		assert_int_equal(sscanf(rest, "%15s %15s", s->gpu, s->driver), 2);
	} else if (strcmp(line, "log") == 0) {
		feed_log(s, rest);
	} else if (strcmp(line, "expect") == 0) {
		expect(s, rest);
	} else if (strcmp(line, "changes") == 0) {
		if (s->changes != strtoul(rest, NULL, 10))
			fail_msg("%s:%u: %u changes", s->name, s->line, s->changes);
	} else {
		fail_msg("%s:%u: %s?", s->name, s->line, line);
	}
}

static void test_series(void **state)
{
	glob_t found;
	(void)state;
	assert_int_equal(glob(TEST_DATA "/health/*.series", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct series s = { .name = strrchr(found.gl_pathv[i], '/') + 1,
			.sample = { .temperature_mc = HEALTH_UNKNOWN, .critical_mc = HEALTH_UNKNOWN },
			.now_ns = SECOND_NS };
		char line[1024];
		FILE *in = fopen(found.gl_pathv[i], "r");
		assert_non_null(in);
		health_init(&s.health);
		while (fgets(line, sizeof line, in)) {
			s.line++;
			line[strcspn(line, "\n")] = '\0';
			play_line(&s, line);
		}
		fclose(in);
	}
	globfree(&found);
}

static void test_trend(void **state)
{
	struct health h;
	struct health_verdict v;
	struct health_sample s = { .temperature_mc = HEALTH_UNKNOWN, .critical_mc = HEALTH_UNKNOWN };
	(void)state;
	health_init(&h);
	for (uint64_t t = 1; t < 60; t++) {
		s.waiting_ms = t > 30 ? 12000 : 0;
		health_see(&h, t * SECOND_NS, &s);
		health_judge(&h, t * SECOND_NS, &v);
	}
	assert_int_equal(v.score, 75);
	assert_in_range(-v.trend, 24, 28);
	for (uint64_t t = 60; t < 300; t++) {
		health_see(&h, t * SECOND_NS, &s);
		health_judge(&h, t * SECOND_NS, &v);
	}
	assert_int_equal(v.trend, 0);
}

static void see_score(struct health_history *h, uint64_t second, unsigned score, const char *reason)
{
	struct health_verdict v = { .score = score,
		.level = score < 40  ? HEALTH_BAD
			: score < 70 ? HEALTH_WORN
				     : HEALTH_GOOD };
	if (reason)
		snprintf(v.reasons[v.reason_count++], sizeof v.reasons[0], "%s", reason);
	history_add(h, second * SECOND_NS, &v);
}

static void test_history(void **state)
{
	static struct health_history h;
	(void)state;
	see_score(&h, 10, 100, NULL);
	see_score(&h, 12, 60, "96 \u00b0C, critical is 105");
	see_score(&h, 14, 58, "97 \u00b0C, critical is 105"); /* the same, moving */
	see_score(&h, 16, 55, "GPU hang");
	see_score(&h, 18, 100, NULL);
	assert_int_equal(h.change_count, 4);
	assert_int_equal(h.changes[0].score, 100);
	assert_string_equal(h.changes[1].reason, "96 \u00b0C, critical is 105");
	assert_string_equal(h.changes[2].reason, "GPU hang");
	assert_string_equal(h.changes[3].reason, "");
	assert_int_equal(h.changes[3].at_ns, 18 * SECOND_NS);
	/* A step keeps its lowest; what nobody looked at is not made up. */
	assert_int_equal(h.step_count, 1);
	assert_int_equal(h.steps[0], 55);
	see_score(&h, 10 + 3 * HISTORY_STEP_NS / SECOND_NS, 90, NULL);
	assert_int_equal(h.step_count, 4);
	assert_int_equal(h.steps[1], HISTORY_UNSEEN);
	assert_int_equal(h.steps[2], HISTORY_UNSEEN);
	assert_int_equal(h.steps[3], 90);
	/* It is bounded: the oldest go. */
	for (unsigned i = 0; i < 3 * HISTORY_STEPS; i++)
		see_score(&h, 1000 + i * (HISTORY_STEP_NS / SECOND_NS), i % 2 ? 100 : 50, i % 2 ? NULL : "GPU hang");
	assert_int_equal(h.change_count, HISTORY_CHANGES);
	assert_int_equal(h.step_count, HISTORY_STEPS);
	assert_true(h.changes[0].at_ns < h.changes[HISTORY_CHANGES - 1].at_ns);
	/* A host that slept for months. */
	see_score(&h, 100000000, 100, NULL);
	assert_int_equal(h.step_count, HISTORY_STEPS);
	assert_int_equal(h.steps[HISTORY_STEPS - 2], HISTORY_UNSEEN);
	assert_int_equal(h.steps[HISTORY_STEPS - 1], 100);
}

static void test_kernel_log(void **state)
{
	static const struct {
		const char *line, *address, *text; /* text NULL: nothing is wrong */
		enum health_trouble kind;
	} lines[] = {
		{ "NVRM: Xid (PCI:0000:01:00): 31, pid=1, name=x, MMU Fault", NULL, NULL, 0 },
		{ "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
			"0000:01:00", "nvidia: Xid 79: fallen off the bus", HEALTH_LOST },
		{ "NVRM: Xid (PCI:0000:01:00): 63, Row Remapper", "0000:01:00", "nvidia: Xid 63", HEALTH_ERROR },
		{ "NVRM: Xid (PCI:zzzz", NULL, NULL, 0 },
		{ "[drm:amdgpu_job_timedout [amdgpu]] *ERROR* ring sdma0 timeout, signaled seq=1, emitted seq=2", "",
			"amdgpu: ring sdma0 timeout", HEALTH_HANG },
		{ "[drm:amdgpu_job_timedout [amdgpu]] *ERROR* ring gfx timeout, but soft recovered", NULL, NULL, 0 },
		{ "amdgpu 0000:03:00.0: amdgpu: GPU reset begin!", "0000:03:00.0", "amdgpu: GPU reset", HEALTH_RESET },
		{ "i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:85dcfdfb, in x [1]", "0000:00:02.0", "i915: GPU hang",
			HEALTH_HANG },
		{ "i915 0000:00:02.0: [drm] Finished loading DMC firmware i915/mtl_dmc.bin (v2.23)", NULL, NULL, 0 },
		{ "xe 0000:03:00.0: [drm] *ERROR* CRITICAL: Xe has declared device 0000:03:00.0 as wedged.", "0000:03:00.0",
			"xe: wedged", HEALTH_LOST },
		{ "thunderbolt 0-1: device disconnected", NULL, NULL, 0 },
		{ "", NULL, NULL, 0 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct kernel_trouble t;
		bool trouble = kernel_log_parse(lines[i].line, strlen(lines[i].line), &t);
		assert_int_equal(trouble, lines[i].text != NULL);
		if (!trouble)
			continue;
		assert_string_equal(t.pci_address, lines[i].address);
		assert_string_equal(t.text, lines[i].text);
		assert_int_equal(t.kind, lines[i].kind);
		assert_true(!t.pci_address[0] || !kernel_trouble_is_of(&t, "0000:77:00.0", t.driver));
	}
	struct kernel_trouble old;
	const char *line = lines[4].line;
	assert_true(kernel_log_parse(line, strlen(line), &old));
	assert_true(kernel_trouble_is_of(&old, "0000:03:00.0", "amdgpu"));
	assert_false(kernel_trouble_is_of(&old, "0000:03:00.0", "i915"));
	char noise[600];
	memset(noise, 0xff, sizeof noise);
	memcpy(noise, "amdgpu 0000:03:00.0: ", 21);
	assert_false(kernel_log_parse(noise, sizeof noise, &old));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_series), cmocka_unit_test(test_trend),
		cmocka_unit_test(test_history), cmocka_unit_test(test_kernel_log) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
