#include "mesh/core.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "mesh/core_private.h"

#define BEACON_PERIOD CORE_SECOND
#define BEACON_BURST 8u /* the first ones, 100 ms apart */
#define BEACON_BURST_PERIOD (100 * CORE_MS)
#define USE_AGE (2 * CORE_SECOND)
#define PEER_UNSEEN (60 * CORE_SECOND)   /* a peer that never answered is forgotten */
#define PEER_FORGET (3600 * CORE_SECOND) /* a dead one */
#define FLAP_WINDOW (60 * CORE_SECOND)   /* as many deaths as downs_ns holds in this time: damped */
#define FLAP_DAMPING (5 * CORE_SECOND)
#define RING_FRESH (10 * CORE_SECOND) /* own beacons come each second: so long after the last one the ring is open */

static const struct {
	bool allowed[3];
} peer_moves[] = {
	[MESH_PEER_UP] = { { [MESH_PEER_SUSPECT] = true, [MESH_PEER_DEAD] = true } },
	[MESH_PEER_SUSPECT] = { { [MESH_PEER_UP] = true, [MESH_PEER_DEAD] = true } },
	[MESH_PEER_DEAD] = { { [MESH_PEER_UP] = true } },
};

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

struct mesh_core *mesh_core_create(
	const struct mesh_core_config *config, const struct mesh_core_ops *ops, void *ctx, uint64_t now_ns)
{
	struct mesh_core *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->config = *config;
	c->ops = ops;
	c->ctx = ctx;
	c->now_ns = c->last_tick_ns = c->next_heartbeat_ns = c->next_static_ns = c->probe_credit_at_ns = now_ns;
	c->probe_credit_ns = CORE_SECOND;
	mesh_packet_keys_derive(&config->key, &c->keys);
	memcpy(c->id8, config->identity.public_key, sizeof c->id8);
	mesh_core_routed_init(c);
	list_init(&c->interfaces);
	list_init(&c->peers);
	if (mesh_core_graph_init(c) < 0) {
		mesh_core_destroy(c);
		return NULL;
	}
	return c;
}

static void free_peer(struct mesh_core_peer *p)
{
	list_for_each_safe(l, &p->links, struct mesh_core_link, link)
		free(l);
	free(p);
}

void mesh_core_destroy(struct mesh_core *c)
{
	if (!c)
		return;
	list_for_each_safe(p, &c->peers, struct mesh_core_peer, link)
		free_peer(p);
	list_for_each_safe(i, &c->interfaces, struct mesh_core_interface, link)
		free(i);
	mesh_core_graph_finish(c);
	mesh_identity_wipe(&c->config.identity);
	free(c);
}

void mesh_core_event(struct mesh_core *c, enum mesh_event_type type, const struct mesh_core_peer *p, const char *subject,
	const struct mesh_field *fields, size_t count)
{
	static const char *const names[] = {
		[MESH_EVENT_PEER_UP] = "PeerUp",
		[MESH_EVENT_PEER_SUSPECT] = "PeerSuspect",
		[MESH_EVENT_PEER_DOWN] = "PeerDown",
		[MESH_EVENT_LINK_UP] = "LinkUp",
		[MESH_EVENT_LINK_DOWN] = "LinkDown",
		[MESH_EVENT_LINK_SPEED_CHANGED] = "LinkSpeedChanged",
		[MESH_EVENT_PATH_DEGRADED] = "PathDegraded",
		[MESH_EVENT_PATH_RESTORED] = "PathRestored",
		[MESH_EVENT_BRIDGE_RING] = "BridgeRing",
	};
	struct mesh_event e = { .type = type,
		.type_name = names[type],
		.peer_id = p ? p->id : "",
		.subject = subject,
		.monotonic_ns = c->now_ns,
		.field_count = count };
	assert(count <= MESH_MAX_FIELDS);
	if (count)
		memcpy(e.fields, fields, count * sizeof *fields);
	log_debug("mesh: %s %s", e.type_name, subject);
	c->ops->event(c->ctx, &e);
}

/* ---- interfaces ---- */

static struct mesh_core_interface *find_interface(struct mesh_core *c, unsigned ifindex)
{
	list_for_each(i, &c->interfaces, struct mesh_core_interface, link) {
		if (i->ifindex == ifindex)
			return i;
	}
	return NULL;
}

static void speed_changed(struct mesh_core *c, const struct mesh_core_interface *i, uint64_t old_rx, uint64_t old_tx)
{
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		list_for_each(l, &p->links, struct mesh_core_link, link) {
			if (l->interface != i || !l->ever_up)
				continue;
			struct mesh_field fields[4] = { { .name = "old_rx_bps" }, { .name = "old_tx_bps" },
				{ .name = "rx_bps" }, { .name = "tx_bps" } };
			uint64_t values[4] = { old_rx, old_tx, i->negotiated_rx_bps, i->negotiated_tx_bps };
			for (size_t f = 0; f < ARRAY_SIZE(fields); f++)
				snprintf(fields[f].value, sizeof fields[f].value, "%llu", (unsigned long long)values[f]);
			mesh_core_event(c, MESH_EVENT_LINK_SPEED_CHANGED, p, l->id, fields, ARRAY_SIZE(fields));
			mesh_core_probe_want(c, p, CORE_SECOND);
		}
	}
}

void mesh_core_interface_renamed(struct mesh_core *c, uint64_t now_ns, unsigned ifindex, const char *name)
{
	struct mesh_core_interface *i = find_interface(c, ifindex);
	c->now_ns = now_ns;
	if (!i || !name || !*name || strcmp(i->name, name) == 0)
		return;
	copy_text(i->name, sizeof i->name, name);
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		list_for_each(l, &p->links, struct mesh_core_link, link) {
			if (l->interface == i)
				mesh_core_link_name(l);
		}
	}
}

int mesh_core_interface_set(struct mesh_core *c, uint64_t now_ns, const struct mesh_interface *desc)
{
	c->now_ns = now_ns;
	if (!desc->ifindex)
		return -EINVAL;
	struct mesh_core_interface *i = find_interface(c, desc->ifindex);
	bool fresh = !i;
	if (fresh) {
		if (c->interface_count >= MESH_MAX_INTERFACES)
			return -ENOSPC;
		i = calloc(1, sizeof *i);
		if (!i)
			return -ENOMEM;
		i->ifindex = desc->ifindex;
		list_append(&c->interfaces, &i->link);
		c->interface_count++;
	}
	uint64_t old_rx = i->negotiated_rx_bps, old_tx = i->negotiated_tx_bps;
	copy_text(i->domain, sizeof i->domain, desc->domain);
	copy_text(i->xdomain, sizeof i->xdomain, desc->xdomain);
	i->negotiated_rx_bps = desc->negotiated_rx_bps;
	i->negotiated_tx_bps = desc->negotiated_tx_bps;
	mesh_core_interface_renamed(c, now_ns, i->ifindex, desc->name);
	if (!fresh && (old_rx != i->negotiated_rx_bps || old_tx != i->negotiated_tx_bps))
		speed_changed(c, i, old_rx, old_tx);
	return 0;
}

static void interface_links_down(struct mesh_core *c, struct mesh_core_interface *i, const char *why, bool gone)
{
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		bool touched = false;
		list_for_each_safe(l, &p->links, struct mesh_core_link, link) {
			if (l->interface != i)
				continue;
			mesh_core_link_down(c, l, why);
			touched = true;
			if (gone)
				l->interface = NULL;
			if (gone && !l->ever_up)
				mesh_core_link_remove(c, l);
		}
		if (touched)
			mesh_core_peer_evaluate(c, p);
	}
}

void mesh_core_interface_running(
	struct mesh_core *c, uint64_t now_ns, unsigned ifindex, const struct in6_addr *address, const char *why)
{
	struct mesh_core_interface *i = find_interface(c, ifindex);
	c->now_ns = now_ns;
	if (!i)
		return;
	bool same = address && i->running && memcmp(&i->address, address, sizeof *address) == 0;
	if (same || (!address && !i->running))
		return;
	if (!address) {
		i->running = false;
		interface_links_down(c, i, why, false);
		return;
	}
	i->running = true;
	i->address = *address;
	i->burst_left = BEACON_BURST;
	i->next_beacon_ns = now_ns;
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		list_for_each(l, &p->links, struct mesh_core_link, link) {
			if (l->interface == i) {
				l->local = *address;
				l->hint_ns = now_ns;
			}
		}
	}
}

void mesh_core_interface_remove(struct mesh_core *c, uint64_t now_ns, unsigned ifindex, const char *why)
{
	struct mesh_core_interface *i = find_interface(c, ifindex);
	c->now_ns = now_ns;
	if (!i)
		return;
	i->running = false;
	interface_links_down(c, i, why, true);
	list_remove(&i->link);
	c->interface_count--;
	free(i);
}

int mesh_core_static_add(struct mesh_core *c, uint64_t now_ns, const struct mesh_core_address *address)
{
	c->now_ns = now_ns;
	if (c->static_count == CORE_MAX_STATIC)
		return -ENOSPC;
	c->statics[c->static_count++] = *address;
	c->next_static_ns = now_ns;
	return 0;
}

bool mesh_core_static_known(const struct mesh_core *c, const struct in6_addr *ip)
{
	for (size_t i = 0; i < c->static_count; i++) {
		if (memcmp(&c->statics[i].ip, ip, sizeof *ip) == 0)
			return true;
	}
	return false;
}

int mesh_core_static_read(const struct mesh_core *c, size_t i, struct mesh_core_address *ret, bool *ret_up)
{
	if (i >= c->static_count)
		return -ENOENT;
	*ret = c->statics[i];
	*ret_up = false;
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		list_for_each(l, &p->links, struct mesh_core_link, link)
			*ret_up = *ret_up ||
				(!l->ifindex && l->state != MESH_LINK_DOWN &&
					memcmp(&l->address.ip, &ret->ip, sizeof ret->ip) == 0);
	}
	return 0;
}

/* ---- peers ---- */

struct mesh_core_peer *mesh_core_peer_find(const struct mesh_core *c, const char *id)
{
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		if (strcmp(p->id, id) == 0)
			return p;
	}
	return NULL;
}

struct list *mesh_core_peers(const struct mesh_core *c)
{
	return (struct list *)&c->peers;
}

size_t mesh_core_links_up(const struct mesh_core_peer *p)
{
	size_t up = 0;
	list_for_each(l, &p->links, struct mesh_core_link, link)
		up += l->state == MESH_LINK_UP;
	return up;
}

static void forget_peer(struct mesh_core *c, struct mesh_core_peer *p)
{
	c->ops->expel(c->ctx, p);
	mesh_core_probe_forget(c, p);
	mesh_core_graph_peer_gone(c, p);
	list_remove(&p->link);
	c->peer_count--;
	free_peer(p);
}

/* Room for a new one: the longest dead goes. */
static bool make_room(struct mesh_core *c)
{
	struct mesh_core_peer *oldest = NULL;
	if (c->peer_count < MESH_MAX_PEERS)
		return true;
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		if (p->state == MESH_PEER_DEAD && (!oldest || p->state_ns < oldest->state_ns))
			oldest = p;
	}
	if (oldest)
		forget_peer(c, oldest);
	return oldest;
}

static unsigned free_slot(const struct mesh_core *c)
{
	for (unsigned slot = 0;; slot++) {
		bool taken = false;
		list_for_each(p, &c->peers, struct mesh_core_peer, link)
			taken = taken || p->slot == slot;
		if (!taken)
			return slot;
	}
}

static struct mesh_core_peer *add_peer(struct mesh_core *c, const struct mesh_packet_beacon *b)
{
	if (!make_room(c))
		return NULL;
	struct mesh_core_peer *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	memcpy(p->public_key, b->public_key, sizeof p->public_key);
	memcpy(p->id8, b->public_key, sizeof p->id8);
	if (mesh_identity_public(b->public_key, p->id, p->curve) < 0 ||
		mesh_packet_pair_key(&c->keys, &c->config.identity, b->public_key, p->pair_key) < 0) {
		free(p);
		return NULL;
	}
	copy_text(p->name, sizeof p->name, b->name);
	p->incarnation = b->incarnation;
	p->control_port = b->control_port;
	p->state = MESH_PEER_DEAD;
	p->created_ns = p->state_ns = c->now_ns;
	p->slot = free_slot(c); /* < MESH_MAX_PEERS: there are fewer peers than that */
	list_init(&p->links);
	list_append(&c->peers, &p->link);
	c->peer_count++;
	c->ops->admit(c->ctx, p);
	return p;
}

static void set_peer_state(struct mesh_core *c, struct mesh_core_peer *p, enum mesh_peer_state to, const char *why)
{
	static const enum mesh_event_type events[] = {
		[MESH_PEER_UP] = MESH_EVENT_PEER_UP,
		[MESH_PEER_SUSPECT] = MESH_EVENT_PEER_SUSPECT,
		[MESH_PEER_DEAD] = MESH_EVENT_PEER_DOWN,
	};
	struct mesh_field fields[2] = { { .name = to == MESH_PEER_UP ? "from" : "reason" }, { .name = "links_up" } };
	assert(peer_moves[p->state].allowed[to]);
	assert(to != MESH_PEER_UP || mesh_core_links_up(p) > 0);
	if (to == MESH_PEER_UP)
		copy_text(fields[0].value, sizeof fields[0].value, p->introduced ? mesh_peer_state_name(p->state) : "new");
	else
		copy_text(fields[0].value, sizeof fields[0].value, why);
	snprintf(fields[1].value, sizeof fields[1].value, "%zu", mesh_core_links_up(p));
	log_debug("mesh: peer %s: %s -> %s (%s)", p->name, mesh_peer_state_name(p->state), mesh_peer_state_name(to), why);
	enum mesh_peer_state from = p->state;
	p->state = to;
	p->state_ns = c->now_ns;
	p->vouched_by[0] = '\0';
	memset(p->ask_nonces, 0, sizeof p->ask_nonces);
	p->introduced = p->introduced || to == MESH_PEER_UP;
	mesh_core_event(c, events[to], p, p->name, fields, ARRAY_SIZE(fields));
	if (from == MESH_PEER_DEAD)
		mesh_core_graph_peer_up(c, p);
	else if (to == MESH_PEER_DEAD)
		mesh_core_graph_peer_gone(c, p);
	c->dirty = true;
}

/* Four deaths in a minute: it has to hold for a while before it is believed again. */
static void note_death(struct mesh_core *c, struct mesh_core_peer *p)
{
	uint64_t oldest = p->downs_ns[p->next_down];
	p->downs_ns[p->next_down] = c->now_ns;
	p->next_down = (p->next_down + 1) % ARRAY_SIZE(p->downs_ns);
	if (oldest && c->now_ns - oldest < FLAP_WINDOW)
		p->damped_until_ns = c->now_ns + FLAP_DAMPING;
}

static void choose_best(struct mesh_core *c, struct mesh_core_peer *p)
{
	struct mesh_core_link *best = p->best && p->best->state == MESH_LINK_UP ? p->best : NULL;
	list_for_each(l, &p->links, struct mesh_core_link, link) {
		if (l->state == MESH_LINK_UP && l != best && (!best || mesh_core_link_better(l, best)))
			best = l;
	}
	if (best == p->best)
		return;
	p->best = best;
	c->ops->route(c->ctx, p);
}

void mesh_core_peer_evaluate(struct mesh_core *c, struct mesh_core_peer *p)
{
	choose_best(c, p);
	bool up = p->best;
	if (up && p->state != MESH_PEER_UP && c->now_ns >= p->damped_until_ns)
		set_peer_state(c, p, MESH_PEER_UP, "answers");
	else if (!up && p->state == MESH_PEER_UP)
		set_peer_state(c, p, MESH_PEER_SUSPECT, "no link is up");
	mesh_core_path_check(c, p);
	if (p->state != MESH_PEER_SUSPECT)
		return;
	bool vouched = p->vouched_by[0], silent = c->now_ns - p->heard_ns >= CORE_DEAD;
	if (!silent && (!vouched || c->now_ns - p->state_ns < CORE_VOUCHED_MAX))
		return;
	char why[sizeof p->vouched_by + 48] = "silent";
	if (!silent)
		snprintf(why, sizeof why, "no way to it is left, but %s hears it", p->vouched_by);
	note_death(c, p);
	set_peer_state(c, p, MESH_PEER_DEAD, why);
}

static void end_peer(struct mesh_core *c, struct mesh_core_peer *p, const char *why)
{
	list_for_each_safe(l, &p->links, struct mesh_core_link, link) {
		mesh_core_link_down(c, l, why);
		mesh_core_link_remove(c, l);
	}
	choose_best(c, p);
	if (p->state != MESH_PEER_DEAD)
		set_peer_state(c, p, MESH_PEER_DEAD, why);
	mesh_core_probe_forget(c, p);
	p->probe_due_ns = 0;
}

bool mesh_core_peer_incarnation(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p, uint64_t incarnation)
{
	c->now_ns = now_ns;
	if (incarnation == p->incarnation)
		return true;
	if (incarnation < p->incarnation)
		return false;
	end_peer(c, p, "restarted");
	p->incarnation = incarnation;
	p->beacon_seq = p->beacon_window = 0;
	p->aggregate_up = p->aggregate_down = (struct mesh_core_bandwidth){ 0 };
	c->ops->restarted(c->ctx, p);
	return true;
}

void mesh_core_goodbye(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p, const char *reason)
{
	c->now_ns = now_ns;
	end_peer(c, p, reason && *reason ? reason : "goodbye");
	/* Beacons of that incarnation that are still under way are no sign of life. */
	p->beacon_seq = UINT64_MAX;
}

void mesh_core_leave(struct mesh_core *c, uint64_t now_ns)
{
	c->now_ns = now_ns;
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		list_for_each(l, &p->links, struct mesh_core_link, link)
			mesh_core_link_goodbye(c, l);
	}
}

/* ---- beacons ---- */

int mesh_core_send_beacon(
	struct mesh_core *c, unsigned ifindex, const struct in6_addr *local, const struct mesh_core_address *to)
{
	struct mesh_packet_beacon b = {
		.incarnation = c->config.incarnation, .seq = ++c->beacon_seq, .control_port = c->config.control_port
	};
	uint8_t packet[PACKET_BEACON_SIZE];
	c->beacons_sent[b.seq % CORE_OWN_BEACONS] = to ? 0 : ifindex;
	memcpy(b.public_key, c->config.identity.public_key, sizeof b.public_key);
	memcpy(b.name, c->config.name, sizeof b.name);
	mesh_packet_beacon_encode(&b, &c->keys, c->config.identity.secret_key, packet);
	return c->ops->send(c->ctx, ifindex, local, to, packet, sizeof packet);
}

/* Beacons come over several links and may overtake one another; each counts once. */
static bool beacon_is_new(struct mesh_core_peer *p, uint64_t seq)
{
	if (seq > p->beacon_seq) {
		uint64_t ahead = seq - p->beacon_seq;
		p->beacon_window = ahead < 64 ? p->beacon_window << ahead | 1 : 1;
		p->beacon_seq = seq;
		return true;
	}
	uint64_t behind = p->beacon_seq - seq;
	if (behind >= 64 || p->beacon_window >> behind & 1)
		return false;
	p->beacon_window |= UINT64_C(1) << behind;
	return true;
}

/* Who is on those two interfaces, for people: the bridges are theirs. */
static void hosts_behind(const struct mesh_core *c, unsigned a, unsigned b, char *to, size_t size)
{
	size_t at = 0;
	to[0] = '\0';
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		bool there = false;
		list_for_each(l, &p->links, struct mesh_core_link, link)
			there = there || (l->ifindex && (l->ifindex == a || l->ifindex == b));
		if (there && at < size)
			at += (size_t)snprintf(to + at, size - at, "%s%s", at ? ", " : "", p->name);
	}
}

static void ring_heard(struct mesh_core *c, struct mesh_core_interface *i, const struct mesh_core_interface *from)
{
	bool told = i->ring_ns && i->ring_from == from->ifindex && c->now_ns - i->ring_ns < RING_FRESH;
	i->ring_from = from->ifindex;
	i->ring_ns = c->now_ns;
	if (told)
		return;
	struct mesh_field fields[3] = { { .name = "sent_on" }, { .name = "heard_on" }, { .name = "hosts" } };
	copy_text(fields[0].value, sizeof fields[0].value, from->name);
	copy_text(fields[1].value, sizeof fields[1].value, i->name);
	hosts_behind(c, i->ifindex, from->ifindex, fields[2].value, sizeof fields[2].value);
	mesh_core_event(c, MESH_EVENT_BRIDGE_RING, NULL, i->name, fields, ARRAY_SIZE(fields));
}

size_t mesh_core_rings(const struct mesh_core *c, uint64_t now_ns, struct mesh_ring *ret, size_t max)
{
	size_t count = 0;
	list_for_each(i, &c->interfaces, struct mesh_core_interface, link) {
		const struct mesh_core_interface *from = i->ring_ns && now_ns - i->ring_ns < RING_FRESH
			? find_interface((struct mesh_core *)c, i->ring_from)
			: NULL;
		if (!from)
			continue;
		if (count < max) {
			copy_text(ret[count].sent_on, sizeof ret[count].sent_on, from->name);
			copy_text(ret[count].heard_on, sizeof ret[count].heard_on, i->name);
			hosts_behind(c, i->ifindex, from->ifindex, ret[count].hosts, sizeof ret[count].hosts);
		}
		count++;
	}
	return count;
}

static void own_beacon(struct mesh_core *c, struct mesh_core_interface *i, const struct mesh_packet_beacon *b)
{
	if (b->incarnation != c->config.incarnation) {
		if (!c->twin_told)
			c->ops->warning(c->ctx, c->config.name,
				"another node uses this node's key (was the disk cloned?): remove var/node.key on one of "
				"them and restart it");
		c->twin_told = true;
		return;
	}
	bool recent = b->seq <= c->beacon_seq && c->beacon_seq - b->seq < CORE_OWN_BEACONS;
	const struct mesh_core_interface *from =
		recent ? find_interface(c, c->beacons_sent[b->seq % CORE_OWN_BEACONS]) : NULL;
	if (i && from)
		ring_heard(c, i, from);
}

static void receive_beacon(
	struct mesh_core *c, unsigned ifindex, const struct mesh_core_address *from, const void *data, size_t size)
{
	struct mesh_packet_beacon b;
	if (mesh_packet_beacon_decode(data, size, &c->keys, &b) < 0)
		return;
	struct mesh_core_interface *i = ifindex ? find_interface(c, ifindex) : NULL;
	if (memcmp(b.public_key, c->config.identity.public_key, sizeof b.public_key) == 0) {
		own_beacon(c, i, &b);
		return;
	}
	if ((ifindex && (!i || !i->running)) ||
		(!ifindex && !mesh_core_static_known(c, &from->ip) && !mesh_core_routed_welcome(c, &from->ip, b.public_key)))
		return;
	struct mesh_core_peer *p = NULL;
	list_for_each(known, &c->peers, struct mesh_core_peer, link) {
		if (memcmp(known->public_key, b.public_key, sizeof b.public_key) == 0)
			p = known;
	}
	if (!p)
		p = add_peer(c, &b);
	if (!p || !mesh_core_peer_incarnation(c, c->now_ns, p, b.incarnation) || !beacon_is_new(p, b.seq))
		return;
	copy_text(p->name, sizeof p->name, b.name);
	bool moved = p->control_port != b.control_port;
	p->control_port = b.control_port;
	struct mesh_core_link *l = mesh_core_link_find(p, ifindex, &from->ip);
	if (!l)
		l = mesh_core_link_add(c, p, i, from);
	if (!l)
		return;
	l->address.port = from->port;
	l->hint_ns = c->now_ns;
	if (l->state != MESH_LINK_UP) {
		/* It may not know of us yet: greet it, so that both know each other within one round trip. */
		if (!l->greeted_ns || c->now_ns - l->greeted_ns >= 2 * BEACON_BURST_PERIOD) {
			l->greeted_ns = c->now_ns;
			mesh_core_send_beacon(c, ifindex, &l->local, &l->address);
		}
		mesh_core_link_ask(c, l, false);
	}
	if (moved && p->best)
		c->ops->route(c->ctx, p);
}

/* ---- between peers ---- */

struct mesh_core_peer *mesh_core_sender(struct mesh_core *c, const void *data, size_t size)
{
	uint8_t sender[8];
	if (!mesh_packet_sender(data, size, sender))
		return NULL;
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		if (memcmp(p->id8, sender, sizeof sender) == 0)
			return p;
	}
	return NULL;
}

int mesh_core_send_to_peer(struct mesh_core *c, const struct mesh_core_peer *p, const void *data, size_t size)
{
	const struct mesh_core_link *l = p->best;
	return l ? c->ops->send(c->ctx, l->ifindex, &l->local, &l->address, data, size) : -EHOSTUNREACH;
}

static void receive_sealed(struct mesh_core *c, unsigned ifindex, const struct mesh_core_address *from, const void *data,
	size_t size, int64_t received_ns)
{
	struct mesh_core_peer *p = mesh_core_sender(c, data, size);
	struct mesh_packet_echo e;
	struct mesh_packet_note n;
	struct mesh_packet_state s;
	if (!p)
		return;
	if (mesh_packet_echo_decode(data, size, p->pair_key, &e) == 0) {
		if (memcmp(e.target, c->id8, sizeof e.target) == 0 &&
			mesh_core_peer_incarnation(c, c->now_ns, p, e.incarnation))
			mesh_core_echo(c, p, ifindex, from, &e, received_ns);
	} else if (mesh_packet_note_decode(data, size, p->pair_key, &n) == 0) {
		/* A new life is announced by a beacon or an echo; what another one says is dropped. */
		if (memcmp(n.target, c->id8, sizeof n.target) == 0 && n.incarnation == p->incarnation)
			mesh_core_indirect_note(c, p, &n);
	} else if (mesh_packet_state_decode(data, size, p->pair_key, &s) == 0) {
		if (memcmp(s.target, c->id8, sizeof s.target) == 0 && s.incarnation == p->incarnation)
			mesh_core_graph_state(c, p, &s);
	}
}

bool mesh_core_packet(struct mesh_core *c, uint64_t now_ns, unsigned ifindex, const struct mesh_core_address *from,
	const void *data, size_t size, int64_t received_ns)
{
	c->now_ns = now_ns;
	c->dirty = false;
	switch (mesh_packet_kind(data, size)) {
	case PACKET_NONE:
		break;
	case PACKET_BEACON:
		receive_beacon(c, ifindex, from, data, size);
		break;
	case PACKET_ECHO:
	case PACKET_NOTE:
	case PACKET_STATE:
		receive_sealed(c, ifindex, from, data, size, received_ns);
		break;
	}
	return c->dirty;
}

/* ---- time ---- */

static void tick_beacons(struct mesh_core *c)
{
	list_for_each(i, &c->interfaces, struct mesh_core_interface, link) {
		if (!i->running || c->now_ns < i->next_beacon_ns)
			continue;
		int r = mesh_core_send_beacon(c, i->ifindex, &i->address, NULL);
		/* A failed one does not count: right after link-up the address or the group may not be ready. */
		if (r == 0 && i->burst_left)
			i->burst_left--;
		i->next_beacon_ns = c->now_ns + (i->burst_left ? BEACON_BURST_PERIOD : BEACON_PERIOD);
	}
	if (c->static_count && c->now_ns >= c->next_static_ns) {
		for (size_t s = 0; s < c->static_count; s++)
			mesh_core_send_beacon(c, 0, &in6addr_any, &c->statics[s]);
		c->next_static_ns = c->now_ns + BEACON_PERIOD;
	}
}

/* This node was stopped (SIGSTOP, suspend, starved): nobody else is to blame for the silence of that time. */
static void forgive_stall(struct mesh_core *c)
{
	uint64_t gap = c->now_ns - c->last_tick_ns;
	c->last_tick_ns = c->now_ns;
	if (gap < CORE_STALL)
		return;
	log_debug("mesh: this node did not run for %llu ms", (unsigned long long)(gap / CORE_MS));
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		p->heard_ns = p->heard_ns + gap < c->now_ns ? p->heard_ns + gap : c->now_ns;
		list_for_each(l, &p->links, struct mesh_core_link, link) {
			if (l->heard_ns)
				l->heard_ns = l->heard_ns + gap < c->now_ns ? l->heard_ns + gap : c->now_ns;
		}
	}
}

static bool forgettable(const struct mesh_core *c, const struct mesh_core_peer *p)
{
	if (p->state != MESH_PEER_DEAD || p == c->probing)
		return false;
	uint64_t last = p->state_ns;
	list_for_each(l, &p->links, struct mesh_core_link, link)
		last = l->hint_ns > last ? l->hint_ns : last;
	return c->now_ns - last > (p->introduced ? PEER_FORGET : PEER_UNSEEN);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t mesh_core_tick(struct mesh_core *c, uint64_t now_ns)
{
	c->now_ns = now_ns;
	forgive_stall(c);
	bool heartbeat = now_ns >= c->next_heartbeat_ns;
	if (heartbeat) {
		c->next_heartbeat_ns = now_ns + CORE_HEARTBEAT;
		c->ops->recheck(c->ctx);
	}
	list_for_each_safe(p, &c->peers, struct mesh_core_peer, link) {
		list_for_each_safe(l, &p->links, struct mesh_core_link, link)
			mesh_core_link_tick(c, l, heartbeat);
		mesh_core_peer_evaluate(c, p);
		if (p->state == MESH_PEER_SUSPECT && heartbeat)
			mesh_core_indirect_ask(c, p);
		if (forgettable(c, p))
			forget_peer(c, p);
	}
	tick_beacons(c);
	mesh_core_probe_tick(c);
	mesh_core_graph_tick(c);
	mesh_core_routed_tick(c);

	uint64_t next = earlier(earlier(c->next_heartbeat_ns, mesh_core_probe_next(c)), mesh_core_graph_next(c));
	next = earlier(next, mesh_core_routed_next(c));
	list_for_each(i, &c->interfaces, struct mesh_core_interface, link)
		next = i->running ? earlier(next, i->next_beacon_ns) : next;
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		if (p->state == MESH_PEER_SUSPECT)
			next = earlier(next, p->heard_ns + CORE_DEAD);
		list_for_each(l, &p->links, struct mesh_core_link, link)
			next = earlier(next, mesh_core_link_next(c, l));
	}
	return next;
}

/* ---- reading ---- */

static struct mesh_bandwidth read_bandwidth(uint64_t now_ns, const struct mesh_core_bandwidth *b, uint64_t negotiated_bps)
{
	if (!b->bps)
		return (struct mesh_bandwidth){ .bps = negotiated_bps,
			.source = negotiated_bps ? MESH_SOURCE_NEGOTIATED : MESH_SOURCE_NONE };
	return (struct mesh_bandwidth){ .bps = b->bps, .age_ms = (now_ns - b->at_ns) / CORE_MS, .source = b->source };
}

void mesh_core_link_read(uint64_t now_ns, const struct mesh_core_link *l, struct mesh_link_info *ret)
{
	*ret = (struct mesh_link_info){ .ifindex = l->ifindex, .state = l->state };
	copy_text(ret->id, sizeof ret->id, l->id);
	copy_text(ret->peer_id, sizeof ret->peer_id, l->peer->id);
	copy_text(ret->peer_name, sizeof ret->peer_name, l->peer->name);
	copy_text(ret->interface, sizeof ret->interface, l->name);
	copy_text(ret->domain, sizeof ret->domain, l->domain);
	copy_text(ret->xdomain, sizeof ret->xdomain, l->xdomain);
	mesh_address_text(&l->local, ret->local_address);
	mesh_address_text(&l->address.ip, ret->peer_address);
	if (l->interface) {
		ret->negotiated_rx_bps = l->interface->negotiated_rx_bps;
		ret->negotiated_tx_bps = l->interface->negotiated_tx_bps;
	}
	mesh_rtt_read(&l->rtt, now_ns, &ret->rtt);
	mesh_rtt_read(&l->rtt_loaded, now_ns, &ret->rtt_loaded);
	if (l->use_ns && now_ns - l->use_ns < USE_AGE) {
		ret->use_up_bps = l->use_up_bps;
		ret->use_down_bps = l->use_down_bps;
	}
	ret->up = read_bandwidth(now_ns, &l->up, ret->negotiated_tx_bps);
	ret->down = read_bandwidth(now_ns, &l->down, ret->negotiated_rx_bps);
}

void mesh_core_peer_read(uint64_t now_ns, const struct mesh_core_peer *p, struct mesh_peer_info *ret)
{
	*ret = (struct mesh_peer_info){
		.state = p->state, .incarnation = p->incarnation, .links_up = (unsigned)mesh_core_links_up(p)
	};
	copy_text(ret->id, sizeof ret->id, p->id);
	copy_text(ret->name, sizeof ret->name, p->name);
	if (!p->best)
		return;
	copy_text(ret->best_link, sizeof ret->best_link, p->best->id);
	copy_text(ret->note, sizeof ret->note, p->path_note);
	mesh_rtt_read(&p->best->rtt, now_ns, &ret->rtt);
	if (ret->links_up == 1) {
		struct mesh_link_info l;
		mesh_core_link_read(now_ns, p->best, &l);
		ret->aggregate_up = l.up;
		ret->aggregate_down = l.down;
	} else if (ret->links_up == p->aggregate_links) {
		ret->aggregate_up = read_bandwidth(now_ns, &p->aggregate_up, 0);
		ret->aggregate_down = read_bandwidth(now_ns, &p->aggregate_down, 0);
	}
}
