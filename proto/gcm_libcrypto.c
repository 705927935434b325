#include "proto/gcm.h"

#include <openssl/evp.h>

static void libcrypto_destroy(void *gcm)
{
	EVP_CIPHER_CTX_free(gcm);
}

static void *libcrypto_create(const unsigned char key[GCM_KEY_BYTES], bool encrypts)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	if (c && EVP_CipherInit_ex(c, EVP_aes_128_gcm(), NULL, key, NULL, encrypts) != 1) {
		EVP_CIPHER_CTX_free(c);
		c = NULL;
	}
	return c;
}

static bool libcrypto_start(void *gcm, const unsigned char nonce[GCM_NONCE_BYTES], const void *associated, size_t size)
{
	int done;
	/* The key and the direction stay: -1 */
	return EVP_CipherInit_ex(gcm, NULL, NULL, NULL, nonce, -1) == 1 &&
		EVP_CipherUpdate(gcm, NULL, &done, associated, (int)size) == 1;
}

static bool libcrypto_update(void *gcm, const void *in, size_t size, void *out)
{
	int done;
	return EVP_CipherUpdate(gcm, out, &done, in, (int)size) == 1;
}

static bool libcrypto_tag(void *gcm, unsigned char tag[GCM_TAG_BYTES])
{
	int done;
	return EVP_CipherFinal_ex(gcm, tag, &done) == 1 &&
		EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_GCM_GET_TAG, GCM_TAG_BYTES, tag) == 1;
}

static bool libcrypto_verify(void *gcm, const unsigned char tag[GCM_TAG_BYTES])
{
	unsigned char nothing[GCM_TAG_BYTES];
	int done;
	return EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_GCM_SET_TAG, GCM_TAG_BYTES, (void *)tag) == 1 &&
		EVP_CipherFinal_ex(gcm, nothing, &done) == 1;
}

const struct gcm_backend gcm_libcrypto = {
	.name = "libcrypto",
	.create = libcrypto_create,
	.destroy = libcrypto_destroy,
	.start = libcrypto_start,
	.encrypt = libcrypto_update,
	.decrypt = libcrypto_update,
	.tag = libcrypto_tag,
	.verify = libcrypto_verify,
};

const struct gcm_backend *gcm_best(void)
{
#ifdef TBMESH_IPSEC_MB
	const struct gcm_backend *b = gcm_ipsec_mb();
	if (b)
		return b;
#endif
	return &gcm_libcrypto;
}
