/* What a node says of itself to the whole mesh: signed, versioned by (origin, incarnation, seq), passed on as it is. Every
 * node keeps the newest of each, which is the whole graph. Fixed form, little-endian. Pure. */
#ifndef TBMESH_MESH_STATEMENT_H
#define TBMESH_MESH_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mesh/mesh.h"

#define STATEMENT_HEAD_SIZE 128u
#define STATEMENT_LINK_SIZE 44u
#define STATEMENT_SIGNATURE_SIZE 64u
#define STATEMENT_MAX_SIZE (STATEMENT_HEAD_SIZE + MESH_GRAPH_LINKS * STATEMENT_LINK_SIZE + STATEMENT_SIGNATURE_SIZE)

struct mesh_statement_link {
	uint8_t neighbour[8];
	char interface[MESH_SHORT_NAME_SIZE]; /* "" a static peer's; MESH_ROUTED */
	enum mesh_link_state state;           /* up or suspect: what is down is left out */
	enum mesh_bandwidth_source up_source, down_source;
	uint32_t p50_100ns, p99_100ns; /* 0: not measured */
	uint32_t up_kbps, down_kbps;   /* 0: not measured */
};
struct mesh_statement {
	uint8_t public_key[32];
	uint64_t incarnation, seq;
	char name[MESH_NAME_SIZE];
	uint16_t gpus, cpu_load_percent;
	uint32_t memory_free_mib;
	size_t link_count;
	struct mesh_statement_link links[MESH_GRAPH_LINKS];
};

size_t mesh_statement_encode(const struct mesh_statement *s, const uint8_t secret_key[64], uint8_t out[STATEMENT_MAX_SIZE]);
/* Form and bounds alone: what is needed to see whether the rest is worth while. 0 or -EBADMSG */
int mesh_statement_decode(const void *data, size_t size, struct mesh_statement *ret);
bool mesh_statement_signed(const void *data, size_t size); /* by its origin; size is a decoded one's */

/* Names reach terminals and logs: printable ASCII, never empty; the buffer ends with NUL afterwards. */
bool mesh_clean_name(char *name, size_t size);

#endif
