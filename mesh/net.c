#include "mesh/net.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

#define DATAGRAMS_AT_A_TIME 64

static const struct in6_addr group = { { { 0xff, 0x02, [12] = 0x74, 0x62, 0x6d, 0x65 } } }; /* ff02::7462:6d65, "tbme" */

struct mesh_net_port {
	struct list link;
	struct mesh_net *net;
	unsigned ifindex;
	int fd;
	struct loop_io *io;
};

struct mesh_net {
	struct loop *loop;
	int fd;
	uint16_t port;
	struct loop_io *io;
	struct list ports;
	mesh_net_fn *received;
	void *ctx;
};

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

static int open_socket(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int r = set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	if (r == 0)
		r = set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
	if (r == 0)
		r = set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1);
	if (r < 0) {
		close(fd);
		return r;
	}
	set_int(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1); /* without it our own clock is read, a little later */
	return fd;
}

static struct mesh_net_port *find_port(struct mesh_net *n, unsigned ifindex)
{
	list_for_each(p, &n->ports, struct mesh_net_port, link) {
		if (p->ifindex == ifindex)
			return p;
	}
	return NULL;
}

static int64_t realtime_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* False when nothing is left. */
static bool receive(struct mesh_net *n, int fd)
{
	uint8_t data[PACKET_MAX_SIZE + 1]; /* anything longer is foreign and is seen to be */
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct timespec)) + 64];
	} control;
	struct sockaddr_in6 from;
	struct iovec iov = { data, sizeof data };
	struct msghdr m = { .msg_name = &from,
		.msg_namelen = sizeof from,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control };
	ssize_t size = recvmsg(fd, &m, 0);
	if (size < 0)
		return errno == EINTR || errno == ECONNREFUSED;
	unsigned ifindex = 0;
	int64_t received_ns = realtime_ns();
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			ifindex = info.ipi6_ifindex;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec t;
			memcpy(&t, CMSG_DATA(c), sizeof t);
			received_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
		}
	}
	if (m.msg_namelen != sizeof from || from.sin6_family != AF_INET6)
		return true;
	if (!IN6_IS_ADDR_LINKLOCAL(&from.sin6_addr) || !find_port(n, ifindex))
		ifindex = 0;
	struct mesh_core_address address = { .ip = from.sin6_addr, .port = ntohs(from.sin6_port) };
	n->received(n->ctx, ifindex, &address, data, (size_t)size, received_ns);
	return true;
}

static void beacon_ready(void *ctx, unsigned events)
{
	struct mesh_net *n = ctx;
	(void)events;
	for (int i = 0; i < DATAGRAMS_AT_A_TIME && receive(n, n->fd); i++)
		continue;
}

static void port_ready(void *ctx, unsigned events)
{
	struct mesh_net_port *p = ctx;
	struct mesh_net *n = p->net;
	unsigned ifindex = p->ifindex;
	(void)events;
	/* What is received may close this port. */
	for (int i = 0; i < DATAGRAMS_AT_A_TIME && find_port(n, ifindex) == p && receive(n, p->fd); i++)
		continue;
}

int mesh_net_create(struct loop *l, uint16_t port, mesh_net_fn *received, void *ctx, struct mesh_net **ret)
{
	struct mesh_net *n = calloc(1, sizeof *n);
	if (!n)
		return -ENOMEM;
	*n = (struct mesh_net){ .loop = l, .port = port, .received = received, .ctx = ctx };
	list_init(&n->ports);
	n->fd = open_socket();
	int r = n->fd < 0 ? n->fd : 0;
	if (r == 0) {
		struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
		set_int(n->fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
		set_int(n->fd, SOL_SOCKET, SO_REUSEADDR, 1);
		if (bind(n->fd, (struct sockaddr *)&any, sizeof any) < 0)
			r = -errno;
	}
	if (r == 0) {
		n->io = loop_io_create(l, n->fd, LOOP_READ, beacon_ready, n);
		r = n->io ? 0 : -ENOMEM;
	}
	if (r < 0)
		mesh_net_destroy(n);
	else
		*ret = n;
	return r;
}

void mesh_net_destroy(struct mesh_net *n)
{
	if (!n)
		return;
	loop_io_destroy(n->io);
	if (n->fd >= 0)
		close(n->fd);
	free(n);
}

int mesh_net_port_join(struct mesh_net_port *p)
{
	struct ipv6_mreq request = { .ipv6mr_multiaddr = group, .ipv6mr_interface = p->ifindex };
	if (setsockopt(p->net->fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request) < 0 && errno != EADDRINUSE)
		return -errno;
	return 0;
}

int mesh_net_port_create(struct mesh_net *n, unsigned ifindex, const char *name, struct mesh_net_port **ret)
{
	struct mesh_net_port *p = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	*p = (struct mesh_net_port){ .net = n, .ifindex = ifindex, .fd = open_socket() };
	list_append(&n->ports, &p->link);
	int r = p->fd < 0 ? p->fd : 0;
	if (r == 0 && setsockopt(p->fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) < 0)
		r = -errno;
	if (r == 0)
		r = set_int(p->fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)ifindex);
	if (r == 0) {
		struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
		if (bind(p->fd, (struct sockaddr *)&any, sizeof any) < 0)
			r = -errno;
	}
	if (r == 0)
		r = mesh_net_port_join(p);
	if (r == 0) {
		p->io = loop_io_create(n->loop, p->fd, LOOP_READ, port_ready, p);
		r = p->io ? 0 : -ENOMEM;
	}
	if (r < 0)
		mesh_net_port_destroy(p);
	else
		*ret = p;
	return r;
}

void mesh_net_port_destroy(struct mesh_net_port *p)
{
	if (!p)
		return;
	struct ipv6_mreq request = { .ipv6mr_multiaddr = group, .ipv6mr_interface = p->ifindex };
	setsockopt(p->net->fd, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &request, sizeof request);
	list_remove(&p->link);
	loop_io_destroy(p->io);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

int mesh_net_send(struct mesh_net *n, struct mesh_net_port *port, const struct in6_addr *local,
	const struct mesh_core_address *to, const void *data, size_t size)
{
	struct sockaddr_in6 address = {
		.sin6_family = AF_INET6, .sin6_port = htons(to ? to->port : n->port), .sin6_addr = to ? to->ip : group
	};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = { 0 };
	struct iovec iov = { (void *)data, size };
	struct msghdr m = { .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &iov, .msg_iovlen = 1 };
	if (port && (IN6_IS_ADDR_LINKLOCAL(&address.sin6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&address.sin6_addr)))
		address.sin6_scope_id = port->ifindex;
	if (!IN6_IS_ADDR_UNSPECIFIED(local)) {
		struct in6_pktinfo info = { .ipi6_addr = *local, .ipi6_ifindex = port ? port->ifindex : 0 };
		m.msg_control = &control;
		m.msg_controllen = sizeof control;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof info);
		memcpy(CMSG_DATA(c), &info, sizeof info);
	}
	return sendmsg(port ? port->fd : n->fd, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}
