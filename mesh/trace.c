#include "mesh/trace.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"

#define TARGETS 32u
#define PERIOD_NS UINT64_C(2000000000)
#define UNUSED_NS UINT64_C(60000000000)
#define MAGIC 0x74727462u /* "btrt": no packet of the mesh begins so */
#define AT_A_TIME 64

struct target {
	struct in6_addr to;
	uint64_t wanted_ns, asked_ns; /* 0: free; never */
	uint32_t round;
	struct in6_addr fresh[TRACE_HOPS], path[TRACE_HOPS]; /* of the round under way; of the one before */
	size_t path_count;
};
struct mesh_trace {
	int fd;
	uint16_t port;
	struct loop_io *io;
	struct target targets[TARGETS];
	uint32_t round;
};
struct question {
	uint32_t magic, round, hop;
};

static void answered(struct mesh_trace *t, const struct question *q, const struct in6_addr *router)
{
	for (size_t i = 0; i < TARGETS; i++) {
		if (t->targets[i].wanted_ns && t->targets[i].round == q->round)
			t->targets[i].fresh[q->hop - 1] = *router;
	}
}

/* False when nothing is left. */
static bool read_error(struct mesh_trace *t)
{
	struct question q;
	union {
		struct cmsghdr align;
		char bytes[512];
	} control;
	struct iovec iov = { &q, sizeof q };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t size = recvmsg(t->fd, &m, MSG_ERRQUEUE);
	if (size < 0)
		return errno == EINTR;
	if (size < (ssize_t)sizeof q || q.magic != MAGIC || !q.hop || q.hop > TRACE_HOPS)
		return true;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		struct {
			struct sock_extended_err error;
			struct sockaddr_in6 offender;
		} e;
		if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_RECVERR || c->cmsg_len < CMSG_LEN(sizeof e))
			continue;
		memcpy(&e, CMSG_DATA(c), sizeof e);
		if (e.error.ee_origin == SO_EE_ORIGIN_ICMP6 && e.error.ee_type == ICMP6_TIME_EXCEEDED &&
			e.offender.sin6_family == AF_INET6)
			answered(t, &q, &e.offender.sin6_addr);
	}
	return true;
}

static void ready(void *ctx, unsigned events)
{
	struct mesh_trace *t = ctx;
	char nothing[64];
	(void)events;
	for (int i = 0; i < AT_A_TIME && read_error(t); i++)
		continue;
	while (recv(t->fd, nothing, sizeof nothing, 0) >= 0)
		continue; /* nobody answers with data; an error pending is cleared here */
}

static void ask(struct mesh_trace *t, struct target *o)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(t->port), .sin6_addr = o->to };
	memcpy(o->path, o->fresh, sizeof o->path);
	o->path_count = 0;
	while (o->path_count < TRACE_HOPS && !IN6_IS_ADDR_UNSPECIFIED(&o->path[o->path_count]))
		o->path_count++;
	memset(o->fresh, 0, sizeof o->fresh);
	o->round = ++t->round;
	for (int hop = 1; hop <= (int)TRACE_HOPS; hop++) {
		struct question q = { MAGIC, o->round, (uint32_t)hop };
		if (setsockopt(t->fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hop, sizeof hop) < 0)
			continue;
		/* An answer to the one before is told as this one's failure: once. */
		for (int tries = 0; tries < 2; tries++) {
			if (sendto(t->fd, &q, sizeof q, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) >= 0)
				break;
		}
	}
}

static struct target *find(struct mesh_trace *t, const struct in6_addr *to, uint64_t now_ns)
{
	struct target *room = NULL;
	for (size_t i = 0; i < TARGETS; i++) {
		struct target *o = &t->targets[i];
		if (o->wanted_ns && memcmp(&o->to, to, sizeof *to) == 0)
			return o;
		if (!o->wanted_ns || now_ns - o->wanted_ns > UNUSED_NS)
			room = o;
	}
	if (room)
		*room = (struct target){ .to = *to };
	return room;
}

size_t mesh_trace_read(struct mesh_trace *t, const struct in6_addr *to, struct in6_addr ret[TRACE_HOPS])
{
	uint64_t now_ns = time_monotonic_ns();
	struct target *o = find(t, to, now_ns);
	if (!o)
		return 0;
	o->wanted_ns = now_ns;
	if (!o->asked_ns || now_ns - o->asked_ns > PERIOD_NS) {
		o->asked_ns = now_ns;
		ask(t, o);
	}
	size_t count = 0;
	/* What came since is as good, where it is whole so far. */
	const struct in6_addr *path = IN6_IS_ADDR_UNSPECIFIED(&o->fresh[0]) ? o->path : o->fresh;
	while (count < TRACE_HOPS && !IN6_IS_ADDR_UNSPECIFIED(&path[count])) {
		ret[count] = path[count];
		count++;
	}
	return count;
}

int mesh_trace_create(struct loop *l, const struct in6_addr *self, uint16_t port, struct mesh_trace **ret)
{
	struct mesh_trace *t = calloc(1, sizeof *t);
	struct sockaddr_in6 from = { .sin6_family = AF_INET6, .sin6_addr = *self };
	int one = 1, r = 0;
	if (!t)
		return -ENOMEM;
	*t = (struct mesh_trace){ .port = port };
	t->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->fd < 0 || setsockopt(t->fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof one) < 0 ||
		bind(t->fd, (struct sockaddr *)&from, sizeof from) < 0)
		r = -errno;
	if (r == 0) {
		t->io = loop_io_create(l, t->fd, LOOP_READ, ready, t);
		r = t->io ? 0 : -ENOMEM;
	}
	if (r < 0)
		mesh_trace_destroy(t);
	else
		*ret = t;
	return r;
}

void mesh_trace_destroy(struct mesh_trace *t)
{
	if (!t)
		return;
	loop_io_destroy(t->io);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}
