/* The workload's objects by id. Ids come from the program's ICD; each is used for one object only. Main thread only. */
#ifndef TBMESH_MIGRATE_EXEC_OBJECTS_H
#define TBMESH_MIGRATE_EXEC_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

struct image;
struct layout_shape;
struct memory;
struct set_pool;
struct set_shape;

/* What checks of a recording's next commands must know of those in front. */
struct recording_state {
	bool has_pipeline, has_graphics, in_pass;
	bool in_rendering;   /* a pass without objects */
	unsigned index_size; /* of the bound index buffer; 0: none */
	uint64_t index_left; /* its bytes */
};

struct object {
	uint64_t id; /* never 0 */
	VkObjectType type;
	/* False: an object that the log still names but that nothing can be done with (a buffer without memory, a buffer view
	 * of such a buffer, a command buffer whose recording names dead objects). Whoever needs it is skipped. */
	bool usable;
	bool primary;  /* command buffer: level */
	bool graphics; /* pipeline: of draws */
	/* Command buffer: a recording of which parts are still to come. next: key of the next one, 0 none. */
	struct open_recording {
		uint32_t serial, count, next;
		struct recording_state state;
	} open;
	uint64_t handle;        /* the real one; 0: none was made */
	VkDeviceSize size;      /* buffer: bytes; query pool: queries */
	uint64_t bound, offset; /* buffer: where it is, id of the memory; 0 not bound */
	struct image *image;    /* owned */
	struct memory *memory;  /* VK_OBJECT_TYPE_DEVICE_MEMORY: owned */
	struct set_pool *pool;  /* descriptor set: where it came from, not owned */
	/* What the real driver may still look at although the program has destroyed it (holds.h). */
	unsigned holds;        /* by descriptors and views */
	bool gone;             /* destroyed by the program: no entry of the table any more, ends with its last hold */
	struct object *under;  /* buffer view, image view: what it shows; a hold */
	struct object **named; /* descriptor set: two places for each descriptor, a hold each; owned */
	size_t named_count;
	/* descriptor set layout: how many descriptors of each core type a set takes; owned */
	struct set_need *need;
	struct set_shape *shape;      /* descriptor set layout and set: a reference (check.h) */
	struct layout_shape *layout;  /* pipeline layout: owned */
	uint32_t attachments, clears; /* render pass, framebuffer: how many; render pass: clear values that must be there */
	bool imageless;               /* framebuffer: the pass names its views */
	uint32_t values;              /* query pool: of each query */
};

struct objects {
	struct object **slots;  /* open addressing; owned */
	size_t count, capacity; /* capacity: power of two or 0 */
};

void objects_finish(struct objects *o);                            /* frees the entries, not what they name */
struct object *objects_find(const struct objects *o, uint64_t id); /* NULL: no such object */
/* NULL when out of memory, id is 0 or already there. */
struct object *objects_add(struct objects *o, uint64_t id, VkObjectType type);
/* Takes the entry out of the table and leaves it to the caller, who frees it. */
void objects_take(struct objects *o, struct object *object);
void object_free(struct object *object);
/* Both. */
void objects_remove(struct objects *o, struct object *object);

#endif
