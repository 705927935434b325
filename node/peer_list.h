/* What another node of the mesh shows of its host, asked for there over the control messages: its Thunderbolt buses, its GPUs with all
 * that it knows of them. */
#ifndef TBMESH_NODE_PEER_LIST_H
#define TBMESH_NODE_PEER_LIST_H

#include <stdint.h>

struct api_route;
struct node;
struct peer_lists; /* who waits for an answer */
struct Tbmesh__ListAnswer;
struct Tbmesh__ListAsk;

enum peer_list { PEER_LIST_THUNDERBOLT = 1, PEER_LIST_GPUS = 2 }; /* ListAsk.which */

struct peer_lists *peer_lists_create(struct node *n);
void peer_lists_destroy(struct peer_lists *p);

/* A client's question about the peer called host. */
void peer_lists_start(
	struct peer_lists *p, const struct api_route *from, uint64_t request, enum peer_list which, const char *host);
/* Messages of peers. */
void peer_lists_asked(struct node *n, const char *peer, const struct Tbmesh__ListAsk *m);
void peer_lists_answered(struct peer_lists *p, const char *peer, const struct Tbmesh__ListAnswer *m);

#endif
