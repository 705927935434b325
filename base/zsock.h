/* ZeroMQ sockets on the loop. ZMQ_FD is edge-triggered: this file alone knows how to live with that. Every socket gets
 * ZMQ_MAXMSGSIZE, finite high-water marks, LINGER 0, IPv6 and (tcp) ZMTP heartbeats. */
#ifndef TBMESH_BASE_ZSOCK_H
#define TBMESH_BASE_ZSOCK_H

#include <stddef.h>
#include <stdbool.h>

#include "base/loop.h"

#define ZSOCK_MAX_PARTS 4
struct zpart {
	const void *data;
	size_t size;
};

/* XPUB is a PUB that is told of each subscription: one part, a byte (1: comes, 0: goes), then the topic. */
enum zsock_type { ZSOCK_ROUTER, ZSOCK_DEALER, ZSOCK_PUB, ZSOCK_XPUB, ZSOCK_SUB, ZSOCK_REP, ZSOCK_REQ };

struct zctx;
struct zsock;
struct zctx *zctx_create(void);
void zctx_destroy(struct zctx *z); /* after all its sockets */

/* parts: all frames of one message, valid during the call. A ROUTER's first part is the sender's routing id; peer is the
 * authenticated CURVE user id (ZAP's answer) or "". A message of more than ZSOCK_MAX_PARTS parts is dropped. */
typedef void zsock_fn(void *ctx, const struct zpart *parts, size_t count, const char *peer);

struct zsock_options {
	size_t max_message_bytes; /* > 0 */
	bool curve_server;        /* needs secret_key; zap_allow must be running (asserted) */
	const char *secret_key;   /* Z85, 40 characters + NUL */
	const char *public_key;
	const char *server_key; /* client side: whom to expect */
	const char *routing_id; /* DEALER: identity, NULL: random */
	bool mandatory;         /* ROUTER: sending to an unknown peer returns -EHOSTUNREACH */
};
/* NULL when out of memory or when a key is malformed. A SUB socket is subscribed to everything. A DEALER that comes back with
 * its routing id takes it over from its former connection. Callbacks come from the loop, never from inside a call of this file. */
struct zsock *zsock_create(
	struct zctx *z, struct loop *l, enum zsock_type type, const struct zsock_options *o, zsock_fn *received, void *ctx);
int zsock_bind(struct zsock *s, const char *endpoint, char *ret_endpoint,
	size_t size); /* ret: the real one, for tcp port 0; may be NULL */
int zsock_connect(struct zsock *s, const char *endpoint);
int zsock_disconnect(struct zsock *s, const char *endpoint);
/* SUB: a topic beside "everything". It reaches the publisher after that, on each connection anew: so a publisher that answers it
 * (XPUB) tells that all it publishes from now on is heard. */
int zsock_subscribe(struct zsock *s, const char *topic);
/* Never blocks: -EAGAIN when the high-water mark is reached; -EHOSTUNREACH (mandatory ROUTER); -EPROTO when it is not the turn
 * of a REQ or REP. A REP must answer inside its callback or before it can receive again. */
int zsock_send(struct zsock *s, const struct zpart *parts, size_t count);
void zsock_destroy(struct zsock *s); /* also inside its own callback */

/* The ZAP handler (inproc://zeromq.zap.01): admits CURVE keys of the list alone. Must be created before any curve_server socket
 * and destroyed after them (asserted): CURVE alone admits any key. One a context. */
struct zap;
struct zap *zap_create(struct zctx *z, struct loop *l);
/* user_id becomes `peer` of what that key sends; an allowed key gets the new one. 0, -EINVAL (no key), -ENOMEM. */
int zap_allow(struct zap *a, const char *public_key_z85, const char *user_id);
/* For handshakes from now on: a connection that stands is not cut, so whoever revokes also drops messages of that peer. */
void zap_deny(struct zap *a, const char *public_key_z85);
unsigned zap_refused(const struct zap *a); /* count since start */
void zap_destroy(struct zap *a);           /* NULL is fine */
/* A fresh CURVE key pair, Z85. 0 or -errno. */
#define ZSOCK_KEY_SIZE 41
int zsock_keypair(char ret_public[ZSOCK_KEY_SIZE], char ret_secret[ZSOCK_KEY_SIZE]);
/* CURVE keys from 32 secret bytes (clamped X25519 scalar): Z85 text of both. 0 or -errno. */
int zsock_keys_from_secret(const unsigned char secret[32], char ret_public[ZSOCK_KEY_SIZE], char ret_secret[ZSOCK_KEY_SIZE]);

#endif
