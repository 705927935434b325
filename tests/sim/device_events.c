/* The device model against a pretended machine whose enclosures are plugged in and pulled out at random, and whose uevents are late, out
 * of order, repeated or lost as udev allows: related devices (one above the other) keep their order, all others do not. Checked: a
 * healthy GPU is never taken for gone, a Thunderbolt removal is acted on at once, events alternate, and in the end the model is right.
 *
 *   device_events [--seeds N] [--first N] [--verbose] */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "node/device/device.h"
#include "node/device/world.h"

#define MS UINT64_C(1000000)
#define START_NS (100000 * MS)
#define SLOTS 2u
#define EVENTS_MAX 4096u
#define LATE_MAX_MS 400u

enum happening { ADD, REMOVE, CHANGE, RESCAN };

struct event {
	uint64_t at_ns, seq; /* of delivery */
	enum happening what;
	bool early;     /* the kernel's own word */
	char path[256]; /* "" of RESCAN */
};

struct sim {
	uint64_t seed, random, now_ns, seq;
	bool verbose, told_apart; /* two controllers, or one that serves both ports */
	struct world world;
	struct device_model *model;
	struct event events[EVENTS_MAX];
	size_t count;
	bool plugged[SLOTS], connected[SLOTS];
	uint64_t unplugged_ns[SLOTS];
	uint64_t heard; /* events delivered */
};

static void fail(const struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
static void fail(const struct sim *s, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "seed %" PRIu64 ", %" PRIu64 " ms: ", s->seed, (s->now_ns - START_NS) / MS);
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\nreplay: device_events --first %" PRIu64 " --seeds 1 --verbose\n", s->seed);
	va_end(arguments);
	exit(1);
}

static void say(const struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const struct sim *s, const char *format, ...)
{
	va_list arguments;
	if (!s->verbose)
		return;
	va_start(arguments, format);
	printf("%8" PRIu64 " ", (s->now_ns - START_NS) / MS);
	vprintf(format, arguments);
	putchar('\n');
	va_end(arguments);
}

static uint32_t below(struct sim *s, uint32_t bound) /* xorshift64* */
{
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return (uint32_t)((s->random * 0x2545f4914f6cdd1dull) >> 32) % bound;
}

/* ---- the machine ---- */

#define HOST(nhi, domain, router)                                                                                           \
	"P: /devices/pci0000:00/" nhi "\nE: SUBSYSTEM=pci\nA: class=0x0c0340\nA: vendor=0x8086\nA: device=0x7ec2\n\n"       \
	"P: /devices/pci0000:00/" nhi "/" domain "\nE: SUBSYSTEM=thunderbolt\nE: DEVTYPE=thunderbolt_domain\n\n"            \
	"P: /devices/pci0000:00/" nhi "/" domain "/" router                                                                 \
	"\nE: SUBSYSTEM=thunderbolt\nE: DEVTYPE=thunderbolt_device\nA: authorized=1\nA: generation=4\n\n"
#define LINK(nhi, port) "P: /devices/virtual/devlink/pci:" nhi "--pci:" port "\nE: SUBSYSTEM=devlink\n\n"

static const char *const routers[2][SLOTS] = {
	{ "/devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1", "/devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-3" },
	{ "/devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1", "/devices/pci0000:00/0000:00:0d.3/domain1/1-0/1-1" },
};
static const char *const switches[SLOTS] = { "/devices/pci0000:00/0000:00:07.0/0000:02:00.0",
	"/devices/pci0000:00/0000:00:07.2/0000:2c:00.0" };
static const char *const gpus[SLOTS] = { "0000:04:00.0", "0000:2e:00.0" };

/* What a plug brings, in the kernel's order. */
static void parts_of(const struct sim *s, unsigned slot, char paths[6][256])
{
	static const char *const middles[SLOTS] = { "0000:03:01.0", "0000:2d:01.0" };
	snprintf(paths[0], 256, "%s", routers[s->told_apart][slot]);
	snprintf(paths[1], 256, "%s", switches[slot]);
	snprintf(paths[2], 256, "%s/%s", switches[slot], middles[slot]);
	snprintf(paths[3], 256, "%s/%s/%s", switches[slot], middles[slot], gpus[slot]);
	snprintf(paths[4], 256, "%s/%s/%s/drm/card%u", switches[slot], middles[slot], gpus[slot], slot + 1);
	snprintf(paths[5], 256, "%s/%s/%s/drm/renderD%u", switches[slot], middles[slot], gpus[slot], slot + 129);
}

static void add_to_world(struct sim *s, const char *path, unsigned part)
{
	static const char *const bodies[6] = {
		"E: SUBSYSTEM=thunderbolt\nE: DEVTYPE=thunderbolt_device\nA: authorized=1\n"
		"A: device=0x1234\nA: generation=3\nA: device_name=Core X\nA: vendor_name=Razer\n",
		"E: SUBSYSTEM=pci\nA: class=0x060400\nA: vendor=0x8086\nA: device=0x15ef\n",
		"E: SUBSYSTEM=pci\nA: class=0x060400\nA: vendor=0x8086\nA: device=0x15ef\n",
		"E: SUBSYSTEM=pci\nA: class=0x030000\nA: vendor=0x10de\nA: device=0x2684\nA: subsystem_device=0x8888\n"
		"A: power/runtime_status=active\n",
		"E: SUBSYSTEM=drm\nE: DEVNAME=/dev/dri/card9\n", "E: SUBSYSTEM=drm\nE: DEVNAME=/dev/dri/renderD199\n"
	};
	char text[1024], error[128];
	snprintf(text, sizeof text, "P: %s\n%s", path, bodies[part]);
	if (world_add_text(&s->world, text, NULL, NULL, error, sizeof error) < 0)
		fail(s, "%s", error);
}

/* ---- events on their way ---- */

static bool related(const char *a, const char *b)
{
	size_t x = strlen(a), y = strlen(b), least = x < y ? x : y;
	return strncmp(a, b, least) == 0 && (a[least] == '\0' || a[least] == '/') && (b[least] == '\0' || b[least] == '/');
}

static void send(struct sim *s, enum happening what, const char *path, uint64_t at_ns, bool early)
{
	if (s->count == EVENTS_MAX)
		return;
	struct event *e = &s->events[s->count];
	*e = (struct event){ .what = what, .seq = s->seq++, .early = early };
	snprintf(e->path, sizeof e->path, "%s", path);
	for (size_t i = 0; i < s->count && !early && path[0]; i++)
		if (!s->events[i].early && s->events[i].path[0] && related(s->events[i].path, path) &&
			s->events[i].at_ns > at_ns)
			at_ns = s->events[i].at_ns;
	e->at_ns = at_ns;
	s->count++;
}

/* The kernel says it now; udev passes it on some time later, or it is lost and that is noticed, or it comes twice. Thunderbolt is
 * heard from the kernel alone (node/device/backend_linux.c). */
static void utter(struct sim *s, enum happening what, const char *path)
{
	if (strstr(path, "/domain")) {
		send(s, below(s, 25) == 0 ? RESCAN : what, path, s->now_ns, true);
		return;
	}
	uint64_t late_ns = s->now_ns + below(s, below(s, 4) == 0 ? LATE_MAX_MS : 8) * MS;
	if (what == REMOVE && below(s, 20) != 0)
		send(s, REMOVE, path, s->now_ns, true);
	if (below(s, 25) == 0) {
		send(s, RESCAN, "", late_ns, false);
		return;
	}
	send(s, what, path, late_ns, false);
	if (below(s, 10) == 0)
		send(s, what, path, late_ns, false);
}

static struct world_device *find(struct sim *s, const char *path)
{
	char whole[300];
	snprintf(whole, sizeof whole, "/sys%s", path);
	return world_find(&s->world, whole);
}

static void deliver(struct sim *s, const struct event *e)
{
	char whole[300];
	snprintf(whole, sizeof whole, "/sys%s", e->path);
	struct world_device *d = find(s, e->path);
	static const char *const names[] = { "add", "remove", "change", "rescan" };
	say(s, "%s%s %s", e->early ? "kernel: " : "", names[e->what], e->path);
	s->heard++;
	if (e->what == RESCAN) {
		world_sweep(&s->world, s->model, s->now_ns);
	} else if (e->what == REMOVE) {
		bool first_sign[SLOTS];
		for (unsigned i = 0; i < SLOTS; i++) {
			const struct device_gpu *g = device_model_find_gpu(s->model, gpus[i]);
			first_sign[i] = s->connected[i] && g && strcmp(g->enclosure_path, whole) == 0;
		}
		device_model_remove(s->model, whole, s->now_ns);
		for (unsigned i = 0; i < SLOTS; i++)
			if (first_sign[i] && s->connected[i])
				fail(s, "%s left and %s did not", whole, gpus[i]);
	} else if (d) {
		world_tell(&s->world, d, s->model, e->what == ADD, s->now_ns);
	}
}

/* All that is due until then, in order of delivery. */
static void play_until(struct sim *s, uint64_t until_ns)
{
	for (;;) {
		size_t first = s->count;
		for (size_t i = 0; i < s->count; i++)
			if (s->events[i].at_ns <= until_ns &&
				(first == s->count || s->events[i].at_ns < s->events[first].at_ns ||
					(s->events[i].at_ns == s->events[first].at_ns &&
						(s->events[i].early > s->events[first].early ||
							(s->events[i].early == s->events[first].early &&
								s->events[i].seq < s->events[first].seq)))))
				first = i;
		if (first == s->count)
			break;
		struct event e = s->events[first];
		memmove(&s->events[first], &s->events[first + 1], (s->count - first - 1) * sizeof e);
		s->count--;
		if (e.at_ns > s->now_ns)
			s->now_ns = e.at_ns;
		deliver(s, &e);
	}
	s->now_ns = until_ns > s->now_ns ? until_ns : s->now_ns;
}

static void wait_ms(struct sim *s, uint32_t ms)
{
	play_until(s, s->now_ns + ms * MS);
}

/* ---- what people do ---- */

static void plug(struct sim *s, unsigned slot)
{
	char paths[6][256];
	parts_of(s, slot, paths);
	say(s, "---- plug %u", slot);
	for (unsigned i = 0; i < 6; i++) {
		add_to_world(s, paths[i], i);
		utter(s, ADD, paths[i]);
		if (i == 3)
			s->plugged[slot] = true;
		wait_ms(s, below(s, 20));
	}
}

static void unplug(struct sim *s, unsigned slot)
{
	char paths[6][256], whole[300];
	parts_of(s, slot, paths);
	say(s, "---- unplug %u", slot);
	s->plugged[slot] = false;
	s->unplugged_ns[slot] = s->now_ns;
	bool bottom_up = below(s, 2);
	for (unsigned n = 0; n < 6; n++) {
		unsigned i = n == 0 ? 0 : 6 - n; /* the router, then from the leaves on */
		snprintf(whole, sizeof whole, "/sys%s", paths[i]);
		world_remove(&s->world, whole);
		if (i < 2 || bottom_up)
			utter(s, REMOVE, paths[i]);
		wait_ms(s, n == 0 ? below(s, 60) : below(s, 5));
	}
}

static void noise(struct sim *s)
{
	list_for_each(d, &s->world.devices, struct world_device, link)
		if (d->present && below(s, 3) == 0)
			utter(s, CHANGE, d->path + 4);
}

/* ---- what the model says ---- */

static unsigned slot_of(const struct sim *s, const struct device_gpu *g)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (strcmp(gpus[i], g->pci_address) == 0)
			return i;
	fail(s, "a GPU that nobody has: %s", g->pci_address);
}

static void gpu_connected(void *ctx, const struct device_gpu *g)
{
	struct sim *s = ctx;
	unsigned slot = slot_of(s, g);
	say(s, "==== connected %s", g->pci_address);
	if (s->connected[slot])
		fail(s, "%s is connected twice", g->pci_address);
	s->connected[slot] = true;
}

static void gpu_disconnected(void *ctx, const struct device_gpu *g, uint64_t at_ns, const char *sign)
{
	struct sim *s = ctx;
	unsigned slot = slot_of(s, g);
	say(s, "==== disconnected %s by %s", g->pci_address, sign);
	if (!s->connected[slot])
		fail(s, "%s is disconnected twice", g->pci_address);
	if (at_ns != s->now_ns)
		fail(s, "%s: not at the time of its sign", g->pci_address);
	/* Late words of an unplug may come behind the next plug, no others. */
	if (s->plugged[slot] &&
		(s->unplugged_ns[slot] == 0 || s->now_ns > s->unplugged_ns[slot] + (2 * LATE_MAX_MS + 200) * MS))
		fail(s, "healthy %s is taken for gone, by %s", g->pci_address, sign);
	s->connected[slot] = false;
}

static void gpu_changed(void *ctx, const struct device_gpu *g)
{
	(void)slot_of(ctx, g);
}

static void power_changed(void *ctx, const struct device_gpu *g, enum device_power before)
{
	(void)before;
	(void)slot_of(ctx, g);
}

static void told(void *ctx, const struct device_gpu *g, const char *what)
{
	fail(ctx, "%s: %s came from nowhere", g->pci_address, what);
}

static void netdev(void *ctx, const struct device_netdev *n)
{
	fail(ctx, "interface %s came from nowhere", n->interface);
}

static const struct device_observer observer = { .gpu_connected = gpu_connected,
	.gpu_disconnected = gpu_disconnected,
	.gpu_changed = gpu_changed,
	.power_changed = power_changed,
	.link_speed_changed = told,
	.gpu_wedged = told,
	.netdev_added = netdev,
	.netdev_removed = netdev };

static void check_end(struct sim *s)
{
	/* As the backend does: everything is looked at some time after the last event. */
	for (unsigned i = 0; i < 2; i++) {
		wait_ms(s, 2500);
		world_sweep(&s->world, s->model, s->now_ns);
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		const struct device_gpu *g = device_model_find_gpu(s->model, gpus[i]);
		if (s->connected[i] != s->plugged[i] || (g && !g->gone) != s->plugged[i])
			fail(s, "%s is %s, but the model says %s", gpus[i], s->plugged[i] ? "there" : "not there",
				s->connected[i] ? "there" : "not there");
		char path[300];
		snprintf(path, sizeof path, "/sys%s", routers[s->told_apart][i]);
		if (s->plugged[i] && s->told_apart && strcmp(g->enclosure_path, path) != 0)
			fail(s, "%s is taken to be in \"%s\"", gpus[i], g->enclosure_path);
	}
}

static uint64_t play(uint64_t seed, bool verbose)
{
	static struct sim sim; /* large */
	struct sim *s = &sim;
	char error[128];
	memset(s, 0, sizeof *s);
	s->seed = seed;
	s->random = seed * 0x9e3779b97f4a7c15ull | 1;
	s->now_ns = START_NS;
	s->verbose = verbose;
	s->told_apart = below(s, 2);
	world_init(&s->world);
	s->model = device_model_create(&observer, s);
	const char *host = s->told_apart ? HOST("0000:00:0d.2", "domain0", "0-0") HOST("0000:00:0d.3", "domain1", "1-0")
						   LINK("0000:00:0d.2", "0000:00:07.0") LINK("0000:00:0d.3", "0000:00:07.2")
					 : HOST("0000:00:0d.2", "domain0", "0-0") LINK("0000:00:0d.2", "0000:00:07.0")
						   LINK("0000:00:0d.2", "0000:00:07.2");
	if (!s->model || world_add_text(&s->world, host, NULL, NULL, error, sizeof error) < 0)
		fail(s, "no machine");
	world_sweep(&s->world, s->model, s->now_ns);
	for (unsigned steps = 2 + below(s, 8); steps > 0; steps--) {
		unsigned slot = below(s, SLOTS);
		if (s->plugged[slot])
			unplug(s, slot);
		else
			plug(s, slot);
		if (below(s, 4) == 0)
			noise(s);
		wait_ms(s, below(s, 3) == 0 ? below(s, 4000) : below(s, 60));
		if (below(s, 8) == 0)
			world_sweep(&s->world, s->model, s->now_ns);
	}
	check_end(s);
	device_model_destroy(s->model);
	world_finish(&s->world);
	return s->heard;
}

int main(int argc, char **argv)
{
	uint64_t first = 1, seeds = 1000, heard = 0;
	bool verbose = false;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verbose") == 0)
			verbose = true;
		else if (strcmp(argv[i], "--first") == 0 && i + 1 < argc)
			first = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
			seeds = strtoull(argv[++i], NULL, 10);
		else {
			fputs("Usage: device_events [--seeds N] [--first N] [--verbose]\n", stderr);
			return 2;
		}
	}
	for (uint64_t seed = first; seed < first + seeds; seed++)
		heard += play(seed, verbose);
	printf("%" PRIu64 " seeds, %" PRIu64 " events\n", seeds, heard);
	return 0;
}
