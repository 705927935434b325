#include "node/health_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "node/arena.h"
#include "node/doctor.h"
#include "node/health/health.h"
#include "node/health/history.h"
#include "node/health/kernel_log.h"
#include "node/node.h"
#include "node/workload.h"
#include "proto/messages.h"

#define LOOK_TICKS 2 /* one look in so many */
#define KERNEL_LOG "/dev/kmsg"
#define RECORD_MAX 8192 /* of /dev/kmsg: Linux Documentation/ABI/testing/dev-kmsg */
#define RECORDS_AT_ONCE 64

struct watched {
	struct list link;
	char path[DEVICE_PATH_MAX], pci_address[16];
	struct health health;
	struct health_history history;
	bool known; /* something was ever seen of it */
	uint64_t latency_p99_us;
	uint32_t waiting; /* submissions */
};

struct health_watch {
	struct node *node;
	struct list list;
	unsigned ticks;
	int log_fd, log_error;
	struct loop_io *log_io;
};

static struct watched *find(struct health_watch *w, const struct device_gpu *g)
{
	list_for_each(one, &w->list, struct watched, link)
		if (strcmp(one->path, g->path) == 0)
			return one;
	struct watched *one = calloc(1, sizeof *one);
	if (!one)
		return NULL;
	snprintf(one->path, sizeof one->path, "%s", g->path);
	snprintf(one->pci_address, sizeof one->pci_address, "%s", g->pci_address);
	health_init(&one->health);
	list_append(&w->list, &one->link);
	return one;
}

static void forget(struct watched *one)
{
	list_remove(&one->link);
	free(one);
}

/* ---- what it amounts to ---- */

static void tell(struct health_watch *w, const struct watched *one, const struct health_verdict *v, const char *recovery)
{
	struct node_event e;
	char key[POLICY_KEY_SIZE], name[EVENT_NAME_SIZE] = "reason";
	snprintf(key, sizeof key, "%s/pci-%s", w->node->config.name, one->pci_address);
	node_event_init(&e, "HealthChanged", key);
	node_event_field(&e, "score", "%u", v->score);
	node_event_field(&e, "level", "%s", health_level_name(v->level));
	node_event_field(&e, "before", "%s", health_level_name(v->before));
	node_event_field(&e, "trend", "%d", v->trend);
	for (unsigned i = 0; i < v->reason_count && i < 4; i++) {
		if (i > 0)
			snprintf(name, sizeof name, "reason%u", i + 1);
		node_event_field(&e, name, "%s", v->reasons[i]);
	}
	if (recovery)
		node_event_field(&e, "recovery", "%s", recovery);
	node_event(w->node, &e);
}

static void judge(struct health_watch *w, struct watched *one, const char *recovery)
{
	struct health_verdict v;
	struct inventory_health h = { .known = one->known };
	health_judge(&one->health, time_monotonic_ns(), &v);
	h.score = v.score;
	h.trend = v.trend;
	for (; h.reason_count < v.reason_count && h.reason_count < INVENTORY_REASONS_MAX; h.reason_count++)
		snprintf(h.reasons[h.reason_count], sizeof h.reasons[0], "%s", v.reasons[h.reason_count]);
	h.latency_us = health_latency_us(&one->health);
	h.usual_latency_us = health_usual_latency_us(&one->health);
	h.latency_p99_us = one->latency_p99_us;
	h.waiting = one->waiting;
	if (one->known)
		history_add(&one->history, time_monotonic_ns(), &v);
	inventory_set_health(w->node->inventory, one->pci_address, &h);
	if (v.level == v.before && !recovery)
		return;
	tell(w, one, &v, recovery);
	node_state_changed(w->node);
}

/* ---- sysfs ---- */

/* HEALTH_UNKNOWN when there is no such sensor or the card sleeps; *ret_failed: it should have answered. */
static int32_t read_sensor(struct node *n, const struct device_gpu *g, const char *attribute, bool *ret_failed)
{
	char text[32], *end;
	int r = g->hwmon_path[0] ? device_watch_read(&n->devices, g, g->hwmon_path, attribute, text, sizeof text) : -ENOENT;
	*ret_failed = r < 0 && r != -ENOENT && r != -EAGAIN && r != -EPERM;
	if (r < 0)
		return HEALTH_UNKNOWN;
	long value = strtol(text, &end, 10);
	return end == text || value < -1000000 || value > 1000000 ? HEALTH_UNKNOWN : (int32_t)value;
}

/* The kernel's own sum in the last line: "TOTAL_ERR_COR 12" (Linux drivers/pci/pcie/aer.c). */
static bool read_errors(struct node *n, const struct device_gpu *g, const char *path, const char *attribute, uint64_t *total)
{
	char text[2048];
	if (device_watch_read(&n->devices, g, path, attribute, text, sizeof text) < 0)
		return false;
	const char *sum = strstr(text, "TOTAL_ERR_");
	sum = sum ? strchr(sum, ' ') : NULL;
	if (!sum)
		return false;
	*total += strtoull(sum, NULL, 10);
	return true;
}

/* Of the function itself, then of each bridge above it. */
static void see_errors(struct node *n, const struct device_gpu *g, struct health_sample *s)
{
	char path[DEVICE_PATH_MAX];
	snprintf(path, sizeof path, "%s", g->path);
	s->has_errors = read_errors(n, g, path, "aer_dev_correctable", &s->correctable);
	read_errors(n, g, path, "aer_dev_nonfatal", &s->nonfatal);
	read_errors(n, g, path, "aer_dev_fatal", &s->fatal);
	for (char *slash; (slash = strrchr(path, '/')) != NULL && slash > path;) {
		*slash = '\0';
		slash = strrchr(path, '/');
		if (!slash || !device_pci_address(slash + 1))
			return;
		s->has_errors |= read_errors(n, g, path, "aer_dev_correctable", &s->bridge_correctable);
		read_errors(n, g, path, "aer_dev_nonfatal", &s->bridge_nonfatal);
		read_errors(n, g, path, "aer_dev_fatal", &s->bridge_fatal);
	}
}

/* Of "2 x 20.0 Gb/s", or "rx 1 x 40.0, tx 3 x 40.0 Gb/s": what comes in. */
static uint64_t link_mbps(const char *text)
{
	unsigned lanes, whole, tenths;
	if (strncmp(text, "rx ", 3) == 0)
		text += 3;
	return sscanf(text, "%u x %u.%u", &lanes, &whole, &tenths) == 3 ? (uint64_t)lanes * (whole * 1000 + tenths * 100)
									: 0;
}

/* All drivers of the card together. */
static void see_pace(struct node *n, struct watched *one, struct health_sample *s)
{
	struct executors_pace pace = { .programs = 0 };
	const struct inventory_gpu *g;
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++)
		if (!g->peer[0] && strcmp(g->pci_address, one->pci_address) == 0)
			executors_pace(n->executors, g->id, &pace);
	s->completed = pace.recent.completed;
	s->latency_us = vitals_latency_us(&pace.recent, 0.5);
	s->programs = pace.programs;
	one->waiting = (uint32_t)(pace.waiting < UINT32_MAX ? pace.waiting : UINT32_MAX);
	if (s->completed > 0)
		one->latency_p99_us = vitals_latency_us(&pace.recent, 0.99);
	else if (pace.programs == 0)
		one->latency_p99_us = 0;
}

static void look(struct health_watch *w, const struct device_gpu *g)
{
	struct node *n = w->node;
	struct watched *one = find(w, g);
	bool no_matter;
	if (!one)
		return;
	struct health_sample s = { .link_mbps = link_mbps(g->tb_link) };
	s.temperature_mc = read_sensor(n, g, "temp1_input", &s.sensor_failed);
	s.critical_mc = s.temperature_mc == HEALTH_UNKNOWN ? HEALTH_UNKNOWN : read_sensor(n, g, "temp1_crit", &no_matter);
	see_errors(n, g, &s);
	s.waiting_ms = workloads_waiting_ms(n->workloads, n->inventory, g->pci_address);
	see_pace(n, one, &s);
	one->known |= s.completed > 0 || s.temperature_mc != HEALTH_UNKNOWN || s.has_errors || s.link_mbps > 0;
	health_see(&one->health, time_monotonic_ns(), &s);
	judge(w, one, NULL);
}

void health_watch_tick(struct health_watch *w)
{
	const struct device_gpu *g;
	if (++w->ticks % LOOK_TICKS != 0 || !w->node->devices.model)
		return;
	for (size_t i = 0; (g = device_model_gpu(w->node->devices.model, i)) != NULL; i++)
		if (!g->gone)
			look(w, g);
}

void health_watch_arrived(struct health_watch *w, const struct device_gpu *g)
{
	/* What was told of the one before is not this one's: nothing is known until the next look. */
	const struct inventory_health unknown = { .known = false };
	health_watch_gone(w, g);
	inventory_set_health(w->node->inventory, g->pci_address, &unknown);
}

void health_watch_gone(struct health_watch *w, const struct device_gpu *g)
{
	list_for_each_safe(one, &w->list, struct watched, link)
		if (strcmp(one->path, g->path) == 0)
			forget(one);
}

/* Linux Documentation/gpu/drm-uapi.rst: what a user of the device would have to do; "none": nothing, it has recovered. */
void health_watch_wedged(struct health_watch *w, const struct device_gpu *g, const char *how)
{
	struct watched *one = find(w, g);
	char text[HEALTH_REASON_SIZE];
	if (!one)
		return;
	bool recovered = strcmp(how, "none") == 0;
	snprintf(text, sizeof text, recovered ? "driver wedged, and has recovered" : "driver wedged; it needs: %.48s", how);
	one->known = true;
	health_report(&one->health, time_monotonic_ns(), recovered ? HEALTH_RESET : HEALTH_LOST, text);
	judge(w, one, how);
}

/* ---- the kernel's log ---- */

static void take_message(struct health_watch *w, const char *message, size_t size)
{
	const struct device_gpu *g;
	struct kernel_trouble t;
	if (!kernel_log_parse(message, size, &t))
		return;
	for (size_t i = 0; w->node->devices.model && (g = device_model_gpu(w->node->devices.model, i)) != NULL; i++) {
		struct watched *one =
			!g->gone && kernel_trouble_is_of(&t, g->pci_address, g->kernel_driver) ? find(w, g) : NULL;
		if (!one)
			continue;
		log_debug("%s: the kernel says: %s", g->pci_address, t.text);
		one->known = true;
		health_report(&one->health, time_monotonic_ns(), t.kind, t.text);
		judge(w, one, NULL);
	}
}

/* A read is one record: "PRIORITY,NUMBER,TIME,FLAGS;MESSAGE\n KEY=VALUE\n…". */
static void log_readable(void *ctx, unsigned events)
{
	struct health_watch *w = ctx;
	char record[RECORD_MAX];
	(void)events;
	for (unsigned i = 0; i < RECORDS_AT_ONCE; i++) {
		ssize_t size = read(w->log_fd, record, sizeof record - 1);
		if (size < 0 && errno == EPIPE)
			continue; /* the ring was overwritten in front of us */
		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (size <= 0) {
			w->log_error = size < 0 ? errno : EIO;
			loop_io_destroy(w->log_io);
			w->log_io = NULL;
			return;
		}
		record[size] = '\0';
		const char *message = strchr(record, ';');
		if (message)
			take_message(w, message + 1, strcspn(message + 1, "\n"));
	}
}

static void open_log(struct health_watch *w)
{
	w->log_fd = open(KERNEL_LOG, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (w->log_fd < 0 || lseek(w->log_fd, 0, SEEK_END) < 0) {
		w->log_error = errno;
		return;
	}
	w->log_io = loop_io_create(w->node->loop, w->log_fd, LOOP_READ, log_readable, w);
	if (!w->log_io)
		w->log_error = ENOMEM;
}

struct health_watch *health_watch_create(struct node *n)
{
	struct health_watch *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->node = n;
	w->log_fd = -1;
	list_init(&w->list);
	open_log(w);
	return w;
}

void health_watch_destroy(struct health_watch *w)
{
	if (!w)
		return;
	loop_io_destroy(w->log_io);
	close_fd(&w->log_fd);
	list_for_each_safe(one, &w->list, struct watched, link)
		forget(one);
	free(w);
}

/* ---- what is shown ---- */

void health_watch_fill(const struct health_watch *w, const char *pci_address, Tbmesh__GpuHealth *out, struct arena *a)
{
	const struct watched *found = NULL;
	list_for_each(one, &w->list, struct watched, link)
		if (pci_address[0] && strcmp(one->pci_address, pci_address) == 0)
			found = one;
	if (!found)
		return;
	const struct health_history *h = &found->history;
	Tbmesh__HealthChange *changes = arena_alloc(a, (h->change_count + 1) * sizeof *changes);
	out->changes = arena_alloc(a, (h->change_count + 1) * sizeof *out->changes);
	out->history = arena_alloc(a, (h->step_count + 1) * sizeof *out->history);
	if (!changes || !out->changes || !out->history)
		return;
	for (unsigned i = 0; i < h->change_count; i++) {
		tbmesh__health_change__init(&changes[i]);
		changes[i].realtime_us = time_realtime_us() - (time_monotonic_ns() - h->changes[i].at_ns) / 1000;
		changes[i].score = h->changes[i].score;
		changes[i].level = arena_text(a, health_level_name(h->changes[i].level));
		changes[i].reason = arena_text(a, h->changes[i].reason);
		out->changes[out->n_changes++] = &changes[i];
	}
	for (unsigned i = 0; i < h->step_count; i++)
		out->history[out->n_history++] = h->steps[i];
	out->history_step_s = (uint32_t)(HISTORY_STEP_NS / 1000000000u);
}

/* ---- doctor ---- */

void health_watch_doctor(struct node *n, struct doctor *d)
{
	struct health_watch *w = n->health;
	if (w->log_io)
		doctor_say(d, DOCTOR_OK, "kernel.log", "", "", "what GPU drivers say in the kernel's log is heard");
	else
		doctor_say(d, DOCTOR_WARN, "kernel.log", "",
			"run tbmeshd as root or with CAP_SYSLOG (or: sysctl kernel.dmesg_restrict=0), then restart it",
			"the kernel's log can't be read (%s: %s): driver errors of GPUs do not count in their health",
			KERNEL_LOG, strerror(w->log_error));
	list_for_each(one, &w->list, struct watched, link) {
		struct health_verdict v;
		struct health copy = one->health; /* asking changes nothing */
		health_judge(&copy, time_monotonic_ns(), &v);
		if (v.level == HEALTH_GOOD)
			doctor_say(d, DOCTOR_OK, "gpu.health", one->pci_address, "", "%u of 100%s", v.score,
				one->known ? "" : ", as far as can be told");
		else
			doctor_say(d, v.level == HEALTH_BAD ? DOCTOR_FAIL : DOCTOR_WARN, "gpu.health", one->pci_address,
				"tbmesh eject the GPU; then look after its cooling, power and cable, or plug it in anew",
				"%u of 100: %s", v.score, v.reason_count ? v.reasons[0] : "it is not well yet");
	}
}
