/* What GPU drivers say of their hardware in the kernel's log, as far as a GPU's health is in it. Pure. Texts: NVIDIA's open kernel modules
 * (NVRM: Xid), Linux drivers/gpu/drm/{amd,i915,xe}. The log is anybody's to write to who may open /dev/kmsg, that is root. */
#ifndef TBMESH_NODE_HEALTH_KERNEL_LOG_H
#define TBMESH_NODE_HEALTH_KERNEL_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "node/health/health.h"

struct kernel_trouble {
	char pci_address[16]; /* "0000:04:00.0"; the function may be missing ("0000:04:00"); "" the line does not say */
	char driver[16];      /* "nvidia", "amdgpu", "i915", "xe" */
	enum health_trouble kind;
	char text[HEALTH_REASON_SIZE]; /* printable */
};

/* One message, without time stamps. True: it says that something is wrong with a GPU. */
bool kernel_log_parse(const char *message, size_t size, struct kernel_trouble *ret);
/* Is that trouble told of this PCI function? A line without an address counts for all GPUs of its driver. */
bool kernel_trouble_is_of(const struct kernel_trouble *t, const char *pci_address, const char *driver);

#endif
