#include "migrate/exec/set_pool.h"

#include <stdlib.h>

#define POOL_SETS 256u
#define POOL_SETS_OF_ITS_KIND 64u /* as many sets as the one that the pool was made for fit in any case */
#define POOL_DESCRIPTORS 65536u   /* of a type, as long as one set has no more */
#define POOLS_TRIED 4

void set_pools_init(struct set_pools *p, const struct device *d)
{
	p->device = d;
	list_init(&p->pools);
}

VkResult set_need_of_layout(const VkDescriptorSetLayoutCreateInfo *info, struct set_need *ret_need)
{
	struct set_need need = { .late = info->flags & VK_DESCRIPTOR_SET_LAYOUT_CREATE_UPDATE_AFTER_BIND_POOL_BIT };

	for (uint32_t i = 0; i < info->bindingCount; i++) {
		const VkDescriptorSetLayoutBinding *binding = &info->pBindings[i];

		if (binding->descriptorType < SET_CORE_TYPES) {
			need.counts[binding->descriptorType] += binding->descriptorCount;
		} else if (binding->descriptorType == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK) {
			if (binding->descriptorCount % 4 || binding->descriptorCount > INLINE_MAX_BYTES)
				return VK_ERROR_FEATURE_NOT_PRESENT;
			need.inline_bytes += binding->descriptorCount;
			need.inline_blocks++;
		} else {
			return VK_ERROR_FEATURE_NOT_PRESENT;
		}
	}
	*ret_need = need;
	return VK_SUCCESS;
}

static VkResult make_pool(struct set_pools *p, const struct set_need *need, struct set_pool **ret_pool)
{
	VkDescriptorPoolSize sizes[SET_CORE_TYPES + 1];
	VkDescriptorPoolInlineUniformBlockCreateInfo blocks = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_INLINE_UNIFORM_BLOCK_CREATE_INFO,
		.maxInlineUniformBlockBindings = need->inline_blocks * POOL_SETS_OF_ITS_KIND,
	};
	VkDescriptorPoolCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.pNext = need->inline_blocks ? &blocks : NULL,
		.flags = VK_DESCRIPTOR_POOL_CREATE_FREE_DESCRIPTOR_SET_BIT |
			(need->late ? VK_DESCRIPTOR_POOL_CREATE_UPDATE_AFTER_BIND_BIT : 0),
		.maxSets = POOL_SETS,
		.pPoolSizes = sizes,
	};
	struct set_pool *pool = calloc(1, sizeof(*pool));
	VkResult result;

	if (!pool)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	for (uint32_t type = 0; type < SET_CORE_TYPES; type++) {
		uint64_t count = (uint64_t)need->counts[type] * POOL_SETS_OF_ITS_KIND;

		/* Of large arrays one set may be all that there is. */
		if (count > POOL_DESCRIPTORS)
			count = need->counts[type] > POOL_DESCRIPTORS ? need->counts[type] : POOL_DESCRIPTORS;

		/* Layouts like the common ones share a pool. */
		if (type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER && count < 4 * POOL_SETS)
			count = 4 * POOL_SETS;
		if (type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER && count < POOL_SETS)
			count = POOL_SETS;
		if (count)
			sizes[info.poolSizeCount++] = (VkDescriptorPoolSize){ (VkDescriptorType)type, (uint32_t)count };
	}
	if (need->inline_blocks) {
		sizes[info.poolSizeCount++] = (VkDescriptorPoolSize){ VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK,
			need->inline_bytes * POOL_SETS_OF_ITS_KIND };
	}
	result = p->device->vk.vkCreateDescriptorPool(p->device->handle, &info, NULL, &pool->handle);
	if (result < 0) {
		free(pool);
		return result;
	}
	pool->late = need->late;
	list_insert(&p->pools, &pool->link);
	*ret_pool = pool;
	return VK_SUCCESS;
}

VkResult set_pools_allocate(struct set_pools *p, const struct set_need *need, VkDescriptorSetAllocateInfo *info,
	VkDescriptorSet *ret_set, struct set_pool **ret_pool)
{
	const struct device *d = p->device;
	struct set_pool *made;
	VkResult result;
	int tried = 0;

	list_for_each(pool, &p->pools, struct set_pool, link) {
		if (pool->late != need->late)
			continue;
		if (tried++ == POOLS_TRIED)
			break;
		if (pool->sets == POOL_SETS)
			continue;
		info->descriptorPool = pool->handle;
		result = d->vk.vkAllocateDescriptorSets(d->handle, info, ret_set);
		if (result == VK_SUCCESS) {
			pool->sets++;
			*ret_pool = pool;
			return VK_SUCCESS;
		}
		if (result != VK_ERROR_OUT_OF_POOL_MEMORY && result != VK_ERROR_FRAGMENTED_POOL)
			return result;
	}
	result = make_pool(p, need, &made);
	if (result < 0)
		return result;
	info->descriptorPool = made->handle;
	result = d->vk.vkAllocateDescriptorSets(d->handle, info, ret_set);
	if (result < 0)
		return result;
	made->sets++;
	*ret_pool = made;
	return VK_SUCCESS;
}

void set_pools_free(struct set_pools *p, struct set_pool *pool, VkDescriptorSet set)
{
	const struct device *d = p->device;

	d->vk.vkFreeDescriptorSets(d->handle, pool->handle, 1, &set);
	if (--pool->sets || p->pools.next == &pool->link)
		return;
	list_remove(&pool->link);
	d->vk.vkDestroyDescriptorPool(d->handle, pool->handle, NULL);
	free(pool);
}
