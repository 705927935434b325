/* What both Vulkan layers of the lab need: finding their own state from a dispatchable handle, and the link to the next
 * element of the loader's chain (Vulkan-Loader, docs/LoaderLayerInterface.md, interface version 2). */
#ifndef TBMESH_TESTS_FAULT_LAYER_H
#define TBMESH_TESTS_FAULT_LAYER_H

#include <pthread.h>
#include <stddef.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define LAYER_EXPORT __attribute__((visibility("default")))

struct layer_node { /* first member of a layer's instance and device structs */
	const void *key;
	struct layer_node *next;
};

struct layer_registry {
	pthread_rwlock_t lock;
	struct layer_node *first; /* under lock */
};
#define LAYER_REGISTRY_INIT                                                                                                 \
	{                                                                                                                   \
		PTHREAD_RWLOCK_INITIALIZER, NULL                                                                            \
	}

struct layer_hook {
	const char *name;
	PFN_vkVoidFunction function;
};
#define LAYER_HOOK(name, function)                                                                                          \
	{                                                                                                                   \
		name, (PFN_vkVoidFunction)(function)                                                                        \
	}

/* An instance and its physical devices share one key, so do a device, its queues and its command buffers. */
void layer_add(struct layer_registry *registry, struct layer_node *node, const void *handle);
void layer_remove(struct layer_registry *registry, struct layer_node *node);
void *layer_find(struct layer_registry *registry, const void *handle); /* NULL: not there */

/* The hook of that name, or NULL. hooks ends with a name of NULL. */
PFN_vkVoidFunction layer_hook_find(const struct layer_hook *hooks, const char *name);

/* The next element's entry points; moves the chain on, so call once. NULL: no loader above us. */
PFN_vkGetInstanceProcAddr layer_next_instance(const VkInstanceCreateInfo *info);
PFN_vkGetInstanceProcAddr layer_next_device(const VkDeviceCreateInfo *info, PFN_vkGetDeviceProcAddr *ret_device);

/* A command that core took over from an extension, under whichever name the next element has. NULL: under neither. */
PFN_vkVoidFunction layer_next_promoted(
	PFN_vkGetDeviceProcAddr get, VkDevice device, const char *core, const char *extension);

/* The first struct of that type in a pNext chain, or NULL. */
void *layer_chain_find(const void *chain, VkStructureType type);

#endif
