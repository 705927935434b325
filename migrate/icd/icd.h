/* The driver's inner header: what instance, device and queue are, and the few things that all files share.
 * The driver has no thread of its own. Locks: Vulkan's external synchronization covers recording, descriptor sets and pools;
 * everything that touches the log, the delivery ring or synchronization state holds icd_device.mutex. */
#ifndef TBMESH_MIGRATE_ICD_ICD_H
#define TBMESH_MIGRATE_ICD_ICD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <vulkan/vulkan.h>
#include <vulkan/vk_icd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/util.h"
#include "gpu/description.h"
#include "migrate/stream/progress.h"
#include "migrate/stream/ring.h"
#include "proto/ipc.h"
#include "proto/record.h"
#include "proto/vk/wire_gen.h"

/* Prototypes of all entry points: icd_CreateBuffer has the type of vkCreateBuffer. */
#define ICD_GLOBAL(name) __typeof__(vk##name) icd_##name;
#define ICD_INSTANCE(name) __typeof__(vk##name) icd_##name;
#define ICD_PHYSICAL(name) __typeof__(vk##name) icd_##name;
#define ICD_DEVICE(name) __typeof__(vk##name) icd_##name;
#define ICD_DEVICE_EXTENSION(name, extension) __typeof__(vk##name) icd_##name;
#include "migrate/icd/entrypoints.h"

#define ICD_EXTENSION(name, spec, promoted) ICD_##name,
#define ICD_LOCAL_EXTENSION(name, spec) ICD_##name,
enum icd_extension {
#include "migrate/icd/extensions.h"
	ICD_EXTENSION_COUNT,
};

#define ICD_API_VERSION VK_MAKE_API_VERSION(0, 1, 2, VK_HEADER_VERSION)
#define ICD_ALIGNMENT 256u /* of buffers in memory and of allocation sizes: what all GPUs can take */
#define ICD_MEMORY_TYPE_COUNT 3u
#define ICD_HEAP_COUNT 2u
#define ICD_MAX_SETS 32u /* bound descriptor sets; more is not offered */
#define ICD_MAX_PUSH_DESCRIPTORS 32u
#define ICD_MAX_INLINE_BYTES 65536u /* of one inline uniform block: it travels as a whole */

/* First member of every object. The loader's slot serves dispatchable ones; all have it, so that the id of any handle is found
 * the same way. */
struct icd_object {
	VK_LOADER_DATA loader;
	uint64_t id; /* in the log; 0: known to the driver alone */
};

struct icd_physical {
	struct icd_object object;
	struct icd_instance *instance;
	struct description description;
	char gpu_id[64], host[64], node[64]; /* node: its id, "" not told */
	VkPhysicalDeviceProperties properties;
	VkPhysicalDeviceMemoryProperties memory;
	struct description_buffer buffer;
	VkQueueFamilyProperties family;
	uint8_t device_uuid[VK_UUID_SIZE], driver_uuid[VK_UUID_SIZE];
	bool extensions[ICD_EXTENSION_COUNT];
	_Atomic uint64_t heap_used[ICD_HEAP_COUNT];
};

struct icd_instance {
	struct icd_object object;
	pthread_mutex_t mutex;
	bool asked;   /* the session; under mutex */
	bool offered; /* physical is valid; under mutex */
	struct icd_physical physical;
};

struct icd_queue {
	struct icd_object object;
	struct icd_device *device;
};

/* The way to the session: log out, delivery in. All under icd_device.mutex but what is atomic. */
struct icd_stream {
	struct ring log, delivery;
	struct progress progress;
	int socket;
	uint64_t head; /* of the log, with what is not yet published */
	uint64_t published;
	uint64_t tail;          /* of the log, as last read */
	_Atomic uint64_t taken; /* of the delivery ring; written under the mutex */
	uint64_t released;      /* of it, as the session knows; under the mutex */
	uint64_t seq;           /* last SUBMIT appended */
	uint64_t own_seq;       /* last one of the program's: what comes behind is our own COMMITs */
	uint64_t commit_seq;    /* last SUBMIT with COMMIT */
	uint64_t commit_head;   /* log position behind it */
	uint64_t commit_time_ns;
	uint64_t commit_cost_ns; /* how long the last one took; 0: not known */
	struct buf returning;  /* uint64_t[], ascending: SUBMITs with COMMIT or RETURN that the session has not completed */
	_Atomic uint64_t told; /* last word of the progress page that was looked at; written under the mutex */
	_Atomic uint64_t completed; /* written under the mutex */
	_Atomic bool lost;
	_Atomic uint32_t *life;      /* 1; in a child of fork() 0: the workload is the parent's alone */
	_Atomic uint64_t checked_ns; /* when the socket was last looked at */
	bool relaxed;                /* as the session says; set at opening */
	bool committing;             /* guards against appending a COMMIT while one is appended */
	uint64_t nonces[32];         /* random, used from the end */
	unsigned nonces_left;
	struct buf payload, deps; /* scratch of the record being made */
	struct wire_writer writer;
};

struct icd_device {
	struct icd_object object;
	struct icd_physical *physical;
	struct icd_queue queue;
	bool extensions[ICD_EXTENSION_COUNT]; /* enabled */
	struct { /* enabled features that count as used where subgroups are: SPIR-V does not tell */
		bool extended_types, dynamic_broadcast, uniform_flow;
	} subgroups;
	_Atomic uint64_t last_id;
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* a host signal or a submission: what a wait depends on may be known now */
	struct icd_stream stream;
	struct list memories;  /* struct icd_memory; under mutex */
	uint32_t memory_count; /* under mutex */
	struct list pending;   /* struct icd_submission that wait for the host; under mutex */
	struct icd_needs *needs;
	struct icd_scratch *scratch; /* of submissions; under mutex */
};

/* Handles are pointers to the objects. */
#define ICD_FROM(type, handle) ((struct type *)(uintptr_t)(handle))
#define ICD_HANDLE(vk_type, object_pointer) ((vk_type)(uintptr_t)(object_pointer))

/* Zeroed memory with the loader's magic; size covers a struct that begins with icd_object. NULL when out of memory. */
void *icd_object_create(size_t size);
uint64_t icd_new_id(struct icd_device *d);
/* One line to the person who runs the program. */
void icd_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *icd_extension_name(enum icd_extension e);
/* Next struct of that sType in a pNext chain, or NULL. */
const void *icd_chain_find(const void *chain, VkStructureType type);

/* physical.c: reads what the description says into the fields of p. 0 or -errno. */
int icd_physical_init(struct icd_physical *p, struct icd_instance *instance, const void *bytes, size_t size);
void icd_physical_finish(struct icd_physical *p);
/* features.c: masks and fills one chain; checks what a program asks for. */
void icd_features_fill(const struct icd_physical *p, VkPhysicalDeviceFeatures *core, void *chain);
/* Are updates after bind among what is offered? */
bool icd_features_indexing(const struct icd_physical *p);
bool icd_features_offered(const struct icd_physical *p, const VkPhysicalDeviceFeatures *core, const void *chain);

#endif
