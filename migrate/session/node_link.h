/* The way to this host's node: requests out, replies and notices in. The node may be away for a while: what was sent then is
 * delivered when it is back, what it had in its hands when it died is not. On the loop's thread. */
#ifndef TBMESH_MIGRATE_SESSION_NODE_LINK_H
#define TBMESH_MIGRATE_SESSION_NODE_LINK_H

#include <stdint.h>

#include "base/loop.h"

struct node_link;
struct Tbmesh__Request;
struct Tbmesh__Reply;

/* reply: valid during the call; id 0 is a notice. */
typedef void node_reply_fn(void *ctx, const struct Tbmesh__Reply *reply);

struct node_link *node_link_create(
	struct loop *l, const char *endpoint, node_reply_fn *reply, void *ctx); /* NULL when it cannot be */
void node_link_destroy(struct node_link *n);                                    /* NULL is fine */
/* Gives the request an id and sends it. The id, or 0 when it could not be sent now. */
uint64_t node_link_ask(struct node_link *n, struct Tbmesh__Request *request);

#endif
