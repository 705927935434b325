/* Tables that gpu/generate.py makes from vk.xml. Only gpu/description*.c and gpu/image.c include this. */
#ifndef TBMESH_GPU_DESCRIPTION_TABLES_H
#define TBMESH_GPU_DESCRIPTION_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "gpu/image.h"

/* A struct that a description carries. A device may be asked for it if its API version is `core` (if not 0) or later, or if it
 * has one of the extensions. */
struct description_known {
	VkStructureType type;
	uint32_t size;
	uint32_t core;
	bool features; /* of …Features2, else of …Properties2 */
	const char *extensions[2];
};
/* A boolean or subgroup operation member. Promoted structs have members of the same name. */
struct description_member {
	VkStructureType type;
	uint32_t offset;
	const char *name;
};
struct description_limit {
	uint32_t offset;
	const char *name;
}; /* in VkPhysicalDeviceLimits */

/* What stands for several devices, of a member: the bits that both have; the smaller or greater number; what two ranges {from, to}
 * share; VkShaderFloatControlsIndependence: NONE where they differ. */
enum description_rule { COMMON_BOTH, COMMON_LEAST, COMMON_GREATEST, COMMON_RANGE, COMMON_INDEPENDENCE };
enum description_kind_of_number { COMMON_U32, COMMON_I32, COMMON_U64, COMMON_F32 };
/* Members that are not in the table describe the one device and no other: names, ids. */
struct description_common {
	VkStructureType type;
	uint32_t offset, size; /* several numbers: an array */
	enum description_kind_of_number kind;
	enum description_rule rule;
	const char *name;
};

enum description_enable { ENABLED_BY_VERSION, ENABLED_BY_EXTENSION, ENABLED_BY_MEMBER };
/* One way to have a SPIR-V capability; any of several rows is enough. */
struct description_capability {
	uint32_t capability;
	const char *name;
	enum description_enable how;
	uint32_t value;      /* least API version, or bits of the member */
	const char *subject; /* extension or member */
};

extern const struct gpu_format gpu_formats[]; /* by VkFormat */
extern const size_t gpu_format_count;
extern const struct gpu_later_format {
	VkFormat format;
	struct gpu_format blocks;
} gpu_later_formats[]; /* of Vulkan 1.3 */
extern const size_t gpu_later_format_count;
extern const struct description_known description_known[];
extern const size_t description_known_count;
extern const struct description_member description_members[];
extern const size_t description_member_count;
extern const struct description_limit description_limits[];
extern const size_t description_limit_count;
extern const struct description_common description_commons[];
extern const size_t description_common_count;
extern const struct description_capability description_capabilities[];
extern const size_t description_capability_count;

#endif
