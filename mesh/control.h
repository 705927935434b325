/* Control messages to and from peers: ZeroMQ with CURVE, one socket in, one out for each peer over its best link. Messages carry their own
 * numbers, so that each arrives once and in order, whatever connections come and go. */
#ifndef TBMESH_MESH_CONTROL_H
#define TBMESH_MESH_CONTROL_H

#include <stdint.h>

#include "base/loop.h"
#include "base/zsock.h"
#include "mesh/core.h"
#include "mesh/identity.h"

struct Tbmesh__PeerMessage;
struct control;

struct control_callbacks {
	/* A message from this incarnation of the peer? false: drop it. */
	bool (*accept)(void *ctx, const char *peer_id, uint64_t incarnation);
	void (*message)(void *ctx, const char *peer_id, const struct Tbmesh__PeerMessage *m); /* has a body */
};

int control_create(struct loop *l, struct zctx *z, const struct mesh_identity *identity, uint64_t incarnation, uint16_t port,
	const struct control_callbacks *callbacks, void *ctx, struct control **ret);
void control_destroy(struct control *c);
uint16_t control_port(const struct control *c);
unsigned control_refused(const struct control *c);

int control_admit(struct control *c, const struct core_peer *p);
void control_expel(struct control *c, const struct core_peer *p);
void control_restarted(struct control *c, const struct core_peer *p);
void control_route(struct control *c, const struct core_peer *p);

/* Sets the envelope of `message`, queues it. -ENOENT, -ENOBUFS, -EMSGSIZE, -EBADMSG. */
int control_send(struct control *c, const char *peer_id, struct Tbmesh__PeerMessage *message);

#endif
