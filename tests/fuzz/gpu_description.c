/* Descriptions of peers' GPUs, and the questions that are put to them. */
#include "gpu/description.h"
#include "proto/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct description d;
	if (description_parse(&d, data, size) < 0)
		return 0;
	VkPhysicalDeviceVulkan12Properties p12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES };
	VkPhysicalDeviceProperties2 p = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &p12 };
	description_fill_chain(&d, &p);
	char why[100];
	for (uint32_t kind = 0; kind < 11; kind++) {
		struct gpu_need need = { .kind = kind, .a = kind * 8, .b = kind * 3, .c = 1, .text = "VK_KHR_x" };
		description_covers(&d, &need, 1, why, sizeof(why));
	}
	description_finish(&d);
	return 0;
}
