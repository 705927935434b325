#include "proto/validate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "proto/messages.h"
#include "tests/unit/test.h"

/* Packs without the checks of message_pack, as a stranger would. */
static int round_trip_reply(const Tbmesh__Reply *m)
{
	size_t size = tbmesh__reply__get_packed_size(m);
	unsigned char *bytes = malloc(size);
	tbmesh__reply__pack(m, bytes);
	Tbmesh__Reply *back = NULL;
	int r = message_unpack_reply(bytes, size, &back);
	free(bytes);
	struct buf packed = { 0 };
	assert_int_equal(message_pack(&m->base, &packed), r == -EMSGSIZE || r == 0 ? r : -EBADMSG);
	buf_finish(&packed);
	if (r == 0)
		assert_int_equal(back->id, m->id);
	message_free_reply(back);
	return r;
}

static int reply_with_message(const char *text)
{
	Tbmesh__Reply m = TBMESH__REPLY__INIT;
	m.id = 7;
	m.message = (char *)text;
	return round_trip_reply(&m);
}

static int reply_with_gpu(void (*change)(Tbmesh__Gpu *gpu))
{
	Tbmesh__Gpu gpu = TBMESH__GPU__INIT, *gpus[] = { &gpu };
	Tbmesh__GpuList list = TBMESH__GPU_LIST__INIT;
	Tbmesh__Reply m = TBMESH__REPLY__INIT;
	gpu.id = (char *)"pci-0000:04:00.0";
	gpu.type = (char *)"discrete";
	change(&gpu);
	list.n_gpus = 1;
	list.gpus = gpus;
	m.id = 1;
	m.body_case = TBMESH__REPLY__BODY_GPUS;
	m.gpus = &list;
	return round_trip_reply(&m);
}

static void test_texts(void **state)
{
	(void)state;
	assert_int_equal(reply_with_message(""), 0);
	assert_int_equal(reply_with_message("Grüße, 你好, 🎉"), 0);
	static const char *const bad[] = {
		"line\nbreak",
		"\x1b[31m",
		"\x7f",
		"\xc2\x85",
		"\xc0\xaf",
		"\xe0\x80\xaf",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80",
		"cut \xc3",
		"cut \xe4\xbd",
		"cut \xf0\x9f\x8e",
		"\x80",
		"\xff",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(reply_with_message(bad[i]), -EBADMSG);
		char text[32];
		strcpy(text, bad[i]);
		message_text_clean(text, sizeof(text) - 1);
		assert_int_equal(reply_with_message(text), 0);
	}
	char longest[MESSAGE_MAX_TEXT + 2];
	memset(longest, 'a', sizeof(longest));
	longest[MESSAGE_MAX_TEXT] = 0;
	assert_int_equal(reply_with_message(longest), 0);
	longest[MESSAGE_MAX_TEXT] = 'a';
	longest[MESSAGE_MAX_TEXT + 1] = 0;
	assert_int_equal(reply_with_message(longest), -EBADMSG);
	char umlauts[] = "üü";
	message_text_clean(umlauts, 3);
	assert_string_equal(umlauts, "ü");
}

static void no_change(Tbmesh__Gpu *gpu)
{
	(void)gpu;
}

static void unknown_type(Tbmesh__Gpu *gpu)
{
	gpu->type = (char *)"toaster";
}

static void empty_type(Tbmesh__Gpu *gpu)
{
	gpu->type = (char *)"";
}

static void long_uuid(Tbmesh__Gpu *gpu)
{
	static uint8_t bytes[MESSAGE_MAX_BYTES_FIELD + 1];
	gpu->device_uuid = (ProtobufCBinaryData){ sizeof(bytes), bytes };
}

static void many_nodes(Tbmesh__Gpu *gpu)
{
	static char *nodes[MESSAGE_MAX_ITEMS + 1];
	for (size_t i = 0; i < MESSAGE_MAX_ITEMS + 1; i++)
		nodes[i] = (char *)"card0";
	gpu->n_drm_nodes = MESSAGE_MAX_ITEMS + 1;
	gpu->drm_nodes = nodes;
}

static void bad_repeated_text(Tbmesh__Gpu *gpu)
{
	static char *nodes[] = { (char *)"card0", (char *)"card\t1" };
	gpu->n_drm_nodes = 2;
	gpu->drm_nodes = nodes;
}

static void test_nested_fields(void **state)
{
	(void)state;
	assert_int_equal(reply_with_gpu(no_change), 0);
	assert_int_equal(reply_with_gpu(empty_type), 0);
	assert_int_equal(reply_with_gpu(unknown_type), -EBADMSG);
	assert_int_equal(reply_with_gpu(long_uuid), -EBADMSG);
	assert_int_equal(reply_with_gpu(many_nodes), -EBADMSG);
	assert_int_equal(reply_with_gpu(bad_repeated_text), -EBADMSG);
}

static void test_numbers(void **state)
{
	(void)state;
	Tbmesh__Reply m = TBMESH__REPLY__INIT;
	m.id = 1;
	m.code = 8;
	assert_int_equal(round_trip_reply(&m), -EBADMSG);
	m.code = 5;
	assert_int_equal(round_trip_reply(&m), 0);

	Tbmesh__AcquireReply acquire = TBMESH__ACQUIRE_REPLY__INIT;
	Tbmesh__Endpoint endpoint = TBMESH__ENDPOINT__INIT, *endpoints[] = { &endpoint };
	uint8_t secret[MESSAGE_SECRET_BYTES] = { 0 };
	m.body_case = TBMESH__REPLY__BODY_ACQUIRE;
	m.acquire = &acquire;
	acquire.n_endpoints = 1;
	acquire.endpoints = endpoints;
	acquire.secret = (ProtobufCBinaryData){ sizeof(secret), secret };
	endpoint.port = 65535;
	assert_int_equal(round_trip_reply(&m), 0);
	endpoint.port = 65536;
	assert_int_equal(round_trip_reply(&m), -EBADMSG);
	endpoint.port = 1;
	acquire.secret.len = 31;
	assert_int_equal(round_trip_reply(&m), -EBADMSG);

	Tbmesh__BestReply best = TBMESH__BEST_REPLY__INIT;
	Tbmesh__BestCandidate candidate = TBMESH__BEST_CANDIDATE__INIT, *candidates[] = { &candidate };
	m.body_case = TBMESH__REPLY__BODY_BEST;
	m.best = &best;
	best.n_candidates = 1;
	best.candidates = candidates;
	candidate.score = 0.5;
	assert_int_equal(round_trip_reply(&m), 0);
	candidate.score = NAN;
	assert_int_equal(round_trip_reply(&m), -EBADMSG);
	candidate.score = INFINITY;
	assert_int_equal(round_trip_reply(&m), -EBADMSG);
}

static void test_what_is_missing(void **state)
{
	(void)state;
	struct Tbmesh__Request *request;
	struct Tbmesh__Reply *reply;
	struct Tbmesh__PeerMessage *peer;
	assert_int_equal(message_unpack_request("", 0, &request), -EBADMSG);
	assert_int_equal(message_unpack_reply("", 0, &reply), -EBADMSG);
	assert_int_equal(message_unpack_peer("", 0, &peer), -EBADMSG);
	assert_int_equal(message_unpack_request("\x08\x01", 2, &request), -EBADMSG);
	assert_int_equal(message_unpack_request("\x08\x01\x52\x00", 4, &request), 0);
	assert_int_equal(request->body_case, TBMESH__REQUEST__BODY_STATUS);
	message_free_request(request);
	assert_int_equal(message_unpack_request("\x52\x7f", 2, &request), -EBADMSG);
	message_free_request(NULL);
	message_free_reply(NULL);
	message_free_peer(NULL);
}

static void test_too_large(void **state)
{
	(void)state;
	unsigned char *bytes = calloc(1, MESSAGE_MAX_BYTES + 1);
	struct Tbmesh__PeerMessage *peer;
	assert_int_equal(message_unpack_peer(bytes, MESSAGE_MAX_BYTES + 1, &peer), -EMSGSIZE);

	/* A megabyte of empty sub-messages (NodeState.gpus) would be 60 megabytes in memory. */
	size_t inner = MESSAGE_MAX_BYTES - 16;
	unsigned char head[] = { 0x52, 0x80 | (inner & 0x7f), 0x80 | (inner >> 7 & 0x7f), (unsigned char)(inner >> 14) };
	memcpy(bytes, head, sizeof(head));
	for (size_t i = 0; i < inner; i += 2)
		memcpy(bytes + sizeof(head) + i, "\x22\x00", 2);
	assert_int_equal(message_unpack_peer(bytes, sizeof(head) + inner, &peer), -EBADMSG);
	free(bytes);
}

/* protobuf-c unpacks by recursion without a limit: no type may contain itself. */
static size_t depth_of(const ProtobufCMessageDescriptor *type, size_t depth)
{
	assert_true(depth < 16);
	size_t deepest = depth;
	for (unsigned i = 0; i < type->n_fields; i++) {
		if (type->fields[i].type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		size_t here = depth_of(type->fields[i].descriptor, depth + 1);
		deepest = here > deepest ? here : deepest;
	}
	return deepest;
}

static void test_no_recursive_types(void **state)
{
	(void)state;
	assert_true(depth_of(&tbmesh__request__descriptor, 0) < 8);
	assert_true(depth_of(&tbmesh__reply__descriptor, 0) < 8);
	assert_true(depth_of(&tbmesh__peer_message__descriptor, 0) < 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_nested_fields),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_what_is_missing),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_no_recursive_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
