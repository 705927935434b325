/* When real objects end. Vulkan lets a descriptor set go on being bound although what some of its descriptors name is destroyed, as long
 * as no shader uses these. Drivers differ in what they do with such descriptors (lavapipe 22 takes references to what was there), and an
 * executor makes and destroys in another rhythm than the program would, so that what is harmless there would kill us. So a real buffer,
 * view, image or sampler stays until no living set names it, a buffer or image until no living view shows it. Their memory goes when
 * the program says so. Main thread only. */
#ifndef TBMESH_MIGRATE_EXEC_HOLDS_H
#define TBMESH_MIGRATE_EXEC_HOLDS_H

#include <stdbool.h>
#include <vulkan/vulkan.h>

#include "base/buf.h"
#include "migrate/exec/objects.h"

struct executor;

/* Of a new view. named: objects (struct object *) that its creation names, the buffer or image first. */
void holds_view(struct object *view, const struct buf *named);
/* Of a new set with its shape. false: out of memory. */
bool holds_set(struct object *set);
/* A set's descriptors are what this checked write says. named: as it names them, in order. */
void holds_write(struct executor *x, struct object *set, const VkWriteDescriptorSet *write, const struct buf *named);
/* The end of an object that is in no table any more: now, or when nothing holds it. */
void holds_destroy(struct executor *x, struct object *object);

#endif
