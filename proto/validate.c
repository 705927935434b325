/* One walk over protobuf-c's descriptors checks all messages; what differs by field stands in the tables below. */
#include "proto/validate.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "proto/limits.h"
#include "proto/record.h"
#include "proto/messages.h"

/* protobuf-c makes up to 60 bytes of one: everything it allocates for a message counts against one budget. */
struct budget {
	ProtobufCAllocator allocator;
	size_t left_bytes;
};

static void *budget_alloc(void *data, size_t size)
{
	struct budget *b = data;
	if (size > b->left_bytes)
		return NULL;
	b->left_bytes -= size;
	return malloc(size);
}

static void budget_free(void *data, void *pointer)
{
	(void)data;
	free(pointer);
}

/* Strings longer than a name, in any message. */
static const char *const text_fields[] = { "message", "reason", "why", "value", "warnings", "refusals", "egpu_reason",
	"socket", "what", "fix", "note", "stays" };

static const struct {
	const char *field;
	size_t max;
} item_caps[] = {
	{ "events", MESSAGE_MAX_EVENTS },
	{ "needs", MESSAGE_MAX_NEEDS },
	{ "nodes", MESSAGE_MAX_NODES },
	{ "paths", MESSAGE_MAX_PATHS },
	{ "rates", MESSAGE_MAX_PATHS },
};

static const struct {
	const char *field;
	size_t max;
	bool exact; /* or empty */
} bytes_caps[] = {
	{ "description", MESSAGE_MAX_BLOB, false },
	{ "secret", MESSAGE_SECRET_BYTES, true },
	{ "token", MESSAGE_SECRET_BYTES, true },
};

static const struct {
	const char *message, *field;
	uint32_t min, max;
} number_ranges[] = {
	{ "Need", "kind", 1, NEED_KIND_MAX },
	{ "Reply", "code", 0, 7 },
	{ "ExecutorReply", "code", 0, 7 },
	{ "DescriptionReply", "code", 0, 7 },
	{ "ProbeReply", "code", 0, 7 },
	{ "LeaveReply", "code", 0, 7 },
	{ "Endpoint", "port", 1, 65535 },
	{ "ExecutorReply", "port", 0, 65535 },
	{ "ProbeReply", "port", 0, 65535 },
	{ "NodeState", "events_port", 0, 65535 },
	{ "NodeState", "cpu_load_percent", 0, 100 },
	{ "GpuHealth", "score", 0, 100 },
	{ "GpuHealth", "history", 0, 255 },
	{ "HealthChange", "score", 0, 100 },
};

/* Strings that stand for enums; "" is unknown. */
static const struct {
	const char *message, *field;
	const char *values[6];
} word_sets[] = {
	{ "Gpu", "type", { "discrete", "integrated", "virtual", "cpu", "other" } },
	{ "Gpu", "state", { "active", "gone", "no driver" } },
	{ "DoctorCheck", "result", { "ok", "warn", "fail" } },
	{ "Gpu", "memory_source", { "sysfs", "budget", "probe" } },
	{ "HealthChange", "level", { "good", "worn", "bad" } },
	{ "Gpu", "power_state", { "active", "idle", "suspended", "disconnected" } },
	{ "ThunderboltNode", "kind", { "domain", "host", "router", "retimer", "xdomain" } },
	{ "ThunderboltNode", "iommu_protection", { "yes", "no" } },
	{ "ThunderboltNode", "authorized", { "yes", "no" } },
	{ "Link", "state", { "up", "suspect", "down" } },
	{ "Peer", "state", { "up", "suspect", "dead" } },
	{ "Workload", "state", { "starting", "running", "moving", "finished", "lost" } },
	{ "Bandwidth", "source", { "probe", "traffic", "negotiated" } },
	{ "BenchRequest", "way", { "up", "down" } },
	{ "TopologyLink", "state", { "up", "suspect" } },
	{ "TopologyLink", "up_source", { "probe", "traffic", "negotiated" } },
	{ "TopologyLink", "down_source", { "probe", "traffic", "negotiated" } },
};

/* Length of the UTF-8 character at text, 0 if it is none or a control character. RFC 3629; NUL ends the text, so no read passes it. */
static size_t character_length(const unsigned char *text)
{
	if (text[0] >= 0x20 && text[0] < 0x7f)
		return 1;
	size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
	static const uint32_t smallest[] = { 0, 0, 0xa0 /* the C1 controls are below */, 0x800, 0x10000 };
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	uint32_t code = text[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	return code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : length;
}

bool message_text_good(const char *text, size_t max)
{
	size_t length = strnlen(text, max + 1);
	if (length > max)
		return false;
	for (size_t at = 0; at < length;) {
		size_t step = character_length((const unsigned char *)text + at);
		if (!step)
			return false;
		at += step;
	}
	return true;
}

void message_text_clean(char *text, size_t max)
{
	size_t at = 0;
	while (text[at] && at < max) {
		size_t step = character_length((const unsigned char *)text + at);
		if (!step) {
			text[at] = '?';
			step = 1;
		}
		if (at + step > max)
			break;
		at += step;
	}
	text[at] = 0;
}

static bool is_text_field(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(text_fields); i++) {
		if (strcmp(text_fields[i], name) == 0)
			return true;
	}
	return false;
}

static bool string_good(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field, const char *text)
{
	if (!text)
		return true; /* protobuf-c's empty */
	if (!message_text_good(text, is_text_field(field->name) ? MESSAGE_MAX_TEXT : MESSAGE_MAX_NAME))
		return false;
	for (size_t i = 0; text[0] && i < ARRAY_SIZE(word_sets); i++) {
		if (strcmp(word_sets[i].message, type->short_name) != 0 || strcmp(word_sets[i].field, field->name) != 0)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(word_sets[i].values) && word_sets[i].values[k]; k++) {
			if (strcmp(word_sets[i].values[k], text) == 0)
				return true;
		}
		return false;
	}
	return true;
}

static bool bytes_good(const ProtobufCFieldDescriptor *field, const ProtobufCBinaryData *bytes)
{
	for (size_t i = 0; i < ARRAY_SIZE(bytes_caps); i++) {
		if (strcmp(bytes_caps[i].field, field->name) == 0)
			return bytes->len == 0 ||
				(bytes_caps[i].exact ? bytes->len == bytes_caps[i].max : bytes->len <= bytes_caps[i].max);
	}
	return bytes->len <= MESSAGE_MAX_BYTES_FIELD;
}

static bool number_good(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field, uint32_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(number_ranges); i++) {
		if (strcmp(number_ranges[i].message, type->short_name) == 0 &&
			strcmp(number_ranges[i].field, field->name) == 0)
			return number >= number_ranges[i].min && number <= number_ranges[i].max;
	}
	return true;
}

static size_t item_cap(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(item_caps); i++) {
		if (strcmp(item_caps[i].field, name) == 0)
			return item_caps[i].max;
	}
	return MESSAGE_MAX_ITEMS;
}

/* Checks one value; a message in it is put off to pending. */
static bool value_good(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field, const void *value,
	struct buf *pending)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return string_good(type, field, *(char *const *)value);
	case PROTOBUF_C_TYPE_BYTES:
		return bytes_good(field, value);
	case PROTOBUF_C_TYPE_MESSAGE:
		if (*(ProtobufCMessage *const *)value)
			buf_append(pending, value, sizeof(ProtobufCMessage *));
		return true;
	case PROTOBUF_C_TYPE_UINT32:
		return number_good(type, field, *(const uint32_t *)value);
	case PROTOBUF_C_TYPE_FLOAT:
		return isfinite(*(const float *)value);
	case PROTOBUF_C_TYPE_DOUBLE:
		return isfinite(*(const double *)value);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM:
		return true;
	}
	return false;
}

/* Bytes of one value of a field in memory; 0 for types that no message of ours repeats. */
static size_t value_size(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return sizeof(uint32_t);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(int);
	}
	return 0;
}

static bool field_good(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field, struct buf *pending)
{
	const char *value = (const char *)m + field->offset;
	const char *quantifier = (const char *)m + field->quantifier_offset;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t count = *(const size_t *)quantifier;
		if (count > item_cap(field->name))
			return false;
		const char *items = *(char *const *)value;
		for (size_t i = 0; i < count; i++) {
			if (!value_good(m->descriptor, field, items + i * value_size(field), pending))
				return false;
		}
		return true;
	}
	/* Members of a oneof share their memory: only the one that is set may be looked at. */
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *(const uint32_t *)quantifier != field->id)
		return true;
	return value_good(m->descriptor, field, value, pending);
}

static int message_check(const ProtobufCMessage *m)
{
	struct buf pending = { 0 };
	int r = 0;
	buf_append(&pending, &m, sizeof(m));
	while (r == 0 && !pending.failed && pending.size) {
		const ProtobufCMessage *next;
		pending.size -= sizeof(next);
		memcpy(&next, pending.data + pending.size, sizeof(next));
		for (unsigned i = 0; r == 0 && i < next->descriptor->n_fields; i++) {
			const ProtobufCFieldDescriptor *field = &next->descriptor->fields[i];
			if (!field_good(next, field, &pending)) {
				log_debug("message refused: %s.%s", next->descriptor->short_name, field->name);
				r = -EBADMSG;
			}
		}
	}
	if (pending.failed)
		r = -ENOMEM;
	buf_finish(&pending);
	return r;
}

static int message_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size, ProtobufCMessage **ret)
{
	if (size > MESSAGE_MAX_BYTES)
		return -EMSGSIZE;
	struct budget budget = { { budget_alloc, budget_free, NULL }, MESSAGE_MEMORY_BYTES };
	budget.allocator.allocator_data = &budget;
	ProtobufCMessage *m = protobuf_c_message_unpack(type, &budget.allocator, size, data);
	if (!m)
		return -EBADMSG;
	int r = message_check(m);
	if (r < 0) {
		protobuf_c_message_free_unpacked(m, NULL);
		return r;
	}
	*ret = m;
	return 0;
}

int message_unpack_request(const void *data, size_t size, struct Tbmesh__Request **ret)
{
	ProtobufCMessage *m;
	int r = message_unpack(&tbmesh__request__descriptor, data, size, &m);
	if (r < 0)
		return r;
	if (((Tbmesh__Request *)m)->body_case == TBMESH__REQUEST__BODY__NOT_SET) {
		protobuf_c_message_free_unpacked(m, NULL);
		return -EBADMSG;
	}
	*ret = (Tbmesh__Request *)m;
	return 0;
}

/* A reply that only says why not has no body. */
int message_unpack_reply(const void *data, size_t size, struct Tbmesh__Reply **ret)
{
	ProtobufCMessage *m;
	int r = message_unpack(&tbmesh__reply__descriptor, data, size, &m);
	if (r < 0)
		return r;
	const Tbmesh__Reply *reply = (Tbmesh__Reply *)m;
	if (reply->id == 0 && reply->body_case == TBMESH__REPLY__BODY__NOT_SET) {
		protobuf_c_message_free_unpacked(m, NULL);
		return -EBADMSG;
	}
	*ret = (Tbmesh__Reply *)m;
	return 0;
}

int message_unpack_peer(const void *data, size_t size, struct Tbmesh__PeerMessage **ret)
{
	ProtobufCMessage *m;
	int r = message_unpack(&tbmesh__peer_message__descriptor, data, size, &m);
	if (r < 0)
		return r;
	const Tbmesh__PeerMessage *peer = (Tbmesh__PeerMessage *)m;
	if (!peer->from[0]) {
		protobuf_c_message_free_unpacked(m, NULL);
		return -EBADMSG;
	}
	*ret = (Tbmesh__PeerMessage *)m;
	return 0;
}

void message_free_request(struct Tbmesh__Request *m)
{
	tbmesh__request__free_unpacked(m, NULL);
}

void message_free_reply(struct Tbmesh__Reply *m)
{
	tbmesh__reply__free_unpacked(m, NULL);
}

void message_free_peer(struct Tbmesh__PeerMessage *m)
{
	tbmesh__peer_message__free_unpacked(m, NULL);
}

int message_pack(const struct ProtobufCMessage *m, struct buf *out)
{
	int r = message_check(m);
	if (r < 0)
		return r;
	size_t size = protobuf_c_message_get_packed_size(m);
	if (size > MESSAGE_MAX_BYTES)
		return -EMSGSIZE;
	unsigned char *room = buf_extend(out, size);
	if (!room)
		return -ENOMEM;
	protobuf_c_message_pack(m, room);
	return 0;
}
