#include "mesh/packet.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "mesh/cursor.h"

#define MAGIC 0x316d6274u /* "tbm1" */
#define KIND_BEACON 1u
#define KIND_ECHO_REQUEST 2u
#define KIND_ECHO_REPLY 3u
#define KIND_NOTE_ASK 4u
#define KIND_NOTE_VOUCH 5u
#define KIND_NOTE_ACK 6u
#define KIND_STATE 7u
#define TAG_SIZE crypto_auth_hmacsha256_BYTES
#define SIGNATURE_SIZE crypto_sign_ed25519_BYTES
#define BEACON_SIGNED (PACKET_BEACON_SIZE - TAG_SIZE - SIGNATURE_SIZE)

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
	if (kind >= KIND_NOTE_ASK && kind <= KIND_NOTE_ACK && size == PACKET_NOTE_SIZE)
		return PACKET_NOTE;
	if (kind == KIND_STATE && size > PACKET_STATE_HEADER + TAG_SIZE && size <= PACKET_MAX_SIZE)
		return PACKET_STATE;
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
	if (!mesh_clean_name(b.name, sizeof b.name) || !b.control_port || !b.incarnation)
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

bool mesh_packet_sender(const void *data, size_t size, uint8_t ret[8])
{
	enum mesh_packet_kind kind = mesh_packet_kind(data, size);
	if (kind == PACKET_NONE || kind == PACKET_BEACON)
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

void mesh_packet_note_encode(const struct mesh_packet_note *n, const uint8_t pair_key[32], uint8_t out[PACKET_NOTE_SIZE])
{
	uint8_t *p = out;
	put(&p, MAGIC, 4);
	put(&p, KIND_NOTE_ASK + (unsigned)n->kind, 4);
	put_bytes(&p, n->sender, sizeof n->sender);
	put_bytes(&p, n->target, sizeof n->target);
	put(&p, n->incarnation, 8);
	put_bytes(&p, n->subject, sizeof n->subject);
	put(&p, n->subject_incarnation, 8);
	put(&p, n->value, 8);
	put(&p, n->nonce, 8);
	seal(out, PACKET_NOTE_SIZE, pair_key);
}

int mesh_packet_note_decode(const void *data, size_t size, const uint8_t pair_key[32], struct mesh_packet_note *ret)
{
	const uint8_t *p = data;
	if (mesh_packet_kind(data, size) != PACKET_NOTE || !sealed(data, size, pair_key))
		return -EBADMSG;
	struct mesh_packet_note n;
	p += 4;
	n.kind = (enum mesh_packet_note_kind)(get(&p, 4) - KIND_NOTE_ASK);
	get_bytes(&p, n.sender, sizeof n.sender);
	get_bytes(&p, n.target, sizeof n.target);
	n.incarnation = get(&p, 8);
	get_bytes(&p, n.subject, sizeof n.subject);
	n.subject_incarnation = get(&p, 8);
	n.value = get(&p, 8);
	n.nonce = get(&p, 8);
	*ret = n;
	return 0;
}

size_t mesh_packet_state_encode(const struct mesh_packet_state *s, const uint8_t pair_key[32], uint8_t out[PACKET_MAX_SIZE])
{
	uint8_t *p = out;
	put(&p, MAGIC, 4);
	put(&p, KIND_STATE, 4);
	put_bytes(&p, s->sender, sizeof s->sender);
	put_bytes(&p, s->target, sizeof s->target);
	put(&p, s->incarnation, 8);
	put(&p, s->age_ms, 8);
	put_bytes(&p, s->statement, s->statement_size);
	size_t size = (size_t)(p - out) + TAG_SIZE;
	seal(out, size, pair_key);
	return size;
}

int mesh_packet_state_decode(const void *data, size_t size, const uint8_t pair_key[32], struct mesh_packet_state *ret)
{
	const uint8_t *p = data;
	if (mesh_packet_kind(data, size) != PACKET_STATE || !sealed(data, size, pair_key))
		return -EBADMSG;
	struct mesh_packet_state s;
	p += 8;
	get_bytes(&p, s.sender, sizeof s.sender);
	get_bytes(&p, s.target, sizeof s.target);
	s.incarnation = get(&p, 8);
	s.age_ms = get(&p, 8);
	s.statement = p;
	s.statement_size = size - PACKET_STATE_HEADER - TAG_SIZE;
	*ret = s;
	return 0;
}
