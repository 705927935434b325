#ifndef TBMESH_NODE_DOCTOR_DEVICES_H
#define TBMESH_NODE_DOCTOR_DEVICES_H

#include "node/doctor.h"

void doctor_check_thunderbolt(
	struct node *n, struct doctor *d); /* thunderbolt.authorized, thunderbolt.protection, thunderbolt.bus */

#endif
