/* Answers "which GPU?" of sessions: ranks (migrate/policy), starts the executor here or asks the peer for it, tries the
 * next on failure. */
#ifndef TBMESH_NODE_PLACEMENT_H
#define TBMESH_NODE_PLACEMENT_H

#include <stdint.h>

#include "migrate/policy/policy.h"
#include "node/api.h"

struct node;
struct placement;
struct Tbmesh__ExecutorReply;
struct Tbmesh__Need;
struct Tbmesh__Request;

struct placement *placement_create(struct node *n);
void placement_destroy(struct placement *p);
/* Both take over the request and answer it now or later. */
void placement_offer(struct placement *p, const struct api_route *from, struct Tbmesh__Request *request);
void placement_acquire(struct placement *p, const struct api_route *from, struct Tbmesh__Request *request);
void placement_inventory_changed(struct placement *p); /* looks again at what waits for a GPU */
void placement_peer_reply(struct placement *p, const char *peer, const struct Tbmesh__ExecutorReply *r);
void placement_peer_down(struct placement *p, const char *peer);

/* All GPUs as the policy wants them; texts stay the inventory's. Returns the count; the caller frees *ret. */
size_t placement_gpus(struct node *n, struct policy_gpu **ret);
/* needs of a message; the caller frees. NULL when out of memory or when there are none. */
struct gpu_need *placement_needs(struct Tbmesh__Need *const *needs, size_t count);

#endif
