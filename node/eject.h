/* Takes GPUs of this host out of use while they are still there: `tbmesh eject`. From the first moment on nothing new is placed on the
 * GPU; the programs of this host and of peers that run on it are told to leave it, which they do with a checkpoint at a quiet point
 * (proto/README.md §1.11); when the last executor has ended, it is safe to unplug. When a program can't leave, nothing is ejected, and the
 * user is told which and why; with force such programs lose the GPU instead. All calls from the loop's thread. */
#ifndef TBMESH_NODE_EJECT_H
#define TBMESH_NODE_EJECT_H

#include <stdint.h>

#include "node/api.h"

struct ejects;
struct node;
struct Tbmesh__EjectRequest;
struct Tbmesh__LeaveReply;
struct Tbmesh__LeaveRequest;

struct ejects *ejects_create(struct node *n);
void ejects_destroy(struct ejects *e);
/* Answers now or later. */
void eject_start(struct ejects *e, const struct api_route *from, uint64_t request, const struct Tbmesh__EjectRequest *r);
void eject_look(struct ejects *e); /* programs have reported, or executors have ended */
/* A peer ejects a GPU on which programs of this host may run; what became of what we asked a peer. */
void eject_peer_asks(struct ejects *e, const char *peer, const struct Tbmesh__LeaveRequest *r);
void eject_peer_replied(struct ejects *e, const char *peer, const struct Tbmesh__LeaveReply *r);
void eject_peer_down(struct ejects *e, const char *peer);

#endif
