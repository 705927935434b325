#include "migrate/exec/pipeline_cache.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"

#define CACHE_MAX_BYTES (256u << 20)

/* Drivers accept only what they wrote themselves and say so by the UUID; its file name keeps those of several drivers apart. */
static char *cache_path(const struct device *d, const char *directory)
{
	char name[2 * VK_UUID_SIZE + 1];
	char *path;

	for (unsigned i = 0; i < VK_UUID_SIZE; i++)
		snprintf(name + 2 * i, 3, "%02x", d->properties.pipelineCacheUUID[i]);
	if (asprintf(&path, "%s/%08x-%08x-%s.pipelines", directory, d->properties.vendorID, d->properties.deviceID, name) <
		0)
		return NULL;
	return path;
}

void pipeline_cache_init(struct pipeline_cache *c, const struct device *d, const char *directory)
{
	VkPipelineCacheCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO };
	__attribute__((cleanup(free_pointer))) char *data = NULL;
	size_t size = 0;

	*c = (struct pipeline_cache){ .device = d };
	if (directory && directory_make(directory, 0700) == 0)
		c->path = cache_path(d, directory);
	if (c->path && file_read(c->path, CACHE_MAX_BYTES, &data, &size) == 0) {
		info.initialDataSize = size;
		info.pInitialData = data;
	}
	if (d->vk.vkCreatePipelineCache(d->handle, &info, NULL, &c->handle) < 0)
		c->handle = VK_NULL_HANDLE;
	c->saved_size = size;
}

void pipeline_cache_save(struct pipeline_cache *c)
{
	const struct device *d = c->device;
	__attribute__((cleanup(free_pointer))) void *data = NULL;
	size_t size = 0;
	int error;

	if (!c->changed || !c->path || !c->handle)
		return;
	c->changed = false;
	if (d->vk.vkGetPipelineCacheData(d->handle, c->handle, &size, NULL) != VK_SUCCESS || size == c->saved_size ||
		size > CACHE_MAX_BYTES)
		return;
	data = malloc(size);
	if (!data || d->vk.vkGetPipelineCacheData(d->handle, c->handle, &size, data) != VK_SUCCESS)
		return;
	error = file_write_atomic(c->path, data, size, 0600);
	if (error)
		log_debug("%s cannot be written: %d", c->path, error);
	else
		c->saved_size = size;
}
