#include "migrate/exec/pipeline_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"

#define CACHE_MAX_BYTES (256u << 20)
#define DRIVER_CACHE_MAX "512M"

/* In front of the driver's bytes: a driver checks only whether they are its own, and may crash on damaged ones. */
struct cache_head {
	char magic[8];
	uint64_t size, hash;
};
static const char cache_magic[8] = "tbmpipe1";

/* FNV-1a over words: guards against damage, not against malice; the file is the node's own. */
static uint64_t hash_bytes(const char *bytes, size_t size)
{
	uint64_t hash = 14695981039346656037u, word = 0;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		size_t part = size - i < sizeof(word) ? size - i : sizeof(word);

		word = 0;
		memcpy(&word, bytes + i, part);
		hash = (hash ^ word) * 1099511628211u;
		hash ^= hash >> 29;
	}
	return hash;
}

void pipeline_cache_prepare(const char *directory)
{
	__attribute__((cleanup(free_pointer))) char *path = NULL;

	if (!directory || asprintf(&path, "%s/driver", directory) < 0)
		return;
	if (directory_make(path, 0700) < 0)
		return;
	setenv("MESA_SHADER_CACHE_DIR", path, 1);
	setenv("MESA_SHADER_CACHE_MAX_SIZE", DRIVER_CACHE_MAX, 1);
	setenv("__GL_SHADER_DISK_CACHE_PATH", path, 1);
}

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
	struct cache_head head;
	size_t size = 0;

	*c = (struct pipeline_cache){ .device = d };
	if (directory && directory_make(directory, 0700) == 0)
		c->path = cache_path(d, directory);
	if (c->path && file_read(c->path, CACHE_MAX_BYTES, &data, &size) == 0 && size >= sizeof(head)) {
		memcpy(&head, data, sizeof(head));
		if (memcmp(head.magic, cache_magic, sizeof(cache_magic)) == 0 && head.size == size - sizeof(head) &&
			head.hash == hash_bytes(data + sizeof(head), head.size)) {
			info.initialDataSize = head.size;
			info.pInitialData = data + sizeof(head);
		} else {
			log_info("%s is damaged: pipelines are compiled anew", c->path);
		}
	}
	if (d->vk.vkCreatePipelineCache(d->handle, &info, NULL, &c->handle) < 0)
		c->handle = VK_NULL_HANDLE;
	c->saved_size = info.initialDataSize;
}

void pipeline_cache_save(struct pipeline_cache *c)
{
	const struct device *d = c->device;
	__attribute__((cleanup(free_pointer))) char *data = NULL;
	struct cache_head head;
	size_t size = 0;
	int error;

	if (!c->changed || !c->path || !c->handle)
		return;
	c->changed = false;
	if (d->vk.vkGetPipelineCacheData(d->handle, c->handle, &size, NULL) != VK_SUCCESS || size == c->saved_size ||
		size > CACHE_MAX_BYTES - sizeof(head))
		return;
	data = malloc(sizeof(head) + size);
	if (!data || d->vk.vkGetPipelineCacheData(d->handle, c->handle, &size, data + sizeof(head)) != VK_SUCCESS)
		return;
	head = (struct cache_head){ .size = size, .hash = hash_bytes(data + sizeof(head), size) };
	memcpy(head.magic, cache_magic, sizeof(cache_magic));
	memcpy(data, &head, sizeof(head));
	error = file_write_atomic(c->path, data, sizeof(head) + size, 0600);
	if (error)
		log_debug("%s cannot be written: %d", c->path, error);
	else
		c->saved_size = size;
}
