/* Replies that show what the node knows. All memory comes from the arena. */
#ifndef TBMESH_NODE_VIEW_H
#define TBMESH_NODE_VIEW_H

struct arena;
struct node;
struct node_event;
struct Tbmesh__BestReply;
struct Tbmesh__BestRequest;
struct Tbmesh__Event;
struct Tbmesh__EventList;
struct Tbmesh__EventsRequest;
struct Tbmesh__GpuList;
struct Tbmesh__LinkList;
struct Tbmesh__NodeStatus;
struct Tbmesh__PeerList;
struct Tbmesh__ThunderboltList;
struct Tbmesh__Topology;

struct Tbmesh__NodeStatus *view_status(struct node *n, struct arena *a);
struct Tbmesh__PeerList *view_peers(struct node *n, struct arena *a);
struct Tbmesh__LinkList *view_links(struct node *n, struct arena *a);
struct Tbmesh__Topology *view_topology(struct node *n, struct arena *a);
struct Tbmesh__GpuList *view_gpus(struct node *n, struct arena *a);
struct Tbmesh__ThunderboltList *view_thunderbolt(struct node *n, struct arena *a);
struct Tbmesh__BestReply *view_best(
	struct node *n, const struct Tbmesh__BestRequest *r, struct arena *a); /* NULL: bad criterion */
/* NULL only when the arena has failed. */
struct Tbmesh__EventList *view_events(const struct node *n, const struct Tbmesh__EventsRequest *r, struct arena *a);
struct Tbmesh__Event *view_event(const struct node *n, const struct node_event *e, struct arena *a);

#endif
