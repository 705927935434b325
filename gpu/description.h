/* What one Vulkan physical device is: the words of its driver, kept as the raw structs, so that the ICD answers
 * vkGetPhysicalDevice* from them and placement compares them. Made by the probe executor, carried as bytes.
 *
 * File form (little-endian): struct description_header, then entry_count entries, each a struct description_entry followed by
 * `size` bytes padded to 8. Structs are stored without sType/pNext pointers' values (pNext zeroed). All checks at parse. */
#ifndef TBMESH_GPU_DESCRIPTION_H
#define TBMESH_GPU_DESCRIPTION_H

#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "base/buf.h"

#define DESCRIPTION_MAGIC 0x31445054u /* "TPD1" */
#define DESCRIPTION_MAX_BYTES (512u << 10)

enum description_kind {
	DESCRIPTION_STRUCT = 1,     /* tag = sType; a VkPhysicalDevice…Properties/Features struct */
	DESCRIPTION_EXTENSIONS = 2, /* VkExtensionProperties[] */
	DESCRIPTION_FORMATS = 3,    /* struct description_format[] */
	DESCRIPTION_QUEUE = 4,      /* VkQueueFamilyProperties of the family that executors use */
	DESCRIPTION_MEMORY = 5,     /* VkPhysicalDeviceMemoryProperties of the real device */
	DESCRIPTION_BUFFER = 6,     /* struct description_buffer */
	DESCRIPTION_TEXT = 7,       /* tag = enum description_text; UTF-8 without NUL */
	DESCRIPTION_IMAGES = 8,     /* struct description_image[]: what of gpu/image.h's formats the device has */
};
enum description_text {
	DESCRIPTION_TEXT_GPU_ID = 1,
	DESCRIPTION_TEXT_HOST = 2,
	DESCRIPTION_TEXT_NODE = 3,     /* id of the GPU's node: with the GPU's id, which GPU of the mesh it is */
	DESCRIPTION_TEXT_PORTABLE = 4, /* how many GPUs it stands for, in decimal digits; without: the one */
};

struct description_header {
	uint32_t magic, version, size, entry_count;
};
struct description_entry {
	uint32_t kind, tag;
	uint32_t size, reserved;
};
struct description_format {
	uint32_t format;
	VkFormatProperties properties;
};
/* Optimally tiled images of a format and type, used for all that the format's features allow. */
struct description_image {
	uint32_t format, type; /* VkFormat, VkImageType */
	VkExtent3D max_extent;
	uint32_t max_mips, max_layers;
	uint32_t cube; /* 1: also with CUBE_COMPATIBLE */
	uint64_t max_bytes;
	uint32_t samples, reserved; /* VkSampleCountFlags, of images that are not used for storage */
};
struct description_buffer {
	uint64_t alignment, size_granularity;
	uint32_t memory_type_bits, reserved;
};

struct description { /* a parsed view; points into bytes that it owns */
	unsigned char *bytes;
	size_t size;
};

/* Takes a copy of bytes. 0, -EBADMSG (with no copy made) or -ENOMEM. */
int description_parse(struct description *d, const void *bytes, size_t size);
void description_finish(struct description *d);
/* Appends to out a copy of a description (size bytes at an address aligned to 8, checked here) with one text more. 0, -EBADMSG or
 * -ENOMEM. */
int description_with_text(struct buf *out, const void *bytes, size_t size, enum description_text tag, const char *text);
/* Appends to out what all of these have in common (count > 0), in the name of the first: features, extensions and formats of all of them;
 * of each limit the one that all can hold; no subgroup operations where the subgroups differ in size. 0, -EBADMSG or -ENOMEM. */
int description_in_common(struct buf *out, const struct description *const *all, size_t count);
/* The struct of that sType, or NULL; at least `size` bytes long. */
const void *description_struct(const struct description *d, VkStructureType type, size_t size);
const void *description_find(const struct description *d, enum description_kind kind, uint32_t tag, size_t *ret_size);
/* Copies into each struct of a VkPhysicalDevice{Properties,Features}2 pNext chain what the description has; leaves sType/pNext. */
void description_fill_chain(const struct description *d, void *chain);

/* Asks a real device everything. Appends the bytes to out. Used by the probe executor alone. 0, -ENODEV (it has no queue that
 * computes), -EIO (the driver fails or tells nonsense), -ENOMEM, -EFBIG; nothing is appended then. */
int description_make(struct buf *out, VkInstance instance, VkPhysicalDevice device, const char *gpu_id);
/* What a VkDevice of it may use: the physical device's properties, but only the features and extensions that the VkDevice was made
 * with. Used by executors. Errors as above. */
int description_make_enabled(struct buf *out, VkPhysicalDevice device, const VkPhysicalDeviceFeatures2 *features,
	const char *const *extensions, uint32_t extension_count);

/* Does this GPU have what the workload uses? needs: array of struct record_need payloads with texts resolved (kinds: enum
 * need_kind of proto/record.h). why: first reason against it, in words ("needs 16-bit storage, which it lacks"); "" when
 * there is none; may be NULL. 1 yes, 0 no. A need that is not understood counts as not met. Words: what the workload needs or uses, and
 * what "it", the GPU, has. */
struct gpu_need {
	uint32_t kind;
	uint64_t a, b, c;
	const char *text;
};
int description_covers(const struct description *d, const struct gpu_need *needs, size_t count, char *why, size_t why_size);

#endif
