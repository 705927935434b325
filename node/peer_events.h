/* Events of another node of the mesh: asked for there, over the control messages between nodes. */
#ifndef TBMESH_NODE_PEER_EVENTS_H
#define TBMESH_NODE_PEER_EVENTS_H

#include <stdint.h>

struct api_route;
struct node;
struct peer_events; /* who waits for an answer */
struct Tbmesh__EventsAnswer;
struct Tbmesh__EventsAsk;
struct Tbmesh__EventsRequest;

struct peer_events *peer_events_create(struct node *n);
void peer_events_destroy(struct peer_events *p);

/* A client's question about r->host. It is answered at once, whether or not there is anything new: `follow` is for a node's own. */
void peer_events_start(
	struct peer_events *p, const struct api_route *from, uint64_t request, const struct Tbmesh__EventsRequest *r);
/* Messages of peers. */
void peer_events_asked(struct node *n, const char *peer, const struct Tbmesh__EventsAsk *m);
void peer_events_answered(struct peer_events *p, const char *peer, const struct Tbmesh__EventsAnswer *m);

#endif
