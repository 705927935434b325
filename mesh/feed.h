/* What nodes publish to each other: ZeroMQ XPUB with CURVE, behind the ZAP list of mesh/control.h. A node subscribes to a peer only
 * while somebody asks. What is published may be lost (a slow subscriber, a cable that is pulled): the receiver sees it by the
 * numbers in it, and asks over the control messages. Topics: README.md of proto/, §3.2. */
#ifndef TBMESH_MESH_FEED_H
#define TBMESH_MESH_FEED_H

#include <stdint.h>

#include "base/loop.h"
#include "base/zsock.h"
#include "mesh/core.h"
#include "mesh/identity.h"

struct Tbmesh__PeerMessage;
struct mesh_feed;

struct mesh_feed_callbacks {
	/* A validated message that this peer published; has a body. May unsubscribe. */
	void (*published)(void *ctx, const char *peer_id, const struct Tbmesh__PeerMessage *m);
	/* From now on all that the peer publishes is on its way here; what came before may be missing. Once for each connection. */
	void (*subscribed)(void *ctx, const char *peer_id);
};

/* After mesh_control_create (the ZAP list runs then), destroyed before it. port 0: any. callbacks and identity stay the caller's. */
int mesh_feed_create(struct loop *l, struct zctx *z, const struct mesh_identity *identity, uint64_t incarnation,
	uint16_t port, const struct mesh_feed_callbacks *callbacks, void *ctx, struct mesh_feed **ret);
void mesh_feed_destroy(struct mesh_feed *f);
uint16_t mesh_feed_port(const struct mesh_feed *f);

/* Sets sender and incarnation, sends to all who listen; who is slow loses it. -EBADMSG, -EMSGSIZE. */
int mesh_feed_publish(struct mesh_feed *f, const char *topic, struct Tbmesh__PeerMessage *message);
/* port: where the peer publishes, as it said itself. Again: another port, or nothing. 0 or -ENOMEM. */
int mesh_feed_subscribe(struct mesh_feed *f, const struct mesh_core_peer *p, uint16_t port);
void mesh_feed_unsubscribe(struct mesh_feed *f, const char *peer_id);
void mesh_feed_route(struct mesh_feed *f, const struct mesh_core_peer *p); /* the peer is reached by another link now */

#endif
