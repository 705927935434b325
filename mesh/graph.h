/* Ways through the graph that nodes have flooded. Pure. */
#ifndef TBMESH_MESH_GRAPH_H
#define TBMESH_MESH_GRAPH_H

#include "mesh/mesh.h"

/* Fills confirmed, hops, path_us and via as seen from the node with this id, then sorts: by hops, then name, then id; who
 * is not reached comes last. 0 or -ENOMEM. */
int mesh_graph_solve(struct mesh_graph_node *nodes, size_t count, const char *from_id);

#endif
