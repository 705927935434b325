/* Network interfaces that the mesh may use: Thunderbolt ones as udev tells of them, others as the configuration names
 * them. Joins names with indexes: udev may tell of an interface before it is in this network namespace, or under a name
 * that it loses. */
#ifndef TBMESH_NODE_INTERFACE_H
#define TBMESH_NODE_INTERFACE_H

#include "node/device/device.h"

struct interfaces;
struct mesh;

struct interfaces *interfaces_create(void);
void interfaces_destroy(struct interfaces *i);
void interfaces_add(struct interfaces *i, struct mesh *m, const struct device_netdev *n);
void interfaces_add_named(struct interfaces *i, struct mesh *m, const char *name);
void interfaces_remove(struct interfaces *i, struct mesh *m, const struct device_netdev *n);
void interfaces_tick(struct interfaces *i, struct mesh *m); /* each second */

#endif
