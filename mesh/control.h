/* Control messages to and from peers: ZeroMQ with CURVE, one socket in, one out for each peer over its best link.
 * Messages carry their own numbers, so that each arrives once and in order, whatever connections come and go. */
#ifndef TBMESH_MESH_CONTROL_H
#define TBMESH_MESH_CONTROL_H

#include <stdint.h>

#include "base/loop.h"
#include "base/zsock.h"
#include "mesh/core.h"
#include "mesh/identity.h"

#define MESH_ENDPOINT_SIZE 128

struct Tbmesh__PeerMessage;
struct mesh_control;

struct mesh_control_callbacks {
	/* A message from this incarnation of the peer? false: drop it. */
	bool (*accept)(void *ctx, const char *peer_id, uint64_t incarnation);
	void (*message)(void *ctx, const char *peer_id, const struct Tbmesh__PeerMessage *m); /* has a body */
};

int mesh_control_create(struct loop *l, struct zctx *z, const struct mesh_identity *identity, uint64_t incarnation,
	uint16_t port, const struct mesh_control_callbacks *callbacks, void *ctx, struct mesh_control **ret);
void mesh_control_destroy(struct mesh_control *c);
uint16_t mesh_control_port(const struct mesh_control *c);
unsigned mesh_control_refused(const struct mesh_control *c);

int mesh_control_admit(struct mesh_control *c, const struct mesh_core_peer *p);
void mesh_control_expel(struct mesh_control *c, const struct mesh_core_peer *p);
void mesh_control_restarted(struct mesh_control *c, const struct mesh_core_peer *p);
void mesh_control_route(struct mesh_control *c, const struct mesh_core_peer *p);

/* ZeroMQ's name of a TCP port of that peer over its best link; "": no link is up. */
void mesh_control_endpoint(const struct mesh_core_peer *p, uint16_t port, char ret[MESH_ENDPOINT_SIZE]);
/* On [::]: a listener on an interface's own address never answers again once that was re-created. port 0: any. */
int mesh_control_bind(struct zsock *s, uint16_t port, uint16_t *ret_port);

/* Sets the envelope of `message`, queues it. -ENOENT, -ENOBUFS, -EMSGSIZE, -EBADMSG. */
int mesh_control_send(struct mesh_control *c, const char *peer_id, struct Tbmesh__PeerMessage *message);

#endif
