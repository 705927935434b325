/* HKDF: RFC 5869. AES-GCM: NIST SP 800-38D; one key a direction, so the frame counter alone makes nonces unique (8.2.1). */
#include "proto/seal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#define KEY_BYTES 16
#define NONCE_BYTES 12
#define KDF_PURPOSE "tbmesh seal 1 "

struct seal {
	EVP_CIPHER_CTX *encrypt; /* keyed at creation, each frame sets its nonce only */
	EVP_CIPHER_CTX *decrypt;
	uint64_t counter;
};

static int derive_key(const unsigned char *secret, const char *label, unsigned char key[KEY_BYTES])
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
	int good = ctx && EVP_KDF_derive(ctx, key, KEY_BYTES, parameters) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return good ? 0 : -ENOMEM;
}

struct seal *seal_create(const unsigned char secret[SEAL_SECRET_BYTES], const char *label)
{
	unsigned char key[KEY_BYTES];
	struct seal *s = calloc(1, sizeof(*s));
	if (!s || derive_key(secret, label, key) < 0) {
		free(s);
		return NULL;
	}
	s->encrypt = EVP_CIPHER_CTX_new();
	s->decrypt = EVP_CIPHER_CTX_new();
	if (!s->encrypt || !s->decrypt || EVP_EncryptInit_ex(s->encrypt, EVP_aes_128_gcm(), NULL, key, NULL) != 1 ||
		EVP_DecryptInit_ex(s->decrypt, EVP_aes_128_gcm(), NULL, key, NULL) != 1) {
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
	EVP_CIPHER_CTX_free(s->encrypt); /* wipes its key */
	EVP_CIPHER_CTX_free(s->decrypt);
	free(s);
}

static void make_nonce(uint64_t counter, unsigned char nonce[NONCE_BYTES])
{
	memset(nonce, 0, NONCE_BYTES);
	memcpy(nonce + NONCE_BYTES - sizeof(counter), &counter, sizeof(counter));
}

int seal_frame(struct seal *s, const struct frame_header *header, const struct iovec *iov, int iov_count, unsigned char *out)
{
	unsigned char nonce[NONCE_BYTES];
	uint64_t size = 0;
	for (int i = 0; i < iov_count; i++)
		size += iov[i].iov_len;
	if (size != header->size || size > FRAME_MAX_PAYLOAD)
		return -EINVAL;

	int done;
	make_nonce(s->counter, nonce);
	memcpy(out, header, sizeof(*header));
	unsigned char *at = out + sizeof(*header);
	bool good = EVP_EncryptInit_ex(s->encrypt, NULL, NULL, NULL, nonce) == 1 &&
		EVP_EncryptUpdate(s->encrypt, NULL, &done, out, sizeof(*header)) == 1;
	for (int i = 0; good && i < iov_count; i++) {
		if (!iov[i].iov_len)
			continue;
		good = EVP_EncryptUpdate(s->encrypt, at, &done, iov[i].iov_base, (int)iov[i].iov_len) == 1;
		at += done;
	}
	good = good && EVP_EncryptFinal_ex(s->encrypt, at, &done) == 1 &&
		EVP_CIPHER_CTX_ctrl(s->encrypt, EVP_CTRL_GCM_GET_TAG, SEAL_TAG_BYTES, at) == 1;
	if (!good)
		return -EIO;
	s->counter++;
	return 0;
}

int seal_open(struct seal *s, const struct frame_header *header, unsigned char *data)
{
	unsigned char nonce[NONCE_BYTES];
	int done;
	if (header->size > FRAME_MAX_PAYLOAD)
		return -EBADMSG;
	make_nonce(s->counter, nonce);
	unsigned char *tag = data + header->size;
	if (EVP_DecryptInit_ex(s->decrypt, NULL, NULL, NULL, nonce) != 1 ||
		EVP_DecryptUpdate(s->decrypt, NULL, &done, (const unsigned char *)header, sizeof(*header)) != 1 ||
		(header->size && EVP_DecryptUpdate(s->decrypt, data, &done, data, (int)header->size) != 1) ||
		EVP_CIPHER_CTX_ctrl(s->decrypt, EVP_CTRL_GCM_SET_TAG, SEAL_TAG_BYTES, tag) != 1 ||
		EVP_DecryptFinal_ex(s->decrypt, tag, &done) != 1)
		return -EBADMSG;
	s->counter++;
	return 0;
}
