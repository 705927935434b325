#include "node/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "node/arena.h"
#include "node/doctor_devices.h"
#include "node/doctor_mesh.h"
#include "node/health_watch.h"
#include "node/node.h"
#include "proto/messages.h"

#define LINES_MAX 256
#define WHAT_MAX 400

struct doctor {
	struct arena *arena;
	Tbmesh__DoctorReply *reply;
};

static const char *const result_names[] = { [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail" };

void doctor_say(struct doctor *d, enum doctor_result result, const char *id, const char *subject, const char *fix,
	const char *format, ...)
{
	char what[WHAT_MAX];
	va_list arguments;
	Tbmesh__DoctorCheck *c = d->reply->n_checks < LINES_MAX ? arena_alloc(d->arena, sizeof *c) : NULL;
	if (!c)
		return;
	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	tbmesh__doctor_check__init(c);
	c->id = arena_text(d->arena, id);
	c->result = (char *)result_names[result];
	c->subject = arena_text(d->arena, subject);
	c->what = arena_text(d->arena, what);
	c->fix = arena_text(d->arena, fix);
	if (!d->arena->failed)
		d->reply->checks[d->reply->n_checks++] = c;
}

static void check_warnings(struct node *n, struct doctor *d)
{
	for (size_t i = 0; i < n->warning_count; i++)
		doctor_say(d, DOCTOR_WARN, "node.warning", "", "do what it says; if it stays, restart tbmeshd", "%s",
			n->warnings[i]);
	if (n->warning_count == 0)
		doctor_say(d, DOCTOR_OK, "node.warning", "", "", "the node has nothing to complain of");
}

static void check_probe(struct node *n, struct doctor *d)
{
	if (n->probe_error[0])
		doctor_say(d, DOCTOR_FAIL, "vulkan.probe", "", "tbmesh-exec --probe --verbose | wc -c   # says why", "%s",
			n->probe_error);
	else if (gpu_probe_pending(n->probe))
		doctor_say(
			d, DOCTOR_WARN, "vulkan.probe", "", "ask again in some seconds", "Vulkan drivers are being asked");
	else
		doctor_say(d, DOCTOR_OK, "vulkan.probe", "", "", "the Vulkan drivers of this host were asked");
}

static void check_drivers(struct node *n, struct doctor *d)
{
	const struct gpu_probe_bad *bad;
	for (size_t i = 0; (bad = gpu_probe_bad_driver(n->probe, i)) != NULL; i++) {
		char fix[512];
		snprintf(fix, sizeof fix,
			"reinstall or update the package of this driver (dpkg -S %s), or move that file away; then restart "
			"tbmeshd",
			bad->manifest);
		doctor_say(d, DOCTOR_FAIL, "vulkan.driver", bad->manifest, fix,
			"%s; it is left out, other drivers' GPUs are served", bad->why);
	}
	if (!gpu_probe_bad_driver(n->probe, 0) && !n->probe_error[0] && !gpu_probe_pending(n->probe))
		doctor_say(d, DOCTOR_OK, "vulkan.driver", "", "", "each Vulkan driver answers by itself");
}

/* GPUs of this host: is there any, and does each have a driver? */
static void check_gpus(struct node *n, struct doctor *d)
{
	const struct inventory_gpu *g;
	unsigned gpus = 0, cpus = 0;
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++) {
		if (g->peer[0])
			continue;
		if (g->state == GPU_WITHOUT_DRIVER && !g->probing)
			doctor_say(d, DOCTOR_WARN, "gpu.driver", g->key,
				"install the Vulkan driver of its vendor (Debian: mesa-vulkan-drivers, nvidia-vulkan-icd)",
				"%s is plugged in, but no Vulkan driver lists it", g->name);
		else if (g->state == GPU_ACTIVE && strcmp(g->type, "cpu") == 0)
			cpus++;
		else if (g->state == GPU_ACTIVE)
			gpus++;
	}
	if (gpus > 0)
		doctor_say(d, DOCTOR_OK, "gpu.any", "", "", "%u GPU%s of this host can serve", gpus, gpus == 1 ? "" : "s");
	else
		doctor_say(d, DOCTOR_WARN, "gpu.any", "",
			"plug one in, or install its Vulkan driver; peers' GPUs serve this host's programs too (tbmesh "
			"gpus)",
			"no GPU of this host can serve%s", cpus > 0 ? ", only a CPU driver" : "");
}

static doctor_check_fn *const checks[] = { check_warnings, check_probe, check_drivers, check_gpus, doctor_check_thunderbolt,
	health_watch_doctor, doctor_check_links, doctor_check_paths };

struct Tbmesh__DoctorReply *doctor_view(struct node *n, struct arena *a)
{
	struct doctor d = { .arena = a, .reply = arena_alloc(a, sizeof *d.reply) };
	if (!d.reply)
		return NULL;
	tbmesh__doctor_reply__init(d.reply);
	d.reply->checks = arena_alloc(a, LINES_MAX * sizeof(Tbmesh__DoctorCheck *));
	for (size_t i = 0; d.reply->checks && i < ARRAY_SIZE(checks); i++)
		checks[i](n, &d);
	return a->failed ? NULL : d.reply;
}
