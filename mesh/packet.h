/* The datagrams of the mesh: beacon ("I am here"), echo (round trip, liveness), note (a question about a third node, its
 * answer, an acknowledgement) and state (what a node floods of itself, passed on). Little-endian, and nothing is looked at
 * before its tag fits, except what finds the key. Pure. */
#ifndef TBMESH_MESH_PACKET_H
#define TBMESH_MESH_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mesh/identity.h"
#include "mesh/mesh.h"
#include "mesh/statement.h"

#define PACKET_BEACON_SIZE 220u
#define PACKET_ECHO_SIZE 120u
#define PACKET_NOTE_SIZE 96u
#define PACKET_STATE_HEADER 40u
#define PACKET_TAG_SIZE 32u
#define PACKET_MAX_SIZE (PACKET_STATE_HEADER + STATEMENT_MAX_SIZE + PACKET_TAG_SIZE)

/* Signed by the node, and tagged with a key derived from the mesh key: strangers get silence. A replayed beacon admits
 * nobody: a peer counts only once it has answered an echo with our nonce. */
struct mesh_packet_beacon {
	uint8_t public_key[32];
	uint64_t incarnation;
	uint64_t seq;
	uint16_t control_port;
	char name[MESH_NAME_SIZE]; /* printable ASCII after decoding */
};
struct mesh_packet_echo {
	bool reply;
	uint8_t sender[8], target[8];
	uint64_t incarnation;    /* of the sender */
	uint64_t nonce;          /* 0: a goodbye, this incarnation is over */
	int64_t t1_ns;           /* asker: sent; all stamps CLOCK_REALTIME */
	int64_t t2_ns;           /* answerer: received (kernel's stamp) */
	int64_t t3_ns;           /* answerer: sent */
	int64_t clock_offset_ns; /* answerer: REALTIME - MONOTONIC_RAW; the asker drops a burst in which it moved */
};

/* Is subject alive? It is: heard so long ago. This statement of subject's has arrived. */
enum mesh_packet_note_kind { NOTE_ASK, NOTE_VOUCH, NOTE_ACK };
struct mesh_packet_note {
	enum mesh_packet_note_kind kind;
	uint8_t sender[8], target[8];
	uint64_t incarnation; /* of the sender */
	uint8_t subject[8];
	uint64_t subject_incarnation;
	uint64_t value; /* vouch: age in µs of the last answer; acknowledgement: the statement's seq */
	uint64_t nonce; /* the question's, in its answer: an old answer says nothing */
};
/* A statement on its way; it is signed by itself (statement.h). */
struct mesh_packet_state {
	uint8_t sender[8], target[8];
	uint64_t incarnation; /* of the sender */
	uint64_t age_ms;      /* since its origin said so: grows from hop to hop */
	const uint8_t *statement;
	size_t statement_size; /* at most STATEMENT_MAX_SIZE; not looked into yet */
};

enum mesh_packet_kind { PACKET_NONE, PACKET_BEACON, PACKET_ECHO, PACKET_NOTE, PACKET_STATE };
enum mesh_packet_kind mesh_packet_kind(const void *data, size_t size); /* by size and magic; unauthenticated */

struct mesh_packet_keys {
	uint8_t beacon[32], echo[32];
};
void mesh_packet_keys_derive(const struct mesh_key *key, struct mesh_packet_keys *ret);

void mesh_packet_beacon_encode(const struct mesh_packet_beacon *b, const struct mesh_packet_keys *keys,
	const uint8_t secret_key[64], uint8_t out[PACKET_BEACON_SIZE]);
int mesh_packet_beacon_decode(const void *data, size_t size, const struct mesh_packet_keys *keys,
	struct mesh_packet_beacon *ret); /* 0 or -EBADMSG */

/* Echoes, notes and states are tagged with a key that only these two nodes have. -EINVAL: no valid public key. */
int mesh_packet_pair_key(const struct mesh_packet_keys *keys, const struct mesh_identity *self,
	const uint8_t peer_public[32], uint8_t ret[32]);
/* Of an echo, note or state; unauthenticated: finds the key. */
bool mesh_packet_sender(const void *data, size_t size, uint8_t ret[8]);
void mesh_packet_echo_encode(const struct mesh_packet_echo *e, const uint8_t pair_key[32], uint8_t out[PACKET_ECHO_SIZE]);
int mesh_packet_echo_decode(
	const void *data, size_t size, const uint8_t pair_key[32], struct mesh_packet_echo *ret); /* 0 or -EBADMSG */

void mesh_packet_note_encode(const struct mesh_packet_note *n, const uint8_t pair_key[32], uint8_t out[PACKET_NOTE_SIZE]);
int mesh_packet_note_decode(
	const void *data, size_t size, const uint8_t pair_key[32], struct mesh_packet_note *ret); /* 0 or -EBADMSG */

/* Returns the size. */
size_t mesh_packet_state_encode(const struct mesh_packet_state *s, const uint8_t pair_key[32], uint8_t out[PACKET_MAX_SIZE]);
/* ret->statement points into data. 0 or -EBADMSG */
int mesh_packet_state_decode(const void *data, size_t size, const uint8_t pair_key[32], struct mesh_packet_state *ret);

#endif
