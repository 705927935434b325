/* Peers that share no cable with this node. Each node has one address that all can derive from its key, and the whole graph says who
 * there is: whoever has no cable here is greeted at that address, and answers when some routing (babeld, FRR) leads to it. */
#include <string.h>

#include <sodium.h>

#include "mesh/core_private.h"

#define GREET_PERIOD CORE_SECOND

/* A ULA (RFC 4193): 40 bits of the mesh key's hash, subnet 0, the node's id. */
void mesh_core_routed_init(struct mesh_core *c)
{
	static const char context[] = "tbmesh routed address 1";
	uint8_t hash[crypto_generichash_BYTES_MIN];
	crypto_generichash(hash, sizeof hash, (const uint8_t *)context, sizeof context, c->config.key.bytes,
		sizeof c->config.key.bytes);
	c->routed_prefix[0] = 0xfd;
	memcpy(c->routed_prefix + 1, hash, 5);
	c->routed_greet_ns = c->now_ns + GREET_PERIOD;
	c->routed_self = mesh_core_routed_address(c, c->id8);
}

struct in6_addr mesh_core_routed_address(const struct mesh_core *c, const uint8_t id8[8])
{
	struct in6_addr ip;
	memcpy(ip.s6_addr, c->routed_prefix, 8);
	memcpy(ip.s6_addr + 8, id8, 8);
	return ip;
}

bool mesh_core_routed_is(const struct mesh_core *c, const struct in6_addr *ip)
{
	return memcmp(ip->s6_addr, c->routed_prefix, 8) == 0;
}

static bool has_cable(const struct mesh_core_peer *p)
{
	list_for_each(l, &p->links, struct mesh_core_link, link) {
		if (l->ifindex && l->state != MESH_LINK_DOWN)
			return true;
	}
	return false;
}

static struct mesh_core_link *routed_link(const struct mesh_core *c, const struct mesh_core_peer *p)
{
	list_for_each(l, &p->links, struct mesh_core_link, link) {
		if (!l->ifindex && mesh_core_routed_is(c, &l->address.ip))
			return l;
	}
	return NULL;
}

static struct mesh_core_peer *peer_of(const struct mesh_core *c, const uint8_t id8[8])
{
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		if (memcmp(p->id8, id8, sizeof p->id8) == 0)
			return p;
	}
	return NULL;
}

static size_t routed_count(const struct mesh_core *c)
{
	size_t count = 0;
	list_for_each(p, &c->peers, struct mesh_core_peer, link)
		count += routed_link(c, p) != NULL;
	return count;
}

bool mesh_core_routed_welcome(const struct mesh_core *c, const struct in6_addr *from, const uint8_t public_key[32])
{
	struct in6_addr right = mesh_core_routed_address(c, public_key);
	const struct mesh_core_peer *p = peer_of(c, public_key);
	if (memcmp(&right, from, sizeof right) != 0 || (p && has_cable(p)))
		return false;
	return (p && routed_link(c, p)) || routed_count(c) < CORE_MAX_ROUTED;
}

void mesh_core_routed_cable_up(struct mesh_core *c, struct mesh_core_peer *p)
{
	struct mesh_core_link *l = routed_link(c, p);
	if (!l)
		return;
	mesh_core_link_down(c, l, "a cable is there");
	mesh_core_link_remove(c, l);
}

void mesh_core_routed_hurry(struct mesh_core *c)
{
	c->routed_greet_ns = c->now_ns;
}

uint64_t mesh_core_routed_next(const struct mesh_core *c)
{
	return c->graph.count > 1 ? c->routed_greet_ns : UINT64_MAX;
}

void mesh_core_routed_tick(struct mesh_core *c)
{
	if (c->now_ns < c->routed_greet_ns)
		return;
	c->routed_greet_ns = c->now_ns + GREET_PERIOD;
	size_t full = routed_count(c), groups = c->graph.count / CORE_MAX_ROUTED + 1, group = c->routed_turn++ % groups,
	       at = 0;
	/* In a big mesh not all each second. */
	list_for_each(s, &c->graph.all, struct mesh_core_statement, link) {
		if (at++ % groups != group || memcmp(s->id8, c->id8, sizeof s->id8) == 0)
			continue;
		const struct mesh_core_peer *p = peer_of(c, s->id8);
		const struct mesh_core_link *l = p ? routed_link(c, p) : NULL;
		if ((p && has_cable(p)) || (l && l->state == MESH_LINK_UP) || (!l && full >= CORE_MAX_ROUTED))
			continue;
		struct mesh_core_address to = { .ip = mesh_core_routed_address(c, s->id8), .port = c->config.beacon_port };
		mesh_core_send_beacon(c, 0, &c->routed_self, &to);
	}
}
