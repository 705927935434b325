/* ZMQ_FD becomes readable when libzmq has something to say to the socket's thread, not while there are messages: it is an edge.
 * Any call on the socket may swallow that edge. So ZMQ_EVENTS is read again after each send and receive, messages are drained
 * until none is left, and where draining stops early for the sake of others, a timer of zero goes on with it. */
#include "base/zsock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/zsock_internal.h"

#define MESSAGES_AT_A_TIME 64
#define MAX_PARTS ZSOCK_ZAP_PARTS
#define HIGH_WATER_MARK 1000
#define HANDSHAKE_MS 3000
#define HEARTBEAT_MS 500
#define HEARTBEAT_TIMEOUT_MS 2000
#define RECONNECT_MS 100
#define RECONNECT_MAX_MS 1000

struct zsock {
	struct zctx *context;
	void *socket;
	struct loop_io *io;
	struct loop_timer *again; /* armed while messages may wait that no edge tells of */
	size_t max_parts;
	zsock_fn *received;
	void *ctx;
	bool curve_server;
	bool dispatching;
	bool dead; /* destroyed inside its own callback: freed after it */
};

static int zmq_error(void)
{
	/* libzmq has numbers of its own above any errno (EFSM: not this socket's turn). */
	int number = zmq_errno();
	return number > 0 && number < ZMQ_HAUSNUMERO ? -number : -EPROTO;
}

struct zctx *zctx_create(void)
{
	struct zctx *z = calloc(1, sizeof(*z));
	if (!z)
		return NULL;
	z->context = zmq_ctx_new();
	if (!z->context) {
		free(z);
		return NULL;
	}
	zmq_ctx_set(z->context, ZMQ_BLOCKY, 0);
	return z;
}

void zctx_destroy(struct zctx *z)
{
	if (!z)
		return;
	assert(z->sockets == 0); /* zmq_ctx_term would wait for them for ever */
	while (zmq_ctx_term(z->context) < 0 && zmq_errno() == EINTR)
		continue;
	free(z);
}

static bool events_readable(struct zsock *s)
{
	int events = 0;
	size_t size = sizeof(events);
	return zmq_getsockopt(s->socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

/* Reads the next message whole into max_parts + 1 messages. False when there is none. Count 0: it had too many parts. */
static bool receive_parts(struct zsock *s, zmq_msg_t *messages, size_t *ret_count)
{
	size_t count = 0;
	bool too_many = false, more;
	do {
		zmq_msg_t *m = &messages[count];
		zmq_msg_init(m);
		int size;
		do
			size = zmq_msg_recv(m, s->socket, ZMQ_DONTWAIT);
		while (size < 0 && zmq_errno() == EINTR);
		if (size < 0) {
			zmq_msg_close(m);
			while (count)
				zmq_msg_close(&messages[--count]);
			return false;
		}
		more = zmq_msg_more(m);
		if (count < s->max_parts) {
			count++;
		} else {
			too_many = true;
			zmq_msg_close(m);
		}
	} while (more);
	if (too_many) {
		while (count)
			zmq_msg_close(&messages[--count]);
	}
	*ret_count = count;
	return true;
}

static void deliver(struct zsock *s, zmq_msg_t *messages, size_t count)
{
	struct zpart parts[MAX_PARTS];
	const char *peer = NULL;
	for (size_t i = 0; i < count; i++) {
		parts[i] = (struct zpart){ zmq_msg_data(&messages[i]), zmq_msg_size(&messages[i]) };
		if (!peer)
			peer = zmq_msg_gets(&messages[i], "User-Id");
	}
	if (count)
		s->received(s->ctx, parts, count, peer ? peer : "");
	for (size_t i = 0; i < count; i++)
		zmq_msg_close(&messages[i]);
}

static void socket_free(struct zsock *s)
{
	zmq_close(s->socket);
	s->context->sockets--;
	if (s->curve_server)
		s->context->curve_servers--;
	free(s);
}

static void drain(struct zsock *s)
{
	assert(!s->dispatching);
	s->dispatching = true;
	unsigned budget = MESSAGES_AT_A_TIME;
	bool readable = events_readable(s);
	while (readable && budget && !s->dead) {
		zmq_msg_t messages[MAX_PARTS + 1];
		size_t count;
		if (receive_parts(s, messages, &count)) {
			deliver(s, messages, count);
			budget--;
		}
		readable = !s->dead && events_readable(s);
	}
	s->dispatching = false;
	if (s->dead)
		socket_free(s);
	else if (readable)
		loop_timer_start(s->again, 0, 0);
}

static void socket_ready(void *ctx, unsigned events)
{
	(void)events;
	drain(ctx);
}

static void socket_again(void *ctx)
{
	drain(ctx);
}

/* After any call that may have swallowed the edge. drain() looks by itself when it is at work. */
static void rearm(struct zsock *s)
{
	if (!s->dispatching && events_readable(s))
		loop_timer_start(s->again, 0, 0);
}

static bool set_int(struct zsock *s, int option, int value)
{
	return zmq_setsockopt(s->socket, option, &value, sizeof(value)) == 0;
}

static bool set_text(struct zsock *s, int option, const char *text)
{
	return !text || zmq_setsockopt(s->socket, option, text, strlen(text)) == 0;
}

static bool set_key(struct zsock *s, int option, const char *key)
{
	return !key || (strlen(key) == ZSOCK_KEY_SIZE - 1 && zmq_setsockopt(s->socket, option, key, ZSOCK_KEY_SIZE) == 0);
}

static bool set_options(struct zsock *s, enum zsock_type type, const struct zsock_options *o)
{
	int64_t max_message = (int64_t)o->max_message_bytes;
	bool good = zmq_setsockopt(s->socket, ZMQ_MAXMSGSIZE, &max_message, sizeof(max_message)) == 0 &&
		set_int(s, ZMQ_LINGER, 0) && set_int(s, ZMQ_IPV6, 1) && set_int(s, ZMQ_SNDHWM, HIGH_WATER_MARK) &&
		set_int(s, ZMQ_RCVHWM, HIGH_WATER_MARK) && set_int(s, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
		set_int(s, ZMQ_CONNECT_TIMEOUT, HANDSHAKE_MS) && set_int(s, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
		set_int(s, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
	if (type == ZSOCK_SUB)
		good = good && zmq_setsockopt(s->socket, ZMQ_SUBSCRIBE, "", 0) == 0;
	if (type == ZSOCK_XPUB) /* also of a topic that a dead connection still holds */
		good = good && set_int(s, ZMQ_XPUB_VERBOSE, 1);
	if (type == ZSOCK_ROUTER)
		good = good && set_int(s, ZMQ_ROUTER_MANDATORY, o->mandatory) && set_int(s, ZMQ_ROUTER_HANDOVER, 1);
	good = good && set_text(s, ZMQ_ROUTING_ID, o->routing_id) && set_key(s, ZMQ_CURVE_PUBLICKEY, o->public_key) &&
		set_key(s, ZMQ_CURVE_SECRETKEY, o->secret_key) && set_key(s, ZMQ_CURVE_SERVERKEY, o->server_key);
	if (o->curve_server) {
		good = good && o->secret_key && set_int(s, ZMQ_CURVE_SERVER, 1) &&
			set_text(s, ZMQ_ZAP_DOMAIN, ZSOCK_ZAP_DOMAIN);
	}
	return good;
}

struct zsock *zsock_create_parts(struct zctx *z, struct loop *l, enum zsock_type type, const struct zsock_options *o,
	size_t max_parts, zsock_fn *received, void *ctx)
{
	static const int types[] = {
		[ZSOCK_ROUTER] = ZMQ_ROUTER,
		[ZSOCK_DEALER] = ZMQ_DEALER,
		[ZSOCK_PUB] = ZMQ_PUB,
		[ZSOCK_XPUB] = ZMQ_XPUB,
		[ZSOCK_SUB] = ZMQ_SUB,
		[ZSOCK_REP] = ZMQ_REP,
		[ZSOCK_REQ] = ZMQ_REQ,
	};
	assert(o->max_message_bytes > 0 && max_parts <= MAX_PARTS);
	assert(!o->curve_server || z->zap_running);

	struct zsock *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct zsock){
		.context = z, .max_parts = max_parts, .received = received, .ctx = ctx, .curve_server = o->curve_server
	};
	s->socket = zmq_socket(z->context, types[type]);
	if (!s->socket) {
		free(s);
		return NULL;
	}
	z->sockets++;
	if (o->curve_server)
		z->curve_servers++;
	int fd = -1;
	size_t size = sizeof(fd);
	if (set_options(s, type, o) && zmq_getsockopt(s->socket, ZMQ_FD, &fd, &size) == 0) {
		s->io = loop_io_create(l, fd, LOOP_READ, socket_ready, s);
		s->again = loop_timer_create(l, socket_again, s);
	}
	if (!s->io || !s->again) {
		zsock_destroy(s);
		return NULL;
	}
	return s;
}

struct zsock *zsock_create(
	struct zctx *z, struct loop *l, enum zsock_type type, const struct zsock_options *o, zsock_fn *received, void *ctx)
{
	return zsock_create_parts(z, l, type, o, ZSOCK_MAX_PARTS, received, ctx);
}

/* Heartbeats find dead hosts; on one host they would only cut off who is stopped for a moment. */
static void set_heartbeat(struct zsock *s, const char *endpoint)
{
	bool tcp = strncmp(endpoint, "tcp://", 6) == 0;
	set_int(s, ZMQ_HEARTBEAT_IVL, tcp ? HEARTBEAT_MS : 0);
	set_int(s, ZMQ_HEARTBEAT_TIMEOUT, tcp ? HEARTBEAT_TIMEOUT_MS : 0);
	set_int(s, ZMQ_HEARTBEAT_TTL, tcp ? HEARTBEAT_TIMEOUT_MS : 0);
}

int zsock_bind(struct zsock *s, const char *endpoint, char *ret_endpoint, size_t size)
{
	set_heartbeat(s, endpoint);
	if (zmq_bind(s->socket, endpoint) < 0)
		return zmq_error();
	rearm(s);
	if (ret_endpoint && zmq_getsockopt(s->socket, ZMQ_LAST_ENDPOINT, ret_endpoint, &size) < 0)
		return zmq_error();
	return 0;
}

int zsock_connect(struct zsock *s, const char *endpoint)
{
	set_heartbeat(s, endpoint);
	int r = zmq_connect(s->socket, endpoint) < 0 ? zmq_error() : 0;
	rearm(s);
	return r;
}

int zsock_disconnect(struct zsock *s, const char *endpoint)
{
	int r = zmq_disconnect(s->socket, endpoint) < 0 ? zmq_error() : 0;
	rearm(s);
	return r;
}

int zsock_subscribe(struct zsock *s, const char *topic)
{
	int r = zmq_setsockopt(s->socket, ZMQ_SUBSCRIBE, topic, strlen(topic)) < 0 ? zmq_error() : 0;
	rearm(s);
	return r;
}

int zsock_send(struct zsock *s, const struct zpart *parts, size_t count)
{
	int r = count ? 0 : -EINVAL;
	for (size_t i = 0; i < count && r == 0; i++) {
		int flags = ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0);
		while (zmq_send(s->socket, parts[i].data, parts[i].size, flags) < 0) {
			if (zmq_errno() == EINTR)
				continue;
			r = zmq_error();
			break;
		}
	}
	rearm(s);
	return r;
}

void zsock_destroy(struct zsock *s)
{
	if (!s)
		return;
	loop_io_destroy(s->io);
	loop_timer_destroy(s->again);
	if (s->dispatching)
		s->dead = true;
	else
		socket_free(s);
}

int zsock_keypair(char ret_public[ZSOCK_KEY_SIZE], char ret_secret[ZSOCK_KEY_SIZE])
{
	return zmq_curve_keypair(ret_public, ret_secret) < 0 ? zmq_error() : 0;
}

int zsock_keys_from_secret(const unsigned char secret[32], char ret_public[ZSOCK_KEY_SIZE], char ret_secret[ZSOCK_KEY_SIZE])
{
	char text[ZSOCK_KEY_SIZE], public_text[ZSOCK_KEY_SIZE];
	if (!zmq_z85_encode(text, secret, 32))
		return -EINVAL;
	if (zmq_curve_public(public_text, text) < 0)
		return zmq_error();
	memcpy(ret_secret, text, ZSOCK_KEY_SIZE);
	memcpy(ret_public, public_text, ZSOCK_KEY_SIZE);
	return 0;
}
