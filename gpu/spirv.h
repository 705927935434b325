/* What a SPIR-V module says about itself, as far as a driver that hands it on must know. Walks the words once; safe on malformed
 * modules (they are refused or give less, never read out of bounds). SPIR-V specification 1.6, sections 2.3 and 3. */
#ifndef TBMESH_GPU_SPIRV_H
#define TBMESH_GPU_SPIRV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

struct spirv_variable { /* several may share one binding: it is written if any of them can be */
	uint32_t set, binding;
	VkDescriptorType type; /* never a dynamic one: the layout tells. VK_DESCRIPTOR_TYPE_MAX_ENUM: none that we know */
	uint32_t count;        /* of an array, 1 of a single one, 0 of a runtime array */
	bool non_writable; /* can't be written through this variable: by its type, its decoration or those of all members */
};

struct spirv_info {
	uint32_t version;       /* as in the header: 0x00010300 is 1.3 */
	uint32_t *capabilities; /* SpvCapability, owned */
	size_t capability_count;
	struct spirv_variable *variables; /* of the whole module, also those that the entry point does not use; owned */
	size_t variable_count;
	bool uses_subgroups;      /* some capability makes results depend on the subgroup size */
	bool has_entry;           /* the GLCompute entry point is there; else the rest is 0 */
	uint32_t local_size[3];   /* with the specialization */
	bool local_size_known;    /* false: an expression that we do not evaluate */
	uint64_t workgroup_bytes; /* shared memory, without padding: a lower bound */
};

/* entry: name of the compute entry point, may be NULL (any). specialization: may be NULL (defaults). The module must be in the
 * host's byte order. 0 (then spirv_info_finish), -EBADMSG: not a valid module, -ENOMEM. */
int spirv_reflect(const uint32_t *code, size_t size_bytes, const char *entry, const VkSpecializationInfo *specialization,
	struct spirv_info *ret);
void spirv_info_finish(struct spirv_info *info);
/* Does this capability (SpvCapability) make results depend on the subgroup size? */
bool spirv_is_subgroup_capability(uint32_t capability);

#endif
