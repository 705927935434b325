/* ZAP, RFC 27: libzmq's I/O thread asks over inproc whether a key may come in; a REP socket on the loop answers. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/list.h"
#include "base/zsock_internal.h"

#define CURVE_KEY_BYTES 32
#define ZAP_MAX_MESSAGE_BYTES 4096

struct zap_key {
	struct list link; /* zap.keys */
	unsigned char key[CURVE_KEY_BYTES];
	char user_id[]; /* NUL-terminated */
};

struct zap {
	struct zctx *context;
	struct zsock *socket;
	struct list keys;
	unsigned refused;
};

static struct zap_key *key_find(struct zap *a, const unsigned char *key)
{
	list_for_each(k, &a->keys, struct zap_key, link) {
		if (memcmp(k->key, key, CURVE_KEY_BYTES) == 0)
			return k;
	}
	return NULL;
}

static bool part_is(const struct zpart *part, const char *text)
{
	return part->size == strlen(text) && memcmp(part->data, text, part->size) == 0;
}

/* Parts: version, request id, domain, address, identity, mechanism, key. */
static void zap_asked(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	struct zap *a = ctx;
	(void)peer;
	const struct zap_key *k = NULL;
	if (count == ZSOCK_ZAP_PARTS && part_is(&parts[0], "1.0") && part_is(&parts[2], ZSOCK_ZAP_DOMAIN) &&
		part_is(&parts[5], "CURVE") && parts[6].size == CURVE_KEY_BYTES)
		k = key_find(a, parts[6].data);
	if (!k)
		a->refused++;
	const char *code = k ? "200" : "400", *text = k ? "OK" : "unknown key", *user = k ? k->user_id : "";
	struct zpart answer[] = {
		{ "1.0", 3 },
		{ count > 1 ? parts[1].data : "", count > 1 ? parts[1].size : 0 },
		{ code, 3 },
		{ text, strlen(text) },
		{ user, strlen(user) },
		{ "", 0 },
	};
	zsock_send(a->socket, answer, sizeof(answer) / sizeof(answer[0]));
}

struct zap *zap_create(struct zctx *z, struct loop *l)
{
	assert(!z->zap_running);
	struct zap *a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->context = z;
	list_init(&a->keys);
	struct zsock_options options = { .max_message_bytes = ZAP_MAX_MESSAGE_BYTES };
	a->socket = zsock_create_parts(z, l, ZSOCK_REP, &options, ZSOCK_ZAP_PARTS, zap_asked, a);
	if (!a->socket || zsock_bind(a->socket, "inproc://zeromq.zap.01", NULL, 0) < 0) {
		zap_destroy(a);
		return NULL;
	}
	z->zap_running = true;
	return a;
}

int zap_allow(struct zap *a, const char *public_key_z85, const char *user_id)
{
	unsigned char key[CURVE_KEY_BYTES];
	if (strlen(public_key_z85) != ZSOCK_KEY_SIZE - 1 || !zmq_z85_decode(key, public_key_z85))
		return -EINVAL;
	size_t length = strlen(user_id);
	struct zap_key *k = malloc(sizeof(*k) + length + 1);
	if (!k)
		return -ENOMEM;
	zap_deny(a, public_key_z85);
	memcpy(k->key, key, sizeof(key));
	memcpy(k->user_id, user_id, length + 1);
	list_append(&a->keys, &k->link);
	return 0;
}

void zap_deny(struct zap *a, const char *public_key_z85)
{
	unsigned char key[CURVE_KEY_BYTES];
	if (strlen(public_key_z85) != ZSOCK_KEY_SIZE - 1 || !zmq_z85_decode(key, public_key_z85))
		return;
	struct zap_key *k = key_find(a, key);
	if (k) {
		list_remove(&k->link);
		free(k);
	}
}

unsigned zap_refused(const struct zap *a)
{
	return a->refused;
}

void zap_destroy(struct zap *a)
{
	if (!a)
		return;
	assert(a->context->curve_servers == 0);
	a->context->zap_running = false;
	zsock_destroy(a->socket);
	list_for_each_safe(k, &a->keys, struct zap_key, link)
		free(k);
	free(a);
}
