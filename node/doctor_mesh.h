/* Checks of interfaces (link.*) and of the ways to peers (mesh.path, mesh.ring): rows of doctor's table. */
#ifndef TBMESH_NODE_DOCTOR_MESH_H
#define TBMESH_NODE_DOCTOR_MESH_H

struct doctor;
struct node;

void doctor_check_links(struct node *n, struct doctor *d);
void doctor_check_paths(struct node *n, struct doctor *d);

#endif
