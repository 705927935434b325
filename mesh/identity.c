#include "mesh/identity.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/util.h"

#define KEY_PREFIX "tbmesh"
#define KEY_SYMBOLS 52 /* 256 bits of key and 4 check bits, 5 a symbol */

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static int __attribute__((format(printf, 4, 5))) fail(int code, char *error, size_t size, const char *format, ...)
{
	if (error && size) {
		va_list args;
		va_start(args, format);
		vsnprintf(error, size, format, args);
		va_end(args);
	}
	return code;
}

/* ZeroMQ's printable form of a key, RFC 32. zmq.h stays in base/. */
static void z85_encode(char ret[MESH_Z85_SIZE], const uint8_t key[32])
{
	static const char symbols[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
	for (unsigned word = 0; word < 8; word++) {
		uint32_t value = 0;
		for (unsigned b = 0; b < 4; b++)
			value = value << 8 | key[word * 4 + b];
		for (unsigned d = 5; d-- > 0; value /= 85)
			ret[word * 5 + d] = symbols[value % 85];
	}
	ret[MESH_Z85_SIZE - 1] = '\0';
}

void mesh_id_text(const uint8_t first_bytes[8], char ret[MESH_ID_SIZE])
{
	sodium_bin2hex(ret, MESH_ID_SIZE, first_bytes, 8);
}

int mesh_identity_public(const uint8_t public_key[32], char ret_id[MESH_ID_SIZE], char ret_curve[MESH_Z85_SIZE])
{
	uint8_t curve[32];
	if (crypto_sign_ed25519_pk_to_curve25519(curve, public_key) != 0)
		return -EINVAL;
	mesh_id_text(public_key, ret_id);
	z85_encode(ret_curve, curve);
	return 0;
}

static int derive(struct mesh_identity *i)
{
	uint8_t secret[32];
	int r = mesh_identity_public(i->public_key, i->id, i->curve_public);
	if (r == 0 && crypto_sign_ed25519_sk_to_curve25519(secret, i->secret_key) != 0)
		r = -EINVAL;
	if (r == 0)
		z85_encode(i->curve_secret, secret);
	sodium_memzero(secret, sizeof secret);
	return r;
}

int mesh_identity_create(struct mesh_identity *ret)
{
	struct mesh_identity i;
	if (sodium_init() < 0)
		return -EIO;
	crypto_sign_ed25519_keypair(i.public_key, i.secret_key);
	int r = derive(&i);
	if (r == 0)
		*ret = i;
	mesh_identity_wipe(&i);
	return r;
}

void mesh_identity_wipe(struct mesh_identity *i)
{
	sodium_memzero(i, sizeof *i);
}

/* A secret that others can read is no secret: better to stop than to go on with it. */
static int read_secret(const char *path, size_t max, char **ret, size_t *ret_size, char *error, size_t error_size)
{
	struct stat st;
	if (stat(path, &st) < 0) {
		int e = errno;
		return fail(-e, error, error_size, "cannot read %s: %s", path, strerror(e));
	}
	if (st.st_mode & 077)
		return fail(-EPERM, error, error_size,
			"%s can be read by others (mode %04o): its key must be taken as known; run chmod 600 %s if you are "
			"sure that nobody has read it",
			path, (unsigned)st.st_mode & 07777, path);
	int r = file_read(path, max, ret, ret_size);
	if (r < 0)
		return fail(r, error, error_size, "cannot read %s: %s", path, strerror(-r));
	return 0;
}

int mesh_identity_load(const char *path, struct mesh_identity *ret, char *error, size_t error_size)
{
	if (sodium_init() < 0)
		return fail(-EIO, error, error_size, "libsodium cannot start: no source of randomness");
	char *data = NULL;
	size_t size = 0;
	int r = read_secret(path, 64, &data, &size, error, error_size);
	if (r == -ENOENT) {
		struct mesh_identity fresh;
		r = mesh_identity_create(&fresh);
		if (r == 0)
			r = file_write_atomic(path, fresh.secret_key, sizeof fresh.secret_key, 0600);
		if (r == 0)
			*ret = fresh;
		else
			fail(r, error, error_size, "cannot write the node's key to %s: %s", path, strerror(-r));
		mesh_identity_wipe(&fresh);
		return r;
	}
	if (r < 0)
		return r;
	struct mesh_identity i = { 0 };
	if (size != sizeof i.secret_key)
		r = -EINVAL;
	if (r == 0) {
		memcpy(i.secret_key, data, size);
		uint8_t seed[32], public_key[32], secret_key[64];
		memcpy(seed, data, sizeof seed);
		crypto_sign_ed25519_seed_keypair(public_key, secret_key, seed);
		r = sodium_memcmp(secret_key, i.secret_key, sizeof secret_key) == 0 ? 0 : -EINVAL;
		memcpy(i.public_key, public_key, sizeof public_key);
		sodium_memzero(seed, sizeof seed);
		sodium_memzero(secret_key, sizeof secret_key);
	}
	if (r == 0)
		r = derive(&i);
	sodium_memzero(data, size);
	free(data);
	if (r == 0)
		*ret = i;
	else
		fail(r, error, error_size,
			"%s is damaged (not an Ed25519 key of 64 bytes); remove it and this node gets a new identity", path);
	mesh_identity_wipe(&i);
	return r;
}

int mesh_key_create(struct mesh_key *ret)
{
	return random_bytes(ret->bytes, sizeof ret->bytes);
}

static unsigned check_bits(const uint8_t bytes[32])
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256(hash, bytes, 32);
	return hash[0] >> 4;
}

/* Bit i of the 260, most significant first. */
static unsigned bit(const uint8_t bytes[33], unsigned i)
{
	return bytes[i / 8] >> (7 - i % 8) & 1;
}

void mesh_key_format(const struct mesh_key *key, char ret_text[MESH_KEY_TEXT_SIZE])
{
	uint8_t bits[33];
	memcpy(bits, key->bytes, 32);
	bits[32] = (uint8_t)(check_bits(key->bytes) << 4);
	char *p = stpcpy(ret_text, KEY_PREFIX);
	for (unsigned s = 0; s < KEY_SYMBOLS; s++) {
		unsigned v = 0;
		for (unsigned b = 0; b < 5; b++)
			v = v << 1 | bit(bits, s * 5 + b);
		if (s % 4 == 0)
			*p++ = '-';
		*p++ = base32[v];
	}
	*p = '\0';
	sodium_memzero(bits, sizeof bits);
}

int mesh_key_parse(const char *text, struct mesh_key *ret, char *error, size_t error_size)
{
	uint8_t bits[33] = { 0 };
	unsigned symbols = 0;
	while (isspace((unsigned char)*text))
		text++;
	if (strncasecmp(text, KEY_PREFIX, strlen(KEY_PREFIX)) != 0)
		return fail(-EINVAL, error, error_size,
			"a mesh key starts with \"" KEY_PREFIX "-\"; `tbmesh init` on the first node prints it");
	for (const char *p = text + strlen(KEY_PREFIX); *p; p++) {
		if (*p == '-' || isspace((unsigned char)*p))
			continue;
		const char *at = strchr(base32, toupper((unsigned char)*p));
		if (!at)
			return fail(-EINVAL, error, error_size, "a mesh key has no character '%c'",
				isprint((unsigned char)*p) ? *p : '?');
		if (symbols == KEY_SYMBOLS)
			return fail(
				-EINVAL, error, error_size, "this mesh key is too long: it has 13 groups of 4 characters");
		unsigned v = (unsigned)(at - base32);
		for (unsigned b = 0; b < 5; b++) {
			unsigned i = symbols * 5 + b;
			bits[i / 8] |= (uint8_t)((v >> (4 - b) & 1) << (7 - i % 8));
		}
		symbols++;
	}
	if (symbols != KEY_SYMBOLS)
		return fail(-EINVAL, error, error_size,
			"this mesh key is too short: it has 13 groups of 4 characters, here are %u characters", symbols);
	if (bits[32] >> 4 != check_bits(bits))
		return fail(-EINVAL, error, error_size, "this mesh key has a typing error: its check digit does not fit");
	memcpy(ret->bytes, bits, 32);
	sodium_memzero(bits, sizeof bits);
	return 0;
}

int mesh_key_load(const char *path, struct mesh_key *ret, char *error, size_t error_size)
{
	char *text = NULL, why[160];
	size_t size = 0;
	int r = read_secret(path, 256, &text, &size, error, error_size);
	if (r == -ENOENT)
		return fail(r, error, error_size,
			"this node is in no mesh yet: run `tbmesh init` here first, or `tbmesh join KEY` with the key of "
			"another node");
	if (r < 0)
		return r;
	r = mesh_key_parse(text, ret, why, sizeof why);
	if (r < 0)
		fail(r, error, error_size, "%s: %s", path, why);
	sodium_memzero(text, size);
	free(text);
	return r;
}

int mesh_key_save(const char *path, const struct mesh_key *key, char *error, size_t error_size)
{
	char text[MESH_KEY_TEXT_SIZE + 1];
	mesh_key_format(key, text);
	size_t length = strlen(text);
	text[length] = '\n';
	int r = file_write_atomic(path, text, length + 1, 0600);
	sodium_memzero(text, sizeof text);
	return r < 0 ? fail(r, error, error_size, "cannot write the mesh key to %s: %s", path, strerror(-r)) : 0;
}
