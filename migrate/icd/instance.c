/* VkInstance, and the question to the session: which GPU is there? */
#include "migrate/icd/icd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const VkExtensionProperties instance_extensions[] = {
	{ VK_KHR_GET_PHYSICAL_DEVICE_PROPERTIES_2_EXTENSION_NAME, VK_KHR_GET_PHYSICAL_DEVICE_PROPERTIES_2_SPEC_VERSION },
	{ VK_KHR_DEVICE_GROUP_CREATION_EXTENSION_NAME, VK_KHR_DEVICE_GROUP_CREATION_SPEC_VERSION },
	{ VK_KHR_EXTERNAL_MEMORY_CAPABILITIES_EXTENSION_NAME, VK_KHR_EXTERNAL_MEMORY_CAPABILITIES_SPEC_VERSION },
	{ VK_KHR_EXTERNAL_FENCE_CAPABILITIES_EXTENSION_NAME, VK_KHR_EXTERNAL_FENCE_CAPABILITIES_SPEC_VERSION },
	{ VK_KHR_EXTERNAL_SEMAPHORE_CAPABILITIES_EXTENSION_NAME, VK_KHR_EXTERNAL_SEMAPHORE_CAPABILITIES_SPEC_VERSION },
};

VKAPI_ATTR VkResult VKAPI_CALL icd_EnumerateInstanceVersion(uint32_t *version)
{
	*version = ICD_API_VERSION;
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_EnumerateInstanceExtensionProperties(
	const char *layer, uint32_t *count, VkExtensionProperties *properties)
{
	if (layer)
		return VK_ERROR_LAYER_NOT_PRESENT;
	uint32_t total = ARRAY_SIZE(instance_extensions);
	if (!properties) {
		*count = total;
		return VK_SUCCESS;
	}
	if (*count > total)
		*count = total;
	memcpy(properties, instance_extensions, *count * sizeof(*properties));
	return *count < total ? VK_INCOMPLETE : VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_EnumerateInstanceLayerProperties(uint32_t *count, VkLayerProperties *properties)
{
	(void)properties;
	*count = 0;
	return VK_SUCCESS;
}

static bool instance_extension_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(instance_extensions); i++) {
		if (strcmp(instance_extensions[i].extensionName, name) == 0)
			return true;
	}
	return false;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateInstance(
	const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator, VkInstance *ret_instance)
{
	(void)allocator;
	if (info->enabledLayerCount)
		return VK_ERROR_LAYER_NOT_PRESENT;
	for (uint32_t i = 0; i < info->enabledExtensionCount; i++) {
		if (!instance_extension_known(info->ppEnabledExtensionNames[i]))
			return VK_ERROR_EXTENSION_NOT_PRESENT;
	}
	struct icd_instance *instance = icd_object_create(sizeof(*instance));
	if (!instance)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	pthread_mutex_init(&instance->mutex, NULL);
	*ret_instance = ICD_HANDLE(VkInstance, instance);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyInstance(VkInstance handle, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_instance *instance = ICD_FROM(icd_instance, handle);
	if (!instance)
		return;
	if (instance->offered)
		icd_physical_finish(&instance->physical);
	pthread_mutex_destroy(&instance->mutex);
	free(instance);
}

/* Reads the whole memfd with the description. */
static int read_description(int fd, unsigned char **ret_bytes, size_t *ret_size)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0 || st.st_size > (off_t)DESCRIPTION_MAX_BYTES)
		return -EBADMSG;
	unsigned char *bytes = malloc((size_t)st.st_size);
	if (!bytes)
		return -ENOMEM;
	size_t at = 0;
	while (at < (size_t)st.st_size) {
		ssize_t n = pread(fd, bytes + at, (size_t)st.st_size - at, (off_t)at);
		if (n <= 0) {
			free(bytes);
			return n < 0 ? -errno : -EBADMSG;
		}
		at += (size_t)n;
	}
	*ret_bytes = bytes;
	*ret_size = at;
	return 0;
}

/* 0 when a GPU is offered; else says why not, once. */
static int ask_session(struct icd_instance *instance, const char *path)
{
	__attribute__((cleanup(close_fd))) int socket = unix_connect(path);
	if (socket < 0) {
		icd_say("no session at %s (%s); start the program with 'tbmesh run -- PROGRAM'", path, strerror(-socket));
		return socket;
	}
	struct ipc_message message = { .version = IPC_VERSION, .kind = IPC_QUERY };
	int error = unix_send(socket, &message, sizeof(message), NULL, 0);
	__attribute__((cleanup(close_fd))) int fd = -1;
	size_t size = 0, fd_count = 0;
	if (!error)
		error = unix_recv(socket, &message, sizeof(message), &size, &fd, 1, &fd_count);
	if (!error && (size != sizeof(message) || message.version != IPC_VERSION || message.kind != IPC_OFFER))
		error = -EBADMSG;
	if (error) {
		icd_say("the session does not answer: %s", strerror(-error));
		return error;
	}
	if (message.error) {
		icd_say("%.*s", (int)sizeof(message.text), message.text);
		return message.error;
	}
	unsigned char *bytes = NULL;
	error = fd_count == 1 ? read_description(fd, &bytes, &size) : -EBADMSG;
	if (!error)
		error = icd_physical_init(&instance->physical, instance, bytes, size);
	free(bytes);
	if (error)
		icd_say("the session offers a GPU that this driver does not understand: %s", strerror(-error));
	return error;
}

/* The GPU is asked for at the first enumeration. A failed attempt is not repeated: the list must not change. */
static bool offered(struct icd_instance *instance)
{
	pthread_mutex_lock(&instance->mutex);
	if (!instance->asked) {
		const char *path = getenv(IPC_ENV_SESSION);
		instance->asked = true;
		instance->offered = path && path[0] && ask_session(instance, path) == 0;
	}
	bool ret = instance->offered;
	pthread_mutex_unlock(&instance->mutex);
	return ret;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_EnumeratePhysicalDevices(VkInstance handle, uint32_t *count, VkPhysicalDevice *devices)
{
	struct icd_instance *instance = ICD_FROM(icd_instance, handle);
	uint32_t total = offered(instance) ? 1 : 0;
	if (!devices) {
		*count = total;
		return VK_SUCCESS;
	}
	if (*count < total)
		return VK_INCOMPLETE;
	*count = total;
	if (total)
		devices[0] = ICD_HANDLE(VkPhysicalDevice, &instance->physical);
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_EnumeratePhysicalDeviceGroups(
	VkInstance handle, uint32_t *count, VkPhysicalDeviceGroupProperties *groups)
{
	struct icd_instance *instance = ICD_FROM(icd_instance, handle);
	uint32_t total = offered(instance) ? 1 : 0;
	if (!groups) {
		*count = total;
		return VK_SUCCESS;
	}
	if (*count < total)
		return VK_INCOMPLETE;
	*count = total;
	if (total) {
		groups[0].physicalDeviceCount = 1;
		groups[0].physicalDevices[0] = ICD_HANDLE(VkPhysicalDevice, &instance->physical);
		groups[0].subsetAllocation = VK_FALSE;
	}
	return VK_SUCCESS;
}
