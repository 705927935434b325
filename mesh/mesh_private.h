/* The shell around the core: what its files share. */
#ifndef TBMESH_MESH_MESH_PRIVATE_H
#define TBMESH_MESH_MESH_PRIVATE_H

#include "base/list.h"
#include "base/loop.h"
#include "base/zsock.h"
#include "mesh/control.h"
#include "mesh/core.h"
#include "mesh/feed.h"
#include "mesh/mesh.h"
#include "mesh/net.h"
#include "mesh/netlink.h"
#include "mesh/probe.h"
#include "mesh/score.h"
#include "mesh/trace.h"

#define INTERFACE_MAX_ADDRESSES 8u
#define PORT_ANSWERS_NS (5 * CORE_SECOND)

struct mesh_port_address {
	struct in6_addr ip;
	bool usable, seen;
};

/* An interface that the node gave us, as the kernel sees it. */
struct mesh_port {
	struct list link;
	struct mesh *mesh;
	unsigned ifindex;
	char name[MESH_NAME_SIZE], domain[MESH_NAME_SIZE], xdomain[MESH_NAME_SIZE];
	uint64_t negotiated_rx_bps, negotiated_tx_bps;
	bool present, seen, up, carrier;
	uint32_t mtu;
	struct mesh_port_address addresses[INTERFACE_MAX_ADDRESSES];
	size_t address_count;
	struct in6_addr own;     /* the address that manage_links adds */
	struct in6_addr address; /* the one in use while running */
	bool running;
	uint64_t running_ns; /* since then */
	uint64_t up_asked_ns, address_asked_ns;
	bool mtu_asked;
	bool warned; /* that the kernel refused something */
	struct mesh_net_port *port; /* NULL while not present */
	uint64_t traffic_at_ns, rx_bytes, tx_bytes;
};

struct pending_event {
	struct list link;
	bool is_warning;
	struct mesh_event event;
	char peer_id[MESH_ID_SIZE];
	char subject[MESH_LINK_ID_SIZE];
	char text[256]; /* of a warning */
};

struct mesh {
	struct loop *loop;
	struct mesh_callbacks callbacks;
	void *ctx;
	bool manage_links;
	uint16_t beacon_port;
	struct mesh_core *core;
	struct mesh_net *net;
	struct mesh_netlink *netlink;
	struct mesh_control *control;
	struct mesh_feed *feed; /* what nodes publish to each other */
	struct mesh_probe *probe;
	struct mesh_trace *trace; /* NULL: this node has no address that routing could lead to */
	struct in6_addr routed_self;
	struct list interfaces;
	size_t interface_count;
	struct loop_timer *timer;           /* the core's next tick */
	struct loop_timer *notify;          /* hands out events, out of the core's way */
	struct list events;                 /* of struct pending_event */
	struct mesh_score_memory memory[4]; /* by criterion */
	struct mesh_identity identity;
	char bench_peer[MESH_ID_SIZE]; /* the probe under way was asked for by mesh_bench; "" not */
	uint64_t bench_token;
	struct mesh_bench_options bench_options;
};

void mesh_rearm(struct mesh *m); /* after each call into the core */
void mesh_warn(struct mesh *m, const char *subject, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* port.c */
extern const struct mesh_netlink_callbacks mesh_port_callbacks; /* ctx: the mesh */
struct mesh_port *mesh_port_find(struct mesh *m, unsigned ifindex);
int mesh_port_set(struct mesh *m, const struct mesh_interface *i);
bool mesh_port_has_address(const struct mesh_port *i);
void mesh_port_remove(struct mesh_port *i, const char *why);
void mesh_port_recheck(struct mesh *m);

#endif
