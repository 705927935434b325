/* Shader modules come from strangers, and drivers trust them: each is checked before the driver sees it, its capabilities against
 * what the VkDevice was made with, all the rest by SPIRV-Tools for Vulkan 1.2 (SPIR-V specification 1.6, Vulkan appendix A). A
 * module with conversions of a value to its own type, as some compilers write them, passes if it is valid but for these. A
 * module with a capability that was enabled and that this version of SPIRV-Tools does not know cannot be judged, and passes. What
 * passed once is remembered by its SHA-256, also in a file beside the pipelines, so that a second start costs a hash. Main thread
 * only. */
#ifndef TBMESH_MIGRATE_EXEC_SHADER_CHECK_H
#define TBMESH_MIGRATE_EXEC_SHADER_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migrate/exec/device.h"

#define SHADER_DIGEST_BYTES 32u

struct shader_check {
	const struct device *device;             /* set at creation */
	void *context, *options;                 /* of SPIRV-Tools */
	char *path;                              /* NULL: not kept; owned */
	unsigned char head[SHADER_DIGEST_BYTES]; /* of the file: tells by what its modules were checked */
	/* Digests of good modules: open addressing, all zero is free. */
	unsigned char *slots;   /* owned */
	size_t count, capacity; /* capacity: power of two or 0 */
	bool changed;           /* since the last save */
};

/* directory: NULL, keep nothing. False: out of memory. */
bool shader_check_init(struct shader_check *c, const struct device *d, const char *directory);
/* Does SPIRV-Tools know this capability (SpvCapability)? */
bool shader_check_can_judge(const struct shader_check *c, uint32_t capability);
/* True: the driver may have it. Else why not, in words. */
bool shader_check_module(struct shader_check *c, const uint32_t *code, size_t size_bytes, char *why, size_t why_size);
/* Writes the file if modules were checked since. Call it when there is nothing else to do. */
void shader_check_save(struct shader_check *c);
void shader_check_finish(struct shader_check *c);

#endif
