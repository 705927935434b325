#include "proto/seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"

static const unsigned char secret[SEAL_SECRET_BYTES] = "0123456789abcdef0123456789abcde";

struct pair {
	struct seal *out, *in;
	unsigned char frame[SEAL_MAX_FRAME];
};

static int set_up(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	p->out = seal_create(secret, "0>");
	p->in = seal_create(secret, "0>");
	*state = p;
	return p->out && p->in ? 0 : -1;
}

static int tear_down(void **state)
{
	struct pair *p = *state;
	seal_destroy(p->out);
	seal_destroy(p->in);
	free(p);
	return 0;
}

static void seal_text(struct pair *p, const char *text, struct frame_header *ret_header)
{
	size_t half = strlen(text) / 2;
	struct iovec iov[] = { { (void *)text, half }, { (void *)(text + half), strlen(text) - half } };
	*ret_header = (struct frame_header){ .size = (uint32_t)strlen(text), .kind = FRAME_LOG, .a = 1, .b = 2, .c = 3 };
	assert_int_equal(seal_frame(p->out, ret_header, iov, 2, p->frame), 0);
	assert_memory_equal(p->frame, ret_header, sizeof(*ret_header));
}

static void test_round_trip(void **state)
{
	struct pair *p = *state;
	struct frame_header header;
	for (int i = 0; i < 3; i++) {
		seal_text(p, "the same words", &header);
		assert_memory_not_equal(p->frame + sizeof(header), "the same words", header.size);
		assert_int_equal(seal_open(p->in, &header, p->frame + sizeof(header)), 0);
		assert_memory_equal(p->frame + sizeof(header), "the same words", header.size);
	}
	seal_text(p, "", &header);
	assert_int_equal(seal_open(p->in, &header, p->frame + sizeof(header)), 0);
}

static void test_largest_frame(void **state)
{
	struct pair *p = *state;
	static unsigned char payload[FRAME_MAX_PAYLOAD + 1];
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (unsigned char)(i * 7 >> 3);
	struct iovec iov = { payload, FRAME_MAX_PAYLOAD };
	struct frame_header header = { .size = FRAME_MAX_PAYLOAD, .kind = FRAME_MEMORY };
	assert_int_equal(seal_frame(p->out, &header, &iov, 1, p->frame), 0);
	assert_int_equal(seal_open(p->in, &header, p->frame + sizeof(header)), 0);
	assert_memory_equal(p->frame + sizeof(header), payload, FRAME_MAX_PAYLOAD);
	iov.iov_len = header.size = FRAME_MAX_PAYLOAD + 1;
	assert_int_equal(seal_frame(p->out, &header, &iov, 1, p->frame), -EINVAL);
	assert_int_equal(seal_open(p->in, &header, p->frame + sizeof(header)), -EBADMSG);
}

/* Each bit of header, ciphertext and tag counts. */
static void test_any_change_is_seen(void **state)
{
	struct pair *p = *state;
	struct frame_header header;
	seal_text(p, "words", &header);
	size_t size = sizeof(header) + header.size + SEAL_TAG_BYTES;
	for (size_t bit = 0; bit < size * 8; bit++) {
		unsigned char copy[sizeof(header) + 64 + SEAL_TAG_BYTES];
		memcpy(copy, p->frame, size);
		copy[bit / 8] ^= (unsigned char)(1u << bit % 8);
		struct frame_header changed;
		memcpy(&changed, copy, sizeof(changed));
		if (changed.size > 64)
			continue; /* the channel would read that much first */
		struct seal *in = seal_create(secret, "0>");
		assert_int_equal(seal_open(in, &changed, copy + sizeof(changed)), -EBADMSG);
		seal_destroy(in);
	}
}

static void test_order_and_direction_count(void **state)
{
	struct pair *p = *state;
	struct frame_header header;
	seal_text(p, "first", &header);
	seal_text(p, "again", &header);
	assert_int_equal(seal_open(p->in, &header, p->frame + sizeof(header)), -EBADMSG);

	struct seal *other = seal_create(secret, "0<");
	seal_text(p, "third", &header);
	assert_int_equal(seal_open(other, &header, p->frame + sizeof(header)), -EBADMSG);
	seal_destroy(other);
}

static void test_sizes_must_agree(void **state)
{
	struct pair *p = *state;
	struct frame_header header = { .size = 3 };
	struct iovec iov = { (void *)"four", 4 };
	assert_int_equal(seal_frame(p->out, &header, &iov, 1, p->frame), -EINVAL);
}

/* Computed apart with Python's cryptography: HKDF-SHA256, AES-128-GCM. */
static void test_known_answer(void **state)
{
	struct pair *p = *state;
	static const unsigned char expected[] = {
		0xb9, 0xf9, 0x57, 0x4c, 0x33, 0xf8, 0x43, 0xd4, 0x5b, 0xce, 0xe3, 0x3c, 0xb4, 0xd4, 0x5a, 0x31,
		0x01, 0x7f, 0x09,
	};
	struct frame_header header;
	seal_text(p, "abc", &header);
	assert_memory_equal(p->frame + sizeof(header), expected, sizeof(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_largest_frame, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_any_change_is_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_order_and_direction_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sizes_must_agree, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_known_answer, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
