#include "proto/gcm.h"

#include <pthread.h>
#include <stdlib.h>

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#define KEY_ALIGN 64

struct ipsec_gcm {
	struct gcm_key_data key; /* first: aligned as the library wants it */
	struct gcm_context_data context;
};

/* Only a table of functions for this CPU: shared by all threads, never freed. */
static IMB_MGR *manager;
static pthread_once_t manager_once = PTHREAD_ONCE_INIT;

static void manager_make(void)
{
	const uint64_t needed = IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AVX512_SKX;
	IMB_MGR *m = alloc_mb_mgr(0);
	if (!m)
		return;
	init_mb_mgr_auto(m, NULL);
	if (imb_get_errno(m) != 0 || (m->features & needed) != needed)
		free_mb_mgr(m);
	else
		manager = m;
}

static void *ipsec_create(const unsigned char key[GCM_KEY_BYTES], bool encrypts)
{
	(void)encrypts;
	size_t size = (sizeof(struct ipsec_gcm) + KEY_ALIGN - 1) & ~(size_t)(KEY_ALIGN - 1);
	struct ipsec_gcm *g = aligned_alloc(KEY_ALIGN, size);
	if (g)
		IMB_AES128_GCM_PRE(manager, key, &g->key);
	return g;
}

static void ipsec_destroy(void *gcm)
{
	if (gcm)
		OPENSSL_cleanse(gcm, sizeof(struct ipsec_gcm));
	free(gcm);
}

static bool ipsec_start(void *gcm, const unsigned char nonce[GCM_NONCE_BYTES], const void *associated, size_t size)
{
	struct ipsec_gcm *g = gcm;
	IMB_AES128_GCM_INIT(manager, &g->key, &g->context, nonce, associated, size);
	return true;
}

static bool ipsec_encrypt(void *gcm, const void *in, size_t size, void *out)
{
	struct ipsec_gcm *g = gcm;
	IMB_AES128_GCM_ENC_UPDATE(manager, &g->key, &g->context, out, in, size);
	return true;
}

static bool ipsec_decrypt(void *gcm, const void *in, size_t size, void *out)
{
	struct ipsec_gcm *g = gcm;
	IMB_AES128_GCM_DEC_UPDATE(manager, &g->key, &g->context, out, in, size);
	return true;
}

static bool ipsec_tag(void *gcm, unsigned char tag[GCM_TAG_BYTES])
{
	struct ipsec_gcm *g = gcm;
	IMB_AES128_GCM_ENC_FINALIZE(manager, &g->key, &g->context, tag, GCM_TAG_BYTES);
	return true;
}

static bool ipsec_verify(void *gcm, const unsigned char tag[GCM_TAG_BYTES])
{
	struct ipsec_gcm *g = gcm;
	unsigned char real[GCM_TAG_BYTES];
	IMB_AES128_GCM_DEC_FINALIZE(manager, &g->key, &g->context, real, GCM_TAG_BYTES);
	return CRYPTO_memcmp(real, tag, GCM_TAG_BYTES) == 0;
}

static const struct gcm_backend backend = {
	.name = "ipsec-mb",
	.create = ipsec_create,
	.destroy = ipsec_destroy,
	.start = ipsec_start,
	.encrypt = ipsec_encrypt,
	.decrypt = ipsec_decrypt,
	.tag = ipsec_tag,
	.verify = ipsec_verify,
};

const struct gcm_backend *gcm_ipsec_mb(void)
{
	pthread_once(&manager_once, manager_make);
	return manager ? &backend : NULL;
}
