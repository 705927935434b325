/* `tbmesh ping`: one echo a request; the reply waits for its answer, about a second at most. */
#ifndef TBMESH_NODE_PING_H
#define TBMESH_NODE_PING_H

#include <stdint.h>

#include "node/api.h"

struct node;
struct pings;
struct Tbmesh__PingRequest;

struct pings *pings_create(void); /* NULL: no memory */
void pings_destroy(struct pings *p);
void ping_start(struct node *n, const struct api_route *from, uint64_t request, const struct Tbmesh__PingRequest *r);
void ping_answered(struct node *n, uint64_t token, double rtt_us); /* < 0: not answered */

#endif
