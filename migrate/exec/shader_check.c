#include "migrate/exec/shader_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <spirv/unified1/spirv.h>
#include <spirv-tools/libspirv.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"
#include "gpu/spirv.h"
#include "proto/record.h"

#define MAX_KNOWN (64u << 10)
#define FILE_MAX_BYTES ((MAX_KNOWN + 1u) * SHADER_DIGEST_BYTES)

static bool digest(const void *data, size_t size, unsigned char out[SHADER_DIGEST_BYTES])
{
	return EVP_Digest(data, size, out, NULL, EVP_sha256(), NULL) == 1;
}

/* --- what is known to be good --- */

static const unsigned char free_slot[SHADER_DIGEST_BYTES];

static unsigned char *find_slot(const struct shader_check *c, const unsigned char *key)
{
	uint64_t start;

	memcpy(&start, key, sizeof(start));
	for (size_t i = start & (c->capacity - 1);; i = (i + 1) & (c->capacity - 1)) {
		unsigned char *slot = c->slots + i * SHADER_DIGEST_BYTES;

		if (!memcmp(slot, key, SHADER_DIGEST_BYTES) || !memcmp(slot, free_slot, SHADER_DIGEST_BYTES))
			return slot;
	}
}

static bool is_known(const struct shader_check *c, const unsigned char *key)
{
	return c->count && !memcmp(find_slot(c, key), key, SHADER_DIGEST_BYTES);
}

static bool grow(struct shader_check *c)
{
	struct shader_check larger = *c;

	larger.capacity = c->capacity ? 2 * c->capacity : 256;
	larger.slots = calloc(larger.capacity, SHADER_DIGEST_BYTES);
	if (!larger.slots)
		return false;
	for (size_t i = 0; i < c->capacity; i++) {
		const unsigned char *slot = c->slots + i * SHADER_DIGEST_BYTES;

		if (memcmp(slot, free_slot, SHADER_DIGEST_BYTES))
			memcpy(find_slot(&larger, slot), slot, SHADER_DIGEST_BYTES);
	}
	free(c->slots);
	*c = larger;
	return true;
}

/* Only a help: what there is no room for is checked again. */
static bool add_known(struct shader_check *c, const unsigned char *key)
{
	unsigned char *slot;

	if (c->count == MAX_KNOWN || (2 * (c->count + 1) > c->capacity && !grow(c)))
		return false;
	slot = find_slot(c, key);
	if (!memcmp(slot, key, SHADER_DIGEST_BYTES))
		return false;
	memcpy(slot, key, SHADER_DIGEST_BYTES);
	c->count++;
	return true;
}

/* --- the rules --- */

static bool enabled12(const struct device *d, size_t offset)
{
	const VkPhysicalDeviceVulkan12Features *f =
		description_struct(&d->enabled, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, sizeof(*f));
	VkBool32 value = VK_FALSE;

	if (f)
		memcpy(&value, (const char *)f + offset, sizeof(value));
	return value;
}

struct rules {
	VkBool32 scalar, uniform_standard, workgroup_scalar, local_size_id;
};

static struct rules rules_of(const struct device *d)
{
	const VkPhysicalDeviceVulkan13Features *f13 =
		description_struct(&d->enabled, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, sizeof(*f13));
	const VkPhysicalDeviceMaintenance4Features *m4 =
		description_struct(&d->enabled, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES, sizeof(*m4));
	const VkPhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR *explicit_layout = description_struct(&d->enabled,
		VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_FEATURES_KHR, sizeof(*explicit_layout));

	return (struct rules){
		.scalar = enabled12(d, offsetof(VkPhysicalDeviceVulkan12Features, scalarBlockLayout)),
		.uniform_standard = enabled12(d, offsetof(VkPhysicalDeviceVulkan12Features, uniformBufferStandardLayout)),
		.workgroup_scalar = explicit_layout && explicit_layout->workgroupMemoryExplicitLayoutScalarBlockLayout,
		.local_size_id = (f13 && f13->maintenance4) || (m4 && m4->maintenance4),
	};
}

static bool read_file(struct shader_check *c)
{
	__attribute__((cleanup(free_pointer))) char *data = NULL;
	size_t size = 0;

	if (file_read(c->path, FILE_MAX_BYTES, &data, &size) || size < sizeof(c->head) || size % SHADER_DIGEST_BYTES ||
		memcmp(data, c->head, sizeof(c->head)))
		return false;
	for (size_t at = sizeof(c->head); at < size; at += SHADER_DIGEST_BYTES)
		add_known(c, (const unsigned char *)data + at);
	return true;
}

bool shader_check_init(struct shader_check *c, const struct device *d, const char *directory)
{
	struct rules rules = rules_of(d);
	struct buf head = { 0 };
	bool good;

	*c = (struct shader_check){ .device = d };
	c->context = spvContextCreate(SPV_ENV_VULKAN_1_2);
	c->options = spvValidatorOptionsCreate();
	if (!c->context || !c->options)
		return false;
	spvValidatorOptionsSetScalarBlockLayout(c->options, rules.scalar);
	spvValidatorOptionsSetUniformBufferStandardLayout(c->options, rules.uniform_standard);
	spvValidatorOptionsSetWorkgroupScalarBlockLayout(c->options, rules.workgroup_scalar);
	spvValidatorOptionsSetAllowLocalSizeId(c->options, rules.local_size_id);
	spvValidatorOptionsSetFriendlyNames(c->options, false);

	buf_append(&head, spvSoftwareVersionDetailsString(), strlen(spvSoftwareVersionDetailsString()));
	buf_append(&head, &rules, sizeof(rules));
	good = !head.failed && digest(head.data, head.size, c->head);
	buf_finish(&head);
	/* The same rules hold for all GPUs that have the same head, so one file serves them. */
	if (good && directory && directory_make(directory, 0700) == 0 &&
		asprintf(&c->path, "%s/%02x%02x%02x%02x.shaders", directory, c->head[0], c->head[1], c->head[2],
			c->head[3]) < 0)
		c->path = NULL;
	if (c->path && !read_file(c))
		log_debug("%s is not there yet, or of another version", c->path);
	return good;
}

bool shader_check_can_judge(const struct shader_check *c, uint32_t capability)
{
	const uint32_t code[] = { SpvMagicNumber, 0x10000, 0, 1, 0, 2u << SpvWordCountShift | SpvOpCapability, capability };
	spv_diagnostic diagnostic = NULL;
	spv_result_t result = spvBinaryParse(c->context, NULL, code, ARRAY_SIZE(code), NULL, NULL, &diagnostic);

	spvDiagnosticDestroy(diagnostic);
	return result == SPV_SUCCESS;
}

/* Everything that the module says it uses must have been enabled. ret_newer: one that SPIRV-Tools does not know, else 0. */
static bool check_capabilities(
	const struct shader_check *c, const uint32_t *code, size_t size, uint32_t *ret_newer, char *why, size_t why_size)
{
	struct spirv_info info;
	int error = spirv_reflect(code, size, NULL, NULL, &info);
	bool good = !error;

	if (error)
		snprintf(why, why_size, "%s", error == -ENOMEM ? "out of memory" : "it is no SPIR-V");
	for (size_t i = 0; good && i < info.capability_count; i++) {
		const struct gpu_need need = { .kind = NEED_SPIRV_CAPABILITY, .a = info.capabilities[i] };

		good = description_covers(&c->device->enabled, &need, 1, why, why_size);
		if (!shader_check_can_judge(c, info.capabilities[i]))
			*ret_newer = info.capabilities[i];
	}
	if (!error)
		spirv_info_finish(&info);
	return good;
}

static bool validate(const struct shader_check *c, const uint32_t *code, size_t size, char *why, size_t why_size)
{
	spv_const_binary_t binary = { code, size / sizeof(*code) };
	spv_diagnostic diagnostic = NULL;
	spv_result_t result = spvValidateWithOptions(c->context, c->options, &binary, &diagnostic);

	if (result != SPV_SUCCESS && diagnostic)
		snprintf(why, why_size, "%.300s (word %zu)", diagnostic->error, diagnostic->position.index);
	else if (result != SPV_SUCCESS)
		snprintf(why, why_size, "SPIRV-Tools' result is %d", (int)result);
	spvDiagnosticDestroy(diagnostic);
	return result == SPV_SUCCESS;
}

/* A module in which conversions to what is there already are copies. */
struct tolerant {
	uint32_t *code, *types; /* types: of each id */
	uint32_t bound;
	size_t at, count; /* word; conversions found */
};

static spv_result_t tolerate(void *ctx, const spv_parsed_instruction_t *in)
{
	struct tolerant *t = ctx;
	bool converts = in->opcode == SpvOpFConvert || in->opcode == SpvOpUConvert || in->opcode == SpvOpSConvert;

	if (in->result_id && in->result_id < t->bound)
		t->types[in->result_id] = in->type_id;
	if (converts && in->num_words == 4 && in->words[3] < t->bound && t->types[in->words[3]] == in->type_id) {
		t->code[t->at] = 4u << SpvWordCountShift | SpvOpCopyObject;
		t->count++;
	}
	t->at += in->num_words;
	return SPV_SUCCESS;
}

/* Compilers of some years write conversions of a value to its own type, which SPIR-V forbids and every driver takes for a copy. A module
 * that is valid but for these passes, and goes to the driver as it is. why stays as it is. */
static bool validate_tolerantly(const struct shader_check *c, const uint32_t *code, size_t size)
{
	struct tolerant t = { .bound = code[3], .at = 5 };
	char unused[8];
	bool good;

	if (t.bound > size / sizeof(*code))
		return false;
	t.code = malloc(size);
	t.types = calloc(t.bound + (size_t)1, sizeof(*t.types));
	good = t.code && t.types;
	if (good) {
		memcpy(t.code, code, size);
		good = spvBinaryParse(c->context, &t, code, size / sizeof(*code), NULL, tolerate, NULL) == SPV_SUCCESS &&
			t.count && validate(c, t.code, size, unused, sizeof(unused));
	}
	free(t.code);
	free(t.types);
	return good;
}

bool shader_check_module(struct shader_check *c, const uint32_t *code, size_t size_bytes, char *why, size_t why_size)
{
	unsigned char key[SHADER_DIGEST_BYTES];
	bool has_key = digest(code, size_bytes, key);
	uint32_t newer = 0;

	if (!check_capabilities(c, code, size_bytes, &newer, why, why_size))
		return false;
	if (has_key && is_known(c, key))
		return true;
	/* What the device was made for cannot be refused because SPIRV-Tools is older than the driver. */
	if (newer)
		log_info("SPIR-V capability %u is newer than SPIRV-Tools here: the driver gets the module unchecked", newer);
	else if (!validate(c, code, size_bytes, why, why_size) && !validate_tolerantly(c, code, size_bytes))
		return false;
	if (has_key && add_known(c, key))
		c->changed = true;
	return true;
}

void shader_check_save(struct shader_check *c)
{
	struct buf file = { 0 };
	int error = -ENOMEM;

	if (!c->changed || !c->path)
		return;
	c->changed = false;
	/* What other executors found out meanwhile stays. */
	read_file(c);
	buf_append(&file, c->head, sizeof(c->head));
	for (size_t i = 0; i < c->capacity; i++) {
		const unsigned char *slot = c->slots + i * SHADER_DIGEST_BYTES;

		if (memcmp(slot, free_slot, SHADER_DIGEST_BYTES))
			buf_append(&file, slot, SHADER_DIGEST_BYTES);
	}
	if (!file.failed)
		error = file_write_atomic(c->path, file.data, file.size, 0600);
	if (error)
		log_debug("%s cannot be written: %d", c->path, error);
	buf_finish(&file);
}

void shader_check_finish(struct shader_check *c)
{
	spvValidatorOptionsDestroy(c->options);
	spvContextDestroy(c->context);
	free(c->slots);
	free(c->path);
	*c = (struct shader_check){ 0 };
}
