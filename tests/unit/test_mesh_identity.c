/* Keys, identities and what is made of them. */
#include "mesh/identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/util.h"
#include "base/zsock.h"
#include "mesh/mesh.h"
#include "mesh/packet.h"
#include "tests/unit/test.h"

static char folder[] = "/tmp/tbmesh-identity-XXXXXX";
static char path[64], error[256];

static int setup(void **state)
{
	(void)state;
	if (sodium_init() < 0 || !mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/key", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void test_key_text_round_trip(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		struct mesh_key key, back;
		char text[MESH_KEY_TEXT_SIZE], changed[2 * MESH_KEY_TEXT_SIZE];
		assert_int_equal(mesh_key_create(&key), 0);
		mesh_key_format(&key, text);
		assert_int_equal(strlen(text), MESH_KEY_TEXT_SIZE - 1);
		assert_int_equal(mesh_key_parse(text, &back, error, sizeof error), 0);
		assert_memory_equal(&key, &back, sizeof key);
		/* As people write it. */
		size_t n = 0;
		for (const char *p = text; *p; p++) {
			if (*p == '-' && p > text + 6)
				changed[n++] = ' ';
			else
				changed[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
		}
		memcpy(changed + n, "\n", 2);
		assert_int_equal(mesh_key_parse(changed, &back, error, sizeof error), 0);
		assert_memory_equal(&key, &back, sizeof key);
	}
}

static void test_key_errors_are_clear(void **state)
{
	(void)state;
	struct mesh_key key = { { 1, 2, 3 } }, back;
	char text[MESH_KEY_TEXT_SIZE], bad[MESH_KEY_TEXT_SIZE + 8];
	mesh_key_format(&key, text);
	assert_int_equal(mesh_key_parse("hello", &back, error, sizeof error), -EINVAL);
	assert_non_null(strstr(error, "starts with"));
	assert_int_equal(mesh_key_parse("", &back, NULL, 0), -EINVAL);
	snprintf(bad, sizeof bad, "%.20s", text);
	assert_int_equal(mesh_key_parse(bad, &back, error, sizeof error), -EINVAL);
	assert_non_null(strstr(error, "too short"));
	snprintf(bad, sizeof bad, "%sAA", text);
	assert_int_equal(mesh_key_parse(bad, &back, error, sizeof error), -EINVAL);
	assert_non_null(strstr(error, "too long"));
	memcpy(bad, text, sizeof text);
	bad[10] = '1';
	assert_int_equal(mesh_key_parse(bad, &back, error, sizeof error), -EINVAL);
	assert_non_null(strstr(error, "no character '1'"));
	unsigned caught = 0;
	for (size_t i = 7; text[i]; i++) {
		if (text[i] == '-')
			continue;
		memcpy(bad, text, sizeof text);
		bad[i] = bad[i] == 'A' ? 'B' : 'A';
		caught += mesh_key_parse(bad, &back, error, sizeof error) < 0;
	}
	assert_true(caught > 40); /* of 52; four bits catch fifteen of sixteen */
}

static void test_key_file(void **state)
{
	(void)state;
	struct mesh_key key, back;
	struct stat st;
	mesh_key_create(&key);
	assert_int_equal(mesh_key_load(path, &back, error, sizeof error), -ENOENT);
	assert_non_null(strstr(error, "tbmesh init"));
	assert_int_equal(mesh_key_save(path, &key, error, sizeof error), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(mesh_key_load(path, &back, error, sizeof error), 0);
	assert_memory_equal(&key, &back, sizeof key);
	chmod(path, 0644);
	assert_int_equal(mesh_key_load(path, &back, error, sizeof error), -EPERM);
	assert_non_null(strstr(error, "can be read by others"));
	assert_int_equal(file_write_atomic(path, "tbmesh-AAAA\n", 12, 0600), 0);
	assert_int_equal(mesh_key_load(path, &back, error, sizeof error), -EINVAL);
	assert_non_null(strstr(error, path));
	unlink(path);
}

static void test_identity_file(void **state)
{
	(void)state;
	struct mesh_identity first, again;
	assert_int_equal(mesh_identity_load(path, &first, error, sizeof error), 0);
	assert_int_equal(mesh_identity_load(path, &again, error, sizeof error), 0);
	assert_memory_equal(&first, &again, sizeof first);
	assert_int_equal(strlen(first.id), 16);
	/* The CURVE keys are a pair, and ZeroMQ's idea of one. */
	uint8_t secret[32];
	char public_text[ZSOCK_KEY_SIZE], secret_text[ZSOCK_KEY_SIZE], id[MESH_ID_SIZE], curve[MESH_Z85_SIZE];
	crypto_sign_ed25519_sk_to_curve25519(secret, first.secret_key);
	assert_int_equal(zsock_keys_from_secret(secret, public_text, secret_text), 0);
	assert_string_equal(public_text, first.curve_public);
	assert_string_equal(secret_text, first.curve_secret);
	/* Others find the same from the public key alone. */
	assert_int_equal(mesh_identity_public(first.public_key, id, curve), 0);
	assert_string_equal(id, first.id);
	assert_string_equal(curve, first.curve_public);
	assert_int_equal(mesh_identity_public((uint8_t[32]){ 0 }, id, curve), -EINVAL);

	first.secret_key[5] ^= 1;
	file_write_atomic(path, first.secret_key, 64, 0600);
	assert_int_equal(mesh_identity_load(path, &again, error, sizeof error), -EINVAL);
	assert_non_null(strstr(error, "damaged"));
	file_write_atomic(path, "short", 5, 0600);
	assert_int_equal(mesh_identity_load(path, &again, error, sizeof error), -EINVAL);
	unlink(path);
	assert_true(mesh_identity_load("/nonexistent/folder/key", &again, error, sizeof error) < 0);
}

static void test_incarnation_only_grows(void **state)
{
	(void)state;
	uint64_t first = mesh_incarnation_next(path), second = mesh_incarnation_next(path);
	assert_true(first > 0 && second > first);
	file_write_atomic(path, "99999999999999999\n", 18, 0600); /* the clock was ahead once */
	assert_int_equal(mesh_incarnation_next(path), 100000000000000000);
	file_write_atomic(path, "rubbish", 7, 0600);
	assert_true(mesh_incarnation_next(path) > second);
	assert_int_equal(mesh_incarnation_next("/nonexistent/folder/x"), 0);
	unlink(path);
}

static void test_packets(void **state)
{
	(void)state;
	struct mesh_key key = { { 1 } };
	struct mesh_identity a, b;
	struct mesh_packet_keys keys;
	uint8_t ab[32], ba[32], packet[PACKET_BEACON_SIZE], echo_packet[PACKET_ECHO_SIZE], sender[8];
	mesh_identity_create(&a);
	mesh_identity_create(&b);
	mesh_packet_keys_derive(&key, &keys);
	assert_int_equal(mesh_packet_pair_key(&keys, &a, b.public_key, ab), 0);
	assert_int_equal(mesh_packet_pair_key(&keys, &b, a.public_key, ba), 0);
	assert_memory_equal(ab, ba, sizeof ab);

	struct mesh_packet_echo e = { .reply = true,
		.incarnation = 5,
		.nonce = 77,
		.t1_ns = -1,
		.t2_ns = INT64_MAX,
		.t3_ns = 3,
		.clock_offset_ns = INT64_MIN };
	struct mesh_packet_echo back = { 0 };
	memcpy(e.sender, a.public_key, 8);
	mesh_packet_echo_encode(&e, ab, echo_packet);
	assert_int_equal(mesh_packet_kind(echo_packet, sizeof echo_packet), PACKET_ECHO);
	assert_true(mesh_packet_sender(echo_packet, sizeof echo_packet, sender));
	assert_memory_equal(sender, a.public_key, 8);
	assert_int_equal(mesh_packet_echo_decode(echo_packet, sizeof echo_packet, ba, &back), 0);
	assert_memory_equal(&e, &back, sizeof e);
	for (size_t i = 0; i < sizeof echo_packet; i++) {
		echo_packet[i] ^= 0x40;
		assert_int_equal(mesh_packet_echo_decode(echo_packet, sizeof echo_packet, ba, &back), -EBADMSG);
		echo_packet[i] ^= 0x40;
	}
	assert_int_equal(mesh_packet_echo_decode(echo_packet, sizeof echo_packet, keys.echo, &back), -EBADMSG);

	struct mesh_packet_beacon beacon = { .incarnation = 1, .seq = 2, .control_port = 3, .name = "alpha" }, heard;
	memcpy(beacon.public_key, a.public_key, 32);
	mesh_packet_beacon_encode(&beacon, &keys, a.secret_key, packet);
	assert_int_equal(mesh_packet_beacon_decode(packet, sizeof packet, &keys, &heard), 0);
	assert_string_equal(heard.name, "alpha");
	/* Somebody of the mesh cannot speak for another. */
	mesh_packet_beacon_encode(&beacon, &keys, b.secret_key, packet);
	assert_int_equal(mesh_packet_beacon_decode(packet, sizeof packet, &keys, &heard), -EBADMSG);
	const char *const bad_names[] = { "", "a b", "a\033[2J", "a/b", "a:b", "\xff" };
	for (size_t i = 0; i < ARRAY_SIZE(bad_names); i++) {
		snprintf(beacon.name, sizeof beacon.name, "%s", bad_names[i]);
		mesh_packet_beacon_encode(&beacon, &keys, a.secret_key, packet);
		assert_int_equal(mesh_packet_beacon_decode(packet, sizeof packet, &keys, &heard), -EBADMSG);
	}
	memset(beacon.name, 'x', sizeof beacon.name); /* no end */
	mesh_packet_beacon_encode(&beacon, &keys, a.secret_key, packet);
	assert_int_equal(mesh_packet_beacon_decode(packet, sizeof packet, &keys, &heard), 0);
	assert_int_equal(strlen(heard.name), sizeof heard.name - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_text_round_trip),
		cmocka_unit_test(test_key_errors_are_clear),
		cmocka_unit_test(test_key_file),
		cmocka_unit_test(test_identity_file),
		cmocka_unit_test(test_incarnation_only_grows),
		cmocka_unit_test(test_packets),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
