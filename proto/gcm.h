/* AES-128-GCM in pieces, by one of two libraries that give the same bytes: libcrypto, or intel-ipsec-mb where it was there at build time
 * and the CPU has vector AES (3 to 4 times as fast as the libcrypto 3.0 of Debian 12). Internal to seal.c. */
#ifndef TBMESH_PROTO_GCM_H
#define TBMESH_PROTO_GCM_H

#include <stdbool.h>
#include <stddef.h>

#define GCM_KEY_BYTES 16
#define GCM_NONCE_BYTES 12
#define GCM_TAG_BYTES 16

/* All but create return false on failure. One message at a time: start, encrypt or decrypt the pieces (≤ 1 GiB each, out may be in),
 * then tag or verify. */
struct gcm_backend {
	const char *name;
	void *(*create)(const unsigned char key[GCM_KEY_BYTES], bool encrypts); /* NULL: out of memory */
	void (*destroy)(void *gcm);                                             /* wipes the key; NULL is fine */
	bool (*start)(void *gcm, const unsigned char nonce[GCM_NONCE_BYTES], const void *associated, size_t size);
	bool (*encrypt)(void *gcm, const void *in, size_t size, void *out);
	bool (*decrypt)(void *gcm, const void *in, size_t size, void *out);
	bool (*tag)(void *gcm, unsigned char tag[GCM_TAG_BYTES]);
	bool (*verify)(void *gcm, const unsigned char tag[GCM_TAG_BYTES]);
};

extern const struct gcm_backend gcm_libcrypto;
#ifdef TBMESH_IPSEC_MB
/* NULL if this CPU can't, or if the library's self-test failed. Thread-safe. */
const struct gcm_backend *gcm_ipsec_mb(void);
#endif
const struct gcm_backend *gcm_best(void);

#endif
