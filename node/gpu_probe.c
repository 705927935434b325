#include "node/gpu_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/util.h"
#include "node/process.h"
#include "proto/probe.h"
#include "proto/validate.h"

/* A driver that hangs costs the others so many seconds; only if one does, all are asked again with more patience, once. */
#define HASTE_S "4"
#define PATIENCE_S "20"
#define PROBE_LIMIT_MS 60000
#define PROBE_MAX_BYTES (64u << 20)

struct gpu_probe {
	struct loop *loop;
	const struct node_paths *paths;
	gpu_probe_done_fn *done;
	void *ctx;
	struct loop_timer *start_timer, *limit_timer;
	bool wanted, running;
	struct process process;
	int output;
	struct loop_io *output_io, *exit_io;
	struct buf data;
	bool too_long, exited;
	bool answered;      /* a probe has ended well */
	bool patient, slow; /* this run is a patient one; it says that a driver may be slow */
	struct gpu_probe_bad bad[GPU_PROBE_BAD_MAX];
	size_t bad_count;
	char *drivers; /* owned; NULL all */
	int status;
};

static void take_bad(struct gpu_probe *p, const unsigned char *bytes, size_t size)
{
	const unsigned char *end = memchr(bytes, '\n', size);
	if (!end || p->bad_count == GPU_PROBE_BAD_MAX)
		return;
	struct gpu_probe_bad *bad = &p->bad[p->bad_count++];
	snprintf(bad->manifest, sizeof bad->manifest, "%.*s", (int)(end - bytes), (const char *)bytes);
	snprintf(bad->why, sizeof bad->why, "%.*s", (int)(bytes + size - end - 1), (const char *)end + 1);
	message_text_clean(bad->manifest, sizeof bad->manifest - 1);
	message_text_clean(bad->why, sizeof bad->why - 1);
}

/* Sorts what the probe said. descriptions: each behind its struct gpu_probe_device. 0, -EBADMSG, -ENOMEM. */
static int take_items(struct gpu_probe *p, const struct buf *data, struct buf *descriptions)
{
	p->bad_count = 0;
	p->slow = false;
	free(p->drivers);
	p->drivers = NULL;
	size_t last = SIZE_MAX; /* device */
	for (size_t at = 0; at < data->size;) {
		struct probe_item item;
		struct gpu_probe_device device = { 0 };
		struct probe_memory memory;
		if (data->size - at < sizeof item)
			return -EBADMSG;
		memcpy(&item, data->data + at, sizeof item);
		at += sizeof item;
		if (item.size > data->size - at)
			return -EBADMSG;
		const unsigned char *bytes = data->data + at;
		at += item.size;
		switch ((enum probe_item_kind)item.kind) {
		case PROBE_DESCRIPTION:
			last = descriptions->size;
			device.size = item.size;
			buf_append(descriptions, &device, sizeof device);
			buf_append(descriptions, bytes, item.size);
			continue;
		case PROBE_MEMORY:
			if (last == SIZE_MAX || item.size != sizeof memory || descriptions->failed)
				return -EBADMSG;
			memcpy(&memory, bytes, sizeof memory);
			memcpy(descriptions->data + last + offsetof(struct gpu_probe_device, memory_free_bytes),
				&memory.free_bytes, sizeof memory.free_bytes);
			continue;
		case PROBE_BAD_DRIVER:
			take_bad(p, bytes, item.size);
			continue;
		case PROBE_DRIVERS:
			free(p->drivers);
			p->drivers = strndup((const char *)bytes, item.size);
			continue;
		case PROBE_SLOW:
			p->slow = true;
			continue;
		}
		return -EBADMSG;
	}
	return descriptions->failed ? -ENOMEM : 0;
}

const struct gpu_probe_bad *gpu_probe_bad_driver(const struct gpu_probe *p, size_t index)
{
	return index < p->bad_count ? &p->bad[index] : NULL;
}

const char *gpu_probe_drivers(const struct gpu_probe *p)
{
	return p->drivers;
}

static void finish(struct gpu_probe *p, int error, const char *text)
{
	loop_io_destroy(p->output_io);
	loop_io_destroy(p->exit_io);
	p->output_io = p->exit_io = NULL;
	loop_timer_stop(p->limit_timer);
	close_fd(&p->output);
	p->output = -1;
	p->running = false;
	struct buf data = p->data, descriptions = { 0 };
	p->data = (struct buf){ 0 };
	size_t known_bad = p->bad_count;
	if (error == 0)
		error = take_items(p, &data, &descriptions);
	if (error == -EBADMSG)
		text = "the probe's answer makes no sense";
	/* Asked once more only for what was not known to be bad. A machine may be busy: what is in use does not go for that. */
	bool again = error == 0 && p->slow && !p->patient && p->bad_count > known_bad;
	bool keep = again && p->answered;
	p->answered |= error == 0;
	p->patient = again;
	p->wanted |= again;
	if (p->wanted)
		loop_timer_start(p->start_timer, 0, 0);
	if (!keep)
		p->done(p->ctx, error, text, descriptions.data, descriptions.size);
	buf_finish(&data);
	buf_finish(&descriptions);
}

static void finish_if_complete(struct gpu_probe *p)
{
	if (!p->exited || p->output_io)
		return;
	char text[96];
	if (p->too_long || p->data.failed)
		finish(p, -EFBIG, "the probe said too much");
	else if (p->status != 0) {
		snprintf(text, sizeof text, "the probe ended with status %#x", (unsigned)p->status);
		finish(p, -EIO, text);
	} else
		finish(p, 0, NULL);
}

static void output_readable(void *ctx, unsigned events)
{
	struct gpu_probe *p = ctx;
	unsigned char chunk[16384];
	(void)events;
	ssize_t n = read(p->output, chunk, sizeof chunk);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && p->data.size + (size_t)n > PROBE_MAX_BYTES) {
		p->too_long = true;
		process_kill(&p->process);
	} else if (n > 0) {
		buf_append(&p->data, chunk, (size_t)n);
		return;
	}
	loop_io_destroy(p->output_io);
	p->output_io = NULL;
	finish_if_complete(p);
}

static void ended(void *ctx, unsigned events)
{
	struct gpu_probe *p = ctx;
	(void)events;
	loop_io_destroy(p->exit_io);
	p->exit_io = NULL;
	p->status = process_reap(&p->process);
	p->exited = true;
	finish_if_complete(p);
}

/* A process stuck in a dead driver may not even die of SIGKILL: it is left alone. */
static void out_of_time(void *ctx)
{
	struct gpu_probe *p = ctx;
	process_kill(&p->process);
	if (!p->exited)
		process_release(&p->process);
	finish(p, -ETIMEDOUT, "the probe did not end within 60 s; a Vulkan driver hangs");
}

static void start(void *ctx)
{
	struct gpu_probe *p = ctx;
	if (p->running)
		return;
	p->wanted = false;
	int fds[2] = { -1, -1 };
	char path[NODE_PATH_MAX + 32];
	snprintf(path, sizeof path, "%s/tbmesh-exec", p->paths->bin);
	const char *argv[] = { path, "--probe", "--patience", p->patient ? PATIENCE_S : HASTE_S, NULL };
	int r = pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0;
	if (r == 0 && fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	struct process_options o = { .path = path, .argv = argv, .output = fds[1], .errors = -1, .new_session = true };
	if (r == 0)
		r = process_spawn(&o, &p->process);
	close_fd(&fds[1]);
	p->output = fds[0];
	p->running = true;
	p->exited = p->too_long = false;
	if (r < 0) {
		char text[NODE_PATH_MAX + 128];
		snprintf(text, sizeof text, "cannot start %s: %s", path, strerror(-r));
		finish(p, r, text);
		return;
	}
	p->output_io = loop_io_create(p->loop, p->output, LOOP_READ, output_readable, p);
	p->exit_io = loop_io_create(p->loop, p->process.fd, LOOP_READ, ended, p);
	if (!p->output_io || !p->exit_io) {
		process_kill(&p->process);
		(void)process_reap(&p->process);
		finish(p, -ENOMEM, "out of memory");
		return;
	}
	loop_timer_start(p->limit_timer, PROBE_LIMIT_MS, 0);
}

struct gpu_probe *gpu_probe_create(struct loop *l, const struct node_paths *paths, gpu_probe_done_fn *done, void *ctx)
{
	struct gpu_probe *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	*p = (struct gpu_probe){ .loop = l, .paths = paths, .done = done, .ctx = ctx, .output = -1, .process.fd = -1 };
	p->start_timer = loop_timer_create(l, start, p);
	p->limit_timer = loop_timer_create(l, out_of_time, p);
	if (!p->start_timer || !p->limit_timer) {
		gpu_probe_destroy(p);
		return NULL;
	}
	return p;
}

void gpu_probe_destroy(struct gpu_probe *p)
{
	if (!p)
		return;
	if (p->running && !p->exited)
		process_kill(&p->process);
	loop_io_destroy(p->output_io);
	loop_io_destroy(p->exit_io);
	loop_timer_destroy(p->start_timer);
	loop_timer_destroy(p->limit_timer);
	process_release(&p->process);
	close_fd(&p->output);
	buf_finish(&p->data);
	free(p->drivers);
	free(p);
}

void gpu_probe_request(struct gpu_probe *p, unsigned delay_ms)
{
	p->wanted = true;
	if (!p->running)
		loop_timer_start(p->start_timer, delay_ms, 0);
}

int gpu_probe_pending(const struct gpu_probe *p)
{
	return p->wanted || p->running;
}
