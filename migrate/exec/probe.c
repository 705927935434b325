#include "migrate/exec/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"
#include "gpu/description.h"
#include "gpu/instance.h"
#include "migrate/exec/drivers.h"
#include "proto/probe.h"

#define CHILD_TIMEOUT_MS 20000u
#define MAX_DEVICES 64

static int write_all(int fd, const void *data, size_t size)
{
	const unsigned char *at = data;

	while (size) {
		ssize_t written = write(fd, at, size);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			at += written;
			size -= (size_t)written;
		}
	}
	return 0;
}

/* Child: the ids of all devices, each in GPU_ID_MAX bytes. */
static int list_ids(const char *id, struct buf *out)
{
	struct gpu_instance instance;
	int error = gpu_instance_init(&instance, "tbmesh-probe");

	(void)id;
	if (error == -ENODEV)
		return 0;
	if (error)
		return error;
	for (size_t i = 0; i < instance.gpu_count; i++)
		buf_append(out, instance.gpus[i].id, GPU_ID_MAX);
	return out->failed ? -ENOMEM : 0;
}

/* Child: how much of its memory is free (0 not known), in 8 bytes, and the description of one device. */
static int describe(const char *id, struct buf *out)
{
	struct gpu_instance instance;
	struct probe_memory memory = { 0 };
	const struct gpu *gpu;
	int error = gpu_instance_init(&instance, "tbmesh-probe");

	if (error)
		return error;
	gpu = gpu_find(&instance, id);
	/* The GPU is awake for the rest as well. */
	if (gpu && gpu_tells_memory(gpu->device))
		memory.free_bytes = gpu_memory_free(gpu->device);
	buf_append(out, &memory, sizeof(memory));
	return gpu ? description_make(out, instance.instance, gpu->device, id) : -ENOENT;
}

/* Reads all that a child writes, until it ends or the time is over. */
static int read_child(int fd, struct buf *out)
{
	uint64_t deadline = time_monotonic_ns() + CHILD_TIMEOUT_MS * 1000000ull;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = time_monotonic_ns();
		unsigned char piece[16384];
		ssize_t got;

		if (now >= deadline || poll(&p, 1, (int)((deadline - now) / 1000000) + 1) == 0)
			return -ETIMEDOUT;
		got = read(fd, piece, sizeof(piece));
		if (got == 0)
			return 0;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			buf_append(out, piece, (size_t)got);
		if (out->size > DESCRIPTION_MAX_BYTES + sizeof(struct probe_memory))
			return -EFBIG;
	}
}

/* Runs ask in a child process and collects what it says. A child stuck in the kernel is left behind. */
static int ask_child(int (*ask)(const char *id, struct buf *out), const char *id, struct buf *out)
{
	int ends[2], status = 0, error;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0) {
		error = -errno;
		close(ends[0]);
		close(ends[1]);
		return error;
	}
	if (child == 0) {
		struct buf answer = { 0 };

		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		close(ends[0]);
		error = ask(id, &answer);
		if (!error && !answer.failed)
			error = write_all(ends[1], answer.data, answer.size);
		_exit(error || answer.failed ? 1 : 0);
	}
	close(ends[1]);
	error = read_child(ends[0], out);
	close(ends[0]);
	if (error) {
		kill(child, SIGKILL);
		waitpid(child, NULL, WNOHANG);
		return error;
	}
	if (waitpid(child, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 && !out->failed ? 0 : -EIO;
}

static int say(int fd, enum probe_item_kind kind, const void *bytes, size_t size)
{
	const struct probe_item item = { (uint32_t)size, kind };
	int error = write_all(fd, &item, sizeof(item));

	return error ? error : write_all(fd, bytes, size);
}

static int say_device(int fd, const struct buf *answer)
{
	struct probe_memory memory;
	int error;

	if (answer->size < sizeof(memory))
		return -EBADMSG;
	memcpy(&memory, answer->data, sizeof(memory));
	error = say(fd, PROBE_DESCRIPTION, answer->data + sizeof(memory), answer->size - sizeof(memory));
	return error || !memory.free_bytes ? error : say(fd, PROBE_MEMORY, &memory, sizeof(memory));
}

/* Each driver alone first. What hangs or crashes then is named and left out, here and in executors. */
static int try_drivers(int fd, unsigned patience_ms)
{
	static struct drivers drivers;
	static char good[sizeof(drivers.at)];
	char text[sizeof(drivers.at[0].manifest) + 128];
	int error;

	drivers_find(&drivers);
	error = drivers_try(&drivers, patience_ms);
	for (size_t i = 0; i < drivers.count && !error; i++) {
		const struct driver *d = &drivers.at[i];

		if (d->state == DRIVER_CRASHES)
			snprintf(text, sizeof(text), "%s\nit crashes when it is asked for its GPUs (%s)", d->manifest,
				strsignal(d->signal));
		else if (d->state == DRIVER_HANGS)
			snprintf(text, sizeof(text), "%s\nit hangs when it is asked for its GPUs (no answer in %u s)",
				d->manifest, patience_ms / 1000);
		else
			continue;
		error = say(fd, PROBE_BAD_DRIVER, text, strlen(text));
	}
	if (!error && drivers.slow)
		error = say(fd, PROBE_SLOW, NULL, 0);
	if (error || !drivers.bad)
		return error;
	/* An empty list would mean all of them to the loader. */
	if (!drivers_list_good(&drivers, good, sizeof(good)) || !drivers_restrict(good[0] ? good : "/nonexistent"))
		return -ENOMEM;
	return say(fd, PROBE_DRIVERS, good, strlen(good));
}

int probe_devices(int fd, unsigned patience_ms)
{
	struct buf ids = { 0 };
	int error = try_drivers(fd, patience_ms);

	if (error)
		return error;
	error = ask_child(list_ids, NULL, &ids);
	if (error)
		log_error("no Vulkan driver answered: %s", strerror(-error));
	for (size_t i = 0; i < ids.size / GPU_ID_MAX && i < MAX_DEVICES && !error; i++) {
		const char *id = (const char *)ids.data + i * GPU_ID_MAX;
		struct buf description = { 0 };
		int skipped = ask_child(describe, id, &description);

		if (skipped)
			log_warn("%s is left out: its driver failed: %s", id, strerror(-skipped));
		else
			error = say_device(fd, &description);
		buf_finish(&description);
	}
	buf_finish(&ids);
	return error;
}
