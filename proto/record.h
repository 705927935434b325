/* Records of the workload log. Contract: proto/README.md §1.2. Plain data; no function here touches shared memory. */
#ifndef TBMESH_PROTO_RECORD_H
#define TBMESH_PROTO_RECORD_H

#include <stdint.h>

/* A record starts at a multiple of 8 bytes; its size is a multiple of 8 and includes header, deps and payload. */
#define RECORD_ALIGN 8u
#define RECORD_MAX_BYTES (32u << 20) /* WRITEs are kept far smaller, and long recordings come in parts */
#define RECORD_PART_BYTES (8u << 20) /* of commands in one part, unless a single command is larger */
#define RECORD_MAX_DEPS 65535u

enum record_kind {
	RECORD_CREATE = 1,
	RECORD_UPDATE = 2,
	RECORD_DESTROY = 3,
	RECORD_ALLOCATE = 4,
	RECORD_FREE = 5,
	RECORD_WRITE = 6,
	RECORD_SUBMIT = 7,
	RECORD_NEED = 8,
	RECORD_COPY = 9,
};

struct record_header {
	uint32_t size;      /* bytes, all of the record */
	uint16_t kind;      /* enum record_kind */
	uint16_t dep_count; /* uint64_t ids follow the header */
	uint64_t subject;   /* object id; SUBMIT: seq; NEED: 0 */
	uint64_t key;       /* UPDATE: which part; NEED: kind << 32 | index; else 0 */
	uint64_t observed;  /* highest seq the program had seen complete */
};

/* Payload of RECORD_ALLOCATE. */
enum memory_class {
	MEMORY_DEVICE_LOCAL = 0,
	MEMORY_HOST_COHERENT = 1,
	MEMORY_HOST_CACHED = 2,
};
struct record_allocate {
	uint64_t size_bytes;   /* as the program asked, rounded up to 256 */
	uint32_t memory_class; /* enum memory_class */
	uint32_t reserved;
};

/* Payload of a command buffer's UPDATE whose key k is not 0: part k of a recording that one record has no room for. This, then
 * commands. */
struct record_part {
	uint32_t serial; /* of the recording: the next one of this command buffer has another */
	uint32_t count;  /* parts: their keys are 1 to count */
};

/* Payload of RECORD_WRITE: run_count runs, then the bytes of all runs back to back, then padding to 8.
 * Runs ascend and do not overlap. */
struct record_run {
	uint64_t offset; /* bytes into the memory */
	uint64_t size;   /* bytes, > 0 */
};
struct record_write {
	uint32_t run_count;
	uint32_t reserved;
	uint64_t byte_count; /* sum of the runs' sizes */
};

/* Payload of RECORD_SUBMIT: this, then range_count ranges that the submission may write, then to the end uint64_t ids of the
 * images that it may write, in order of their last write. deps = command buffers. */
#define SUBMIT_IMAGE_NEEDED (1ull << 63) /* with the id of a multisampled image: it must hold what was written to it */
#define SUBMIT_COMMIT 1u                 /* be a checkpoint */
#define SUBMIT_RETURN 2u                 /* relaxed mode: bring back what the host may see, and be complete with it */
struct record_submit {
	uint64_t nonce;
	uint32_t flags;
	uint32_t range_count;
};
struct record_range {
	uint64_t memory; /* id of the memory */
	uint64_t offset;
	uint64_t size; /* bytes, > 0 */
};

/* Payload of RECORD_COPY: one or more of these, in order. Stands directly in front of the SUBMIT that does them. */
struct record_copy {
	uint64_t source;        /* id of a memory; 0: a fill */
	uint64_t source_offset; /* of a fill: its word, repeated from `offset` on */
	uint64_t memory, offset;
	uint64_t size; /* bytes, > 0 */
};

/* Payload of RECORD_NEED: what a GPU must have to take this workload. key = kind << 32 | index. */
enum need_kind {
	NEED_FEATURE = 1,       /* a = VkStructureType of the features struct, b = byte offset of the VkBool32 in it */
	NEED_LIMIT_MIN = 2,     /* a = byte offset in VkPhysicalDeviceLimits (uint32_t field), b = value at least needed */
	NEED_LIMIT_MIN64 = 3,   /* the same for a VkDeviceSize field */
	NEED_LIMIT_ALIGN = 4,   /* a = byte offset of a VkDeviceSize alignment; the target's must divide b */
	NEED_SUBGROUP_SIZE = 5, /* a = the size the program relies on; b = 1: each pipeline that does asks for it
	                          * (VkPipelineShaderStageRequiredSubgroupSizeCreateInfo), 0: it must be the device's own */
	NEED_SPIRV_CAPABILITY = 6, /* a = SpvCapability */
	NEED_EXTENSION = 7,        /* text = name of the device extension */
	NEED_MEMORY = 8,           /* a = bytes allocated in all; replaced as it grows */
	NEED_FORMAT = 9,           /* a = VkFormat, b = VkFormatFeatureFlags for buffers, c = optimal tiling */
	NEED_PROPERTY =
		10, /* a = VkStructureType of a properties struct, b = byte offset in it of a number (as wide as it is there),
	                       * c = value at least needed. A GPU that does not have the struct names no such limit */
	NEED_BIND_ALIGN =
		11, /* a = an offset at which a buffer is bound to memory: the target's alignment of buffers divides it */
};
#define NEED_KIND_MAX NEED_BIND_ALIGN
struct record_need {
	uint32_t kind; /* enum need_kind */
	uint32_t text_size;
	uint64_t a, b, c;
	/* text_size bytes follow, no NUL */
};

#endif
