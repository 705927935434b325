#include "gpu/spirv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <spirv/unified1/spirv.h>

#include "base/buf.h"

#define HEADER_WORDS 5
#define MAX_BOUND 0x400000u /* universal limit of ids, section 2.17 */
#define NO_SPEC_ID UINT32_MAX

enum {
	DECORATED_SET = 1,
	DECORATED_BINDING = 2,
	DECORATED_NON_WRITABLE = 4,
	DECORATED_BUFFER_BLOCK = 8,
	DECORATED_WORKGROUP_SIZE = 16
};

struct id {
	const uint32_t *definition; /* the instruction that has it as its result, NULL so far */
	uint32_t flags;             /* DECORATED_… */
	uint32_t set, binding;
	uint32_t spec_id;           /* + 1, 0 is none */
	uint64_t read_only_members; /* of a struct: bit n, member n is NonWritable; members behind 63 count as writable */
	uint64_t size;              /* of a type: bytes in Workgroup memory, lower bound; saturates */
	uint64_t value;             /* of a scalar constant, truncated to its width */
	bool known;
};

struct module {
	struct id *ids;
	uint32_t bound;
	const VkSpecializationInfo *specialization;
	uint32_t entry;                 /* id of the entry point, 0 so far */
	const uint32_t *local_size;     /* OpExecutionMode LocalSize of it */
	const uint32_t *local_size_id;  /* OpExecutionModeId LocalSizeId of it */
	uint32_t workgroup_size;        /* id of the constant decorated WorkgroupSize, 0 is none */
	bool explicit_workgroup_layout; /* Workgroup blocks alias one another */
	struct buf capabilities, variables;
};

static uint32_t word_count(const uint32_t *i)
{
	return i[0] >> SpvWordCountShift;
}

static SpvOp opcode(const uint32_t *i)
{
	return (SpvOp)(i[0] & SpvOpCodeMask);
}

static struct id *id_get(struct module *m, uint32_t id)
{
	return id != 0 && id < m->bound ? &m->ids[id] : NULL;
}

/* The defining instruction of an id, if it is this operation and has at least that many words. */
static const uint32_t *id_defined(struct module *m, uint32_t id, SpvOp op, uint32_t words)
{
	const struct id *d = id_get(m, id);
	return d != NULL && d->definition != NULL && opcode(d->definition) == op && word_count(d->definition) >= words
		? d->definition
		: NULL;
}

static uint64_t saturating_multiply(uint64_t a, uint64_t b)
{
	uint64_t product;
	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
	uint64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* Decorations */

static int read_decoration(struct module *m, const uint32_t *i)
{
	uint32_t words = word_count(i);
	struct id *target = words >= 3 ? id_get(m, i[1]) : NULL;
	if (target == NULL)
		return -EBADMSG;
	switch (i[2]) {
	case SpvDecorationNonWritable:
		target->flags |= DECORATED_NON_WRITABLE;
		return 0;
	case SpvDecorationBufferBlock:
		target->flags |= DECORATED_BUFFER_BLOCK;
		return 0;
	default:
		break;
	}
	if (words < 4)
		return 0;
	switch (i[2]) {
	case SpvDecorationDescriptorSet:
		target->flags |= DECORATED_SET;
		target->set = i[3];
		break;
	case SpvDecorationBinding:
		target->flags |= DECORATED_BINDING;
		target->binding = i[3];
		break;
	case SpvDecorationSpecId:
		if (i[3] != NO_SPEC_ID)
			target->spec_id = i[3] + 1;
		break;
	case SpvDecorationBuiltIn:
		if (i[3] == SpvBuiltInWorkgroupSize)
			m->workgroup_size = i[1];
		break;
	default:
		break;
	}
	return 0;
}

static int read_member_decoration(struct module *m, const uint32_t *i)
{
	struct id *target = word_count(i) >= 4 ? id_get(m, i[1]) : NULL;
	if (target == NULL)
		return -EBADMSG;
	if (i[3] == SpvDecorationNonWritable && i[2] < 64)
		target->read_only_members |= 1ull << i[2];
	return 0;
}

static int read_group(struct module *m, const uint32_t *i)
{
	const struct id *group = word_count(i) >= 2 ? id_get(m, i[1]) : NULL;
	if (group == NULL)
		return -EBADMSG;
	for (uint32_t n = 2; n < word_count(i); n++) {
		struct id *target = id_get(m, i[n]);
		if (target == NULL)
			return -EBADMSG;
		target->flags |= group->flags;
		if (group->flags & DECORATED_SET)
			target->set = group->set;
		if (group->flags & DECORATED_BINDING)
			target->binding = group->binding;
		if (group->spec_id != 0)
			target->spec_id = group->spec_id;
	}
	return 0;
}

/* Types */

static uint64_t type_size(struct module *m, uint32_t type)
{
	const struct id *d = id_get(m, type);
	return d != NULL ? d->size : 0;
}

/* Bytes of the type that the instruction defines; what it is made of has been defined before, so nothing recurses. */
static uint64_t size_of_definition(struct module *m, const uint32_t *i)
{
	uint32_t words = word_count(i);
	switch ((int)opcode(i)) {
	case SpvOpTypeBool:
		return 4;
	case SpvOpTypeInt:
	case SpvOpTypeFloat:
		return words >= 3 ? i[2] / 8 : 0;
	case SpvOpTypeVector:
	case SpvOpTypeMatrix:
		return words >= 4 ? saturating_multiply(type_size(m, i[2]), i[3]) : 0;
	case SpvOpTypeArray: {
		const struct id *length = words >= 4 ? id_get(m, i[3]) : NULL;
		return length != NULL && length->known ? saturating_multiply(type_size(m, i[2]), length->value) : 0;
	}
	case SpvOpTypeStruct: {
		uint64_t sum = 0;
		for (uint32_t n = 2; n < words; n++)
			sum = saturating_add(sum, type_size(m, i[n]));
		return sum;
	}
	default:
		return 0;
	}
}

static bool all_members_read_only(struct module *m, uint32_t type)
{
	const uint32_t *s = id_defined(m, type, SpvOpTypeStruct, 2);
	uint32_t count = s != NULL ? word_count(s) - 2 : 0;
	if (count == 0 || count > 64)
		return false;
	uint64_t all = count == 64 ? UINT64_MAX : (1ull << count) - 1;
	return (m->ids[type].read_only_members & all) == all;
}

static VkDescriptorType image_type(const uint32_t *image, bool with_sampler)
{
	bool storage = image[7] == 2;
	if (image[3] == SpvDimSubpassData)
		return VK_DESCRIPTOR_TYPE_INPUT_ATTACHMENT;
	if (image[3] == SpvDimBuffer)
		return storage ? VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
	if (with_sampler)
		return VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER;
	return storage ? VK_DESCRIPTOR_TYPE_STORAGE_IMAGE : VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE;
}

static VkDescriptorType descriptor_type(struct module *m, uint32_t type, uint32_t storage_class)
{
	if (storage_class == SpvStorageClassStorageBuffer)
		return VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
	if (storage_class == SpvStorageClassUniform)
		return m->ids[type].flags & DECORATED_BUFFER_BLOCK ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
								   : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
	if (id_defined(m, type, SpvOpTypeSampler, 2) != NULL)
		return VK_DESCRIPTOR_TYPE_SAMPLER;
	const uint32_t *sampled = id_defined(m, type, SpvOpTypeSampledImage, 3);
	const uint32_t *image = id_defined(m, sampled != NULL ? sampled[2] : type, SpvOpTypeImage, 9);
	return image != NULL ? image_type(image, sampled != NULL) : VK_DESCRIPTOR_TYPE_MAX_ENUM;
}

/* Constants */

static void specialize(const struct module *m, struct id *c, uint32_t width)
{
	const VkSpecializationInfo *s = m->specialization;
	if (c->spec_id == 0 || s == NULL)
		return;
	for (uint32_t n = 0; n < s->mapEntryCount; n++) {
		const VkSpecializationMapEntry *e = &s->pMapEntries[n];
		size_t bytes = width / 8;
		if (e->constantID != c->spec_id - 1 || e->size < bytes || e->offset > s->dataSize ||
			bytes > s->dataSize - e->offset)
			continue;
		c->value = 0;
		memcpy(&c->value, (const char *)s->pData + e->offset, bytes);
	}
}

/* Width of a scalar integer or float type; 32 for a boolean as specialization carries it; 0 for all others. */
static uint32_t scalar_width(struct module *m, uint32_t type)
{
	if (id_defined(m, type, SpvOpTypeBool, 2) != NULL)
		return 32;
	const uint32_t *i = id_defined(m, type, SpvOpTypeInt, 4);
	if (i == NULL)
		i = id_defined(m, type, SpvOpTypeFloat, 3);
	return i != NULL && (i[2] == 8 || i[2] == 16 || i[2] == 32 || i[2] == 64) ? i[2] : 0;
}

static uint64_t truncate(uint64_t value, uint32_t width)
{
	return width < 64 ? value & ((1ull << width) - 1) : value;
}

static int64_t sign_extend(uint64_t value, uint32_t width)
{
	return (int64_t)(value << (64 - width)) >> (64 - width);
}

/* One integer operation of OpSpecConstantOp on n operands of a width. False: not one that we evaluate. */
static bool evaluate(SpvOp op, const uint64_t *a, uint32_t n, uint32_t width, uint64_t *ret)
{
	if (n == 1) {
		switch ((int)op) {
		case SpvOpNot:
			*ret = ~a[0];
			return true;
		case SpvOpSNegate:
			*ret = -a[0];
			return true;
		case SpvOpLogicalNot:
			*ret = !a[0];
			return true;
		case SpvOpUConvert:
			*ret = a[0];
			return true;
		case SpvOpSConvert:
			*ret = (uint64_t)sign_extend(a[0], width);
			return true;
		default:
			return false;
		}
	}
	if (n == 3 && op == SpvOpSelect) {
		*ret = a[0] ? a[1] : a[2];
		return true;
	}
	if (n != 2)
		return false;
	int64_t s0 = sign_extend(a[0], width), s1 = sign_extend(a[1], width);
	bool divides = a[1] != 0 && !(s0 == INT64_MIN && s1 == -1), shifts = a[1] < width;
	switch ((int)op) {
	case SpvOpIAdd:
		*ret = a[0] + a[1];
		return true;
	case SpvOpISub:
		*ret = a[0] - a[1];
		return true;
	case SpvOpIMul:
		*ret = a[0] * a[1];
		return true;
	case SpvOpUDiv:
		*ret = divides ? a[0] / a[1] : 0;
		return divides;
	case SpvOpSDiv:
		*ret = divides ? (uint64_t)(s0 / s1) : 0;
		return divides;
	case SpvOpUMod:
		*ret = divides ? a[0] % a[1] : 0;
		return divides;
	case SpvOpSRem:
		*ret = divides ? (uint64_t)(s0 % s1) : 0;
		return divides;
	case SpvOpShiftLeftLogical:
		*ret = shifts ? a[0] << a[1] : 0;
		return shifts;
	case SpvOpShiftRightLogical:
		*ret = shifts ? a[0] >> a[1] : 0;
		return shifts;
	case SpvOpShiftRightArithmetic:
		*ret = shifts ? (uint64_t)(s0 >> a[1]) : 0;
		return shifts;
	case SpvOpBitwiseOr:
		*ret = a[0] | a[1];
		return true;
	case SpvOpBitwiseAnd:
		*ret = a[0] & a[1];
		return true;
	case SpvOpBitwiseXor:
		*ret = a[0] ^ a[1];
		return true;
	case SpvOpLogicalAnd:
		*ret = a[0] && a[1];
		return true;
	case SpvOpLogicalOr:
		*ret = a[0] || a[1];
		return true;
	case SpvOpIEqual:
	case SpvOpLogicalEqual:
		*ret = a[0] == a[1];
		return true;
	case SpvOpINotEqual:
	case SpvOpLogicalNotEqual:
		*ret = a[0] != a[1];
		return true;
	case SpvOpULessThan:
		*ret = a[0] < a[1];
		return true;
	case SpvOpULessThanEqual:
		*ret = a[0] <= a[1];
		return true;
	case SpvOpUGreaterThan:
		*ret = a[0] > a[1];
		return true;
	case SpvOpUGreaterThanEqual:
		*ret = a[0] >= a[1];
		return true;
	case SpvOpSLessThan:
		*ret = s0 < s1;
		return true;
	case SpvOpSLessThanEqual:
		*ret = s0 <= s1;
		return true;
	case SpvOpSGreaterThan:
		*ret = s0 > s1;
		return true;
	case SpvOpSGreaterThanEqual:
		*ret = s0 >= s1;
		return true;
	default:
		return false;
	}
}

/* OpSpecConstantOp: result type, result, operation, operands */
static void read_constant_op(struct module *m, const uint32_t *i, struct id *c, uint32_t width)
{
	uint64_t operands[3];
	uint32_t count = word_count(i) - 4, operand_width = width;
	if (count == 0 || count > 3)
		return;
	for (uint32_t n = 0; n < count; n++) {
		const struct id *o = id_get(m, i[4 + n]);
		if (o == NULL || !o->known)
			return;
		operands[n] = o->value;
		if (n == 0)
			operand_width = scalar_width(m, o->definition[1]);
	}
	if (operand_width == 0 || !evaluate((SpvOp)i[3], operands, count, operand_width, &c->value))
		return;
	c->value = truncate(c->value, width);
	c->known = true;
}

static int read_constant(struct module *m, const uint32_t *i, struct id *c)
{
	uint32_t words = word_count(i), width = scalar_width(m, i[1]);
	if (width == 0)
		return 0; /* composites are looked up through their definition */
	switch ((int)opcode(i)) {
	case SpvOpConstantTrue:
	case SpvOpSpecConstantTrue:
		c->value = 1;
		break;
	case SpvOpConstantFalse:
	case SpvOpSpecConstantFalse:
	case SpvOpConstantNull:
		c->value = 0;
		break;
	case SpvOpConstant:
	case SpvOpSpecConstant:
		if (words < (width == 64 ? 5u : 4u))
			return -EBADMSG;
		c->value = truncate(width == 64 ? (uint64_t)i[4] << 32 | i[3] : i[3], width);
		break;
	case SpvOpSpecConstantOp:
		if (words < 4)
			return -EBADMSG;
		read_constant_op(m, i, c, width);
		return 0;
	default:
		return 0;
	}
	c->known = true;
	specialize(m, c, width);
	return 0;
}

/* Variables */

static int read_variable(struct module *m, const uint32_t *i, struct spirv_info *ret)
{
	const struct id *v = id_get(m, i[2]);
	uint32_t storage_class = i[3];
	const uint32_t *pointer = id_defined(m, i[1], SpvOpTypePointer, 4);
	if (pointer == NULL || id_get(m, pointer[3]) == NULL)
		return -EBADMSG;
	uint32_t type = pointer[3];
	if (storage_class == SpvStorageClassWorkgroup) {
		uint64_t size = type_size(m, type);
		if (!m->explicit_workgroup_layout)
			ret->workgroup_bytes = saturating_add(ret->workgroup_bytes, size);
		else if (size > ret->workgroup_bytes)
			ret->workgroup_bytes = size;
		return 0;
	}
	if ((v->flags & (DECORATED_SET | DECORATED_BINDING)) != (DECORATED_SET | DECORATED_BINDING))
		return 0;
	struct spirv_variable variable = { .set = v->set, .binding = v->binding, .count = 1 };
	for (;;) { /* through arrays; each element type was defined in front of its array, so this ends */
		const uint32_t *array = id_defined(m, type, SpvOpTypeArray, 4);
		const struct id *length = array != NULL ? id_get(m, array[3]) : NULL;
		if (array == NULL) {
			array = id_defined(m, type, SpvOpTypeRuntimeArray, 3);
			if (array == NULL)
				break;
		}
		uint64_t count = length != NULL && length->known ? saturating_multiply(variable.count, length->value) : 0;
		variable.count = count <= UINT32_MAX ? (uint32_t)count : UINT32_MAX;
		type = array[2];
	}
	variable.type = descriptor_type(m, type, storage_class);
	switch ((int)variable.type) {
	case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER:
	case VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER:
	case VK_DESCRIPTOR_TYPE_STORAGE_IMAGE:
	case VK_DESCRIPTOR_TYPE_MAX_ENUM:
		variable.non_writable = (v->flags & DECORATED_NON_WRITABLE) || all_members_read_only(m, type);
		break;
	default:
		variable.non_writable = true;
		break;
	}
	buf_append(&m->variables, &variable, sizeof(variable));
	return 0;
}

/* Entry point */

static bool name_is(const uint32_t *words, uint32_t count, const char *name)
{
	size_t size = (size_t)count * 4, length = strnlen((const char *)words, size);
	return length < size && length == strlen(name) && memcmp(words, name, length) == 0;
}

/* execution model, id, name, interface */
static void read_entry(struct module *m, const uint32_t *i, const char *entry)
{
	if (m->entry == 0 && word_count(i) >= 4 && i[1] == SpvExecutionModelGLCompute &&
		(entry == NULL || name_is(i + 3, word_count(i) - 3, entry)))
		m->entry = i[2];
}

static void read_execution_mode(struct module *m, const uint32_t *i)
{
	if (word_count(i) < 6 || m->entry == 0 || i[1] != m->entry)
		return;
	if (opcode(i) == SpvOpExecutionMode && i[2] == SpvExecutionModeLocalSize)
		m->local_size = i + 3;
	else if (opcode(i) == SpvOpExecutionModeId && i[2] == SpvExecutionModeLocalSizeId)
		m->local_size_id = i + 3;
}

static void resolve_local_size(struct module *m, struct spirv_info *ret)
{
	ret->has_entry = m->entry != 0;
	if (!ret->has_entry)
		return;
	const uint32_t *ids = m->local_size_id;
	const uint32_t *composite = id_defined(m, m->workgroup_size, SpvOpSpecConstantComposite, 6);
	if (composite == NULL)
		composite = id_defined(m, m->workgroup_size, SpvOpConstantComposite, 6);
	if (composite != NULL)
		ids = composite + 3; /* the decorated constant goes before the execution mode */
	ret->local_size_known = ids != NULL || m->local_size != NULL;
	for (int n = 0; n < 3; n++) {
		if (ids == NULL) {
			ret->local_size[n] = m->local_size != NULL ? m->local_size[n] : 0;
			continue;
		}
		const struct id *c = id_get(m, ids[n]);
		if (c != NULL && c->known)
			ret->local_size[n] = (uint32_t)c->value;
		else
			ret->local_size_known = false;
	}
}

bool spirv_is_subgroup_capability(uint32_t capability)
{
	switch (capability) {
	case SpvCapabilityGroupNonUniform:
	case SpvCapabilityGroupNonUniformVote:
	case SpvCapabilityGroupNonUniformArithmetic:
	case SpvCapabilityGroupNonUniformBallot:
	case SpvCapabilityGroupNonUniformShuffle:
	case SpvCapabilityGroupNonUniformShuffleRelative:
	case SpvCapabilityGroupNonUniformClustered:
	case SpvCapabilityGroupNonUniformQuad:
	case SpvCapabilityGroupNonUniformPartitionedNV:
	case SpvCapabilityGroupNonUniformRotateKHR:
	case SpvCapabilitySubgroupBallotKHR:
	case SpvCapabilitySubgroupVoteKHR:
	case SpvCapabilitySubgroupShuffleINTEL:
	case SpvCapabilitySubgroupBufferBlockIOINTEL:
	case SpvCapabilitySubgroupImageBlockIOINTEL:
	case SpvCapabilityCooperativeMatrixNV:
	case 6022: /* CooperativeMatrixKHR, which older headers do not have */
		return true;
	default:
		return false;
	}
}

static void read_capability(struct module *m, uint32_t capability, struct spirv_info *ret)
{
	buf_append(&m->capabilities, &capability, sizeof(capability));
	ret->uses_subgroups = ret->uses_subgroups || spirv_is_subgroup_capability(capability);
	if (capability == SpvCapabilityWorkgroupMemoryExplicitLayoutKHR)
		m->explicit_workgroup_layout = true;
}

/* Notes the result of a type, constant or variable. NULL: not an id, or defined twice. */
static struct id *define(struct module *m, const uint32_t *i, uint32_t result)
{
	struct id *d = id_get(m, result);
	if (d == NULL || d->definition != NULL)
		return NULL;
	d->definition = i;
	return d;
}

static int read_type(struct module *m, const uint32_t *i)
{
	uint64_t size = size_of_definition(m, i);
	struct id *d = define(m, i, i[1]);
	if (d == NULL)
		return -EBADMSG;
	d->size = size;
	return 0;
}

static int read_instruction(struct module *m, const uint32_t *i, const char *entry, struct spirv_info *ret)
{
	uint32_t words = word_count(i);
	struct id *d;
	switch ((int)opcode(i)) {
	case SpvOpCapability:
		if (words < 2)
			return -EBADMSG;
		read_capability(m, i[1], ret);
		return 0;
	case SpvOpEntryPoint:
		read_entry(m, i, entry);
		return 0;
	case SpvOpExecutionMode:
	case SpvOpExecutionModeId:
		read_execution_mode(m, i);
		return 0;
	case SpvOpDecorate:
		return read_decoration(m, i);
	case SpvOpMemberDecorate:
		return read_member_decoration(m, i);
	case SpvOpGroupDecorate:
		return read_group(m, i);
	case SpvOpTypeBool:
	case SpvOpTypeInt:
	case SpvOpTypeFloat:
	case SpvOpTypeVector:
	case SpvOpTypeMatrix:
	case SpvOpTypeImage:
	case SpvOpTypeSampler:
	case SpvOpTypeSampledImage:
	case SpvOpTypeStruct:
	case SpvOpTypePointer:
		return words >= 2 ? read_type(m, i) : -EBADMSG;
	case SpvOpTypeArray:
	case SpvOpTypeRuntimeArray:
		d = words >= 3 ? id_get(m, i[2]) : NULL;
		return d != NULL && d->definition != NULL ? read_type(m, i) : -EBADMSG;
	case SpvOpConstantTrue:
	case SpvOpConstantFalse:
	case SpvOpConstant:
	case SpvOpConstantNull:
	case SpvOpConstantComposite:
	case SpvOpSpecConstantTrue:
	case SpvOpSpecConstantFalse:
	case SpvOpSpecConstant:
	case SpvOpSpecConstantComposite:
	case SpvOpSpecConstantOp:
		d = words >= 3 ? define(m, i, i[2]) : NULL;
		return d != NULL ? read_constant(m, i, d) : -EBADMSG;
	case SpvOpVariable:
		d = words >= 4 ? define(m, i, i[2]) : NULL;
		return d != NULL ? read_variable(m, i, ret) : -EBADMSG;
	default:
		return 0;
	}
}

int spirv_reflect(const uint32_t *code, size_t size_bytes, const char *entry, const VkSpecializationInfo *specialization,
	struct spirv_info *ret)
{
	size_t words = size_bytes / 4;
	if (size_bytes % 4 != 0 || words < HEADER_WORDS || code[0] != SpvMagicNumber || code[3] == 0 || code[3] > MAX_BOUND)
		return -EBADMSG;
	struct module m = { .bound = code[3], .specialization = specialization };
	struct spirv_info info = { .version = code[1] };
	int rc = 0;
	m.ids = calloc(m.bound, sizeof(*m.ids));
	if (m.ids == NULL)
		return -ENOMEM;
	for (size_t at = HEADER_WORDS; at < words && rc == 0;) {
		const uint32_t *i = code + at;
		if (word_count(i) == 0 || word_count(i) > words - at)
			rc = -EBADMSG;
		else if (opcode(i) == SpvOpFunction)
			break; /* all that we look for is in front of the functions */
		else
			rc = read_instruction(&m, i, entry, &info);
		at += word_count(i);
	}
	if (rc == 0 && (m.capabilities.failed || m.variables.failed))
		rc = -ENOMEM;
	if (rc == 0)
		resolve_local_size(&m, &info);
	free(m.ids);
	if (rc < 0) {
		buf_finish(&m.capabilities);
		buf_finish(&m.variables);
		return rc;
	}
	info.capabilities = (uint32_t *)(void *)m.capabilities.data;
	info.capability_count = m.capabilities.size / sizeof(*info.capabilities);
	info.variables = (struct spirv_variable *)(void *)m.variables.data;
	info.variable_count = m.variables.size / sizeof(*info.variables);
	*ret = info;
	return 0;
}

void spirv_info_finish(struct spirv_info *info)
{
	free(info->capabilities);
	free(info->variables);
	*info = (struct spirv_info){ 0 };
}
