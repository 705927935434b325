/* ZeroMQ sockets on the loop. ZMQ_FD is edge-triggered: this file alone knows how to live with that. Every socket gets
 * ZMQ_MAXMSGSIZE, finite high-water marks, LINGER 0, IPv6 and (tcp) ZMTP heartbeats. */
#ifndef TBMESH_BASE_ZSOCK_H
#define TBMESH_BASE_ZSOCK_H

#include <stddef.h>
#include <stdbool.h>

#include "base/loop.h"

#define ZSOCK_MAX_PARTS 4
struct zpart { const void *data; size_t size; };

enum zsock_type { ZSOCK_ROUTER, ZSOCK_DEALER, ZSOCK_PUB, ZSOCK_SUB, ZSOCK_REP, ZSOCK_REQ };

struct zctx;
struct zsock;
struct zctx *zctx_create(void);
void zctx_destroy(struct zctx *z); /* after all its sockets */

/* parts: all frames of one message, valid during the call. A ROUTER's first part is the sender's routing id; peer is the
 * authenticated CURVE user id (ZAP's answer) or "". A message of more than ZSOCK_MAX_PARTS parts is dropped. */
typedef void zsock_fn(void *ctx, const struct zpart *parts, size_t count, const char *peer);

struct zsock_options {
	size_t max_message_bytes;       /* > 0 */
	bool curve_server;              /* needs secret_key; zap_allow must be running (asserted) */
	const char *secret_key;         /* Z85, 40 characters + NUL */
	const char *public_key;
	const char *server_key;         /* client side: whom to expect */
	const char *routing_id;         /* DEALER: identity, NULL: random */
	bool mandatory;                 /* ROUTER: sending to an unknown peer returns -EHOSTUNREACH */
};
struct zsock *zsock_create(struct zctx *z, struct loop *l, enum zsock_type type, const struct zsock_options *o, zsock_fn *received, void *ctx);
int zsock_bind(struct zsock *s, const char *endpoint, char *ret_endpoint, size_t size); /* ret: the real one, for tcp port 0; may be NULL */
int zsock_connect(struct zsock *s, const char *endpoint);
int zsock_disconnect(struct zsock *s, const char *endpoint);
/* Never blocks: -EAGAIN when the high-water mark is reached. */
int zsock_send(struct zsock *s, const struct zpart *parts, size_t count);
void zsock_destroy(struct zsock *s); /* also inside its own callback */

/* The ZAP handler (inproc://zeromq.zap.01): admits CURVE keys of the list alone. Must be created before any curve_server socket. */
struct zap;
struct zap *zap_create(struct zctx *z, struct loop *l);
int zap_allow(struct zap *a, const char *public_key_z85, const char *user_id);
void zap_deny(struct zap *a, const char *public_key_z85);
unsigned zap_refused(const struct zap *a); /* count since start */
void zap_destroy(struct zap *a);

#endif
