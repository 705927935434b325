/* A program that calls every entry point that the driver offers, and prints what came of it: the same on every driver.
 *
 * The entry points are the driver's own list (migrate/icd/entrypoints.h). Whatever that offers and no case calls ends the program with an
 * error: a new entry point needs a case. Plain Vulkan otherwise; links libvulkan alone.
 * Lines are compared between drivers, word by word. Those that start with "#" are not: they tell of what may differ. */
#ifndef TBMESH_TESTS_CONFORMANCE_H
#define TBMESH_TESTS_CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#define COUNT 1024u /* words in a buffer of the usual kind */
#define BYTES (COUNT * 4u)
#define GROUP 64u
#define FACTOR 3u

enum entry {
#define ICD_GLOBAL(n) ENTRY_##n,
#define ICD_INSTANCE(n) ENTRY_##n,
#define ICD_PHYSICAL(n) ENTRY_##n,
#define ICD_PHYSICAL_ALIAS(n, target) ENTRY_##n,
#define ICD_DEVICE(n) ENTRY_##n,
#define ICD_DEVICE_EXTENSION(n, extension) ENTRY_##n,
#define ICD_DEVICE_ALIAS(n, target, extension) ENTRY_##n,
#include "migrate/icd/entrypoints.h"
	ENTRY_COUNT
};

struct functions {
#define ICD_GLOBAL(n) PFN_vk##n n;
#define ICD_INSTANCE(n) PFN_vk##n n;
#define ICD_PHYSICAL(n) PFN_vk##n n;
#define ICD_PHYSICAL_ALIAS(n, target) PFN_vk##n n;
#define ICD_DEVICE(n) PFN_vk##n n;
#define ICD_DEVICE_EXTENSION(n, extension) PFN_vk##n n;
#define ICD_DEVICE_ALIAS(n, target, extension) PFN_vk##n n;
#include "migrate/icd/entrypoints.h"
};

struct buffer {
	VkBuffer buffer;
	VkDeviceMemory memory;
	uint32_t *map; /* NULL: on the device alone */
	VkDeviceSize size;
};

/* The world that all cases share. */
struct world {
	struct functions vk;
	bool called[ENTRY_COUNT];
	bool tbmesh;      /* the driver is ours: what it must do beyond what others must */
	bool late;        /* descriptors in arrays of any length, updated after they are bound */
	bool bytes_index; /* indices of one byte */
	bool rendering;   /* passes without objects */
	bool views;       /* several in a pass, and framebuffers without images */
	struct {
		bool depth_clip, depth_clip_control, provoking, divisor, writes;
	} draws;            /* features of draws that came as extensions */
	bool statistics;    /* pipeline statistics */
	bool dynamic_logic; /* logic operations set while recording */
	bool valid_only;    /* no call that the validation layers would complain about */
	const char *offered[512];
	uint32_t offered_count;
	VkInstance instance;
	VkPhysicalDevice physical;
	VkDevice device;
	VkQueue queue;
	uint32_t family;
	VkPhysicalDeviceMemoryProperties memory;
	VkCommandPool pool;
	/* The usual pipeline (conformance.comp) and its buffers. */
	VkDescriptorSetLayout set_layout, push_layout;
	VkPipelineLayout layout, layout_pushed;
	VkPipeline pipeline, pipeline_pushed;
	VkDescriptorPool sets;
	VkDescriptorSet set;
	struct buffer source, target, texels, block, back;
	VkBufferView texel_view;
};
extern struct world w;

static inline void mark(enum entry entry)
{
	w.called[entry] = true;
}
#define VK(name) (mark(ENTRY_##name), w.vk.name)
/* Is the extension's function there? */
#define HAS(name) (w.vk.name != NULL)
#define OK(call) check((call), #call)

void check(VkResult result, const char *what);
void say(const char *format, ...) __attribute__((format(printf, 1, 2))); /* a line that is compared */
void remark(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Of our own driver alone. */
void expect(bool holds, const char *what);
bool offered(const char *extension);
/* Of words at the host. */
uint32_t sum(const uint32_t *words, uint32_t count);

uint32_t memory_type(uint32_t bits, VkMemoryPropertyFlags wanted);
struct buffer make_buffer(VkDeviceSize size, bool host, VkBufferUsageFlags usage);
void drop_buffer(struct buffer *b);
VkCommandBuffer begin(void);
void run(VkCommandBuffer c); /* ends, submits, waits, frees */
void full_barrier(VkCommandBuffer c);
/* The usual pipeline with its set and push constant. */
void bind_usual(VkCommandBuffer c, uint32_t add);
/* The usual shader for another layout; the caller destroys it. */
VkPipeline usual_pipeline(VkPipelineLayout layout);
/* target → host; a line with its sum. */
void say_target(const char *what);

/* The cases, in their order. */
void case_instance(void);
void case_physical(void);
void case_rules(void);
void case_device(void);
void case_memory(void);
void case_layouts(void);
void case_descriptors(void);
void case_pipelines(void);
void case_inline_blocks(void);
void case_late_descriptors(void);
void case_dispatches(void);
void case_transfers(void);
void case_buffers(void);
void case_large(void);
void case_events(void);
void case_sync(void);
void case_queries(void);
void case_private_data(void);
void case_images(void);
void case_draws(void);
void case_states(void);
void case_later_formats(void);
void case_formats(void);
void case_statistics(void);
void case_absent(void);
void case_ends(void);

#endif
