/* GPUs that their user has taken out of use (`tbmesh eject`), kept over a restart of the node: until they are plugged, or
 * plugged in anew. */
#ifndef TBMESH_NODE_EJECTED_H
#define TBMESH_NODE_EJECTED_H

#include <stdbool.h>
#include <stdint.h>

struct ejected;

/* path: the file; what is no entry in it is left out. boot: of this run of the kernel, NULL: as it says. */
struct ejected *ejected_create(const char *path, const char *boot);
void ejected_destroy(struct ejected *e);
/* gpu: its PCI address, or its id where it has none. incarnation: of struct device_gpu, 0 unknown. Written at once; 0 or -errno. */
int ejected_add(struct ejected *e, const char *gpu, uint64_t incarnation);
int ejected_remove(struct ejected *e, const char *gpu);
bool ejected_has(const struct ejected *e, const char *gpu);
/* A device is there: the first one since the start may be what was there all the time; any other is another one, and not
 * ejected. Returns whether it is. */
bool ejected_arrived(struct ejected *e, const char *gpu, uint64_t incarnation);

#endif
