#include "mesh/statement.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "mesh/cursor.h"

#define FORM 1u

_Static_assert(STATEMENT_SIGNATURE_SIZE == crypto_sign_ed25519_BYTES, "a signature's size");

bool mesh_clean_name(char *name, size_t size)
{
	name[size - 1] = '\0';
	for (const char *c = name; *c; c++) {
		if (*c <= ' ' || *c > '~' || *c == '/' || *c == ':')
			return false;
	}
	return name[0] != '\0';
}

size_t mesh_statement_encode(const struct mesh_statement *s, const uint8_t secret_key[64], uint8_t out[STATEMENT_MAX_SIZE])
{
	uint8_t *p = out;
	put_bytes(&p, s->public_key, sizeof s->public_key);
	put(&p, s->incarnation, 8);
	put(&p, s->seq, 8);
	put_bytes(&p, s->name, sizeof s->name);
	put(&p, s->gpus, 2);
	put(&p, s->cpu_load_percent, 2);
	put(&p, s->memory_free_mib, 4);
	put(&p, FORM, 4);
	put(&p, s->link_count, 4);
	for (size_t i = 0; i < s->link_count; i++) {
		const struct mesh_statement_link *l = &s->links[i];
		put_bytes(&p, l->neighbour, sizeof l->neighbour);
		put_bytes(&p, l->interface, sizeof l->interface);
		put(&p, l->state, 1);
		put(&p, l->up_source, 1);
		put(&p, l->down_source, 1);
		put(&p, 0, 1);
		put(&p, l->p50_100ns, 4);
		put(&p, l->p99_100ns, 4);
		put(&p, l->up_kbps, 4);
		put(&p, l->down_kbps, 4);
	}
	size_t size = (size_t)(p - out);
	crypto_sign_ed25519_detached(p, NULL, out, size, secret_key);
	return size + STATEMENT_SIGNATURE_SIZE;
}

static bool decode_link(const uint8_t **p, struct mesh_statement_link *ret)
{
	get_bytes(p, ret->neighbour, sizeof ret->neighbour);
	get_bytes(p, ret->interface, sizeof ret->interface);
	uint64_t state = get(p, 1), up = get(p, 1), down = get(p, 1);
	get(p, 1);
	ret->p50_100ns = (uint32_t)get(p, 4);
	ret->p99_100ns = (uint32_t)get(p, 4);
	ret->up_kbps = (uint32_t)get(p, 4);
	ret->down_kbps = (uint32_t)get(p, 4);
	if (state > MESH_LINK_SUSPECT || up > MESH_SOURCE_NEGOTIATED || down > MESH_SOURCE_NEGOTIATED)
		return false;
	ret->state = (enum mesh_link_state)state;
	ret->up_source = (enum mesh_bandwidth_source)up;
	ret->down_source = (enum mesh_bandwidth_source)down;
	return !ret->interface[0] || mesh_clean_name(ret->interface, sizeof ret->interface);
}

int mesh_statement_decode(const void *data, size_t size, struct mesh_statement *ret)
{
	const uint8_t *p = data;
	if (size < STATEMENT_HEAD_SIZE + STATEMENT_SIGNATURE_SIZE || size > STATEMENT_MAX_SIZE)
		return -EBADMSG;
	get_bytes(&p, ret->public_key, sizeof ret->public_key);
	ret->incarnation = get(&p, 8);
	ret->seq = get(&p, 8);
	get_bytes(&p, ret->name, sizeof ret->name);
	ret->gpus = (uint16_t)get(&p, 2);
	ret->cpu_load_percent = (uint16_t)get(&p, 2);
	ret->memory_free_mib = (uint32_t)get(&p, 4);
	uint64_t form = get(&p, 4), count = get(&p, 4);
	if (form != FORM || count > MESH_GRAPH_LINKS || !ret->incarnation || !ret->seq || ret->cpu_load_percent > 100 ||
		size != STATEMENT_HEAD_SIZE + count * STATEMENT_LINK_SIZE + STATEMENT_SIGNATURE_SIZE ||
		!mesh_clean_name(ret->name, sizeof ret->name))
		return -EBADMSG;
	for (size_t i = 0; i < count; i++) {
		if (!decode_link(&p, &ret->links[i]))
			return -EBADMSG;
	}
	ret->link_count = (size_t)count;
	return 0;
}

bool mesh_statement_signed(const void *data, size_t size)
{
	size_t body = size - STATEMENT_SIGNATURE_SIZE;
	return crypto_sign_ed25519_verify_detached((const uint8_t *)data + body, data, body, data) == 0;
}
