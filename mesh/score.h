/* Which peer is best for what: one scoring function, every term named. Pure. */
#ifndef TBMESH_MESH_SCORE_H
#define TBMESH_MESH_SCORE_H

#include "mesh/mesh.h"

struct mesh_score_input {
	struct mesh_peer_info peer;
	bool has_facts;
	struct mesh_facts facts;
};

/* What hysteresis has to remember of one criterion. Zero-initialised is empty. */
struct mesh_score_memory {
	char best[MESH_ID_SIZE];       /* the choice that stands */
	char challenger[MESH_ID_SIZE]; /* clearly better since … */
	uint64_t since_ns;
	uint64_t asked_ns; /* a choice that nobody has asked for in a minute stands no longer */
};

/* Fills ret[0 … count - 1], best first. q->facts is not called. */
void mesh_score_rank(const struct mesh_query *q, const struct mesh_score_input *inputs, size_t count,
	struct mesh_score_memory *memory, uint64_t now_ns, struct mesh_candidate *ret);

#endif
