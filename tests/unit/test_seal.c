#include "proto/seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/gcm.h"
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
		0xb9,
		0xf9,
		0x57,
		0x4c,
		0x33,
		0xf8,
		0x43,
		0xd4,
		0x5b,
		0xce,
		0xe3,
		0x3c,
		0xb4,
		0xd4,
		0x5a,
		0x31,
		0x01,
		0x7f,
		0x09,
	};
	struct frame_header header;
	seal_text(p, "abc", &header);
	assert_memory_equal(p->frame + sizeof(header), expected, sizeof(expected));
}

/* Pieces of any size by one library are undone by the other, and the tags are the same. */
static void test_backends_agree(void **state)
{
	(void)state;
#ifdef TBMESH_IPSEC_MB
	const struct gcm_backend *one = gcm_ipsec_mb(), *two = &gcm_libcrypto;
	if (!one) {
		print_message("SKIP: this CPU has no vector AES\n");
		skip();
	}
	unsigned seed = 3;
	static unsigned char in[5000], out[sizeof(in)];
	for (int round = 0; round < 500; round++) {
		void *a = one->create(secret, true), *b = two->create(secret, false);
		unsigned char nonce[GCM_NONCE_BYTES] = { (unsigned char)round }, tag[GCM_TAG_BYTES];
		size_t size = (size_t)rand_r(&seed) % sizeof(in);
		for (size_t i = 0; i < size; i++)
			in[i] = (unsigned char)rand_r(&seed);
		assert_true(one->start(a, nonce, "header", 6) && two->start(b, nonce, "header", 6));
		for (size_t at = 0, step; at < size; at += step) {
			step = 1 + (size_t)rand_r(&seed) % 300;
			step = step < size - at ? step : size - at;
			assert_true(one->encrypt(a, in + at, step, out + at));
		}
		for (size_t at = 0, step; at < size; at += step) {
			step = 1 + (size_t)rand_r(&seed) % 300;
			step = step < size - at ? step : size - at;
			assert_true(two->decrypt(b, out + at, step, out + at));
		}
		assert_memory_equal(in, out, size);
		assert_true(one->tag(a, tag));
		tag[round % 16] ^= round % 3 == 0;
		assert_int_equal(two->verify(b, tag), round % 3 != 0);
		one->destroy(a);
		two->destroy(b);
		const struct gcm_backend *other = one;
		one = two;
		two = other;
	}
#else
	print_message("SKIP: built without libipsec-mb\n");
	skip();
#endif
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
		cmocka_unit_test(test_backends_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
