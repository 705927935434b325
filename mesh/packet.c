#include "mesh/packet.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#define MAGIC 0x316d6274u /* "tbm1" */
#define KIND_BEACON 1u
#define KIND_ECHO_REQUEST 2u
#define KIND_ECHO_REPLY 3u
#define TAG_SIZE crypto_auth_hmacsha256_BYTES
#define SIGNATURE_SIZE crypto_sign_ed25519_BYTES
#define BEACON_SIGNED (PACKET_BEACON_SIZE - TAG_SIZE - SIGNATURE_SIZE)

/* A cursor over a buffer whose size was checked once. */
static void put(uint8_t **p, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		*(*p)++ = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t **p, unsigned bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t) * (*p)++ << 8 * i;
	return value;
}

static void put_bytes(uint8_t **p, const void *data, size_t size)
{
	memcpy(*p, data, size);
	*p += size;
}

static void get_bytes(const uint8_t **p, void *data, size_t size)
{
	memcpy(data, *p, size);
	*p += size;
}

enum mesh_packet_kind mesh_packet_kind(const void *data, size_t size)
{
	const uint8_t *p = data;
	if (size < 8 || get(&p, 4) != MAGIC)
		return PACKET_NONE;
	uint64_t kind = get(&p, 4);
	if (kind == KIND_BEACON && size == PACKET_BEACON_SIZE)
		return PACKET_BEACON;
	if ((kind == KIND_ECHO_REQUEST || kind == KIND_ECHO_REPLY) && size == PACKET_ECHO_SIZE)
		return PACKET_ECHO;
	return PACKET_NONE;
}

void mesh_packet_keys_derive(const struct mesh_key *key, struct mesh_packet_keys *ret)
{
	crypto_kdf_derive_from_key(ret->beacon, sizeof ret->beacon, 1, "tbmesh-b", key->bytes);
	crypto_kdf_derive_from_key(ret->echo, sizeof ret->echo, 2, "tbmesh-e", key->bytes);
}

static void seal(uint8_t *packet, size_t size, const uint8_t key[32])
{
	crypto_auth_hmacsha256(packet + size - TAG_SIZE, packet, size - TAG_SIZE, key);
}

static bool sealed(const uint8_t *packet, size_t size, const uint8_t key[32])
{
	return crypto_auth_hmacsha256_verify(packet + size - TAG_SIZE, packet, size - TAG_SIZE, key) == 0;
}

void mesh_packet_beacon_encode(const struct mesh_packet_beacon *b, const struct mesh_packet_keys *keys,
	const uint8_t secret_key[64], uint8_t out[PACKET_BEACON_SIZE])
{
	uint8_t *p = out;
	put(&p, MAGIC, 4);
	put(&p, KIND_BEACON, 4);
	put_bytes(&p, b->public_key, sizeof b->public_key);
	put(&p, b->incarnation, 8);
	put(&p, b->seq, 8);
	put(&p, b->control_port, 4);
	put_bytes(&p, b->name, sizeof b->name);
	crypto_sign_ed25519_detached(p, NULL, out, BEACON_SIGNED, secret_key);
	seal(out, PACKET_BEACON_SIZE, keys->beacon);
}

/* Names reach terminals and logs: printable ASCII, never empty. */
static bool clean_name(char name[MESH_NAME_SIZE])
{
	name[MESH_NAME_SIZE - 1] = '\0';
	for (char *c = name; *c; c++) {
		if (*c <= ' ' || *c > '~' || *c == '/' || *c == ':')
			return false;
	}
	return name[0] != '\0';
}

int mesh_packet_beacon_decode(
	const void *data, size_t size, const struct mesh_packet_keys *keys, struct mesh_packet_beacon *ret)
{
	const uint8_t *packet = data, *p = packet;
	if (mesh_packet_kind(data, size) != PACKET_BEACON || !sealed(packet, size, keys->beacon))
		return -EBADMSG;
	struct mesh_packet_beacon b;
	p += 8;
	get_bytes(&p, b.public_key, sizeof b.public_key);
	b.incarnation = get(&p, 8);
	b.seq = get(&p, 8);
	b.control_port = (uint16_t)get(&p, 4);
	get_bytes(&p, b.name, sizeof b.name);
	if (crypto_sign_ed25519_verify_detached(p, packet, BEACON_SIGNED, b.public_key) != 0)
		return -EBADMSG;
	if (!clean_name(b.name) || !b.control_port || !b.incarnation)
		return -EBADMSG;
	*ret = b;
	return 0;
}

int mesh_packet_pair_key(const struct mesh_packet_keys *keys, const struct mesh_identity *self,
	const uint8_t peer_public[32], uint8_t ret[32])
{
	uint8_t secret[32], point[32], shared[32];
	int r = -EINVAL;
	if (crypto_sign_ed25519_pk_to_curve25519(point, peer_public) == 0 &&
		crypto_sign_ed25519_sk_to_curve25519(secret, self->secret_key) == 0 &&
		crypto_scalarmult(shared, secret, point) == 0)
		r = crypto_generichash(ret, 32, shared, sizeof shared, keys->echo, sizeof keys->echo) == 0 ? 0 : -EINVAL;
	sodium_memzero(secret, sizeof secret);
	sodium_memzero(shared, sizeof shared);
	return r;
}

bool mesh_packet_echo_sender(const void *data, size_t size, uint8_t ret[8])
{
	if (mesh_packet_kind(data, size) != PACKET_ECHO)
		return false;
	memcpy(ret, (const uint8_t *)data + 8, 8);
	return true;
}

void mesh_packet_echo_encode(const struct mesh_packet_echo *e, const uint8_t pair_key[32], uint8_t out[PACKET_ECHO_SIZE])
{
	uint8_t *p = out;
	put(&p, MAGIC, 4);
	put(&p, e->reply ? KIND_ECHO_REPLY : KIND_ECHO_REQUEST, 4);
	put_bytes(&p, e->sender, sizeof e->sender);
	put_bytes(&p, e->target, sizeof e->target);
	put(&p, e->incarnation, 8);
	put(&p, e->nonce, 8);
	put(&p, (uint64_t)e->t1_ns, 8);
	put(&p, (uint64_t)e->t2_ns, 8);
	put(&p, (uint64_t)e->t3_ns, 8);
	put(&p, (uint64_t)e->clock_offset_ns, 8);
	put(&p, 0, 8);
	put(&p, 0, 8);
	seal(out, PACKET_ECHO_SIZE, pair_key);
}

int mesh_packet_echo_decode(const void *data, size_t size, const uint8_t pair_key[32], struct mesh_packet_echo *ret)
{
	const uint8_t *p = data;
	if (mesh_packet_kind(data, size) != PACKET_ECHO || !sealed(data, size, pair_key))
		return -EBADMSG;
	struct mesh_packet_echo e;
	p += 4;
	e.reply = get(&p, 4) == KIND_ECHO_REPLY;
	get_bytes(&p, e.sender, sizeof e.sender);
	get_bytes(&p, e.target, sizeof e.target);
	e.incarnation = get(&p, 8);
	e.nonce = get(&p, 8);
	e.t1_ns = (int64_t)get(&p, 8);
	e.t2_ns = (int64_t)get(&p, 8);
	e.t3_ns = (int64_t)get(&p, 8);
	e.clock_offset_ns = (int64_t)get(&p, 8);
	*ret = e;
	return 0;
}
