/* SPIR-V modules of programs, with a specialization of every constant that the module may have. */
#include <stdlib.h>
#include <string.h>

#include "gpu/spirv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint32_t values[2] = { 3, 0xffffffff };
	const VkSpecializationMapEntry map[] = { { 0, 0, 4 }, { 1, 4, 4 }, { 3, 0, 8 }, { 5, 6, 4 }, { 7, 100, 4 } };
	const VkSpecializationInfo specialization = { 5, map, sizeof(values), values };
	struct spirv_info info;
	size &= ~(size_t)3;
	uint32_t *code = malloc(size + 4); /* aligned */
	if (code == NULL)
		return 0;
	memcpy(code, data, size);
	if (size >= 16 && code[3] > 65536)
		code[3] = 65536; /* ids that need much memory and show nothing new */
	if (spirv_reflect(code, size, "main", &specialization, &info) == 0)
		spirv_info_finish(&info);
	free(code);
	return 0;
}
