#include "mesh/feed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "mesh/control.h"
#include "proto/limits.h"
#include "proto/messages.h"
#include "proto/validate.h"

/* What a subscriber may send: topics, and the frames of CURVE's handshake. */
#define SUBSCRIBER_MAX_BYTES 1024
#define TOPIC_SIZE 128
/* A topic that no event has: who subscribes to it is answered with it. */
#define ECHO_MARK '@'

struct mesh_subscription {
	struct list link;
	struct mesh_feed *feed;
	char id[MESH_ID_SIZE], curve[MESH_Z85_SIZE];
	uint16_t port;
	struct zsock *in; /* NULL: no way now */
	char endpoint[MESH_ENDPOINT_SIZE];
	char echo[TOPIC_SIZE]; /* of this connection */
};

struct mesh_feed {
	struct loop *loop;
	struct zctx *zctx;
	const struct mesh_identity *identity;
	uint64_t incarnation;
	uint16_t port;
	struct zsock *out;
	struct list subscriptions;
	uint64_t last_echo;
	const struct mesh_feed_callbacks *callbacks;
	void *ctx;
};

int mesh_feed_publish(struct mesh_feed *f, const char *topic, Tbmesh__PeerMessage *message)
{
	struct buf packed = { 0 };
	message->from = (char *)f->identity->id;
	message->incarnation = f->incarnation;
	int r = message_pack(&message->base, &packed);
	if (r == 0) {
		const struct zpart parts[] = { { topic, strlen(topic) }, { packed.data, packed.size } };
		r = zsock_send(f->out, parts, ARRAY_SIZE(parts));
	}
	buf_finish(&packed);
	return r;
}

static void subscription_came(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	struct mesh_feed *f = ctx;
	const unsigned char *text = parts[0].data;
	char topic[TOPIC_SIZE];
	(void)peer;
	if (count != 1 || parts[0].size < 2 || parts[0].size >= sizeof topic || text[0] != 1 || text[1] != ECHO_MARK)
		return;
	snprintf(topic, sizeof topic, "%.*s", (int)parts[0].size - 1, (const char *)text + 1);
	Tbmesh__PeerEvent body = TBMESH__PEER_EVENT__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	message.body_case = TBMESH__PEER_MESSAGE__BODY_EVENT;
	message.event = &body;
	int r = mesh_feed_publish(f, topic, &message);
	if (r < 0)
		log_debug("mesh: a subscriber is not answered: %s", strerror(-r));
}

static struct mesh_subscription *find(const struct mesh_feed *f, const char *id)
{
	list_for_each(s, &f->subscriptions, struct mesh_subscription, link) {
		if (strcmp(s->id, id) == 0)
			return s;
	}
	return NULL;
}

static void received(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	struct mesh_subscription *s = ctx;
	struct mesh_feed *f = s->feed;
	Tbmesh__PeerMessage *m;
	(void)peer; /* the CURVE key of the other side is the one that we connected to */
	if (count != 2 || message_unpack_peer(parts[1].data, parts[1].size, &m) < 0) {
		log_debug("mesh: what %s published is not valid, dropped", s->id);
		return;
	}
	const char *topic = parts[0].data;
	size_t size = parts[0].size;
	if (strcmp(m->from, s->id) != 0 || m->body_case == TBMESH__PEER_MESSAGE__BODY__NOT_SET) {
		log_debug("mesh: what %s published is not its own, dropped", s->id);
	} else if (size && topic[0] == ECHO_MARK) { /* maybe another subscriber's */
		if (size == strlen(s->echo) && memcmp(topic, s->echo, size) == 0)
			f->callbacks->subscribed(f->ctx, s->id);
	} else {
		f->callbacks->published(f->ctx, s->id, m);
	}
	message_free_peer(m);
}

static int open_socket(struct mesh_feed *f, struct mesh_subscription *s)
{
	struct zsock_options o = { .max_message_bytes = MESSAGE_MAX_PUBLISHED,
		.secret_key = f->identity->curve_secret,
		.public_key = f->identity->curve_public,
		.server_key = s->curve };
	zsock_destroy(s->in);
	s->in = NULL;
	if (!s->endpoint[0])
		return 0;
	snprintf(s->echo, sizeof s->echo, "%c%s/%" PRIu64, ECHO_MARK, f->identity->id, ++f->last_echo);
	s->in = zsock_create(f->zctx, f->loop, ZSOCK_SUB, &o, received, s);
	int r = s->in ? zsock_subscribe(s->in, s->echo) : -ENOMEM;
	if (r == 0)
		r = zsock_connect(s->in, s->endpoint);
	if (r < 0) {
		log_debug("mesh: cannot subscribe at %s: %s", s->endpoint, strerror(-r));
		zsock_destroy(s->in);
		s->in = NULL;
	}
	return r;
}

void mesh_feed_route(struct mesh_feed *f, const struct mesh_core_peer *p)
{
	struct mesh_subscription *s = f ? find(f, p->id) : NULL;
	char endpoint[MESH_ENDPOINT_SIZE];
	if (!s)
		return;
	mesh_control_endpoint(p, s->port, endpoint);
	if (s->in && strcmp(endpoint, s->endpoint) == 0)
		return;
	memcpy(s->endpoint, endpoint, sizeof endpoint);
	open_socket(f, s);
}

int mesh_feed_subscribe(struct mesh_feed *f, const struct mesh_core_peer *p, uint16_t port)
{
	struct mesh_subscription *s = find(f, p->id);
	if (!s) {
		s = calloc(1, sizeof *s);
		if (!s)
			return -ENOMEM;
		s->feed = f;
		memcpy(s->id, p->id, sizeof s->id);
		memcpy(s->curve, p->curve, sizeof s->curve);
		list_append(&f->subscriptions, &s->link);
	}
	s->port = port;
	mesh_feed_route(f, p);
	return 0;
}

static void unsubscribe(struct mesh_subscription *s)
{
	zsock_destroy(s->in);
	list_remove(&s->link);
	free(s);
}

void mesh_feed_unsubscribe(struct mesh_feed *f, const char *peer_id)
{
	struct mesh_subscription *s = find(f, peer_id);
	if (s)
		unsubscribe(s);
}

int mesh_feed_create(struct loop *l, struct zctx *z, const struct mesh_identity *identity, uint64_t incarnation,
	uint16_t port, const struct mesh_feed_callbacks *callbacks, void *ctx, struct mesh_feed **ret)
{
	struct mesh_feed *f = calloc(1, sizeof *f);
	if (!f)
		return -ENOMEM;
	*f = (struct mesh_feed){
		.loop = l, .zctx = z, .identity = identity, .incarnation = incarnation, .callbacks = callbacks, .ctx = ctx
	};
	list_init(&f->subscriptions);
	struct zsock_options o = { .max_message_bytes = SUBSCRIBER_MAX_BYTES,
		.curve_server = true,
		.secret_key = identity->curve_secret,
		.public_key = identity->curve_public };
	f->out = zsock_create(z, l, ZSOCK_XPUB, &o, subscription_came, f);
	int r = f->out ? mesh_control_bind(f->out, port, &f->port) : -ENOMEM;
	if (r < 0)
		mesh_feed_destroy(f);
	else
		*ret = f;
	return r;
}

void mesh_feed_destroy(struct mesh_feed *f)
{
	if (!f)
		return;
	list_for_each_safe(s, &f->subscriptions, struct mesh_subscription, link)
		unsubscribe(s);
	zsock_destroy(f->out);
	free(f);
}

uint16_t mesh_feed_port(const struct mesh_feed *f)
{
	return f->port;
}
