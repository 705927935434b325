/* HKDF: RFC 5869. AES-GCM: NIST SP 800-38D; one key a direction, so the frame counter alone makes nonces unique (8.2.1). */
#include "proto/seal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "proto/gcm.h"

#define KDF_PURPOSE "tbmesh seal 1 "

struct seal {
	const struct gcm_backend *backend;
	void *encrypt, *decrypt; /* keyed at creation */
	uint64_t counter;
};

static int derive_key(const unsigned char *secret, const char *label, unsigned char key[GCM_KEY_BYTES])
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, SEAL_SECRET_BYTES),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)KDF_PURPOSE, strlen(KDF_PURPOSE)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)label, strlen(label)),
		OSSL_PARAM_construct_end(),
	};
	int good = ctx && EVP_KDF_derive(ctx, key, GCM_KEY_BYTES, parameters) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return good ? 0 : -ENOMEM;
}

struct seal *seal_create(const unsigned char secret[SEAL_SECRET_BYTES], const char *label)
{
	unsigned char key[GCM_KEY_BYTES];
	struct seal *s = calloc(1, sizeof(*s));
	if (!s || derive_key(secret, label, key) < 0) {
		free(s);
		return NULL;
	}
	s->backend = gcm_best();
	s->encrypt = s->backend->create(key, true);
	s->decrypt = s->backend->create(key, false);
	if (!s->encrypt || !s->decrypt) {
		seal_destroy(s);
		s = NULL;
	}
	OPENSSL_cleanse(key, sizeof(key));
	return s;
}

void seal_destroy(struct seal *s)
{
	if (!s)
		return;
	s->backend->destroy(s->encrypt);
	s->backend->destroy(s->decrypt);
	free(s);
}

static void make_nonce(uint64_t counter, unsigned char nonce[GCM_NONCE_BYTES])
{
	memset(nonce, 0, GCM_NONCE_BYTES);
	memcpy(nonce + GCM_NONCE_BYTES - sizeof(counter), &counter, sizeof(counter));
}

int seal_start(struct seal *s, const struct frame_header *header)
{
	unsigned char nonce[GCM_NONCE_BYTES];
	make_nonce(s->counter, nonce);
	return s->backend->start(s->encrypt, nonce, header, sizeof(*header)) ? 0 : -EIO;
}

int seal_encrypt(struct seal *s, const void *in, size_t size, unsigned char *out)
{
	return size <= FRAME_MAX_PAYLOAD && (size == 0 || s->backend->encrypt(s->encrypt, in, size, out)) ? 0 : -EIO;
}

int seal_tag(struct seal *s, unsigned char tag[SEAL_TAG_BYTES])
{
	if (!s->backend->tag(s->encrypt, tag))
		return -EIO;
	s->counter++;
	return 0;
}

int seal_frame(struct seal *s, const struct frame_header *header, const struct iovec *iov, int iov_count, unsigned char *out)
{
	uint64_t size = 0;
	for (int i = 0; i < iov_count; i++)
		size += iov[i].iov_len;
	if (size != header->size || size > FRAME_MAX_PAYLOAD)
		return -EINVAL;

	memcpy(out, header, sizeof(*header));
	unsigned char *at = out + sizeof(*header);
	int r = seal_start(s, header);
	for (int i = 0; r == 0 && i < iov_count; i++) {
		r = seal_encrypt(s, iov[i].iov_base, iov[i].iov_len, at);
		at += iov[i].iov_len;
	}
	return r < 0 ? r : seal_tag(s, at);
}

int seal_open_start(struct seal *s, const struct frame_header *header)
{
	unsigned char nonce[GCM_NONCE_BYTES];
	if (header->size > FRAME_MAX_PAYLOAD)
		return -EBADMSG;
	make_nonce(s->counter, nonce);
	return s->backend->start(s->decrypt, nonce, header, sizeof(*header)) ? 0 : -EIO;
}

int seal_decrypt(struct seal *s, const void *in, size_t size, unsigned char *out)
{
	return size <= FRAME_MAX_PAYLOAD && (size == 0 || s->backend->decrypt(s->decrypt, in, size, out)) ? 0 : -EIO;
}

int seal_verify(struct seal *s, const unsigned char tag[SEAL_TAG_BYTES])
{
	if (!s->backend->verify(s->decrypt, tag))
		return -EBADMSG;
	s->counter++;
	return 0;
}

int seal_open(struct seal *s, const struct frame_header *header, unsigned char *data)
{
	int r = seal_open_start(s, header);
	if (r == 0)
		r = seal_decrypt(s, data, header->size, data);
	return r < 0 ? r : seal_verify(s, data + header->size);
}
