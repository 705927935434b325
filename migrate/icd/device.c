/* VkDevice: one workload. */
#include "migrate/icd/queue.h"
#include "migrate/icd/stream.h"

#include <stdlib.h>
#include <string.h>

static bool enable_extensions(struct icd_device *d, const VkDeviceCreateInfo *info)
{
	for (uint32_t i = 0; i < info->enabledExtensionCount; i++) {
		unsigned e = 0;
		while (e < ICD_EXTENSION_COUNT && strcmp(icd_extension_name(e), info->ppEnabledExtensionNames[i]) != 0)
			e++;
		if (e == ICD_EXTENSION_COUNT || !d->physical->extensions[e])
			return false;
		d->extensions[e] = true;
	}
	return true;
}

static void device_free(struct icd_device *d)
{
	list_for_each_safe(s, &d->pending, struct icd_submission, link)
		free(s);
	icd_memory_free_all(d);
	icd_scratch_destroy(d->scratch);
	icd_needs_destroy(d->needs);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->mutex);
	free(d);
}

static struct icd_device *device_create(struct icd_physical *physical)
{
	struct icd_device *d = icd_object_create(sizeof(*d));
	if (!d)
		return NULL;
	pthread_condattr_t attributes;
	d->physical = physical;
	set_loader_magic_value(&d->queue);
	d->queue.device = d;
	list_init(&d->memories);
	list_init(&d->pending);
	pthread_mutex_init(&d->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&d->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	d->needs = icd_needs_create();
	d->scratch = icd_scratch_create();
	if (!d->needs || !d->scratch) {
		device_free(d);
		return NULL;
	}
	return d;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateDevice(VkPhysicalDevice handle, const VkDeviceCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkDevice *ret_device)
{
	(void)allocator;
	struct icd_physical *physical = ICD_FROM(icd_physical, handle);
	if (!icd_features_offered(physical, info->pEnabledFeatures, info->pNext))
		return VK_ERROR_FEATURE_NOT_PRESENT;
	for (uint32_t i = 0; i < info->queueCreateInfoCount; i++) {
		if (info->pQueueCreateInfos[i].queueFamilyIndex != 0 || info->pQueueCreateInfos[i].queueCount != 1 ||
			info->pQueueCreateInfos[i].flags)
			return VK_ERROR_INITIALIZATION_FAILED;
	}
	struct icd_device *d = device_create(physical);
	if (!d)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	VkResult result = VK_ERROR_EXTENSION_NOT_PRESENT;
	if (!enable_extensions(d, info))
		goto fail;
	result = VK_ERROR_INITIALIZATION_FAILED;
	if (icd_stream_make(d) < 0)
		goto fail;
	/* In the log before the session asks for the first executor. */
	icd_tell_enabled(d, info);
	icd_publish(d);
	if (icd_stream_open(d) < 0) {
		icd_stream_close(d);
		goto fail;
	}
	*ret_device = ICD_HANDLE(VkDevice, d);
	return VK_SUCCESS;

fail:
	device_free(d);
	return result;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyDevice(VkDevice device, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	if (!d)
		return;
	icd_stream_close(d);
	device_free(d);
}

VKAPI_ATTR void VKAPI_CALL icd_GetDeviceQueue(VkDevice device, uint32_t family, uint32_t index, VkQueue *ret_queue)
{
	*ret_queue = family == 0 && index == 0 ? ICD_HANDLE(VkQueue, &ICD_FROM(icd_device, device)->queue) : NULL;
}

VKAPI_ATTR void VKAPI_CALL icd_GetDeviceQueue2(VkDevice device, const VkDeviceQueueInfo2 *info, VkQueue *ret_queue)
{
	icd_GetDeviceQueue(device, info->flags ? UINT32_MAX : info->queueFamilyIndex, info->queueIndex, ret_queue);
}

VKAPI_ATTR void VKAPI_CALL icd_GetDeviceGroupPeerMemoryFeatures(
	VkDevice device, uint32_t heap, uint32_t local, uint32_t remote, VkPeerMemoryFeatureFlags *ret_features)
{
	(void)device, (void)heap, (void)local, (void)remote;
	*ret_features = 0; /* a group of one has no peers */
}
