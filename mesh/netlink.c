#include "mesh/netlink.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define RECEIVE_BYTES (1 << 20)
#define BATCHES_AT_A_TIME 64
#define MAX_QUESTIONS 64u /* requests whose answer is awaited */

enum scan { SCAN_NONE, SCAN_LINKS, SCAN_ADDRESSES };

struct question {
	uint32_t seq; /* 0: free */
	enum mesh_netlink_request what;
	unsigned ifindex;
};

struct mesh_netlink {
	int fd;
	struct loop_io *io;
	const struct mesh_netlink_callbacks *callbacks;
	void *ctx;
	uint32_t seq;
	enum scan scan;
	uint32_t scan_seq;
	bool scan_again;
	struct question questions[MAX_QUESTIONS];
};

struct request {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
	};
	char attributes[64];
};

static void add_attribute(struct request *q, unsigned short type, const void *data, size_t size)
{
	struct rtattr *a = (struct rtattr *)((char *)q + NLMSG_ALIGN(q->header.nlmsg_len));
	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(RTA_DATA(a), data, size);
	q->header.nlmsg_len = NLMSG_ALIGN(q->header.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

static int send_request(struct mesh_netlink *n, struct request *q)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	if (++n->seq == 0)
		n->seq = 1;
	q->header.nlmsg_seq = n->seq;
	q->header.nlmsg_flags |= NLM_F_REQUEST;
	return sendto(n->fd, q, q->header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0 ? -errno : 0;
}

static void ask(struct mesh_netlink *n, struct request *q, enum mesh_netlink_request what, unsigned ifindex)
{
	q->header.nlmsg_flags = (uint16_t)(q->header.nlmsg_flags | NLM_F_ACK);
	int r = send_request(n, q);
	if (r < 0)
		n->callbacks->answered(n->ctx, what, ifindex, r);
	else
		n->questions[n->seq % MAX_QUESTIONS] = (struct question){ n->seq, what, ifindex };
}

static struct request link_request(uint16_t type, unsigned ifindex)
{
	return (struct request){
		.header = { .nlmsg_type = type, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)) },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex },
	};
}

static void dump(struct mesh_netlink *n, enum scan what)
{
	struct request q = link_request(RTM_GETLINK, 0);
	if (what == SCAN_ADDRESSES) {
		q.header.nlmsg_type = RTM_GETADDR;
		q.header.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg));
		q.address = (struct ifaddrmsg){ .ifa_family = AF_INET6 };
	}
	q.header.nlmsg_flags = NLM_F_DUMP;
	n->scan = send_request(n, &q) < 0 ? SCAN_NONE : what;
	n->scan_seq = n->seq;
	if (what == SCAN_LINKS && n->scan != SCAN_NONE)
		n->callbacks->scan_started(n->ctx);
}

void mesh_netlink_read_all(struct mesh_netlink *n)
{
	if (n->scan == SCAN_NONE)
		dump(n, SCAN_LINKS);
	else
		n->scan_again = true;
}

void mesh_netlink_read_link(struct mesh_netlink *n, unsigned ifindex)
{
	struct request q = link_request(RTM_GETLINK, ifindex);
	send_request(n, &q);
}

void mesh_netlink_set_up(struct mesh_netlink *n, unsigned ifindex)
{
	struct request q = link_request(RTM_NEWLINK, ifindex);
	q.link.ifi_flags = q.link.ifi_change = IFF_UP;
	ask(n, &q, NETLINK_SET_UP, ifindex);
}

void mesh_netlink_set_mtu(struct mesh_netlink *n, unsigned ifindex, uint32_t mtu)
{
	struct request q = link_request(RTM_NEWLINK, ifindex);
	add_attribute(&q, IFLA_MTU, &mtu, sizeof mtu);
	ask(n, &q, NETLINK_SET_MTU, ifindex);
}

void mesh_netlink_add_address(struct mesh_netlink *n, unsigned ifindex, const struct in6_addr *ip)
{
	struct request q = {
		.header = { .nlmsg_type = RTM_NEWADDR,
			.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
			.nlmsg_flags = NLM_F_CREATE },
		.address = { .ifa_family = AF_INET6,
			.ifa_prefixlen = IN6_IS_ADDR_LINKLOCAL(ip) ? 64 : 128,
			.ifa_flags = IFA_F_NODAD,
			.ifa_scope = IN6_IS_ADDR_LINKLOCAL(ip) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
			.ifa_index = ifindex },
	};
	add_attribute(&q, IFA_LOCAL, ip, sizeof *ip);
	ask(n, &q, NETLINK_ADD_ADDRESS, ifindex);
}

unsigned mesh_netlink_route(const struct in6_addr *to)
{
	struct request q = { .header = { .nlmsg_type = RTM_GETROUTE,
				     .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
				     .nlmsg_flags = NLM_F_REQUEST },
		.route = { .rtm_family = AF_INET6, .rtm_dst_len = 128 } };
	union {
		struct nlmsghdr header;
		char bytes[1024];
	} answer;
	unsigned ifindex = 0;
	add_attribute(&q, RTA_DST, to, sizeof *to);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	/* The kernel answers before send returns. */
	ssize_t size =
		fd >= 0 && send(fd, &q, q.header.nlmsg_len, 0) >= 0 ? recv(fd, &answer, sizeof answer, MSG_DONTWAIT) : -1;
	if (size >= (ssize_t)NLMSG_LENGTH(sizeof(struct rtmsg)) && NLMSG_OK(&answer.header, (size_t)size) &&
		answer.header.nlmsg_type == RTM_NEWROUTE) {
		struct rtmsg *route = NLMSG_DATA(&answer.header);
		int left = (int)RTM_PAYLOAD(&answer.header);
		for (struct rtattr *a = RTM_RTA(route); RTA_OK(a, left) && route->rtm_type == RTN_UNICAST;
			a = RTA_NEXT(a, left)) {
			if (a->rta_type == RTA_OIF && RTA_PAYLOAD(a) >= sizeof ifindex)
				memcpy(&ifindex, RTA_DATA(a), sizeof ifindex);
		}
	}
	if (fd >= 0)
		close(fd);
	return ifindex;
}

static void handle_link(struct mesh_netlink *n, struct nlmsghdr *h)
{
	struct ifinfomsg *info = NLMSG_DATA(h);
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof *info) || info->ifi_family != AF_UNSPEC)
		return;
	char name[IFNAMSIZ] = "";
	struct mesh_netlink_link l = { .ifindex = (unsigned)info->ifi_index,
		.name = name,
		.gone = h->nlmsg_type == RTM_DELLINK,
		.up = info->ifi_flags & IFF_UP,
		.carrier = info->ifi_flags & IFF_LOWER_UP };
	int left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof *info));
	for (struct rtattr *a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		size_t size = RTA_PAYLOAD(a);
		if (a->rta_type == IFLA_IFNAME) {
			memcpy(name, RTA_DATA(a), size < sizeof name ? size : sizeof name - 1);
		} else if (a->rta_type == IFLA_MTU && size >= sizeof l.mtu) {
			memcpy(&l.mtu, RTA_DATA(a), sizeof l.mtu);
		} else if (a->rta_type == IFLA_CARRIER && size >= 1) {
			l.carrier = *(uint8_t *)RTA_DATA(a);
		} else if (a->rta_type == IFLA_STATS64 && size >= offsetof(struct rtnl_link_stats64, rx_errors)) {
			struct rtnl_link_stats64 stats;
			memcpy(&stats, RTA_DATA(a), offsetof(struct rtnl_link_stats64, rx_errors));
			l.rx_bytes = stats.rx_bytes;
			l.tx_bytes = stats.tx_bytes;
		}
	}
	n->callbacks->link(n->ctx, &l);
}

static void handle_address(struct mesh_netlink *n, struct nlmsghdr *h)
{
	struct ifaddrmsg *info = NLMSG_DATA(h);
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof *info) || info->ifa_family != AF_INET6)
		return;
	struct mesh_netlink_address address = { .ifindex = info->ifa_index, .gone = h->nlmsg_type == RTM_DELADDR };
	uint32_t flags = info->ifa_flags;
	int left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof *info));
	for (struct rtattr *a = IFA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		size_t size = RTA_PAYLOAD(a);
		if ((a->rta_type == IFA_ADDRESS || a->rta_type == IFA_LOCAL) && size >= sizeof address.ip)
			memcpy(&address.ip, RTA_DATA(a), sizeof address.ip);
		else if (a->rta_type == IFA_FLAGS && size >= sizeof flags)
			memcpy(&flags, RTA_DATA(a), sizeof flags);
	}
	address.usable = !(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) || flags & IFA_F_OPTIMISTIC;
	if (IN6_IS_ADDR_LINKLOCAL(&address.ip))
		n->callbacks->address(n->ctx, &address);
}

static void handle_error(struct mesh_netlink *n, struct nlmsghdr *h)
{
	struct nlmsgerr *e = NLMSG_DATA(h);
	struct question *q = &n->questions[h->nlmsg_seq % MAX_QUESTIONS];
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof *e))
		return;
	if (n->scan != SCAN_NONE && h->nlmsg_seq == n->scan_seq && e->error) {
		n->scan = SCAN_NONE;
		return;
	}
	if (!q->seq || q->seq != h->nlmsg_seq)
		return;
	struct question done = *q;
	q->seq = 0;
	n->callbacks->answered(n->ctx, done.what, done.ifindex, e->error);
}

static void handle_done(struct mesh_netlink *n, struct nlmsghdr *h)
{
	if (n->scan == SCAN_NONE || h->nlmsg_seq != n->scan_seq)
		return;
	if (n->scan == SCAN_LINKS) {
		dump(n, SCAN_ADDRESSES);
		return;
	}
	n->scan = SCAN_NONE;
	n->callbacks->scan_done(n->ctx);
	if (n->scan_again) {
		n->scan_again = false;
		dump(n, SCAN_LINKS);
	}
}

/* False when nothing is left. */
static bool receive(struct mesh_netlink *n)
{
	static _Alignas(struct nlmsghdr) char data[64 << 10]; /* one loop's thread */
	struct sockaddr_nl from;
	socklen_t from_size = sizeof from;
	ssize_t size = recvfrom(n->fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);
	if (size < 0 && errno == ENOBUFS) {
		log_debug("mesh: the kernel dropped netlink messages, reading all again");
		dump(n, SCAN_LINKS);
		return true;
	}
	if (size < 0)
		return errno == EINTR;
	if (from.nl_pid != 0)
		return true; /* not from the kernel */
	unsigned left = (unsigned)size;
	for (struct nlmsghdr *h = (struct nlmsghdr *)data; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		switch (h->nlmsg_type) {
		case RTM_NEWLINK:
		case RTM_DELLINK:
			handle_link(n, h);
			break;
		case RTM_NEWADDR:
		case RTM_DELADDR:
			handle_address(n, h);
			break;
		case NLMSG_ERROR:
			handle_error(n, h);
			break;
		case NLMSG_DONE:
			handle_done(n, h);
			break;
		}
	}
	return true;
}

static void ready(void *ctx, unsigned events)
{
	struct mesh_netlink *n = ctx;
	(void)events;
	for (int i = 0; i < BATCHES_AT_A_TIME && receive(n); i++)
		continue;
}

int mesh_netlink_create(struct loop *l, const struct mesh_netlink_callbacks *callbacks, void *ctx, struct mesh_netlink **ret)
{
	struct mesh_netlink *n = calloc(1, sizeof *n);
	if (!n)
		return -ENOMEM;
	*n = (struct mesh_netlink){ .callbacks = callbacks, .ctx = ctx };
	n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int r = n->fd < 0 ? -errno : 0;
	if (r == 0) {
		struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV6_IFADDR };
		int bytes = RECEIVE_BYTES;
		setsockopt(n->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
		if (bind(n->fd, (struct sockaddr *)&address, sizeof address) < 0)
			r = -errno;
	}
	if (r == 0) {
		n->io = loop_io_create(l, n->fd, LOOP_READ, ready, n);
		r = n->io ? 0 : -ENOMEM;
	}
	if (r < 0)
		mesh_netlink_destroy(n);
	else
		*ret = n;
	return r;
}

void mesh_netlink_destroy(struct mesh_netlink *n)
{
	if (!n)
		return;
	loop_io_destroy(n->io);
	if (n->fd >= 0)
		close(n->fd);
	free(n);
}
