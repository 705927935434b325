/* One link: echoes, round trips, liveness. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "mesh/core_private.h"

#define ECHO_LOST CORE_SECOND
#define ASK_AFTER_HINT (10 * CORE_SECOND) /* how long a link that is down is asked after the last sign of it */
#define LINK_SHOWN_DOWN (60 * CORE_SECOND)
#define FIRST_BURST 24u
#define BURST 16u
#define BURST_PERIOD (10 * CORE_SECOND)
#define LOADED_PERIOD (2 * CORE_SECOND) /* queues change faster than cables */
#define BURST_INTERVAL (MESH_BURST_INTERVAL_MS * CORE_MS)
#define BURST_SETTLE (200 * CORE_MS) /* for the last replies */
#define BUSY_HOLD CORE_SECOND        /* so long after the last traffic a link counts as loaded */
#define LOADED_AGE (2 * CORE_SECOND) /* a link that begins to carry traffic is measured at once, unless it just was */
#define BETTER_RATIO 0.8             /* better: by 20 % … */
#define BETTER_US 50.0               /* … and by 50 µs */

static const struct {
	bool allowed[3];
} link_moves[] = {
	[MESH_LINK_UP] = { { [MESH_LINK_SUSPECT] = true, [MESH_LINK_DOWN] = true } },
	[MESH_LINK_SUSPECT] = { { [MESH_LINK_UP] = true, [MESH_LINK_DOWN] = true } },
	[MESH_LINK_DOWN] = { { [MESH_LINK_UP] = true } },
};

struct mesh_core_link *mesh_core_link_find(struct mesh_core_peer *p, unsigned ifindex, const struct in6_addr *ip)
{
	list_for_each(l, &p->links, struct mesh_core_link, link) {
		bool current = ifindex ? l->interface && l->interface->ifindex == ifindex : !l->ifindex;
		if (current && memcmp(&l->address.ip, ip, sizeof *ip) == 0)
			return l;
	}
	return NULL;
}

void mesh_address_text(const struct in6_addr *ip, char ret[MESH_ADDRESS_SIZE])
{
	bool v4 = IN6_IS_ADDR_V4MAPPED(ip);
	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip->s6_addr + 12 : ip->s6_addr, ret, MESH_ADDRESS_SIZE);
}

/* PEER:INTERFACE; with several addresses of the peer behind one interface the later ones get "#2" … */
void mesh_core_link_name(struct mesh_core_link *l)
{
	if (l->interface) {
		snprintf(l->name, sizeof l->name, "%s", l->interface->name);
		snprintf(l->domain, sizeof l->domain, "%s", l->interface->domain);
		snprintf(l->xdomain, sizeof l->xdomain, "%s", l->interface->xdomain);
	}
	char base[sizeof l->id - 8];
	snprintf(base, sizeof base, "%.40s:%.40s", l->peer->name,
		l->ifindex                                   ? l->name
			: IN6_IS_ADDR_UNSPECIFIED(&l->local) ? "static"
							     : MESH_ROUTED);
	snprintf(l->id, sizeof l->id, "%s", base);
	for (unsigned n = 2;; n++) {
		bool taken = false;
		list_for_each(other, &l->peer->links, struct mesh_core_link, link)
			taken = taken || (other != l && other->interface && strcmp(other->id, l->id) == 0);
		if (!taken)
			return;
		snprintf(l->id, sizeof l->id, "%s#%u", base, n);
	}
}

void mesh_core_link_remove(struct mesh_core *c, struct mesh_core_link *l)
{
	struct mesh_core_peer *p = l->peer;
	assert(l->state == MESH_LINK_DOWN);
	if (p->best == l) {
		p->best = NULL;
		c->ops->route(c->ctx, p);
	}
	list_remove(&l->link);
	p->link_count--;
	free(l);
}

/* A full table gives up a link that is down, those that never worked first. */
static bool make_room(struct mesh_core *c, struct mesh_core_peer *p)
{
	struct mesh_core_link *victim = NULL;
	if (p->link_count < MESH_MAX_PEER_LINKS)
		return true;
	list_for_each(l, &p->links, struct mesh_core_link, link) {
		if (l->state == MESH_LINK_DOWN && (!victim || (victim->ever_up && !l->ever_up)))
			victim = l;
	}
	if (victim)
		mesh_core_link_remove(c, victim);
	return victim;
}

struct mesh_core_link *mesh_core_link_add(struct mesh_core *c, struct mesh_core_peer *p, struct mesh_core_interface *i,
	const struct mesh_core_address *address)
{
	if (!make_room(c, p))
		return NULL;
	struct mesh_core_link *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->peer = p;
	l->interface = i;
	l->ifindex = i ? i->ifindex : 0;
	l->address = *address;
	l->local = i ? i->address : mesh_core_routed_is(c, &address->ip) ? c->routed_self : in6addr_any;
	l->state = MESH_LINK_DOWN;
	l->down_ns = c->now_ns;
	list_append(&p->links, &l->link);
	p->link_count++;
	mesh_core_link_name(l);
	return l;
}

/* Nobody will answer it any more. */
static void give_up(struct mesh_core *c, struct mesh_core_pending *e)
{
	uint64_t ping = e->ping;
	*e = (struct mesh_core_pending){ 0 };
	if (ping)
		c->ops->pinged(c->ctx, ping, -1);
}

static void set_state(struct mesh_core_link *l, enum mesh_link_state to)
{
	assert(link_moves[l->state].allowed[to]);
	assert(to != MESH_LINK_UP || !l->ifindex || (l->interface && l->interface->running));
	log_debug("mesh: link %s: %s -> %s", l->id, mesh_link_state_name(l->state), mesh_link_state_name(to));
	l->state = to;
}

struct mesh_rtt_window *mesh_core_link_window(const struct mesh_core *c, struct mesh_core_link *l)
{
	return l->busy_ns && c->now_ns - l->busy_ns < BUSY_HOLD ? &l->rtt_loaded : &l->rtt;
}

void mesh_core_link_busy(struct mesh_core *c, struct mesh_core_link *l)
{
	bool fresh = l->rtt_loaded.count && c->now_ns - l->rtt_loaded.updated_ns < LOADED_AGE;
	bool began = !l->busy_ns || c->now_ns - l->busy_ns >= BUSY_HOLD;
	l->busy_ns = c->now_ns;
	if (began && !fresh && !l->bursting && l->next_burst_ns > c->now_ns)
		l->next_burst_ns = c->now_ns;
}

static void start_burst(struct mesh_core *c, struct mesh_core_link *l)
{
	c->burster = l;
	l->bursting = true;
	l->burst_left = l->rtt.count ? BURST : FIRST_BURST;
	l->next_burst_ns = l->burst_ns = c->now_ns;
	mesh_rtt_burst_start(&l->burst);
}

static void end_burst(struct mesh_core *c, struct mesh_core_link *l)
{
	if (c->burster == l)
		c->burster = NULL;
}

static void link_up(struct mesh_core *c, struct mesh_core_link *l)
{
	struct mesh_core_peer *p = l->peer;
	bool was_down = l->state == MESH_LINK_DOWN;
	c->dirty = true;
	set_state(l, MESH_LINK_UP);
	if (was_down) {
		struct mesh_field fields[4] = { { .name = "peer" }, { .name = "interface" }, { .name = "domain" },
			{ .name = "address" } };
		list_for_each_safe(other, &p->links, struct mesh_core_link, link) {
			if (other != l && other->state == MESH_LINK_DOWN &&
				(!other->interface || other->interface == l->interface) && strcmp(other->name, l->name) == 0)
				mesh_core_link_remove(c, other); /* the same cable before it was pulled */
		}
		if (l->ifindex)
			mesh_core_routed_cable_up(c, p);
		mesh_core_link_name(l);
		l->ever_up = true;
		l->up_ns = c->now_ns;
		snprintf(fields[0].value, sizeof fields[0].value, "%s", p->name);
		snprintf(fields[1].value, sizeof fields[1].value, "%s", l->name);
		snprintf(fields[2].value, sizeof fields[2].value, "%s", l->domain);
		mesh_address_text(&l->address.ip, fields[3].value);
		l->next_burst_ns = c->now_ns;
		mesh_core_event(c, MESH_EVENT_LINK_UP, p, l->id, fields, ARRAY_SIZE(fields));
		mesh_core_graph_changed(c);
		mesh_core_probe_want(c, p, CORE_SECOND);
	}
}

void mesh_core_link_down(struct mesh_core *c, struct mesh_core_link *l, const char *why)
{
	if (l->state == MESH_LINK_DOWN)
		return;
	struct mesh_field fields[2] = { { .name = "peer" }, { .name = "reason" } };
	set_state(l, MESH_LINK_DOWN);
	if (l->ifindex)
		mesh_core_routed_hurry(c);
	l->down_ns = c->now_ns;
	l->bursting = false;
	end_burst(c, l);
	for (size_t i = 0; i < CORE_PENDING; i++)
		give_up(c, &l->pending[i]);
	memset(&l->rtt, 0, sizeof l->rtt); /* a cable that comes back is measured anew */
	memset(&l->rtt_loaded, 0, sizeof l->rtt_loaded);
	l->p50_us = 0;
	l->busy_ns = l->use_ns = l->use_up_bps = l->use_down_bps = 0;
	l->up = l->down = (struct mesh_core_bandwidth){ 0 };
	snprintf(fields[0].value, sizeof fields[0].value, "%s", l->peer->name);
	snprintf(fields[1].value, sizeof fields[1].value, "%s", why);
	mesh_core_event(c, MESH_EVENT_LINK_DOWN, l->peer, l->id, fields, ARRAY_SIZE(fields));
	mesh_core_graph_changed(c);
}

static bool can_send(const struct mesh_core_link *l)
{
	return !l->ifindex || (l->interface && l->interface->running);
}

static void fill_echo(const struct mesh_core *c, const struct mesh_core_peer *p, struct mesh_packet_echo *e)
{
	memcpy(e->sender, c->id8, sizeof e->sender);
	memcpy(e->target, p->id8, sizeof e->target);
	e->incarnation = c->config.incarnation;
}

static int ask(struct mesh_core *c, struct mesh_core_link *l, bool burst, uint64_t ping)
{
	struct mesh_packet_echo e = { .nonce = c->ops->random(c->ctx) | 1 };
	uint8_t packet[PACKET_ECHO_SIZE];
	int64_t offset;
	if (!can_send(l))
		return -ENETDOWN;
	fill_echo(c, l->peer, &e);
	c->ops->clock(c->ctx, &e.t1_ns, &offset);
	mesh_packet_echo_encode(&e, l->peer->pair_key, packet);
	int r = c->ops->send(c->ctx, l->ifindex, &l->local, &l->address, packet, sizeof packet);
	if (r < 0)
		return r;
	struct mesh_core_pending *slot = &l->pending[l->next_pending];
	l->next_pending = (l->next_pending + 1) % CORE_PENDING;
	if (slot->nonce) {
		mesh_rtt_echo_done(mesh_core_link_window(c, l), false);
		give_up(c, slot);
	}
	if (!burst)
		l->asked_ns = c->now_ns;
	*slot = (struct mesh_core_pending){ .nonce = e.nonce, .sent_ns = c->now_ns, .burst = burst, .ping = ping };
	return 0;
}

void mesh_core_link_ask(struct mesh_core *c, struct mesh_core_link *l, bool burst)
{
	(void)ask(c, l, burst, 0); /* what was not sent is not answered: that is seen */
}

int mesh_core_ping(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p, const char *link_id, uint64_t token,
	const struct mesh_core_link **ret_link)
{
	struct mesh_core_link *found = link_id ? NULL : p->best;
	c->now_ns = now_ns;
	list_for_each(l, &p->links, struct mesh_core_link, link) {
		if (link_id && strcmp(l->id, link_id) == 0)
			found = l;
	}
	if (!found || found->state == MESH_LINK_DOWN)
		return found || !link_id ? -EHOSTUNREACH : -ENOENT;
	int r = ask(c, found, false, token);
	if (r == 0)
		*ret_link = found;
	return r;
}

void mesh_core_link_goodbye(struct mesh_core *c, struct mesh_core_link *l)
{
	struct mesh_packet_echo e = { 0 };
	uint8_t packet[PACKET_ECHO_SIZE];
	if (!can_send(l) || l->state == MESH_LINK_DOWN)
		return;
	fill_echo(c, l->peer, &e);
	mesh_packet_echo_encode(&e, l->peer->pair_key, packet);
	c->ops->send(c->ctx, l->ifindex, &l->local, &l->address, packet, sizeof packet);
}

static void tick_burst(struct mesh_core *c, struct mesh_core_link *l)
{
	if (l->state != MESH_LINK_UP || c->now_ns < l->next_burst_ns)
		return;
	if (!l->bursting) {
		if (c->burster || c->probing == l->peer)
			return; /* a probe is no load that anybody would ask about */
		start_burst(c, l);
	}
	if (l->burst_left) {
		mesh_core_link_ask(c, l, true);
		if (--l->burst_left == 0)
			end_burst(c, l);
		l->next_burst_ns = c->now_ns + (l->burst_left ? BURST_INTERVAL : BURST_SETTLE);
		return;
	}
	/* One counter above the mark while it went on, and the whole burst was under load. */
	bool loaded = l->busy_ns && l->busy_ns >= l->burst_ns;
	mesh_rtt_burst_commit(&l->burst, loaded ? &l->rtt_loaded : &l->rtt, c->now_ns);
	struct mesh_rtt idle;
	mesh_rtt_read(&l->rtt, c->now_ns, &idle);
	l->p50_us = idle.samples ? idle.p50_us : 0;
	mesh_core_graph_changed(c);
	l->bursting = false;
	l->next_burst_ns = c->now_ns + (loaded ? LOADED_PERIOD : BURST_PERIOD) + c->ops->random(c->ctx) % CORE_SECOND;
}

void mesh_core_link_tick(struct mesh_core *c, struct mesh_core_link *l, bool heartbeat)
{
	for (size_t i = 0; i < CORE_PENDING; i++) {
		if (l->pending[i].nonce && c->now_ns - l->pending[i].sent_ns >= ECHO_LOST) {
			give_up(c, &l->pending[i]);
			if (l->state != MESH_LINK_DOWN)
				mesh_rtt_echo_done(mesh_core_link_window(c, l), false);
		}
	}
	uint64_t silent = c->now_ns - l->heard_ns;
	if (l->state == MESH_LINK_UP && silent >= CORE_SUSPECT)
		set_state(l, MESH_LINK_SUSPECT);
	if (l->state == MESH_LINK_SUSPECT && silent >= CORE_DEAD)
		mesh_core_link_down(c, l, "silent");
	if (l->state == MESH_LINK_DOWN && c->now_ns - l->down_ns > LINK_SHOWN_DOWN &&
		c->now_ns - l->hint_ns > ASK_AFTER_HINT) {
		mesh_core_link_remove(c, l);
		return;
	}
	/* Before death, more often: a lossy way is not a dead one. */
	bool urgent = l->state == MESH_LINK_SUSPECT && c->now_ns - l->asked_ns >= CORE_SUSPECT_ASK;
	if (urgent || (heartbeat && (l->state != MESH_LINK_DOWN || c->now_ns - l->hint_ns < ASK_AFTER_HINT)))
		mesh_core_link_ask(c, l, false);
	tick_burst(c, l);
}

uint64_t mesh_core_link_next(const struct mesh_core *c, const struct mesh_core_link *l)
{
	if (l->state == MESH_LINK_UP) {
		uint64_t suspect = l->heard_ns + CORE_SUSPECT;
		bool turn = l->bursting || (!c->burster && c->probing != l->peer);
		return turn && l->next_burst_ns < suspect ? l->next_burst_ns : suspect;
	}
	if (l->state != MESH_LINK_SUSPECT)
		return UINT64_MAX;
	uint64_t ask = l->asked_ns + CORE_SUSPECT_ASK, dead = l->heard_ns + CORE_DEAD;
	return ask < dead ? ask : dead;
}

static void answer(struct mesh_core *c, struct mesh_core_peer *p, unsigned ifindex, const struct mesh_core_address *from,
	const struct mesh_packet_echo *asked, int64_t received_ns)
{
	struct mesh_core_link *l = mesh_core_link_find(p, ifindex, &from->ip);
	/* Whose way to us was there before ours to it greets no more: its echo is the greeting. */
	if (!l && !ifindex && mesh_core_routed_welcome(c, &from->ip, p->public_key))
		l = mesh_core_link_add(c, p, NULL, from);
	struct mesh_packet_echo e = { .reply = true, .nonce = asked->nonce, .t1_ns = asked->t1_ns, .t2_ns = received_ns };
	uint8_t packet[PACKET_ECHO_SIZE];
	fill_echo(c, p, &e);
	c->ops->clock(c->ctx, &e.t3_ns, &e.clock_offset_ns);
	mesh_packet_echo_encode(&e, p->pair_key, packet);
	c->ops->send(c->ctx, ifindex, l ? &l->local : &in6addr_any, from, packet, sizeof packet);
	/* It hears us, so ask it too: this is how a link comes back before the next beacon. */
	if (l && l->state != MESH_LINK_UP) {
		l->hint_ns = c->now_ns;
		struct mesh_core_pending *last = &l->pending[(l->next_pending + CORE_PENDING - 1) % CORE_PENDING];
		if (!last->nonce || c->now_ns - last->sent_ns > CORE_HEARTBEAT / 2)
			mesh_core_link_ask(c, l, false);
	}
}

static void answered(struct mesh_core *c, struct mesh_core_peer *p, unsigned ifindex, const struct mesh_core_address *from,
	const struct mesh_packet_echo *e, int64_t received_ns)
{
	struct mesh_core_link *l = mesh_core_link_find(p, ifindex, &from->ip);
	struct mesh_core_pending *asked = NULL;
	if (!l || !can_send(l))
		return;
	for (size_t i = 0; i < CORE_PENDING; i++) {
		if (l->pending[i].nonce && l->pending[i].nonce == e->nonce)
			asked = &l->pending[i];
	}
	if (!asked)
		return;
	asked->nonce = 0;
	int64_t rtt_ns = (received_ns - e->t1_ns) - (e->t3_ns - e->t2_ns);
	if (asked->ping) /* a clock that was set meanwhile says nothing */
		c->ops->pinged(c->ctx, asked->ping, rtt_ns > 0 ? rtt_ns : (int64_t)(c->now_ns - asked->sent_ns));
	mesh_rtt_echo_done(mesh_core_link_window(c, l), true);
	l->heard_ns = l->answered_ns = l->hint_ns = p->heard_ns = c->now_ns;
	if (asked->burst && l->bursting) {
		int64_t realtime, offset;
		c->ops->clock(c->ctx, &realtime, &offset);
		mesh_rtt_burst_add(&l->burst, rtt_ns, offset, e->clock_offset_ns);
	}
	if (l->state != MESH_LINK_UP) {
		link_up(c, l);
		mesh_core_peer_evaluate(c, p);
	}
}

void mesh_core_echo(struct mesh_core *c, struct mesh_core_peer *p, unsigned ifindex, const struct mesh_core_address *from,
	const struct mesh_packet_echo *e, int64_t received_ns)
{
	if (!e->nonce)
		mesh_core_goodbye(c, c->now_ns, p, "goodbye");
	else if (e->reply)
		answered(c, p, ifindex, from, e, received_ns);
	else
		answer(c, p, ifindex, from, e, received_ns);
}

bool mesh_core_link_better(const struct mesh_core_link *a, const struct mesh_core_link *b)
{
	double x = a->p50_us, y = b->p50_us;
	return x > 0 && y > 0 && x <= y * BETTER_RATIO && x + BETTER_US <= y;
}
