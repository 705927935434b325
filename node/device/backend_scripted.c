/* Plays a recorded folder (script.h) in real time, in place of a kernel: for demonstrations, and for what is tested of the node above
 * its devices. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "node/device/device.h"
#include "node/device/script.h"

#define SWEEP_DELAY_MS 2500 /* behind the last event, as the linux backend */

struct scripted_state {
	struct script *script;
	struct device_watch *watch;
	struct loop_timer *next, *sweep;
	uint64_t started_ns;
};

static void wait_for_next(struct scripted_state *s)
{
	uint64_t at_ms, now_ms = (time_monotonic_ns() - s->started_ns) / 1000000;
	if (script_next(s->script, &at_ms))
		loop_timer_start(s->next, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

static void play(void *ctx)
{
	struct scripted_state *s = ctx;
	char error[512] = "";
	bool look;
	int r = script_step(s->script, s->watch->model, time_monotonic_ns(), &look, error, sizeof error);
	if (r < 0)
		log_warn("%s", error[0] ? error : strerror(-r));
	if (look)
		device_watch_refresh(s->watch);
	loop_timer_start(s->sweep, SWEEP_DELAY_MS, 0);
	wait_for_next(s);
}

static void sweep(void *ctx)
{
	struct scripted_state *s = ctx;
	world_sweep(script_world(s->script), s->watch->model, time_monotonic_ns());
}

static void scripted_stop(struct device_watch *w)
{
	struct scripted_state *s = w->state;
	if (!s)
		return;
	loop_timer_destroy(s->next);
	loop_timer_destroy(s->sweep);
	script_destroy(s->script);
	free(s);
	w->state = NULL;
}

static int scripted_start(struct device_watch *w, struct loop *l, struct device_model *m)
{
	char error[512] = "";
	struct scripted_state *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	w->state = s;
	s->watch = w;
	s->started_ns = time_monotonic_ns();
	int r = script_load(w->source, &s->script, error, sizeof error);
	if (r == 0) {
		s->next = loop_timer_create(l, play, s);
		s->sweep = loop_timer_create(l, sweep, s);
		r = s->next && s->sweep ? 0 : -ENOMEM;
	}
	if (r < 0) {
		log_error("%s", error[0] ? error : strerror(-r));
		scripted_stop(w);
		return r;
	}
	script_start(s->script, m, s->started_ns);
	wait_for_next(s);
	return 0;
}

static int scripted_read(struct device_watch *w, const char *path, const char *attribute, char *out, size_t size)
{
	const struct scripted_state *s = w->state;
	const char *value = world_get(script_world(s->script), path, attribute);
	if (!value)
		return -ENOENT;
	snprintf(out, size, "%s", value);
	return 0;
}

const struct device_backend device_backend_scripted = {
	.name = "scripted", .start = scripted_start, .stop = scripted_stop, .read = scripted_read
};
