/* Stands in for libsodium's slow parts in mesh_sim, so that thousands of seeds fit into a minute: signatures, tags and key
 * agreement keep their meaning (a changed byte or another key does not pass) but not their strength. mesh_sim_sodium is the
 * same simulator with the real ones. */
#include <stdint.h>
#include <string.h>

#include <sodium.h>

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void digest(uint8_t *out, size_t out_size, const uint8_t *data, unsigned long long size, const uint8_t key[32])
{
	uint64_t state = size, word;
	for (size_t i = 0; i < 32; i += 8) {
		memcpy(&word, key + i, 8);
		state = mix(state + word);
	}
	for (unsigned long long i = 0; i < size; i += 8) {
		word = 0;
		memcpy(&word, data + i, size - i < 8 ? size - i : 8);
		state = (state ^ word) * UINT64_C(0x9fb21c651e98df25);
		state ^= state >> 29;
	}
	for (size_t i = 0; i < out_size; i += 8) {
		word = state = mix(state + i + 1);
		memcpy(out + i, &word, 8);
	}
}

int crypto_auth_hmacsha256(unsigned char *out, const unsigned char *in, unsigned long long size, const unsigned char *key)
{
	digest(out, crypto_auth_hmacsha256_BYTES, in, size, key);
	return 0;
}

int crypto_auth_hmacsha256_verify(
	const unsigned char *tag, const unsigned char *in, unsigned long long size, const unsigned char *key)
{
	uint8_t right[crypto_auth_hmacsha256_BYTES];
	digest(right, sizeof right, in, size, key);
	return memcmp(right, tag, sizeof right) == 0 ? 0 : -1;
}

/* As in Ed25519 the secret key is the seed and the public key; here the public key signs. */
int crypto_sign_ed25519_seed_keypair(unsigned char *public_key, unsigned char *secret_key, const unsigned char *seed)
{
	static const uint8_t key[32] = { 1 };
	digest(public_key, 32, seed, 32, key);
	memcpy(secret_key, seed, 32);
	memcpy(secret_key + 32, public_key, 32);
	return 0;
}

int crypto_sign_ed25519_detached(unsigned char *signature, unsigned long long *size, const unsigned char *message,
	unsigned long long message_size, const unsigned char *secret_key)
{
	digest(signature, crypto_sign_ed25519_BYTES, message, message_size, secret_key + 32);
	if (size)
		*size = crypto_sign_ed25519_BYTES;
	return 0;
}

int crypto_sign_ed25519_verify_detached(const unsigned char *signature, const unsigned char *message,
	unsigned long long message_size, const unsigned char *public_key)
{
	uint8_t right[crypto_sign_ed25519_BYTES];
	digest(right, sizeof right, message, message_size, public_key);
	return memcmp(right, signature, sizeof right) == 0 ? 0 : -1;
}

int crypto_sign_ed25519_pk_to_curve25519(unsigned char *curve, const unsigned char *public_key)
{
	memcpy(curve, public_key, 32);
	return 0;
}

int crypto_sign_ed25519_sk_to_curve25519(unsigned char *curve, const unsigned char *secret_key)
{
	memcpy(curve, secret_key + 32, 32);
	return 0;
}

int crypto_scalarmult(unsigned char *shared, const unsigned char *mine, const unsigned char *theirs)
{
	for (unsigned i = 0; i < 32; i++)
		shared[i] = mine[i] ^ theirs[i];
	return 0;
}
