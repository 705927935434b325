#include "tests/fault/layer.h"

#include <string.h>

/* The loader keeps its dispatch table's address in the first word of each dispatchable object. */
static const void *key_of(const void *handle)
{
	return *(const void *const *)handle;
}

void layer_add(struct layer_registry *registry, struct layer_node *node, const void *handle)
{
	node->key = key_of(handle);
	pthread_rwlock_wrlock(&registry->lock);
	node->next = registry->first;
	registry->first = node;
	pthread_rwlock_unlock(&registry->lock);
}

void layer_remove(struct layer_registry *registry, struct layer_node *node)
{
	pthread_rwlock_wrlock(&registry->lock);
	struct layer_node **at = &registry->first;
	while (*at && *at != node)
		at = &(*at)->next;
	if (*at)
		*at = node->next;
	pthread_rwlock_unlock(&registry->lock);
}

void *layer_find(struct layer_registry *registry, const void *handle)
{
	const void *key = key_of(handle);
	pthread_rwlock_rdlock(&registry->lock);
	struct layer_node *node = registry->first;
	while (node && node->key != key)
		node = node->next;
	pthread_rwlock_unlock(&registry->lock);
	return node;
}

PFN_vkVoidFunction layer_hook_find(const struct layer_hook *hooks, const char *name)
{
	for (; hooks->name; hooks++)
		if (!strcmp(hooks->name, name))
			return hooks->function;
	return NULL;
}

PFN_vkGetInstanceProcAddr layer_next_instance(const VkInstanceCreateInfo *info)
{
	VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)info->pNext;
	while (link &&
		(link->sType != VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO || link->function != VK_LAYER_LINK_INFO))
		link = (VkLayerInstanceCreateInfo *)link->pNext;
	if (!link)
		return NULL;
	PFN_vkGetInstanceProcAddr next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
	link->u.pLayerInfo = link->u.pLayerInfo->pNext;
	return next;
}

PFN_vkGetInstanceProcAddr layer_next_device(const VkDeviceCreateInfo *info, PFN_vkGetDeviceProcAddr *ret_device)
{
	VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)info->pNext;
	while (link && (link->sType != VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO || link->function != VK_LAYER_LINK_INFO))
		link = (VkLayerDeviceCreateInfo *)link->pNext;
	if (!link)
		return NULL;
	PFN_vkGetInstanceProcAddr next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
	*ret_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
	link->u.pLayerInfo = link->u.pLayerInfo->pNext;
	return next;
}

PFN_vkVoidFunction layer_next_promoted(PFN_vkGetDeviceProcAddr get, VkDevice device, const char *core, const char *extension)
{
	PFN_vkVoidFunction function = get(device, core);
	return function ? function : get(device, extension);
}

void *layer_chain_find(const void *chain, VkStructureType type)
{
	for (VkBaseOutStructure *s = (VkBaseOutStructure *)chain; s; s = s->pNext)
		if (s->sType == type)
			return s;
	return NULL;
}
