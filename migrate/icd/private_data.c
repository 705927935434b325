/* VK_EXT_private_data: words that the program hangs on its objects. Known to the driver alone. */
#include "migrate/icd/icd.h"

#include <stdlib.h>

struct word {
	struct list link;
	uint64_t object;
	uint64_t data;
};

#define BUCKETS 64

struct slot {
	struct icd_object object;
	pthread_mutex_t mutex;
	struct list buckets[BUCKETS]; /* under mutex */
};

VKAPI_ATTR VkResult VKAPI_CALL icd_CreatePrivateDataSlotEXT(VkDevice device, const VkPrivateDataSlotCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkPrivateDataSlot *ret_slot)
{
	(void)device, (void)info, (void)allocator;
	struct slot *s = icd_object_create(sizeof(*s));
	if (!s)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	pthread_mutex_init(&s->mutex, NULL);
	for (unsigned i = 0; i < BUCKETS; i++)
		list_init(&s->buckets[i]);
	*ret_slot = ICD_HANDLE(VkPrivateDataSlot, s);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyPrivateDataSlotEXT(
	VkDevice device, VkPrivateDataSlot handle, const VkAllocationCallbacks *allocator)
{
	(void)device, (void)allocator;
	struct slot *s = ICD_FROM(slot, handle);
	if (!s)
		return;
	for (unsigned i = 0; i < BUCKETS; i++) {
		list_for_each_safe(w, &s->buckets[i], struct word, link)
			free(w);
	}
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

static struct list *bucket_of(struct slot *s, uint64_t object)
{
	return &s->buckets[(object * 0x9E3779B97F4A7C15ull) >> 58];
}

static struct word *find(struct slot *s, uint64_t object)
{
	list_for_each(w, bucket_of(s, object), struct word, link) {
		if (w->object == object)
			return w;
	}
	return NULL;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_SetPrivateDataEXT(
	VkDevice device, VkObjectType type, uint64_t object, VkPrivateDataSlot handle, uint64_t data)
{
	(void)device, (void)type;
	struct slot *s = ICD_FROM(slot, handle);
	VkResult result = VK_SUCCESS;
	pthread_mutex_lock(&s->mutex);
	struct word *w = find(s, object);
	if (!w) {
		w = malloc(sizeof(*w));
		if (w) {
			w->object = object;
			list_append(bucket_of(s, object), &w->link);
		}
	}
	if (w)
		w->data = data;
	else
		result = VK_ERROR_OUT_OF_HOST_MEMORY;
	pthread_mutex_unlock(&s->mutex);
	return result;
}

VKAPI_ATTR void VKAPI_CALL icd_GetPrivateDataEXT(
	VkDevice device, VkObjectType type, uint64_t object, VkPrivateDataSlot handle, uint64_t *ret_data)
{
	(void)device, (void)type;
	struct slot *s = ICD_FROM(slot, handle);
	pthread_mutex_lock(&s->mutex);
	const struct word *w = find(s, object);
	*ret_data = w ? w->data : 0;
	pthread_mutex_unlock(&s->mutex);
}
