/* Who a node is and which mesh it belongs to. Keys are files of mode 0600; a file that others can read is refused.
 * All functions return 0 or negative errno and then put one sentence for a person into `error` (may be NULL). */
#ifndef TBMESH_MESH_IDENTITY_H
#define TBMESH_MESH_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#define MESH_ID_SIZE 17       /* 16 lowercase hex digits + NUL: the first 8 bytes of the Ed25519 public key */
#define MESH_Z85_SIZE 41      /* a CURVE key as ZeroMQ wants it */
#define MESH_KEY_TEXT_SIZE 72 /* "tbmesh-" and 13 groups of 4 base32 characters (RFC 4648, without padding), + NUL */

/* Ed25519 (signs what is flooded) and the CURVE key that is derived from it. */
struct mesh_identity {
	uint8_t public_key[32];
	uint8_t secret_key[64];
	char id[MESH_ID_SIZE];
	char curve_public[MESH_Z85_SIZE];
	char curve_secret[MESH_Z85_SIZE];
};

/* The secret that all nodes of one mesh share. */
struct mesh_key {
	uint8_t bytes[32];
};

/* Loads ROOT/var/node.key; makes it when it is not there. */
int mesh_identity_load(const char *path, struct mesh_identity *ret, char *error, size_t error_size);
int mesh_identity_create(struct mesh_identity *ret); /* in memory only */
void mesh_identity_wipe(struct mesh_identity *i);
/* The id and the CURVE key that belong to a public key. -EINVAL when it is no valid point. */
int mesh_identity_public(const uint8_t public_key[32], char ret_id[MESH_ID_SIZE], char ret_curve[MESH_Z85_SIZE]);

void mesh_id_text(const uint8_t first_bytes[8], char ret[MESH_ID_SIZE]); /* of a public key */

int mesh_key_create(struct mesh_key *ret);
/* ROOT/etc/mesh.key holds the text form and a newline. -ENOENT: this node is in no mesh yet (`tbmesh init` or `tbmesh
 * join`). */
int mesh_key_load(const char *path, struct mesh_key *ret, char *error, size_t error_size);
int mesh_key_save(const char *path, const struct mesh_key *key, char *error, size_t error_size);
/* Text form: tbmesh-XXXX-…-XXXX. Upper and lower case, spaces and missing dashes are forgiven; 4 check bits catch typing
 * errors. */
void mesh_key_format(const struct mesh_key *key, char ret_text[MESH_KEY_TEXT_SIZE]);
int mesh_key_parse(const char *text, struct mesh_key *ret, char *error, size_t error_size);

#endif
