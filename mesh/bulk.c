#include "mesh/bulk.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "base/util.h"

#define MAGIC 0x70626d74u /* "tmbp" */
#define CONNECT_MS 2000
#define HELLO_MS 1000
#define IO_MS 2000 /* no progress for so long: given up */
#define PHASE_NS UINT64_C(3000000000)
#define BLOCK_BYTES (256u << 10)
#define UNSENT_BYTES (512 << 10) /* what waits in the kernel behind what is on the wire: a slow link must not owe seconds */
#define READ_BYTES (64u << 10)
#define MAX_MARKS 4096u
#define WINDOWS 8u /* that the second half is cut into: the median stands for it */
#define CLOCK_STEP_NS 1000000
#define STEADY 1.25 /* third quartile over first of the windows: beyond it the round is repeated … */
#define ROUNDS 3u   /* … so often at most; the steadiest counts */

struct hello {
	uint32_t magic, index, count;
	uint8_t token[BULK_TOKEN_SIZE];
};
struct block {
	uint32_t size, last;
};
struct answer { /* the receiver's, after each round */
	uint64_t rate_bps;
	uint64_t unsteady;
};
struct rate {
	double bps, spread;
};

/* The receiver's record: bytes that had come at a time. The time is the kernel's stamp of the last packet
 * (CLOCK_REALTIME): a reader that waits for its CPU does not see a slower link, nor a faster one when it catches up. */
struct mark {
	uint64_t at_ns, bytes;
};
struct transfer {
	int fd;
	const struct mesh_bulk *bulk;
	bool sending;
	struct mark *marks; /* receiving */
	size_t mark_count;
	int result;
};

void mesh_bulk_init(struct mesh_bulk *b)
{
	*b = (struct mesh_bulk){ .listen_fd = -1, .budget_bytes = BULK_BYTES, .budget_ms = BULK_MS, .streams = 1 };
	pthread_mutex_init(&b->mutex, NULL);
}

void mesh_bulk_finish(struct mesh_bulk *b)
{
	if (b->listen_fd >= 0)
		close(b->listen_fd);
	pthread_mutex_destroy(&b->mutex);
	sodium_memzero(b->token, sizeof b->token);
}

/* Registered descriptors are closed by drop_fd alone, so mesh_bulk_cancel never meets a number that belongs to somebody
 * else by now. */
static int keep_fd(struct mesh_bulk *b, int fd)
{
	int r = fd < 0 ? -errno : fd;
	pthread_mutex_lock(&b->mutex);
	if (fd >= 0 && (b->cancelled || b->fd_count == BULK_MAX_FDS)) {
		close(fd);
		r = b->cancelled ? -ECANCELED : -EMFILE;
	} else if (fd >= 0) {
		b->fds[b->fd_count++] = fd;
	}
	pthread_mutex_unlock(&b->mutex);
	return r;
}

static void drop_fd(struct mesh_bulk *b, int fd)
{
	pthread_mutex_lock(&b->mutex);
	for (size_t i = 0; i < b->fd_count; i++) {
		if (b->fds[i] == fd)
			b->fds[i] = b->fds[--b->fd_count];
	}
	pthread_mutex_unlock(&b->mutex);
	close(fd);
}

void mesh_bulk_cancel(struct mesh_bulk *b)
{
	pthread_mutex_lock(&b->mutex);
	b->cancelled = true;
	for (size_t i = 0; i < b->fd_count; i++)
		shutdown(b->fds[i], SHUT_RDWR);
	if (b->listen_fd >= 0)
		shutdown(b->listen_fd, SHUT_RDWR);
	pthread_mutex_unlock(&b->mutex);
}

static void set_timeouts(int fd, unsigned ms)
{
	struct timeval t = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	int unsent = UNSENT_BYTES, one = 1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int send_all(int fd, const void *data, size_t size)
{
	const char *p = data;
	while (size) {
		ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno != EAGAIN ? -errno : -ETIMEDOUT;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

static int recv_all(int fd, void *data, size_t size)
{
	char *p = data;
	while (size) {
		ssize_t n = recv(fd, p, size, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int mesh_bulk_listen(struct mesh_bulk *b)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	socklen_t size = sizeof any;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), off = 0;
	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || listen(fd, BULK_MAX_CONNECTIONS) < 0 ||
		getsockname(fd, (struct sockaddr *)&any, &size) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	b->listen_fd = fd;
	b->port = ntohs(any.sin6_port);
	return 0;
}

static size_t connections(const struct mesh_bulk *b)
{
	return b->path_count * b->streams;
}

/* Connection number index: the streams of one path follow one another. */
static int connect_path(struct mesh_bulk *b, size_t index)
{
	const struct mesh_bulk_path *p = &b->paths[index / b->streams];
	struct sockaddr_in6 to = {
		.sin6_family = AF_INET6, .sin6_port = htons(b->port), .sin6_addr = p->remote, .sin6_scope_id = p->ifindex
	};
	struct sockaddr_in6 from = { .sin6_family = AF_INET6, .sin6_addr = p->local, .sin6_scope_id = p->ifindex };
	struct hello hello = {
		.magic = htole32(MAGIC), .index = htole32((uint32_t)index), .count = htole32((uint32_t)connections(b))
	};
	int fd = keep_fd(b, socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd < 0)
		return fd;
	int r = 0, error = 0, off = 0;
	socklen_t size = sizeof error;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (p->ifindex && bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
		r = -errno;
	if (r == 0 && connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
		r = -errno;
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	if (r == 0 && poll(&wait, 1, CONNECT_MS) != 1)
		r = -ETIMEDOUT;
	if (r == 0 && (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error))
		r = error ? -error : -EIO;
	if (r == 0) {
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
		set_timeouts(fd, IO_MS);
		memcpy(hello.token, b->token, sizeof hello.token);
		r = send_all(fd, &hello, sizeof hello);
	}
	if (r < 0) {
		drop_fd(b, fd);
		return r;
	}
	return fd;
}

/* Lets in only who has the token, and not many who have not. */
static int accept_paths(struct mesh_bulk *b, int *fds)
{
	uint64_t deadline = time_monotonic_ns() + CONNECT_MS * UINT64_C(1000000);
	size_t missing = connections(b), most = missing + MESH_MAX_PEER_LINKS;
	for (size_t tries = 0; missing && tries < most; tries++) {
		uint64_t now = time_monotonic_ns();
		struct pollfd wait = { .fd = b->listen_fd, .events = POLLIN };
		if (now >= deadline || poll(&wait, 1, (int)((deadline - now) / 1000000)) != 1)
			return -ETIMEDOUT;
		int fd = keep_fd(b, accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC));
		if (fd < 0)
			return fd;
		struct hello h;
		set_timeouts(fd, HELLO_MS);
		size_t index = BULK_MAX_CONNECTIONS;
		if (recv_all(fd, &h, sizeof h) == 0 && le32toh(h.magic) == MAGIC &&
			sodium_memcmp(h.token, b->token, sizeof h.token) == 0 && le32toh(h.count) == connections(b))
			index = le32toh(h.index);
		if (index >= connections(b) || fds[index] >= 0) {
			drop_fd(b, fd);
			continue;
		}
		set_timeouts(fd, IO_MS);
		fds[index] = fd;
		missing--;
	}
	return missing ? -ECONNREFUSED : 0;
}

static int send_phase(struct transfer *t)
{
	static char zeros[BLOCK_BYTES]; /* never written */
	const struct mesh_bulk *b = t->bulk;
	uint64_t start = time_monotonic_ns(), sent = 0, least_ns = b->budget_ms * UINT64_C(1000000) / 2;
	bool last = false;
	while (!last) {
		uint64_t elapsed = time_monotonic_ns() - start;
		last = elapsed >= 2 * least_ns || (sent + BLOCK_BYTES >= b->budget_bytes && elapsed >= least_ns);
		struct block header = { .size = htole32(BLOCK_BYTES), .last = htole32(last) };
		int r = send_all(t->fd, &header, sizeof header);
		if (r == 0)
			r = send_all(t->fd, zeros, BLOCK_BYTES);
		if (r < 0)
			return r;
		sent += BLOCK_BYTES;
	}
	return 0;
}

static const struct mark *last_mark(const struct transfer *t)
{
	return &t->marks[t->mark_count - 1];
}

static const struct mark *mark_at(const struct transfer *t, uint64_t bytes)
{
	const struct mark *m = t->marks;
	while (m < last_mark(t) && m->bytes < bytes)
		m++;
	return m;
}

/* The first half is start-up and buckets that empty. */
static const struct mark *half_way(const struct transfer *t)
{
	return mark_at(t, last_mark(t)->bytes / 2);
}

static int by_rate(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The median: a sender or a softirq that waits for its CPU spoils a window, not the measurement. */
static struct rate conclude(double rates[WINDOWS])
{
	qsort(rates, WINDOWS, sizeof *rates, by_rate);
	double low = rates[WINDOWS / 4], high = rates[WINDOWS - 1 - WINDOWS / 4];
	return (struct rate){ .bps = (rates[WINDOWS / 2 - 1] + rates[WINDOWS / 2]) / 2,
		.spread = low > 0 ? high / low : HUGE_VAL };
}

/* One connection: windows of as many bytes each. */
static struct rate rate_of(const struct transfer *t)
{
	double rates[WINDOWS];
	const struct mark *from = half_way(t);
	uint64_t start = from->bytes, total = last_mark(t)->bytes - start;
	for (unsigned w = 0; w < WINDOWS; w++) {
		const struct mark *to = mark_at(t, start + total * (w + 1) / WINDOWS);
		rates[w] = to->at_ns > from->at_ns
			? (double)(to->bytes - from->bytes) * 8e9 / (double)(to->at_ns - from->at_ns)
			: 0;
		from = to;
	}
	return conclude(rates);
}

static uint64_t realtime_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* As recv, with the arrival time of the last byte. */
static ssize_t recv_stamped(int fd, void *data, size_t size, uint64_t *ret_at_ns)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct timespec)) + 128];
	} control;
	struct iovec iov = { data, size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t n = recvmsg(fd, &m, 0);
	if (n <= 0)
		return n;
	*ret_at_ns = realtime_ns();
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec t;
			memcpy(&t, CMSG_DATA(c), sizeof t);
			*ret_at_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
		}
	}
	return n;
}

static int receive_phase(struct transfer *t)
{
	char *data = malloc(READ_BYTES);
	uint64_t bytes = 0, start = 0;
	int r = data ? 0 : -ENOMEM;
	bool last = false;
	t->mark_count = 0;
	while (r == 0 && !last) {
		struct block b;
		r = recv_all(t->fd, &b, sizeof b);
		if (r < 0)
			break;
		last = le32toh(b.last);
		if (!start)
			start = time_monotonic_ns();
		if (le32toh(b.size) != BLOCK_BYTES || time_monotonic_ns() - start > PHASE_NS) {
			r = -EPROTO;
			break;
		}
		for (size_t left = BLOCK_BYTES; left && r == 0;) {
			uint64_t at_ns;
			ssize_t n = recv_stamped(t->fd, data, left < READ_BYTES ? left : READ_BYTES, &at_ns);
			if (n <= 0) {
				r = n < 0 && errno == EINTR ? 0 : n < 0 ? -errno : -ECONNRESET;
				continue;
			}
			left -= (size_t)n;
			bytes += (size_t)n;
			if (t->mark_count == MAX_MARKS)
				t->mark_count--;
			t->marks[t->mark_count++] = (struct mark){ at_ns, bytes };
		}
	}
	free(data);
	if (r == 0 && !t->mark_count)
		r = -EPROTO;
	return r;
}

static void *transfer_run(void *ctx)
{
	struct transfer *t = ctx;
	t->result = t->sending ? send_phase(t) : receive_phase(t);
	return NULL;
}

/* All at the same time; with one there is no need of a thread. */
static int run_phase(struct transfer *t, size_t count, bool sending)
{
	pthread_t threads[BULK_MAX_CONNECTIONS];
	size_t started = 0;
	int r = 0;
	for (size_t i = 0; i < count; i++)
		t[i].sending = sending;
	for (size_t i = 1; i < count && r == 0; i++) {
		r = -pthread_create(&threads[i], NULL, transfer_run, &t[i]);
		if (r == 0)
			started++;
	}
	if (r == 0)
		transfer_run(&t[0]);
	for (size_t i = 0; i < count && r < 0; i++)
		shutdown(t[i].fd, SHUT_RDWR);
	for (size_t i = 1; i <= started; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < count && r == 0; i++)
		r = t[i].result;
	return r;
}

static uint64_t bytes_at(const struct transfer *t, uint64_t at_ns)
{
	const struct mark *m = t->marks, *end = t->marks + t->mark_count;
	while (m < end && m->at_ns < at_ns)
		m++;
	if (m == end)
		return last_mark(t)->bytes;
	if (m == t->marks)
		return m->bytes;
	double part = (double)(at_ns - m[-1].at_ns) / (double)(m->at_ns - m[-1].at_ns);
	return m[-1].bytes + (uint64_t)(part * (double)(m->bytes - m[-1].bytes));
}

/* Several connections: windows of time, from when the last one is half way until the first one is through. Where they
 * hardly overlap, the mean of the whole; it is never too much. */
static struct rate rate_together(const struct transfer *t, size_t count)
{
	double rates[WINDOWS];
	uint64_t from = 0, to = UINT64_MAX, first = UINT64_MAX, last = 0, total = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t start = t[i].marks[0].at_ns, end = last_mark(&t[i])->at_ns, half = start + (end - start) / 2;
		from = half > from ? half : from;
		to = end < to ? end : to;
		first = start < first ? start : first;
		last = end > last ? end : last;
		total += last_mark(&t[i])->bytes;
	}
	if (to <= from || to - from < (last - first) / 8)
		return (struct rate){ .bps = last > first ? (double)total * 8e9 / (double)(last - first) : 0,
			.spread = HUGE_VAL };
	uint64_t step = (to - from) / WINDOWS;
	for (unsigned w = 0; w < WINDOWS; w++) {
		uint64_t bytes = 0;
		for (size_t i = 0; i < count; i++)
			bytes += bytes_at(&t[i], from + (w + 1) * step) - bytes_at(&t[i], from + w * step);
		rates[w] = step ? (double)bytes * 8e9 / (double)step : 0;
	}
	return conclude(rates);
}

/* One direction over one or all connections. Only the receiver sees the result; it tells it over the first connection. */
static int measure(struct mesh_bulk *b, struct transfer *t, size_t count, bool sending, uint64_t *ret_bps)
{
	struct rate best = { .spread = HUGE_VAL };
	struct answer a = { .unsteady = 1 };
	for (unsigned round = 0; round < ROUNDS && a.unsteady; round++) {
		int r = run_phase(t, count, sending);
		if (r == 0 && sending) {
			r = recv_all(t[0].fd, &a, sizeof a);
		} else if (r == 0) {
			struct rate rate = count > 1 ? rate_together(t, count) : rate_of(t);
			if (!round || rate.spread < best.spread || (isinf(rate.spread) && rate.bps > best.bps))
				best = rate;
			a = (struct answer){ htole64((uint64_t)best.bps), htole64(rate.spread > STEADY) };
			r = send_all(t[0].fd, &a, sizeof a);
		}
		if (r < 0)
			return r;
	}
	*ret_bps = le64toh(a.rate_bps);
	b->unsteady = b->unsteady || a.unsteady;
	return 0;
}

/* Both ways, or the one that was asked for. */
static int measure_ways(struct mesh_bulk *b, struct transfer *t, size_t count, uint64_t *ret_up_bps, uint64_t *ret_down_bps)
{
	int r = b->ways == MESH_BENCH_DOWN ? 0 : measure(b, t, count, b->asks, ret_up_bps);
	return r < 0 || b->ways == MESH_BENCH_UP ? r : measure(b, t, count, !b->asks, ret_down_bps);
}

static int phases(struct mesh_bulk *b, struct transfer *t)
{
	int r = 0;
	for (size_t i = 0; i < b->path_count && r == 0; i++)
		r = measure_ways(b, &t[i * b->streams], b->streams, &b->paths[i].up_bps, &b->paths[i].down_bps);
	if (b->path_count > 1 && r == 0)
		r = measure_ways(b, t, connections(b), &b->aggregate_up_bps, &b->aggregate_down_bps);
	return r;
}

int mesh_bulk_run(struct mesh_bulk *b)
{
	struct transfer transfers[BULK_MAX_CONNECTIONS] = { 0 };
	int fds[BULK_MAX_CONNECTIONS];
	size_t count = connections(b);
	int r = count && count <= BULK_MAX_CONNECTIONS ? 0 : -EINVAL;
	for (size_t i = 0; i < BULK_MAX_CONNECTIONS; i++)
		fds[i] = -1;
	if (r < 0)
		return r;
	if (b->asks) {
		for (size_t i = 0; i < count && r == 0; i++) {
			fds[i] = connect_path(b, i);
			r = fds[i] < 0 ? fds[i] : 0;
		}
	} else {
		r = accept_paths(b, fds);
	}
	uint64_t start = time_monotonic_ns(), offset = realtime_ns() - start;
	for (size_t i = 0; i < count && r == 0; i++) {
		transfers[i] = (struct transfer){ .fd = fds[i], .bulk = b, .marks = calloc(MAX_MARKS, sizeof(struct mark)) };
		r = transfers[i].marks ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = phases(b, transfers);
	b->duration_ns = time_monotonic_ns() - start;
	int64_t moved = (int64_t)(realtime_ns() - time_monotonic_ns() - offset);
	if (r == 0 && (moved > CLOCK_STEP_NS || moved < -CLOCK_STEP_NS))
		r = -EAGAIN; /* somebody set the clock that the stamps are of */
	for (size_t i = 0; i < count; i++) {
		free(transfers[i].marks);
		if (fds[i] >= 0)
			drop_fd(b, fds[i]);
	}
	return r;
}
