/* Sealed frames: AES-128-GCM per frame, keys by HKDF-SHA256 from a one-time secret. Contract: proto/README.md §2.
 * Wire: 32-byte header in clear (associated data; its size is checked against FRAME_MAX_PAYLOAD before anything is read) |
 * ciphertext of the payload | 16-byte tag. Nonce = frame counter of that direction. */
#ifndef TBMESH_PROTO_SEAL_H
#define TBMESH_PROTO_SEAL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "proto/frame.h"

#define SEAL_SECRET_BYTES 32
#define SEAL_TAG_BYTES 16
#define SEAL_MAX_FRAME (sizeof(struct frame_header) + FRAME_MAX_PAYLOAD + SEAL_TAG_BYTES)

struct seal; /* one direction of one stream: key and frame counter */

/* label names stream and direction, so that no two ever share a key ("0>", "0<", "1>" …). NULL when out of memory. */
struct seal *seal_create(const unsigned char secret[SEAL_SECRET_BYTES], const char *label);
void seal_destroy(struct seal *s); /* wipes the key; NULL is fine */

/* Encrypts payload (gathered) behind header into out: header in clear | ciphertext | tag. out has room for
 * 32 + header->size + 16 bytes. 0 or -errno. */
int seal_frame(
	struct seal *s, const struct frame_header *header, const struct iovec *iov, int iov_count, unsigned char *out);
/* Verifies and decrypts in place: data = ciphertext | tag of header->size + 16 bytes. 0 or -EBADMSG (the stream must end). */
int seal_open(struct seal *s, const struct frame_header *header, unsigned char *data);

/* The same in pieces, so that what was just encrypted or received is still in the cache: start, then the payload in order, then the tag.
 * One seal does one frame at a time in one way. What seal_decrypt returns is worth nothing before seal_verify has said 0. in may be
 * out. 0 or -errno; after an error the stream must end. */
int seal_start(struct seal *s, const struct frame_header *header);
int seal_encrypt(struct seal *s, const void *in, size_t size, unsigned char *out);
int seal_tag(struct seal *s, unsigned char tag[SEAL_TAG_BYTES]);
int seal_open_start(struct seal *s, const struct frame_header *header);
int seal_decrypt(struct seal *s, const void *in, size_t size, unsigned char *out);
int seal_verify(struct seal *s, const unsigned char tag[SEAL_TAG_BYTES]);

#endif
