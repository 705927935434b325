/* The words for people and documents. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "mesh/mesh.h"

static const char *const peer_states[] = {
	[MESH_PEER_UP] = "up", [MESH_PEER_SUSPECT] = "suspect", [MESH_PEER_DEAD] = "dead"
};
static const char *const link_states[] = {
	[MESH_LINK_UP] = "up", [MESH_LINK_SUSPECT] = "suspect", [MESH_LINK_DOWN] = "down"
};
static const char *const sources[] = { [MESH_SOURCE_NONE] = "",
	[MESH_SOURCE_PROBE] = "probe",
	[MESH_SOURCE_TRAFFIC] = "traffic",
	[MESH_SOURCE_NEGOTIATED] = "negotiated" };
static const char *const criteria[] = { [MESH_FOR_LATENCY] = "latency",
	[MESH_FOR_FRAMES] = "frames",
	[MESH_FOR_OFFLOAD] = "offload",
	[MESH_FOR_CHECKPOINT] = "checkpoint" };

const char *mesh_peer_state_name(enum mesh_peer_state s)
{
	return peer_states[s];
}

const char *mesh_link_state_name(enum mesh_link_state s)
{
	return link_states[s];
}

const char *mesh_bandwidth_source_name(enum mesh_bandwidth_source s)
{
	return sources[s];
}

const char *mesh_criterion_name(enum mesh_criterion c)
{
	return criteria[c];
}

int mesh_criterion_parse(const char *name, enum mesh_criterion *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(criteria); i++) {
		if (strcmp(name, criteria[i]) == 0) {
			*ret = (enum mesh_criterion)i;
			return 0;
		}
	}
	return -EINVAL;
}
