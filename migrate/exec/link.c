#include "migrate/exec/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "migrate/exec/jobs.h"
#include "proto/ipc.h"

#define ACCEPT_TIMEOUT_MS 30000u
#define MAX_CANDIDATES 8      /* connections that have not proved the secret */
#define HELLO_TIMEOUT_MS 2000 /* for the rest of a HELLO that has begun */
#define LOST_LINGER_MS 500    /* for the session to read why */
#define SEED_FRAMES 16        /* that wait for the main thread */
/* No session waits longer for the heartbeats that a cut cable swallows. */
#define CUT_MS 2500
#define CUT_LOOK_MS 250

/* The session is over: nothing to save, nothing to wait for. */
static _Noreturn void leave(void)
{
	_exit(0);
}

int link_listen_local(struct link *l, const char *path)
{
	*l = (struct link){ .listen_fd = -1 };
	l->path = strdup(path);
	if (!l->path)
		return -ENOMEM;
	l->listen_fd = unix_listen(path, 0600);
	return l->listen_fd < 0 ? l->listen_fd : 0;
}

int link_listen_remote(struct link *l, const unsigned char secret[32], uint16_t *ret_port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	socklen_t size = sizeof(address);

	*l = (struct link){ .listen_fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
	memcpy(l->secret, secret, sizeof(l->secret));
	if (l->listen_fd < 0)
		return -errno;
	if (bind(l->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(l->listen_fd, MAX_CANDIDATES) < 0 ||
		getsockname(l->listen_fd, (struct sockaddr *)&address, &size) < 0) {
		int error = -errno;

		close_fd(&l->listen_fd);
		return error;
	}
	*ret_port = ntohs(address.sin6_port);
	return 0;
}

/* 0 when descriptors and message are what the contract says. */
static int attach(struct link *l, int socket_fd)
{
	struct ipc_message message;
	int fds[4] = { -1, -1, -1, -1 };
	size_t size = 0, count = 0;
	int error = unix_recv(socket_fd, &message, sizeof(message), &size, fds, ARRAY_SIZE(fds), &count);

	if (!error &&
		(size != sizeof(message) || message.version != IPC_VERSION || message.kind != IPC_ATTACH ||
			count != ARRAY_SIZE(fds)))
		error = -EBADMSG;
	if (!error)
		error = log_reader_attach(&l->log, fds[0]);
	if (!error) {
		fds[0] = -1;
		error = ring_attach(&l->feed, fds[1], RING_FEED_BYTES, false);
	}
	if (!error) {
		fds[1] = -1;
		error = ring_attach(&l->result, fds[2], RING_RESULT_BYTES, true);
	}
	if (!error) {
		fds[2] = -1;
		error = progress_attach(&l->progress, fds[3], true);
	}
	if (!error)
		fds[3] = -1;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close_fd(&fds[i]);
	return error;
}

/* The first frame must be a HELLO of our version. */
static int receive_hello(struct channel *c, bool local)
{
	struct frame_header header;
	struct frame_hello hello;
	const void *payload;
	int error = channel_recv(c, &header, &payload);

	if (error)
		return error;
	if (header.kind != FRAME_HELLO || header.size != sizeof(hello))
		return -EBADMSG;
	memcpy(&hello, payload, sizeof(hello));
	return hello.version == FRAME_PROTOCOL_VERSION && hello.local == local ? 0 : -EBADMSG;
}

static struct channel *accept_local(struct link *l)
{
	struct pollfd p = { .fd = l->listen_fd, .events = POLLIN };
	struct channel *channel;
	int fd, error;

	if (poll(&p, 1, ACCEPT_TIMEOUT_MS) <= 0)
		return NULL;
	fd = accept4(l->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return NULL;
	unlink(l->path);
	error = attach(l, fd);
	if (error) {
		log_error("the session's rings cannot be attached: %s", strerror(-error));
		close(fd);
		return NULL;
	}
	channel = channel_create_local(&l->result, &l->feed, fd);
	error = channel ? receive_hello(channel, true) : -ENOMEM;
	if (error) {
		log_error("the session did not say hello: %s", strerror(-error));
		return NULL;
	}
	return channel;
}

static void set_socket_times(int fd, unsigned receive_ms)
{
	struct timeval receive = { .tv_sec = receive_ms / 1000, .tv_usec = receive_ms % 1000 * 1000 };
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof(receive));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* The channel of a connection whose first frame proves the secret, else NULL and the connection is closed. */
static struct channel *try_candidate(struct link *l, int fd)
{
	struct channel *channel;

	set_socket_times(fd, HELLO_TIMEOUT_MS);
	channel = channel_create_sealed(fd, l->secret, 0);
	if (!channel) {
		close(fd);
		return NULL;
	}
	if (receive_hello(channel, false)) {
		log_warn("a connection without this executor's secret was dropped");
		channel_destroy(channel);
		return NULL;
	}
	set_socket_times(fd, 0);
	return channel;
}

/* Strangers may connect, too. The first that proves the secret is the session; the silent ones do not stand in its way. */
static struct channel *accept_remote(struct link *l)
{
	uint64_t deadline = time_monotonic_ns() + ACCEPT_TIMEOUT_MS * 1000000ull;
	struct pollfd polls[1 + MAX_CANDIDATES];
	struct channel *channel = NULL;
	size_t count = 0;

	while (!channel) {
		uint64_t now = time_monotonic_ns();

		polls[0] = (struct pollfd){ .fd = l->listen_fd, .events = POLLIN };
		if (now >= deadline || poll(polls, 1 + count, (int)((deadline - now) / 1000000) + 1) < 0)
			break;
		for (size_t i = count; i > 0 && !channel; i--) {
			if (!polls[i].revents)
				continue;
			channel = try_candidate(l, polls[i].fd);
			polls[i] = polls[count--];
		}
		if (!channel && polls[0].revents) {
			int fd = accept4(l->listen_fd, NULL, NULL, SOCK_CLOEXEC);

			if (fd >= 0 && count == MAX_CANDIDATES) {
				/* The oldest had its chance. */
				close(polls[1].fd);
				memmove(&polls[1], &polls[2], --count * sizeof(polls[0]));
			}
			if (fd >= 0)
				polls[++count] = (struct pollfd){ .fd = fd, .events = POLLIN };
		}
	}
	for (size_t i = 1; i <= count; i++)
		close(polls[i].fd);
	explicit_bzero(l->secret, sizeof(l->secret));
	if (channel && log_reader_create(&l->log)) {
		log_error("out of memory");
		return NULL;
	}
	return channel;
}

/* Frames are used again and again: fresh memory for each would cost more than the copy. */
static struct seed_frame *take_frame(struct link *l)
{
	struct seed_frame *frame = NULL;

	pthread_mutex_lock(&l->mutex);
	/* A session that goes away meanwhile is noticed by the heartbeat. */
	while (list_empty(&l->unused) && l->frame_count == SEED_FRAMES)
		pthread_cond_wait(&l->changed, &l->mutex);
	if (!list_empty(&l->unused)) {
		frame = list_entry(l->unused.next, struct seed_frame, link);
		list_remove(&frame->link);
	}
	pthread_mutex_unlock(&l->mutex);
	if (frame)
		return frame;
	frame = malloc(sizeof(*frame));
	if (!frame)
		link_lost(l, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	l->frame_count++;
	return frame;
}

static void queue_seed(struct link *l, const struct frame_header *header, const void *payload)
{
	struct seed_frame *frame = l->coming ? l->coming : take_frame(l);

	l->coming = NULL;
	frame->header = *header;
	if (payload != frame->payload)
		memcpy(frame->payload, payload, header->size);
	pthread_mutex_lock(&l->mutex);
	list_append(&l->seed, &frame->link);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->mutex);
}

struct seed_frame *link_next_seed(struct link *l)
{
	struct seed_frame *frame;

	pthread_mutex_lock(&l->mutex);
	while (list_empty(&l->seed))
		pthread_cond_wait(&l->changed, &l->mutex);
	frame = list_entry(l->seed.next, struct seed_frame, link);
	list_remove(&frame->link);
	pthread_mutex_unlock(&l->mutex);
	return frame;
}

void link_release_seed(struct link *l, struct seed_frame *frame)
{
	pthread_mutex_lock(&l->mutex);
	list_insert(&l->unused, &frame->link);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->mutex);
}

/* Beside the receiver, which must go on hearing when the session ends. */
static void *stop_log(void *ctx)
{
	struct link *l = ctx;

	log_reader_stop(&l->log);
	return NULL;
}

static int start_thread(void *(*run)(void *ctx), struct link *l);

static bool begin_leaving(struct link *l, const struct frame_header *header)
{
	if (l->leaving)
		return false;
	l->leaving = true;
	pthread_mutex_lock(&l->mutex);
	l->leave_nonce = header->a;
	pthread_mutex_unlock(&l->mutex);
	return start_thread(stop_log, l) == 0;
}

uint64_t link_leave_nonce(struct link *l)
{
	uint64_t nonce;

	pthread_mutex_lock(&l->mutex);
	nonce = l->leave_nonce;
	pthread_mutex_unlock(&l->mutex);
	return nonce;
}

static void handle_frame(struct link *l, const struct frame_header *header, const void *payload)
{
	switch (header->kind) {
	case FRAME_RECORDS:
	case FRAME_RECORD_PART:
	case FRAME_MEMORY:
	case FRAME_KNOWN:
	case FRAME_START:
		queue_seed(l, header, payload);
		return;
	case FRAME_LOG:
		if (!l->log.local && log_reader_append(&l->log, header->a, payload, header->size) == 0)
			return;
		break;
	case FRAME_LEAVE:
		if (begin_leaving(l, header))
			return;
		break;
	case FRAME_BYE:
		leave();
	}
	log_error("the session sent a frame of kind %u that does not belong here", header->kind);
	leave();
}

/* What is large goes where it is read. */
static void *place(void *ctx, const struct frame_header *header)
{
	struct link *l = ctx;

	switch (header->kind) {
	case FRAME_LOG:
		return l->log.local ? NULL : log_reader_place(&l->log, header->a, header->size);
	case FRAME_RECORDS:
	case FRAME_RECORD_PART:
	case FRAME_MEMORY:
	case FRAME_KNOWN:
		if (!l->coming)
			l->coming = take_frame(l);
		return l->coming->payload;
	}
	return NULL;
}

static void *receive(void *ctx)
{
	struct link *l = ctx;
	struct channel *channel = l->path ? accept_local(l) : accept_remote(l);

	if (!channel) {
		log_error("no session came");
		_exit(1);
	}
	close_fd(&l->listen_fd);
	pthread_mutex_lock(&l->mutex);
	l->channel = channel;
	l->connected = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->mutex);
	for (;;) {
		struct frame_header header;
		const void *payload;

		if (channel_recv_at(channel, place, l, &header, &payload))
			leave();
		handle_frame(l, &header, payload);
	}
	return NULL;
}

static void *beat(void *ctx)
{
	const struct timespec pause = { .tv_nsec = FRAME_HEARTBEAT_MS * 1000000L };
	struct link *l = ctx;

	link_wait(l);
	for (uint64_t count = 1;; count++) {
		struct frame_header header = { .kind = FRAME_HEARTBEAT, .a = count };
		struct jobs *jobs;

		pthread_mutex_lock(&l->mutex);
		jobs = l->jobs;
		pthread_mutex_unlock(&l->mutex);
		header.b = jobs ? jobs_working_seq(jobs) : 0;
		link_send(l, &header, NULL, 0);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* Senders may all be stuck in a stream that leads nowhere any more. */
static void *look_at_stream(void *ctx)
{
	const struct timespec pause = { .tv_nsec = CUT_LOOK_MS * 1000000L };
	struct link *l = ctx;

	link_wait(l);
	for (int cut = 0; cut < 2; cut = channel_is_cut(l->channel, CUT_MS) ? cut + 1 : 0)
		nanosleep(&pause, NULL);
	log_error("the way to the session is cut");
	leave();
}

static int start_thread(void *(*run)(void *ctx), struct link *l)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run, l);

	if (!error)
		pthread_detach(thread);
	return error;
}

int link_start(struct link *l)
{
	int error;

	list_init(&l->seed);
	list_init(&l->unused);
	error = pthread_mutex_init(&l->mutex, NULL);
	if (!error)
		error = pthread_cond_init(&l->changed, NULL);
	if (!error)
		error = start_thread(receive, l);
	if (!error)
		error = start_thread(beat, l);
	if (!error && !l->path)
		error = start_thread(look_at_stream, l);
	return -error;
}

void link_wait(struct link *l)
{
	pthread_mutex_lock(&l->mutex);
	while (!l->connected)
		pthread_cond_wait(&l->changed, &l->mutex);
	pthread_mutex_unlock(&l->mutex);
}

void link_set_jobs(struct link *l, struct jobs *j)
{
	pthread_mutex_lock(&l->mutex);
	l->jobs = j;
	pthread_mutex_unlock(&l->mutex);
}

void link_send_first(struct link *l, struct frame_header *header, const void *payload, size_t size)
{
	struct iovec iov = { .iov_base = (void *)payload, .iov_len = size };

	header->size = (uint32_t)size;
	if (channel_send_first(l->channel, header, &iov, size ? 1 : 0))
		leave();
}

void link_send(struct link *l, struct frame_header *header, const void *payload, size_t size)
{
	struct iovec iov = { .iov_base = (void *)payload, .iov_len = size };

	header->size = (uint32_t)size;
	if (channel_send(l->channel, header, &iov, size ? 1 : 0))
		leave();
}

void link_done(struct link *l, uint64_t seq, uint64_t nonce, bool brings_nothing)
{
	struct frame_header done = { .kind = FRAME_DONE, .a = seq, .b = nonce };

	if (l->path && brings_nothing) {
		progress_say(&l->progress, seq);
		link_send_first(l, &done, NULL, 0); /* what the session does with it can wait for the next heartbeat */
	} else {
		link_send(l, &done, NULL, 0);
	}
}

void link_lost(struct link *l, VkResult result, const char *format, ...)
{
	const struct timespec linger = { .tv_nsec = LOST_LINGER_MS * 1000000L };
	struct frame_header header = { .kind = FRAME_LOST, .a = (uint32_t)result };
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_error("%s (VkResult %d)", text, (int)result);
	link_wait(l);
	link_send(l, &header, text, strlen(text));
	/* The receiver ends the process when the session has hung up; so that it can read this first, don't do it here at once. */
	nanosleep(&linger, NULL);
	_exit(1);
}
