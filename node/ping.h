/* `tbmesh ping` and `tbmesh bench`: one echo or one bandwidth probe a request; the reply waits for what comes out. */
#ifndef TBMESH_NODE_PING_H
#define TBMESH_NODE_PING_H

#include <stdint.h>

#include "node/api.h"

struct node;
struct mesh_bench;
struct pings;
struct Tbmesh__BenchRequest;
struct Tbmesh__PingRequest;

struct pings *pings_create(void); /* NULL: no memory */
void pings_destroy(struct pings *p);
void ping_start(struct node *n, const struct api_route *from, uint64_t request, const struct Tbmesh__PingRequest *r);
void ping_answered(struct node *n, uint64_t token, double rtt_us); /* < 0: not answered */

void bench_start(struct node *n, const struct api_route *from, uint64_t request, const struct Tbmesh__BenchRequest *r);
void bench_done(struct node *n, uint64_t token, const struct mesh_bench *b); /* NULL: it failed */

#endif
