/* The one place that speaks libudev. GPUs are told of by "udev" events, when their device nodes exist. Thunderbolt is heard from the
 * kernel itself, in its order: a router is known before what comes through it, and its removal before udevd has taken its time. The
 * kernel's word of other removals is heard, too, and always first: its queue is emptied before each of udev's events is looked at, so
 * that it never undoes a later arrival. */
#include "node/device/device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libudev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define MONITOR_BUFFER_BYTES (4 << 20)
#define SWEEP_DELAY_MS 2500            /* behind the last event; more than DEVICE_RETURN_NS */
#define SWEEP_LATEST_NS 10000000000ull /* behind the first, however many follow */
#define WALK_GO_NS 2000000             /* of a walk over all devices, before others on the loop have their turn */
#define BATCH 64                       /* events of one go: others on the loop have their turn in a storm */

/* A look at everything: one subsystem after the other, so that enclosures are known before the GPUs in them, a few devices a go. */
struct walk {
	bool running, again; /* again: once more behind this one, something was lost meanwhile */
	bool failed;         /* not all could be looked at: nothing follows from what was not seen */
	size_t subsystem;    /* of walk_order */
	char **names;        /* of its devices, owned; those from `next` on are to come */
	size_t name_count, next;
};

struct linux_state {
	struct udev *udev;
	struct udev_monitor *monitor, *kernel_monitor; /* the second NULL: not to be had */
	struct loop_io *io, *kernel_io;
	struct loop_timer *sweep, *walk_on;
	struct walk walk;
	struct udev_device *changes[32]; /* of Thunderbolt devices, put off; a reference each */
	unsigned change_count;
	uint64_t unswept_since_ns; /* 0: nothing has happened since the last look at everything */
	struct device_model *model;
};

static const char *const walk_order[] = { "devlink", "thunderbolt", "pci", "drm", "hwmon", "usb_power_delivery", "net" };

/* A link is what it leads to; libudev does not tell of most. */
static const char *read_link(struct udev_device *d, const char *name)
{
	static char target[DEVICE_PATH_MAX]; /* until the next call */
	char path[DEVICE_PATH_MAX + 32];
	const char *slash;
	snprintf(path, sizeof path, "%s/%s", udev_device_get_syspath(d), name);
	ssize_t length = readlink(path, target, sizeof target - 1);
	if (length < 0)
		return NULL;
	target[length] = '\0';
	slash = strrchr(target, '/');
	return slash ? slash + 1 : target;
}

static const char *read_attribute(void *source, const char *name)
{
	if (strcmp(name, "connector") == 0)
		return read_link(source, name);
	return udev_device_get_sysattr_value(source, name);
}

static const char *driver_of(struct udev_device *d)
{
	const char *driver = udev_device_get_driver(d);
	return driver ? driver : udev_device_get_property_value(d, "DRIVER");
}

/* The kernel numbers the directories of sysfs and does not give a number again soon: a device that came anew has another one. */
static uint64_t incarnation(const char *path)
{
	struct stat s;
	return path && stat(path, &s) == 0 ? s.st_ino : 0;
}

static void feed(struct linux_state *s, struct udev_device *d, bool arrival, uint64_t now_ns)
{
	const char *subsystem = udev_device_get_subsystem(d);
	struct udev_device *parent = subsystem && strcmp(subsystem, "net") == 0 ? udev_device_get_parent(d) : NULL;
	struct device_input in = {
		.path = udev_device_get_syspath(d),
		.subsystem = subsystem,
		.name = udev_device_get_sysname(d),
		.devtype = udev_device_get_devtype(d),
		.driver = driver_of(d),
		.node = udev_device_get_devnode(d),
		.parent_driver = parent ? driver_of(parent) : NULL,
		.incarnation = subsystem && strcmp(subsystem, "pci") == 0 ? incarnation(udev_device_get_syspath(d)) : 0,
		.attribute = read_attribute,
		.source = d,
	};
	device_model_update(s->model, &in, arrival, now_ns);
}

/* ---- looking at everything ---- */

static void forget_names(struct walk *w)
{
	for (size_t i = 0; i < w->name_count; i++)
		free(w->names[i]);
	free(w->names);
	w->names = NULL;
	w->name_count = w->next = 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_name(struct walk *w, const char *path)
{
	if ((w->name_count & (w->name_count - 1)) == 0) {
		char **names = realloc(w->names, (w->name_count ? 2 * w->name_count : 1) * sizeof *names);
		if (!names)
			return false;
		w->names = names;
	}
	w->names[w->name_count] = strdup(path);
	return w->names[w->name_count] && ++w->name_count;
}

/* A bus or a class; the links in there are devices. False: there is none of that name. */
static bool list_names(struct walk *w, const char *directory)
{
	DIR *d = opendir(directory);
	if (!d) {
		w->failed |= errno != ENOENT;
		return errno != ENOENT;
	}
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		char path[DEVICE_PATH_MAX];
		if (e->d_name[0] != '.' && snprintf(path, sizeof path, "%s/%s", directory, e->d_name) < (int)sizeof path)
			w->failed |= !add_name(w, path);
	}
	closedir(d);
	if (w->name_count > 1)
		qsort(w->names, w->name_count, sizeof *w->names, by_text);
	return true;
}

static void list_subsystem(struct walk *w)
{
	char path[64];
	forget_names(w);
	snprintf(path, sizeof path, "/sys/bus/%s/devices", walk_order[w->subsystem]);
	if (list_names(w, path))
		return;
	snprintf(path, sizeof path, "/sys/class/%s", walk_order[w->subsystem]);
	(void)list_names(w, path);
}

static void walk_begin(struct linux_state *s)
{
	struct walk *w = &s->walk;
	if (w->running) {
		w->again = true;
		return;
	}
	w->running = true;
	w->again = w->failed = false;
	w->subsystem = 0;
	list_subsystem(w);
	device_model_sweep_begin(s->model);
	loop_timer_start(s->walk_on, 0, 0);
}

/* Goes on for so long; 0: to the end. True: the end was reached. */
static bool walk_go(struct linux_state *s, uint64_t limit_ns)
{
	struct walk *w = &s->walk;
	uint64_t began_ns = time_monotonic_ns();
	while (limit_ns == 0 || time_monotonic_ns() - began_ns < limit_ns) {
		if (w->next < w->name_count) {
			struct udev_device *d = udev_device_new_from_syspath(s->udev, w->names[w->next++]);
			if (d)
				feed(s, d, false, time_monotonic_ns());
			udev_device_unref(d);
		} else if (++w->subsystem < ARRAY_SIZE(walk_order)) {
			list_subsystem(w);
		} else {
			return true;
		}
	}
	return false;
}

static void walk_end(struct linux_state *s)
{
	bool again = s->walk.again;
	forget_names(&s->walk);
	s->walk.running = false;
	if (!s->walk.failed)
		device_model_sweep_end(s->model, time_monotonic_ns());
	if (again)
		walk_begin(s);
}

static void hear_the_kernel(struct linux_state *s);

static void walk_on(void *ctx)
{
	struct linux_state *s = ctx;
	hear_the_kernel(s); /* first: what is gone is not looked at */
	if (walk_go(s, WALK_GO_NS))
		walk_end(s);
	else
		loop_timer_start(s->walk_on, 1, 0);
}

static void sweep(void *ctx)
{
	struct linux_state *s = ctx;
	s->unswept_since_ns = 0;
	walk_begin(s);
}

static void sweep_soon(struct linux_state *s)
{
	uint64_t now_ns = time_monotonic_ns();
	if (s->unswept_since_ns == 0)
		s->unswept_since_ns = now_ns;
	if (now_ns - s->unswept_since_ns < SWEEP_LATEST_NS)
		loop_timer_start(s->sweep, SWEEP_DELAY_MS, 0);
}

static void handle_event(struct linux_state *s, struct udev_device *d, uint64_t now_ns)
{
	const char *action = udev_device_get_action(d);
	const char *path = udev_device_get_syspath(d);
	if (!action || !path)
		return;
	log_debug("uevent %s %s", action, path);
	if (strcmp(action, "remove") == 0) {
		device_model_remove(s->model, path, now_ns);
		return;
	}
	const char *old = udev_device_get_property_value(d, "DEVPATH_OLD");
	if (strcmp(action, "move") == 0 && old) {
		char old_path[DEVICE_PATH_MAX];
		if (snprintf(old_path, sizeof old_path, "/sys%s", old) < (int)sizeof old_path)
			device_model_remove(s->model, old_path, now_ns);
	}
	const char *wedged = udev_device_get_property_value(d, "WEDGED");
	if (wedged)
		device_model_wedged(s->model, path, wedged);
	feed(s, d, strcmp(action, "add") == 0, now_ns);
}

/* One event, or NULL when there is none. What is lost is looked for. */
static struct udev_device *receive(struct linux_state *s, struct udev_monitor *monitor)
{
	for (;;) {
		errno = 0;
		struct udev_device *d = udev_monitor_receive_device(monitor);
		if (d || (errno != EINTR && errno != ENOBUFS))
			return d;
		if (errno == ENOBUFS) {
			log_info("uevents were lost: looking at all devices");
			walk_begin(s);
		}
	}
}

static bool is_thunderbolt(struct udev_device *d)
{
	const char *subsystem = udev_device_get_subsystem(d);
	return subsystem && strcmp(subsystem, "thunderbolt") == 0;
}

/* A change is looked at once the queue is empty, once a device: a removal does not wait behind a storm of them. */
static bool put_off(struct linux_state *s, struct udev_device *d)
{
	const char *path = udev_device_get_syspath(d);
	for (unsigned i = 0; path && i < s->change_count; i++)
		if (strcmp(udev_device_get_syspath(s->changes[i]), path) == 0)
			return true;
	if (!path || s->change_count == ARRAY_SIZE(s->changes))
		return false;
	s->changes[s->change_count++] = udev_device_ref(d);
	return true;
}

/* For a moment behind its removal a device's attributes can still be read: nobody may look. */
static void forget_changes(struct linux_state *s, const char *removed)
{
	size_t length = removed ? strlen(removed) : 0;
	for (unsigned i = s->change_count; removed && i-- > 0;) {
		const char *path = udev_device_get_syspath(s->changes[i]);
		if (strncmp(path, removed, length) != 0 || (path[length] != '\0' && path[length] != '/'))
			continue;
		udev_device_unref(s->changes[i]);
		s->changes[i] = s->changes[--s->change_count];
	}
}

static void empty_kernel_queue(struct linux_state *s)
{
	struct udev_device *d;
	while ((d = receive(s, s->kernel_monitor)) != NULL) {
		const char *action = udev_device_get_action(d);
		bool is_change = action && strcmp(action, "change") == 0;
		if (action && strcmp(action, "remove") == 0) {
			forget_changes(s, udev_device_get_syspath(d));
			handle_event(s, d, time_monotonic_ns());
		} else if (is_thunderbolt(d) && !(is_change && put_off(s, d))) {
			handle_event(s, d, time_monotonic_ns());
		}
		udev_device_unref(d);
	}
}

static void hear_the_kernel(struct linux_state *s)
{
	if (!s->kernel_monitor)
		return;
	empty_kernel_queue(s);
	/* What a long storm leaves, a later call or look takes. */
	for (unsigned i = 0; i < BATCH && s->change_count > 0; i++) {
		struct udev_device *d = s->changes[--s->change_count];
		handle_event(s, d, time_monotonic_ns());
		udev_device_unref(d);
		empty_kernel_queue(s);
	}
}

static void kernel_readable(void *ctx, unsigned events)
{
	struct linux_state *s = ctx;
	(void)events;
	hear_the_kernel(s);
	sweep_soon(s);
}

static void readable(void *ctx, unsigned events)
{
	struct linux_state *s = ctx;
	(void)events;
	for (unsigned i = 0; i < BATCH; i++) {
		hear_the_kernel(s);
		struct udev_device *d = receive(s, s->monitor);
		if (!d)
			break;
		if (!s->kernel_monitor || !is_thunderbolt(d))
			handle_event(s, d, time_monotonic_ns());
		udev_device_unref(d);
	}
	sweep_soon(s);
}

static void linux_stop(struct device_watch *w)
{
	struct linux_state *s = w->state;
	if (!s)
		return;
	loop_timer_destroy(s->sweep);
	loop_timer_destroy(s->walk_on);
	forget_names(&s->walk);
	loop_io_destroy(s->io);
	loop_io_destroy(s->kernel_io);
	while (s->change_count > 0)
		udev_device_unref(s->changes[--s->change_count]);
	udev_monitor_unref(s->monitor);
	udev_monitor_unref(s->kernel_monitor);
	udev_unref(s->udev);
	free(s);
	w->state = NULL;
}

/* source: "udev" or "kernel". NULL: it cannot be had. */
static struct udev_monitor *listen_to(struct udev *udev, const char *source)
{
	struct udev_monitor *monitor = udev_monitor_new_from_netlink(udev, source);
	int r = monitor ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(walk_order); i++)
		r = udev_monitor_filter_add_match_subsystem_devtype(monitor, walk_order[i], NULL);
	if (r == 0) {
		/* Needs CAP_NET_ADMIN; lost events are noticed. */
		(void)udev_monitor_set_receive_buffer_size(monitor, MONITOR_BUFFER_BYTES);
		r = udev_monitor_enable_receiving(monitor);
	}
	if (r < 0) {
		log_debug("cannot listen to %s events: %s", source, strerror(-r));
		udev_monitor_unref(monitor);
		return NULL;
	}
	return monitor;
}

static int linux_start(struct device_watch *w, struct loop *l, struct device_model *m)
{
	struct linux_state *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	w->state = s;
	s->model = m;
	s->udev = udev_new();
	s->monitor = s->udev ? listen_to(s->udev, "udev") : NULL;
	s->kernel_monitor = s->monitor ? listen_to(s->udev, "kernel") : NULL;
	s->sweep = loop_timer_create(l, sweep, s);
	s->walk_on = loop_timer_create(l, walk_on, s);
	if (s->monitor)
		s->io = loop_io_create(l, udev_monitor_get_fd(s->monitor), LOOP_READ, readable, s);
	if (s->kernel_monitor)
		s->kernel_io = loop_io_create(l, udev_monitor_get_fd(s->kernel_monitor), LOOP_READ, kernel_readable, s);
	if (!s->sweep || !s->walk_on || !s->io || (s->kernel_monitor && !s->kernel_io)) {
		int r = s->udev && s->monitor ? -ENOMEM : -EIO;
		linux_stop(w);
		return r;
	}
	walk_begin(s);
	loop_timer_stop(s->walk_on);
	(void)walk_go(s, 0);
	walk_end(s);
	return 0;
}

static int linux_read(struct device_watch *w, const char *path, const char *attribute, char *out, size_t size)
{
	char name[DEVICE_PATH_MAX + 64];
	(void)w;
	if (snprintf(name, sizeof name, "%s/%s", path, attribute) >= (int)sizeof name)
		return -ENAMETOOLONG;
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ssize_t length = read(fd, out, size - 1);
	int r = length < 0 ? -errno : 0;
	close(fd);
	if (r == 0)
		out[length] = '\0';
	return r;
}

const struct device_backend device_backend_linux = {
	.name = "linux", .start = linux_start, .stop = linux_stop, .read = linux_read
};
