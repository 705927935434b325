/* The UDP sockets of the mesh: one on [::]:PORT for beacons, and one on each interface that sends everything and receives
 * echoes, so that a packet cannot take another way than its link. With the kernel's receive stamps. */
#ifndef TBMESH_MESH_NET_H
#define TBMESH_MESH_NET_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "mesh/core.h"

struct mesh_net;
struct mesh_net_port; /* an interface's socket */

/* ifindex 0: came in on no mesh interface, or from an address that is not link-local. received_ns: CLOCK_REALTIME. */
typedef void mesh_net_fn(void *ctx, unsigned ifindex, const struct mesh_core_address *from, const void *data, size_t size,
	int64_t received_ns);

int mesh_net_create(struct loop *l, uint16_t port, mesh_net_fn *received, void *ctx, struct mesh_net **ret);
void mesh_net_destroy(struct mesh_net *n); /* after all ports */

/* Opens the interface's socket and joins the group there. */
int mesh_net_port_create(struct mesh_net *n, unsigned ifindex, const char *name, struct mesh_net_port **ret);
int mesh_net_port_join(
	struct mesh_net_port *p); /* again, e.g. after the interface went down and up; joined already is fine */
void mesh_net_port_destroy(struct mesh_net_port *p);

/* port NULL: by routing. to NULL: the group. local: source address, in6addr_any: the kernel's choice. 0 or -errno. */
int mesh_net_send(struct mesh_net *n, struct mesh_net_port *port, const struct in6_addr *local,
	const struct mesh_core_address *to, const void *data, size_t size);

#endif
