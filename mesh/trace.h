/* The way that packets take to a peer which routing leads to: datagrams whose hop limits end on the way, and who says so (ICMPv6 time
 * exceeded, RFC 4443 §3.3). */
#ifndef TBMESH_MESH_TRACE_H
#define TBMESH_MESH_TRACE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

#define TRACE_HOPS 8u

struct mesh_trace;

int mesh_trace_create(struct loop *l, const struct in6_addr *self, uint16_t port, struct mesh_trace **ret);
void mesh_trace_destroy(struct mesh_trace *t);
/* Asks anew when the last time is 2 s ago. Fills the routers on the way as they were found last; returns how many: 0 none, or not
 * known yet. */
size_t mesh_trace_read(struct mesh_trace *t, const struct in6_addr *to, struct in6_addr ret[TRACE_HOPS]);

#endif
