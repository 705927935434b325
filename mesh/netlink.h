/* rtnetlink: what the kernel says of network devices, and the few things that the node asks of it. Lost messages
 * (ENOBUFS) lead to a rescan by itself. */
#ifndef TBMESH_MESH_NETLINK_H
#define TBMESH_MESH_NETLINK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

struct mesh_netlink_link {
	unsigned ifindex;
	const char *name;
	bool gone; /* RTM_DELLINK */
	bool up;   /* administratively */
	bool carrier;
	uint32_t mtu;
	uint64_t rx_bytes, tx_bytes;
};
struct mesh_netlink_address { /* link-local ones only */
	unsigned ifindex;
	struct in6_addr ip;
	bool gone;
	bool usable; /* not tentative, not a duplicate */
};
enum mesh_netlink_request { NETLINK_SET_UP, NETLINK_SET_MTU, NETLINK_ADD_ADDRESS };
struct mesh_netlink_callbacks {
	void (*link)(void *ctx, const struct mesh_netlink_link *l);
	void (*address)(void *ctx, const struct mesh_netlink_address *a);
	void (*scan_started)(void *ctx); /* all links and link-local addresses follow … */
	void (*scan_done)(void *ctx);    /* … and that was all: what was not told of is gone */
	void (*answered)(void *ctx, enum mesh_netlink_request what, unsigned ifindex, int result); /* 0 or -errno */
};

struct mesh_netlink;
int mesh_netlink_create(
	struct loop *l, const struct mesh_netlink_callbacks *callbacks, void *ctx, struct mesh_netlink **ret);
void mesh_netlink_destroy(struct mesh_netlink *n);

/* All asynchronous; the callbacks tell. */
void mesh_netlink_read_all(struct mesh_netlink *n); /* all links, then all addresses */
void mesh_netlink_read_link(struct mesh_netlink *n, unsigned ifindex);
void mesh_netlink_set_up(struct mesh_netlink *n, unsigned ifindex);
void mesh_netlink_set_mtu(struct mesh_netlink *n, unsigned ifindex, uint32_t mtu);
/* nodad; a link-local one as /64, others as /128. */
void mesh_netlink_add_address(struct mesh_netlink *n, unsigned ifindex, const struct in6_addr *ip);
/* Over which interface the kernel would send there now; 0: over none. Does not wait. */
unsigned mesh_netlink_route(const struct in6_addr *to);

#endif
