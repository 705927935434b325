/* What a driver takes on trust, looked at before it is called: recorded commands against the objects that they name, descriptors
 * against layouts and buffers. What fails here is invalid use of Vulkan, and the workload's fault; what passes may still be invalid in ways
 * that only crash this executor. Main thread only. */
#ifndef TBMESH_MIGRATE_EXEC_CHECK_H
#define TBMESH_MIGRATE_EXEC_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "base/buf.h"
#include "migrate/exec/objects.h"

/* What sets of a layout are made of; shared by the layout, its sets, and the pipeline layouts with it. */
struct set_shape {
	unsigned references;
	uint32_t count, dynamic; /* bindings; descriptors with a dynamic offset */
	size_t descriptors;      /* in all */
	bool variable;           /* a set has its own number of its last binding's, at most the layout's */
	struct shape_binding {
		uint32_t binding, type, count;
		bool immutable; /* has samplers of its own */
	} bindings[];           /* ascending */
};
/* How many descriptors a binding has; an inline uniform block's count is bytes, and it names nothing. */
static inline uint32_t shape_descriptors(uint32_t type, uint32_t count)
{
	return type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK ? 0 : count;
}
/* Of a pipeline layout. */
struct layout_shape {
	uint32_t push_end; /* bytes of push constants */
	uint32_t set_count;
	struct set_shape *sets[]; /* one reference each */
};

/* NULL when out of memory. */
struct set_shape *set_shape_create(const VkDescriptorSetLayoutCreateInfo *info);
/* Of one set of such a layout. NULL when out of memory. */
struct set_shape *set_shape_of(const struct set_shape *layout, uint32_t last_count);
struct set_shape *set_shape_ref(struct set_shape *s);
void set_shape_unref(struct set_shape *s); /* NULL is fine */
/* layouts: the objects of info's set layouts, in order. */
struct layout_shape *layout_shape_create(
	const VkPipelineLayoutCreateInfo *info, const struct object *const *layouts, size_t layout_count);
void layout_shape_destroy(struct layout_shape *s); /* NULL is fine */

/* One recording. named: objects (const struct object *) that the command at hand names, in order; emptied by the caller. */
struct recording {
	const VkPhysicalDeviceLimits *limits;
	const struct buf *named;
	bool primary;
	bool null_descriptors; /* the feature is on */
	struct recording_state state;
	const char *fault; /* set when a check fails */
};
/* parameters: the command's decoded struct. */
bool check_command(struct recording *r, unsigned command, const void *parameters);

/* NULL: good, else what is wrong. named: as above, of the write's buffers and so on. */
const char *check_write(const struct set_shape *shape, const VkWriteDescriptorSet *write, const struct buf *named);

#endif
