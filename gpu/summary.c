#include "gpu/summary.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Names come from drivers, perhaps of another host: they are shown on terminals. */
static void copy_clean(char *out, size_t size, const char *in, size_t in_size)
{
	size_t length = 0;
	for (; length + 1 < size && length < in_size && in[length]; length++)
		out[length] = in[length] < 0x20 || in[length] > 0x7e ? '?' : in[length];
	out[length] = '\0';
}

static const char *type_name(VkPhysicalDeviceType type)
{
	static const char *const names[] = { [VK_PHYSICAL_DEVICE_TYPE_OTHER] = "other",
		[VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU] = "integrated",
		[VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU] = "discrete",
		[VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU] = "virtual",
		[VK_PHYSICAL_DEVICE_TYPE_CPU] = "cpu" };
	return (unsigned)type < sizeof names / sizeof names[0] ? names[type] : "other";
}

static uint64_t local_memory(const struct description *d)
{
	size_t size;
	const VkPhysicalDeviceMemoryProperties *m = description_find(d, DESCRIPTION_MEMORY, 0, &size);
	uint64_t most = 0;
	if (!m || size < sizeof *m || m->memoryHeapCount > VK_MAX_MEMORY_HEAPS)
		return 0;
	for (uint32_t i = 0; i < m->memoryHeapCount; i++)
		if (m->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT && m->memoryHeaps[i].size > most)
			most = m->memoryHeaps[i].size;
	return most;
}

int gpu_summarize(const struct description *d, struct gpu_summary *ret)
{
	const VkPhysicalDeviceProperties2 *p =
		description_struct(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, sizeof *p);
	if (!p)
		return -EBADMSG;
	memset(ret, 0, sizeof *ret);
	size_t size = 0;
	const char *id = description_find(d, DESCRIPTION_TEXT, DESCRIPTION_TEXT_GPU_ID, &size);
	if (id)
		copy_clean(ret->id, sizeof ret->id, id, size);
	copy_clean(ret->name, sizeof ret->name, p->properties.deviceName, sizeof p->properties.deviceName);
	ret->type = type_name(p->properties.deviceType);
	ret->api_version = p->properties.apiVersion;
	ret->vendor_id = p->properties.vendorID;
	ret->device_id = p->properties.deviceID;
	ret->memory_bytes = local_memory(d);
	const VkPhysicalDeviceDriverProperties *driver =
		description_struct(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES, sizeof *driver);
	if (driver) {
		ret->driver_id = (uint32_t)driver->driverID;
		copy_clean(ret->driver, sizeof ret->driver, driver->driverName, sizeof driver->driverName);
		copy_clean(ret->driver_info, sizeof ret->driver_info, driver->driverInfo, sizeof driver->driverInfo);
	}
	const VkPhysicalDeviceIDProperties *ids =
		description_struct(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES, sizeof *ids);
	if (ids)
		memcpy(ret->device_uuid, ids->deviceUUID, sizeof ret->device_uuid);
	const VkPhysicalDevicePCIBusInfoPropertiesEXT *pci =
		description_struct(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT, sizeof *pci);
	if (pci && pci->pciDomain <= 0xffff && pci->pciBus <= 0xff && pci->pciDevice <= 0x1f && pci->pciFunction <= 7)
		snprintf(ret->pci_address, sizeof ret->pci_address, "%04x:%02x:%02x.%x", pci->pciDomain & 0xffff,
			pci->pciBus & 0xff, pci->pciDevice & 0x1f, pci->pciFunction & 7);
	const VkPhysicalDeviceDrmPropertiesEXT *drm =
		description_struct(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRM_PROPERTIES_EXT, sizeof *drm);
	if (drm && drm->hasRender && drm->renderMinor >= 0 && drm->renderMinor < 1 << 20)
		snprintf(ret->render_node, sizeof ret->render_node, "/dev/dri/renderD%d", (int)drm->renderMinor);
	if (drm && drm->hasPrimary && drm->primaryMinor >= 0 && drm->primaryMinor < 1 << 20)
		snprintf(ret->primary_node, sizeof ret->primary_node, "/dev/dri/card%d", (int)drm->primaryMinor);
	return 0;
}
