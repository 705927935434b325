/* Descriptor set layouts, pools and sets. Sets keep their contents: the analysis of recordings reads them. */
#ifndef TBMESH_MIGRATE_ICD_DESCRIPTOR_H
#define TBMESH_MIGRATE_ICD_DESCRIPTOR_H

#include "migrate/icd/image.h"
#include "migrate/icd/memory.h"

#define ICD_POOL_TYPES 11u /* VK_DESCRIPTOR_TYPE_SAMPLER … INPUT_ATTACHMENT */

struct icd_binding {
	uint32_t binding;
	VkDescriptorType type;
	uint32_t count;         /* of an inline block: bytes */
	uint32_t first;         /* index of its first descriptor in a set; of an inline block: offset of its bytes */
	uint32_t first_dynamic; /* index of its first dynamic offset, for dynamic types */
	VkShaderStageFlags stages;
	bool immutable; /* has its samplers in the layout */
	bool late;      /* UPDATE_AFTER_BIND: what its descriptors are counts at submission, not while recording */
};

/* Sets and pipeline layouts refer to it after the program destroyed it. */
struct icd_set_layout {
	struct icd_object object;
	_Atomic unsigned references;
	uint32_t descriptor_count, dynamic_count, binding_count;
	uint32_t needs[ICD_POOL_TYPES];      /* descriptors of a set by type */
	uint32_t inline_bytes, inline_count; /* of inline uniform blocks, which have no descriptors */
	bool variable;                       /* the last binding's count is its most: each set has its own */
	bool late_pool;                      /* UPDATE_AFTER_BIND_POOL: other limits hold */
	struct icd_binding bindings[];       /* ascending */
};

struct icd_pipeline_layout {
	struct icd_object object;
	_Atomic unsigned references; /* the program's, and one of each recording that names it */
	uint32_t set_count;
	struct icd_set_layout *sets[ICD_MAX_SETS]; /* referenced; may be NULL */
};

struct icd_descriptor {
	struct icd_buffer *buffer;    /* referenced */
	uint64_t offset, range;       /* as written: may be VK_WHOLE_SIZE */
	struct icd_buffer_view *view; /* referenced */
	struct icd_image_view *image; /* referenced */
	struct icd_sampler *sampler;  /* referenced */
	bool written;                 /* with VK_NULL_HANDLE perhaps */
};

struct icd_set {
	struct icd_object object;
	struct icd_pool *pool;         /* NULL: pushed descriptors of a command buffer */
	struct list link;              /* in the pool */
	struct icd_set_layout *layout; /* referenced */
	uint32_t last_count;           /* elements of its last binding */
	uint32_t descriptor_count;     /* in all */
	uint32_t written_end;          /* behind the last one that was ever written */
	unsigned char *inline_bytes;   /* of its inline uniform blocks; behind the descriptors */
	struct icd_descriptor descriptors[];
};

struct icd_pool {
	struct icd_object object;
	uint32_t max_sets, set_count;
	uint32_t left[ICD_POOL_TYPES];
	uint32_t inline_bytes, inline_count; /* left */
	struct list sets;
};

struct icd_template {
	struct icd_object object;
	uint32_t set;              /* of push descriptors */
	VkPipelineBindPoint point; /* the same */
	uint32_t entry_count;
	VkDescriptorUpdateTemplateEntry entries[];
};

struct icd_set_layout *icd_set_layout_ref(struct icd_set_layout *l);
void icd_set_layout_unref(struct icd_set_layout *l);
const struct icd_binding *icd_set_layout_find(const struct icd_set_layout *l, uint32_t binding);
void icd_pipeline_layout_free(struct icd_pipeline_layout *l);
/* A recording may be submitted after its layouts are destroyed: the log hears of it when the last reference goes. */
void icd_pipeline_layout_unref(struct icd_device *d, struct icd_pipeline_layout *l);
void icd_layout_tell_needs(struct icd_device *d, const struct icd_pipeline_layout *l);

/* Samplers and images with or without them. */
bool icd_is_image(VkDescriptorType type);
/* A set without a pool; NULL when out of memory. variable_count: of the last binding, where the layout leaves it open. */
struct icd_set *icd_set_create(struct icd_set_layout *layout, uint32_t variable_count);
/* Elements of one of the layout's bindings in this set. */
uint32_t icd_set_count(const struct icd_set *s, const struct icd_binding *b);
void icd_set_free(struct icd_set *s);
/* Stores what a write says. d: also tells the log (dstSet is the set); NULL: pushed descriptors, the recording tells. */
VkResult icd_set_write(struct icd_device *d, struct icd_set *s, const VkWriteDescriptorSet *write);
#endif
