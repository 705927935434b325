/* rtnetlink: what the kernel says of network devices, and the few things that the node asks of it. Lost messages (ENOBUFS) lead to a
 * rescan by itself. */
#ifndef TBMESH_MESH_NETLINK_H
#define TBMESH_MESH_NETLINK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

struct netlink_link {
	unsigned ifindex;
	const char *name;
	bool gone;      /* RTM_DELLINK */
	bool up;        /* administratively */
	bool carrier;
	uint32_t mtu;
	uint64_t rx_bytes, tx_bytes;
};
struct netlink_address { /* link-local ones only */
	unsigned ifindex;
	struct in6_addr ip;
	bool gone;
	bool usable;    /* not tentative, not a duplicate */
};
enum netlink_request { NETLINK_SET_UP, NETLINK_SET_MTU, NETLINK_ADD_ADDRESS };
struct netlink_callbacks {
	void (*link)(void *ctx, const struct netlink_link *l);
	void (*address)(void *ctx, const struct netlink_address *a);
	void (*scan_started)(void *ctx); /* all links and link-local addresses follow … */
	void (*scan_done)(void *ctx);    /* … and that was all: what was not told of is gone */
	void (*answered)(void *ctx, enum netlink_request what, unsigned ifindex, int result); /* 0 or -errno */
};

struct netlink;
int netlink_create(struct loop *l, const struct netlink_callbacks *callbacks, void *ctx, struct netlink **ret);
void netlink_destroy(struct netlink *n);

/* All asynchronous; the callbacks tell. */
void netlink_read_all(struct netlink *n);                 /* all links, then all addresses */
void netlink_read_link(struct netlink *n, unsigned ifindex);
void netlink_set_up(struct netlink *n, unsigned ifindex);
void netlink_set_mtu(struct netlink *n, unsigned ifindex, uint32_t mtu);
void netlink_add_address(struct netlink *n, unsigned ifindex, const struct in6_addr *ip); /* /64, nodad */

#endif
