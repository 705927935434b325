#include "mesh/control.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "proto/limits.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define QUEUE_MESSAGES 512u
#define QUEUE_BYTES (16u << 20)
#define PUMP_MS 100u               /* acknowledgements of their own, retries */
#define STUCK_NS (2 * CORE_SECOND) /* sent and not acknowledged: the connection is made anew */

struct queued {
	struct list link;
	uint64_t seq;
	uint64_t sent_ns; /* over the present connection; 0: not yet */
	struct buf packed;
};

struct mesh_control_peer {
	struct list link;
	char id[MESH_ID_SIZE], curve[MESH_Z85_SIZE];
	struct zsock *out; /* NULL: no way now */
	char endpoint[MESH_ENDPOINT_SIZE];
	struct list queue; /* of struct queued: not acknowledged yet */
	size_t queue_count, queue_bytes;
	uint64_t next_seq;
	uint64_t incarnation; /* the peer's */
	uint64_t received_seq;
	bool ack_due;
};

struct mesh_control {
	struct loop *loop;
	struct zctx *zctx;
	struct mesh_identity identity;
	uint64_t incarnation;
	struct zap *zap;
	struct zsock *in;
	uint16_t port;
	struct list peers;
	struct loop_timer *pump;
	bool pumping;
	const struct mesh_control_callbacks *callbacks;
	void *ctx;
};

static struct mesh_control_peer *find(struct mesh_control *c, const char *id)
{
	list_for_each(p, &c->peers, struct mesh_control_peer, link) {
		if (strcmp(p->id, id) == 0)
			return p;
	}
	return NULL;
}

static void unqueue(struct mesh_control_peer *p, struct queued *q)
{
	list_remove(&q->link);
	p->queue_count--;
	p->queue_bytes -= q->packed.size;
	buf_finish(&q->packed);
	free(q);
}

static void start_pump(struct mesh_control *c)
{
	if (c->pumping)
		return;
	c->pumping = true;
	loop_timer_start(c->pump, PUMP_MS, 0);
}

static void flush(struct mesh_control *c, struct mesh_control_peer *p)
{
	list_for_each(q, &p->queue, struct queued, link) {
		if (!p->out)
			return;
		if (q->sent_ns)
			continue;
		struct zpart part = { q->packed.data, q->packed.size };
		if (zsock_send(p->out, &part, 1) < 0)
			return; /* the pump tries again */
		q->sent_ns = time_monotonic_ns();
	}
	if (!list_empty(&p->queue))
		start_pump(c);
}

static void out_received(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	/* Peers speak on their own connection; what comes back on ours is not asked for. */
	(void)ctx, (void)parts, (void)count, (void)peer;
}

static void disconnect(struct mesh_control_peer *p)
{
	zsock_destroy(p->out);
	p->out = NULL;
	list_for_each(q, &p->queue, struct queued, link)
		q->sent_ns = 0;
}

static void connect_peer(struct mesh_control *c, struct mesh_control_peer *p)
{
	struct zsock_options o = { .max_message_bytes = MESSAGE_MAX_BYTES,
		.secret_key = c->identity.curve_secret,
		.public_key = c->identity.curve_public,
		.server_key = p->curve };
	disconnect(p);
	if (!*p->endpoint)
		return;
	p->out = zsock_create(c->zctx, c->loop, ZSOCK_DEALER, &o, out_received, p);
	int r = p->out ? zsock_connect(p->out, p->endpoint) : -ENOMEM;
	if (r < 0) {
		log_debug("mesh: cannot connect to %s: %s", p->endpoint, strerror(-r));
		zsock_destroy(p->out);
		p->out = NULL;
		start_pump(c);
		return;
	}
	flush(c, p);
}

void mesh_control_endpoint(const struct mesh_core_peer *p, uint16_t port, char ret[MESH_ENDPOINT_SIZE])
{
	char address[INET6_ADDRSTRLEN], name[IF_NAMESIZE] = "";
	const struct mesh_core_link *l = p->best;
	ret[0] = '\0';
	if (l && IN6_IS_ADDR_V4MAPPED(&l->address.ip)) {
		inet_ntop(AF_INET, l->address.ip.s6_addr + 12, address, sizeof address);
		snprintf(ret, MESH_ENDPOINT_SIZE, "tcp://%s:%u", address, port);
	} else if (l) {
		inet_ntop(AF_INET6, &l->address.ip, address, sizeof address);
		bool scoped = l->ifindex && if_indextoname(l->ifindex, name);
		snprintf(ret, MESH_ENDPOINT_SIZE, "tcp://[%s%s%s]:%u", address, scoped ? "%" : "", name, port);
	}
}

int mesh_control_bind(struct zsock *s, uint16_t port, uint16_t *ret_port)
{
	char endpoint[64], bound[MESH_ENDPOINT_SIZE] = "";
	snprintf(endpoint, sizeof endpoint, "tcp://[::]:*");
	if (port)
		snprintf(endpoint, sizeof endpoint, "tcp://[::]:%u", port);
	int r = zsock_bind(s, endpoint, bound, sizeof bound);
	const char *colon = strrchr(bound, ':');
	unsigned long number = colon ? strtoul(colon + 1, NULL, 10) : 0;
	if (r == 0 && (number == 0 || number > UINT16_MAX))
		r = -EPROTO;
	if (r == 0)
		*ret_port = (uint16_t)number;
	return r;
}

void mesh_control_route(struct mesh_control *c, const struct mesh_core_peer *peer)
{
	struct mesh_control_peer *p = find(c, peer->id);
	char endpoint[MESH_ENDPOINT_SIZE];
	if (!p)
		return;
	mesh_control_endpoint(peer, peer->control_port, endpoint);
	if (p->out && strcmp(endpoint, p->endpoint) == 0)
		return;
	memcpy(p->endpoint, endpoint, sizeof endpoint);
	connect_peer(c, p);
}

static int pack(
	struct mesh_control *c, struct mesh_control_peer *p, Tbmesh__PeerMessage *message, uint64_t seq, struct buf *out)
{
	message->from = c->identity.id;
	message->incarnation = c->incarnation;
	message->seq = seq;
	message->ack = p->received_seq;
	message->ack_incarnation = p->incarnation;
	return message_pack(&message->base, out);
}

int mesh_control_send(struct mesh_control *c, const char *peer_id, Tbmesh__PeerMessage *message)
{
	struct mesh_control_peer *p = find(c, peer_id);
	if (!p)
		return -ENOENT;
	if (p->queue_count >= QUEUE_MESSAGES || p->queue_bytes >= QUEUE_BYTES)
		return -ENOBUFS;
	struct queued *q = calloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	int r = pack(c, p, message, p->next_seq, &q->packed);
	if (r < 0) {
		buf_finish(&q->packed);
		free(q);
		return r;
	}
	q->seq = p->next_seq++;
	p->ack_due = false;
	list_append(&p->queue, &q->link);
	p->queue_count++;
	p->queue_bytes += q->packed.size;
	flush(c, p);
	return 0;
}

static void send_ack(struct mesh_control *c, struct mesh_control_peer *p)
{
	Tbmesh__PeerMessage m = TBMESH__PEER_MESSAGE__INIT;
	struct buf packed = { 0 };
	if (p->out && pack(c, p, &m, 0, &packed) == 0) {
		struct zpart part = { packed.data, packed.size };
		p->ack_due = zsock_send(p->out, &part, 1) < 0;
	}
	buf_finish(&packed);
}

static void pump(void *ctx)
{
	struct mesh_control *c = ctx;
	uint64_t now = time_monotonic_ns();
	c->pumping = false;
	list_for_each(p, &c->peers, struct mesh_control_peer, link) {
		bool stuck = false;
		list_for_each(q, &p->queue, struct queued, link)
			stuck = stuck || (q->sent_ns && now - q->sent_ns > STUCK_NS);
		if (*p->endpoint && (stuck || !p->out)) {
			log_debug("mesh: connecting anew to %s", p->endpoint);
			connect_peer(c, p);
		}
		flush(c, p);
		if (p->ack_due)
			send_ack(c, p);
		if ((*p->endpoint && (p->ack_due || !p->out)) || !list_empty(&p->queue))
			start_pump(c);
	}
}

static void acknowledged(struct mesh_control_peer *p, uint64_t seq)
{
	list_for_each_safe(q, &p->queue, struct queued, link) {
		if (q->seq <= seq && q->sent_ns)
			unqueue(p, q);
	}
}

static void handle(struct mesh_control *c, struct mesh_control_peer *p, const Tbmesh__PeerMessage *m)
{
	if (m->ack_incarnation == c->incarnation)
		acknowledged(p, m->ack);
	if (!m->seq)
		return;
	p->ack_due = true;
	start_pump(c);
	if (m->seq <= p->received_seq || m->body_case == TBMESH__PEER_MESSAGE__BODY__NOT_SET)
		return;
	p->received_seq = m->seq;
	c->callbacks->message(c->ctx, p->id, m);
}

static void in_received(void *ctx, const struct zpart *parts, size_t count, const char *user)
{
	struct mesh_control *c = ctx;
	Tbmesh__PeerMessage *m;
	/* user: who the CURVE key belongs to. */
	if (count != 2 || !find(c, user) || message_unpack_peer(parts[1].data, parts[1].size, &m) < 0) {
		log_debug("mesh: a message of %s is not valid, dropped", *user ? user : "a stranger");
		return;
	}
	if (strcmp(m->from, user) == 0 && c->callbacks->accept(c->ctx, user, m->incarnation)) {
		struct mesh_control_peer *p = find(c, user); /* a new incarnation may have changed the list */
		if (p)
			handle(c, p, m);
	}
	message_free_peer(m);
}

int mesh_control_admit(struct mesh_control *c, const struct mesh_core_peer *peer)
{
	struct mesh_control_peer *p = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	int r = zap_allow(c->zap, peer->curve, peer->id);
	if (r < 0) {
		free(p);
		return r;
	}
	memcpy(p->id, peer->id, sizeof p->id);
	memcpy(p->curve, peer->curve, sizeof p->curve);
	p->incarnation = peer->incarnation;
	p->next_seq = 1;
	list_init(&p->queue);
	list_append(&c->peers, &p->link);
	return 0;
}

static void drop_queue(struct mesh_control_peer *p)
{
	list_for_each_safe(q, &p->queue, struct queued, link)
		unqueue(p, q);
}

static void remove_peer(struct mesh_control *c, struct mesh_control_peer *p)
{
	zap_deny(c->zap, p->curve);
	zsock_destroy(p->out);
	drop_queue(p);
	list_remove(&p->link);
	free(p);
}

void mesh_control_expel(struct mesh_control *c, const struct mesh_core_peer *peer)
{
	struct mesh_control_peer *p = find(c, peer->id);
	if (p)
		remove_peer(c, p);
}

void mesh_control_restarted(struct mesh_control *c, const struct mesh_core_peer *peer)
{
	struct mesh_control_peer *p = find(c, peer->id);
	if (!p)
		return;
	drop_queue(p);
	p->incarnation = peer->incarnation;
	p->received_seq = 0;
	p->ack_due = false;
}

int mesh_control_create(struct loop *l, struct zctx *z, const struct mesh_identity *identity, uint64_t incarnation,
	uint16_t port, const struct mesh_control_callbacks *callbacks, void *ctx, struct mesh_control **ret)
{
	struct mesh_control *c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	*c = (struct mesh_control){
		.loop = l, .zctx = z, .identity = *identity, .incarnation = incarnation, .callbacks = callbacks, .ctx = ctx
	};
	list_init(&c->peers);
	int r = -ENOMEM;
	c->pump = loop_timer_create(l, pump, c);
	c->zap = zap_create(z, l); /* before any bind: nobody comes in unasked */
	if (c->pump && c->zap) {
		struct zsock_options o = { .max_message_bytes = MESSAGE_MAX_BYTES,
			.curve_server = true,
			.secret_key = c->identity.curve_secret,
			.public_key = c->identity.curve_public };
		c->in = zsock_create(z, l, ZSOCK_ROUTER, &o, in_received, c);
	}
	if (c->in)
		r = mesh_control_bind(c->in, port, &c->port);
	if (r < 0)
		mesh_control_destroy(c);
	else
		*ret = c;
	return r;
}

void mesh_control_destroy(struct mesh_control *c)
{
	if (!c)
		return;
	list_for_each_safe(p, &c->peers, struct mesh_control_peer, link)
		remove_peer(c, p);
	zsock_destroy(c->in);
	zap_destroy(c->zap);
	loop_timer_destroy(c->pump);
	mesh_identity_wipe(&c->identity);
	free(c);
}

uint16_t mesh_control_port(const struct mesh_control *c)
{
	return c->port;
}

unsigned mesh_control_refused(const struct mesh_control *c)
{
	return zap_refused(c->zap);
}
