/* Tests that need a Vulkan device take lavapipe, unless the caller names another driver. */
#ifndef TBMESH_TESTS_UNIT_VULKAN_ENV_H
#define TBMESH_TESTS_UNIT_VULKAN_ENV_H

#include <stdlib.h>

static inline void vulkan_env(void)
{
	setenv("VK_DRIVER_FILES", "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json", 0);
}

#endif
