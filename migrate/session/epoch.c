#include "migrate/session/epoch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "proto/ipc.h"

#define CONNECT_TIMEOUT_MS 2000
#define STREAM_LOOK_MS 100 /* the longest that the streaming thread overlooks that its epoch is closed */
#define CROWDED_LOOK_NS 20000000L
#define LOG_FRAME_BYTES (256u << 10)

/* --- connecting --- */

static bool is_closed(struct epoch *e)
{
	bool closed;

	pthread_mutex_lock(e->host->mutex);
	closed = e->closed;
	pthread_mutex_unlock(e->host->mutex);
	return closed;
}

static void lose(struct epoch *e, enum session_loss loss, const char *text)
{
	pthread_mutex_lock(e->host->mutex);
	session_core_lost(e->host->core, time_monotonic_ns(), e->number, loss, text);
	pthread_mutex_unlock(e->host->mutex);
}

/* Takes over the channel unless the epoch was closed meanwhile. */
static bool set_channel(struct epoch *e, struct channel *channel, struct ring *result)
{
	bool closed;

	pthread_mutex_lock(e->host->mutex);
	closed = e->closed;
	e->channel = channel;
	e->result = *result;
	if (closed)
		channel_shutdown(channel);
	pthread_mutex_unlock(e->host->mutex);
	return !closed;
}

/* Descriptors of an attached executor: it may read log and feed, and write the result ring, which is its alone, and the progress page. */
static int send_rings(struct epoch *e, int socket, const struct ring *feed, const struct ring *result)
{
	struct ipc_message message = {
		.version = IPC_VERSION, .kind = IPC_ATTACH, .epoch = e->number, .workload = e->host->workload
	};
	int fds[4] = { ring_reopen_read_only(e->host->log), ring_reopen_read_only(feed),
		fcntl(result->fd, F_DUPFD_CLOEXEC, 0), fcntl(e->host->outbox->progress.fd, F_DUPFD_CLOEXEC, 0) };
	int error = 0;

	for (int i = 0; i < 4; i++)
		if (fds[i] < 0)
			error = -EMFILE;
	if (!error)
		error = unix_send(socket, &message, sizeof(message), fds, 4);
	for (int i = 0; i < 4; i++)
		close_fd(&fds[i]);
	return error;
}

static int connect_local(struct epoch *e)
{
	struct ring feed = { .fd = -1 }, result = { .fd = -1 }, cut = { .fd = -1 };
	struct channel *channel = NULL;
	int socket = unix_connect(e->target.socket), error;

	if (socket < 0)
		return socket;
	error = ring_create(&feed, "tbmesh-feed", RING_FEED_BYTES);
	if (!error)
		error = ring_create_result(&result, "tbmesh-result", RING_RESULT_BYTES);
	if (!error)
		error = send_rings(e, socket, &feed, &result);
	if (!error) {
		cut.fd = fcntl(result.fd, F_DUPFD_CLOEXEC, 0);
		channel = cut.fd < 0 ? NULL : channel_create_local(&feed, &result, socket);
		error = channel ? 0 : -ENOMEM;
	}
	if (error) {
		close_fd(&cut.fd);
		close(socket);
		ring_finish(&feed);
		ring_finish(&result);
		return error;
	}
	return set_channel(e, channel, &cut) ? 0 : -ESHUTDOWN;
}

/* Waits until the socket is connected. 0, -ETIMEDOUT, -ESHUTDOWN, or why it is not. */
static int finish_connect(struct epoch *e, int fd)
{
	struct pollfd polls[] = { { .fd = fd, .events = POLLOUT }, { .fd = e->stop_fd, .events = POLLIN } };
	int error = 0, r = poll(polls, 2, CONNECT_TIMEOUT_MS);
	socklen_t size = sizeof(error);

	if (r < 0)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	if (polls[1].revents)
		return -ESHUTDOWN;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return -errno;
	return -error;
}

/* A connected, blocking socket or -errno. */
static int connect_endpoint(struct epoch *e, unsigned index)
{
	const char *text = e->target.endpoints[index].address;
	uint16_t port = e->target.endpoints[index].port;
	struct sockaddr_in6 six = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = e->target.endpoints[index].scope_id
	};
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct sockaddr *address = (const struct sockaddr *)&six;
	socklen_t size = sizeof(six);
	int fd, error, on = 1;

	if (inet_pton(AF_INET6, text, &six.sin6_addr) != 1) {
		if (inet_pton(AF_INET, text, &four.sin_addr) != 1)
			return -EINVAL;
		address = (const struct sockaddr *)&four;
		size = sizeof(four);
	}
	fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	error = connect(fd, address, size) < 0 ? -errno : 0;
	if (error == -EINPROGRESS)
		error = finish_connect(e, fd);
	if (!error && fcntl(fd, F_SETFL, 0) < 0)
		error = -errno;
	if (error) {
		close(fd);
		return error;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static int connect_remote(struct epoch *e)
{
	struct ring none = { .fd = -1 };
	struct channel *channel;
	int fd = -EHOSTUNREACH;

	for (unsigned i = 0; i < e->target.endpoint_count && fd < 0; i++) {
		fd = connect_endpoint(e, i);
		if (fd == -ESHUTDOWN)
			break;
		if (fd < 0)
			log_info("executor at %s port %u: %s", e->target.endpoints[i].address, e->target.endpoints[i].port,
				strerror(-fd));
	}
	if (fd < 0)
		return fd;
	channel = channel_create_sealed(fd, e->target.secret, 1);
	explicit_bzero(e->target.secret, sizeof(e->target.secret));
	if (!channel) {
		close(fd);
		return -ENOMEM;
	}
	return set_channel(e, channel, &none) ? 0 : -ESHUTDOWN;
}

/* --- seeding --- */

static int send_frame(struct epoch *e, enum frame_kind kind, uint64_t a, uint64_t b, const void *payload, size_t size)
{
	struct frame_header header = { .size = (uint32_t)size, .kind = kind, .a = a, .b = b };
	struct iovec iov = { (void *)payload, size };

	return channel_send(e->channel, &header, &iov, size ? 1 : 0);
}

struct records { /* gathered into frames */
	struct epoch *epoch;
	struct buf buf;
};

static int flush_records(struct records *r)
{
	int error = r->buf.size ? send_frame(r->epoch, FRAME_RECORDS, 0, 0, r->buf.data, r->buf.size) : 0;

	buf_clear(&r->buf);
	return error;
}

static int send_record(void *ctx, const struct record_header *record)
{
	struct records *r = ctx;
	const unsigned char *bytes = (const unsigned char *)record;
	int error;

	if (r->buf.size + record->size > FRAME_MAX_PAYLOAD) {
		error = flush_records(r);
		if (error)
			return error;
	}
	if (record->size <= FRAME_MAX_PAYLOAD) {
		buf_append(&r->buf, record, record->size);
		return r->buf.failed ? -ENOMEM : 0;
	}
	for (uint32_t at = 0; at < record->size; at += FRAME_MAX_PAYLOAD) {
		uint32_t size = record->size - at < FRAME_MAX_PAYLOAD ? record->size - at : FRAME_MAX_PAYLOAD;

		error = send_frame(r->epoch, FRAME_RECORD_PART, record->size, at, bytes + at, size);
		if (error)
			return error;
	}
	return 0;
}

static int send_block(void *ctx, uint64_t id, uint64_t offset, const unsigned char *bytes, uint64_t size)
{
	struct epoch *e = ctx;

	e->seed_bytes += size;
	return send_frame(e, FRAME_MEMORY, id, offset, bytes, size);
}

static int send_hashes(void *ctx, uint64_t id, uint64_t offset, const unsigned char *bytes, uint64_t size)
{
	return send_frame(ctx, FRAME_KNOWN, id, offset, bytes, size);
}

/* All but START. The needs are records, too, and come first. */
static int send_state(struct epoch *e)
{
	struct records r = { .epoch = e };
	int error = 0;

	for (size_t at = 0; at < e->needs.size && !error;) {
		const struct record_header *need = (const void *)(e->needs.data + at);

		error = send_record(&r, need);
		at += need->size;
	}
	if (!error)
		error = session_core_seed_records(e->host->core, send_record, &r);
	if (!error)
		error = flush_records(&r);
	buf_finish(&r.buf);
	if (!error)
		error = session_core_seed_memory(e->host->core, FRAME_MAX_PAYLOAD, send_block, e);
	if (!error)
		error = session_core_seed_hashes(e->host->core, FRAME_MAX_PAYLOAD, send_hashes, e);
	return error;
}

static int seed(struct epoch *e, uint64_t *ret_position)
{
	const struct frame_hello hello = { .version = FRAME_PROTOCOL_VERSION,
		.local = e->target.socket[0] != 0,
		.epoch = e->number,
		.workload = e->host->workload };
	uint64_t position, seq;
	bool wanted;
	int error;

	pthread_mutex_lock(e->host->mutex);
	e->seed_start_ns = time_monotonic_ns();
	pthread_mutex_unlock(e->host->mutex);
	error = send_frame(e, FRAME_HELLO, 0, 0, &hello, sizeof(hello));

	if (!error)
		error = send_state(e);
	if (error)
		return error;
	pthread_mutex_lock(e->host->mutex);
	wanted = session_core_seeding_done(e->host->core, e->number, &position, &seq);
	e->seed_end_ns = time_monotonic_ns();
	pthread_mutex_unlock(e->host->mutex);
	if (!wanted)
		return -ESHUTDOWN;
	*ret_position = position;
	return send_frame(e, FRAME_START, position, seq, NULL, 0);
}

/* True once: the nonce of the LEAVE that is to be sent. */
static bool told_to_leave(struct epoch *e, uint64_t *ret_nonce)
{
	bool leaving;

	pthread_mutex_lock(e->host->mutex);
	leaving = e->leaving;
	*ret_nonce = e->leave_nonce;
	pthread_mutex_unlock(e->host->mutex);
	return leaving;
}

/* The log to a peer's executor, as it grows, until that leaves. */
static int stream_log(struct epoch *e, uint64_t position)
{
	while (!is_closed(e)) {
		uint32_t seen = ring_sequence(e->host->log);
		uint64_t head, nonce;

		if (told_to_leave(e, &nonce))
			return send_frame(e, FRAME_LEAVE, nonce, 0, NULL, 0);
		if (ring_read_head(e->host->log, position, &head) < 0)
			return -EBADMSG;
		if (head == position) {
			ring_wait(e->host->log, seen, STREAM_LOOK_MS);
			continue;
		}
		while (position < head) {
			uint64_t size = head - position < LOG_FRAME_BYTES ? head - position : LOG_FRAME_BYTES;
			int error = send_frame(e, FRAME_LOG, position, 0, ring_at(e->host->log, position), size);

			if (error)
				return error;
			position += size;
		}
	}
	return 0;
}

/* --- the two threads --- */

/* Results go where they are staged. Nothing takes that memory away while this thread receives: only a COMMIT does, which it handles
 * itself, and the end of the workload, which waits for it; and the next epoch's results come when it has ended. */
static void *place(void *ctx, const struct frame_header *header)
{
	const struct epoch *e = ctx;
	void *at;

	if (header->kind != FRAME_RESULT)
		return NULL;
	pthread_mutex_lock(e->host->mutex);
	at = session_core_place(e->host->core, e->number, header);
	pthread_mutex_unlock(e->host->mutex);
	return at;
}

static void *hear(void *ctx)
{
	struct epoch *e = ctx;
	const struct epoch_host *host = e->host;

	for (;;) {
		struct frame_header header;
		const void *payload;
		int error = channel_recv_at(e->channel, place, e, &header, &payload);

		pthread_mutex_lock(host->mutex);
		if (error)
			session_core_lost(host->core, time_monotonic_ns(), e->number,
				error == -EBADMSG ? SESSION_LOSS_PROTOCOL : SESSION_LOSS_CHANNEL, NULL);
		else
			session_core_frame(host->core, time_monotonic_ns(), e->number, &header, payload);
		error = e->closed ? -ESHUTDOWN : error;
		pthread_mutex_unlock(host->mutex);
		if (error)
			return NULL;
		/* The program has much to read first. That is not the executor's silence. */
		while (outbox_crowded(host->outbox) && !is_closed(e)) {
			nanosleep(&(struct timespec){ .tv_nsec = CROWDED_LOOK_NS }, NULL);
			pthread_mutex_lock(host->mutex);
			session_core_waiting(host->core, time_monotonic_ns(), e->number);
			pthread_mutex_unlock(host->mutex);
		}
	}
}

static int start_receiver(struct epoch *e)
{
	int error;

	pthread_mutex_lock(e->host->mutex);
	error = -pthread_create(&e->receiver, NULL, hear, e);
	e->has_receiver = error == 0;
	pthread_mutex_unlock(e->host->mutex);
	return error;
}

static void *send_all(void *ctx)
{
	struct epoch *e = ctx;
	uint64_t position = 0;
	bool local = e->target.socket[0] != 0;
	int error = local ? connect_local(e) : connect_remote(e);

	if (!error)
		error = start_receiver(e);
	if (error) {
		char text[SESSION_TEXT];

		snprintf(text, sizeof(text), "its executor cannot be reached: %s", strerror(-error));
		lose(e, SESSION_LOSS_ATTACH, text);
	} else {
		error = seed(e, &position);
		if (!error && !local)
			error = stream_log(e, position);
		/* What the executor said last may tell more than our broken pipe: the receiver finds the end, too. */
		if (error && error != -EPIPE && error != -ESHUTDOWN)
			lose(e, SESSION_LOSS_CHANNEL, strerror(-error));
	}
	atomic_store(&e->sender_done, true);
	return NULL;
}

struct epoch *epoch_create(
	const struct epoch_host *host, uint64_t number, const struct epoch_target *target, struct buf *needs)
{
	struct epoch *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	list_init(&e->link);
	e->host = host;
	e->number = number;
	e->target = *target;
	e->needs = *needs;
	e->result.fd = -1;
	e->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->stop_fd < 0 || pthread_create(&e->sender, NULL, send_all, e)) {
		close_fd(&e->stop_fd);
		free(e);
		return NULL;
	}
	*needs = (struct buf){ 0 };
	return e;
}

void epoch_close(struct epoch *e)
{
	ssize_t size = write(e->stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));

	(void)size; /* fails only when it was written before */
	e->closed = true;
	if (e->channel)
		channel_shutdown(e->channel);
	/* An executor that wakes up later finds nothing to write to. */
	if (e->result.fd >= 0)
		ring_truncate(&e->result);
}

void epoch_leave(struct epoch *e, uint64_t nonce)
{
	e->leaving = true;
	e->leave_nonce = nonce;
	if (e->target.socket[0])
		/* Its sender has ended with the seed, and the executor has read all that: there is room in the ring. */
		(void)send_frame(e, FRAME_LEAVE, nonce, 0, NULL, 0);
	else
		ring_nudge(e->host->log);
}

void epoch_say_bye(struct epoch *e)
{
	/* Only when our sender is not in the middle of something: the end of the channel says the same. */
	if (atomic_load(&e->sender_done) && e->channel)
		(void)send_frame(e, FRAME_BYE, 0, 0, NULL, 0);
}

void epoch_destroy(struct epoch *e)
{
	pthread_join(e->sender, NULL);
	if (e->has_receiver)
		pthread_join(e->receiver, NULL);
	channel_destroy(e->channel);
	close_fd(&e->result.fd);
	close_fd(&e->stop_fd);
	buf_finish(&e->needs);
	explicit_bzero(e->target.secret, sizeof(e->target.secret));
	free(e);
}
