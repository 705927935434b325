/* The bandwidth probe: short bulk transfers over TCP, link by link and then over all at once, in a thread of its own. Who
 * receives counts. The loop only negotiates and hears the result. */
#ifndef TBMESH_MESH_PROBE_H
#define TBMESH_MESH_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "mesh/core.h"

struct Tbmesh__PeerMessage;
struct mesh_probe;

struct mesh_probe_callbacks {
	int (*send)(void *ctx, const char *peer_id, struct Tbmesh__PeerMessage *m);
	bool (*accept)(void *ctx, const char *peer_id); /* is this node free? */
	void (*done)(void *ctx, const char *peer_id, const struct mesh_core_probe_rate *rates, size_t count,
		uint64_t aggregate_up_bps, uint64_t aggregate_down_bps, uint64_t duration_ns, bool unsteady);
	void (*failed)(void *ctx, const char *peer_id, const char *why);
};

int mesh_probe_create(struct loop *l, const struct mesh_probe_callbacks *callbacks, void *ctx, struct mesh_probe **ret);
void mesh_probe_destroy(struct mesh_probe *p); /* ends a running probe */

/* options NULL: one stream a link, both ways; else a person asked for it, and its duration is told as 0. */
void mesh_probe_ask(struct mesh_probe *p, const struct mesh_core_peer *peer, const struct mesh_bench_options *options);
/* Bodies ProbeRequest, ProbeReply and ProbeResult. Hostile. */
void mesh_probe_message(struct mesh_probe *p, const struct mesh_core_peer *peer, const struct Tbmesh__PeerMessage *m);

#endif
