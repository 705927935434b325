/* The bandwidth probe: short bulk transfers over TCP, link by link and then over all at once, in a thread of its own. Who receives counts.
 * The loop only negotiates and hears the result. */
#ifndef TBMESH_MESH_PROBE_H
#define TBMESH_MESH_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "mesh/core.h"

struct Tbmesh__PeerMessage;
struct probe;

struct probe_callbacks {
	int (*send)(void *ctx, const char *peer_id, struct Tbmesh__PeerMessage *m);
	bool (*accept)(void *ctx, const char *peer_id); /* is this node free? */
	void (*done)(void *ctx, const char *peer_id, const struct core_probe_rate *rates, size_t count, uint64_t aggregate_up_bps,
		uint64_t aggregate_down_bps, uint64_t duration_ns, bool unsteady);
	void (*failed)(void *ctx, const char *peer_id, const char *why);
};

int probe_create(struct loop *l, const struct probe_callbacks *callbacks, void *ctx, struct probe **ret);
void probe_destroy(struct probe *p); /* ends a running probe */

void probe_ask(struct probe *p, const struct core_peer *peer);
/* Bodies ProbeRequest, ProbeReply and ProbeResult. Hostile. */
void probe_message(struct probe *p, const struct core_peer *peer, const struct Tbmesh__PeerMessage *m);

#endif
