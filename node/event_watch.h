/* Events of other nodes, for clients of this one. A client asks for those of one peer or of all nodes, gets what there is, and with
 * `follow` waits for more: between its questions the node holds a watch for it. Each peer that a watch follows is subscribed to (mesh.h:
 * mesh_subscribe); what is missing is asked for over the control messages (EventsAsk). Contract: proto/README.md §3. */
#ifndef TBMESH_NODE_EVENT_WATCH_H
#define TBMESH_NODE_EVENT_WATCH_H

#include <stdint.h>

struct api_route;
struct event_watches;
struct node;
struct Tbmesh__EventsAnswer;
struct Tbmesh__EventsAsk;
struct Tbmesh__EventsRequest;
struct Tbmesh__PeerMessage;

struct event_watches *event_watches_create(struct node *n);
void event_watches_destroy(struct event_watches *all); /* before the mesh */

/* A client's question with `host` or `all`. */
void event_watches_start(
	struct event_watches *all, const struct api_route *from, uint64_t request, const struct Tbmesh__EventsRequest *r);
void event_watches_own(struct event_watches *all); /* this node has a new one */

/* What peers say. */
void event_watches_asked(struct node *n, const char *peer, const struct Tbmesh__EventsAsk *m);
void event_watches_answered(struct event_watches *all, const char *peer, const struct Tbmesh__EventsAnswer *m);
void event_watches_published(struct event_watches *all, const char *peer, const struct Tbmesh__PeerMessage *m);
void event_watches_subscribed(struct event_watches *all, const char *peer);
/* Its NodeState: where it publishes, and its last number. */
void event_watches_told(struct event_watches *all, const char *peer, uint64_t incarnation, uint64_t last, uint32_t port);
void event_watches_peer_down(struct event_watches *all, const char *peer);

#endif
