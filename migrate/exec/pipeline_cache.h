/* Compiled pipelines kept in a file per GPU and driver, so that a workload that moves here does not wait for the compiler
 * again. Only a help: whatever goes wrong with it is not an error. Main thread only. */
#ifndef TBMESH_MIGRATE_EXEC_PIPELINE_CACHE_H
#define TBMESH_MIGRATE_EXEC_PIPELINE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "migrate/exec/device.h"

struct pipeline_cache {
	const struct device *device; /* set at creation */
	char *path;                  /* NULL: not kept; owned */
	VkPipelineCache handle;      /* may be null */
	bool changed;                /* since the last save */
	size_t saved_size;
};

/* Before the driver is loaded: what it caches by itself stays below the directory, too, and bounded. Some drivers keep
 * compiled code only there (lavapipe). NULL: as the environment says. */
void pipeline_cache_prepare(const char *directory);
/* directory: NULL, keep nothing. */
void pipeline_cache_init(struct pipeline_cache *c, const struct device *d, const char *directory);
/* Writes the file if pipelines were made since. Takes milliseconds: call it when there is nothing else to do. */
void pipeline_cache_save(struct pipeline_cache *c);

#endif
