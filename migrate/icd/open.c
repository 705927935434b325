/* Opening and closing the way to the session. */
#include "migrate/icd/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LIFE_BYTES 4096u

/* Sends IPC_OPEN with the log and waits until an executor stands ready. However long that takes: the session's end ends it. */
static int exchange(int socket, const struct ring *log, struct ipc_message *ret_answer, int ret_fds[2])
{
	struct ipc_message message = { .version = IPC_VERSION, .kind = IPC_OPEN };
	size_t size = 0, fd_count = 0;
	int error = unix_send(socket, &message, sizeof(message), &log->fd, 1);
	if (!error)
		error = unix_recv(socket, ret_answer, sizeof(*ret_answer), &size, ret_fds, 2, &fd_count);
	if (error)
		return error;
	if (size != sizeof(*ret_answer) || ret_answer->version != IPC_VERSION || ret_answer->kind != IPC_OPENED)
		return -EBADMSG;
	if (!ret_answer->error && fd_count != 2)
		return -EBADMSG;
	return 0;
}

/* A page that the kernel gives to forked children zeroed. A program that forks without exec may go on in both processes. */
static int make_life(struct icd_stream *s)
{
	void *page = mmap(NULL, LIFE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -errno;
	/* Before Linux 4.14: such a child must leave the device alone, as with any driver. */
	(void)madvise(page, LIFE_BYTES, MADV_WIPEONFORK);
	s->life = page;
	atomic_store(s->life, 1);
	return 0;
}

int icd_stream_make(struct icd_device *d)
{
	struct icd_stream *s = &d->stream;
	s->socket = s->delivery.fd = s->log.fd = s->progress.fd = -1;
	int error = make_life(s);
	if (!error)
		error = ring_create(&s->log, "tbmesh-log", RING_LOG_BYTES);
	if (error) {
		icd_stream_close(d);
		icd_say("cannot make the log of %llu MiB: %s", RING_LOG_BYTES >> 20, strerror(-error));
		return error;
	}
	s->commit_time_ns = time_monotonic_ns();
	s->writer = (struct wire_writer){ .out = &s->payload, .deps = &s->deps, .id = icd_id_of };
	return 0;
}

int icd_stream_open(struct icd_device *d)
{
	struct icd_stream *s = &d->stream;
	const char *path = getenv(IPC_ENV_SESSION);
	__attribute__((cleanup(close_fd))) int socket = path ? unix_connect(path) : -ENOENT;
	if (socket < 0) {
		icd_say("no session to run on: %s", strerror(-socket));
		return socket;
	}
	struct ipc_message answer;
	int fds[2] = { -1, -1 };
	int error = exchange(socket, &s->log, &answer, fds);
	if (error) {
		icd_say("the session does not answer: %s", strerror(-error));
	} else if (answer.error) {
		icd_say("%.*s", (int)sizeof(answer.text), answer.text);
		error = answer.error;
	} else {
		s->relaxed = answer.flags & IPC_RELAXED;
		error = ring_attach(&s->delivery, fds[0], RING_DELIVERY_BYTES, false);
		if (!error) {
			fds[0] = -1;
			error = progress_attach(&s->progress, fds[1], false);
		} else {
			s->delivery.fd = -1;
		}
		if (!error)
			fds[1] = -1;
		else
			icd_say("the session's delivery ring is no good: %s", strerror(-error));
	}
	close_fd(&fds[0]);
	close_fd(&fds[1]);
	if (error)
		return error;
	s->socket = socket;
	socket = -1;
	return 0;
}

void icd_stream_close(struct icd_device *d)
{
	struct icd_stream *s = &d->stream;
	wire_writer_finish(&s->writer);
	buf_finish(&s->payload);
	buf_finish(&s->deps);
	ring_finish(&s->delivery);
	progress_finish(&s->progress);
	buf_finish(&s->returning);
	ring_finish(&s->log);
	close_fd(&s->socket);
	if (s->life)
		munmap(s->life, LIFE_BYTES);
	s->life = NULL;
}
