/* When bandwidth is measured: after link-up, a change of speed, or when the numbers are old; one probe at a time, never
 * more than 1 % of the time, and not while somebody uses the links. */
#include <errno.h>
#include <string.h>

#include "mesh/core_private.h"

#define OLD_AGE (600 * CORE_SECOND)
#define UNSTEADY_AGE (5 * CORE_SECOND) /* the first time; then twice as long each time */
#define UNSTEADY_DOUBLINGS 6u
#define CREDIT_MAX ((int64_t)(2 * CORE_SECOND))
#define CREDIT_DIVISOR 100
#define PROBE_LIMIT (20 * CORE_SECOND)
#define ACCEPT_LIMIT (5 * CORE_SECOND)
#define BUSY_BPS UINT64_C(200000000)
#define LOADED_BPS UINT64_C(20000000)
#define PROBE_ECHO (600 * CORE_MS) /* so long after a probe the counters may still tell of it */
#define RETRY (2 * CORE_SECOND)
#define RETRY_DOUBLINGS 5u

/* Both ends want it; the one with the greater id asks. */
static bool asks(const struct mesh_core *c, const struct mesh_core_peer *p)
{
	return !c->config.no_probes && strcmp(c->config.identity.id, p->id) > 0;
}

void mesh_core_probe_want(struct mesh_core *c, struct mesh_core_peer *p, uint64_t delay_ns)
{
	p->probe_failures = 0;
	p->probe_due_ns = c->now_ns +
		delay_ns; /* a later link-up waits for its own second: the cables of one peer are measured together */
}

void mesh_core_probe_forget(struct mesh_core *c, const struct mesh_core_peer *p)
{
	if (c->probing != p)
		return;
	c->probing->probe_end_ns = c->now_ns;
	c->probing = NULL;
}

static void earn(struct mesh_core *c)
{
	c->probe_credit_ns += (int64_t)((c->now_ns - c->probe_credit_at_ns) / CREDIT_DIVISOR);
	c->probe_credit_at_ns = c->now_ns;
	if (c->probe_credit_ns > CREDIT_MAX)
		c->probe_credit_ns = CREDIT_MAX;
}

void mesh_core_probe_tick(struct mesh_core *c)
{
	earn(c);
	if (c->probing && c->now_ns >= c->probe_end_ns)
		mesh_core_probe_failed(c, c->now_ns, c->probing);
	if (c->probing || c->probe_credit_ns <= 0)
		return;
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		if (p->state != MESH_PEER_UP || !p->probe_due_ns || c->now_ns < p->probe_due_ns || !asks(c, p))
			continue;
		c->probing = p;
		c->probe_end_ns = c->now_ns + PROBE_LIMIT;
		c->ops->probe(c->ctx, p);
		return;
	}
}

int mesh_core_bench(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p)
{
	c->now_ns = now_ns;
	if (p->state != MESH_PEER_UP)
		return -EHOSTUNREACH;
	if (c->probing)
		return -EBUSY;
	c->probing = p;
	c->probe_end_ns = now_ns + PROBE_LIMIT;
	c->ops->probe(c->ctx, p);
	return 0;
}

uint64_t mesh_core_probe_next(const struct mesh_core *c)
{
	uint64_t next = UINT64_MAX;
	if (c->probing)
		return c->probe_end_ns;
	if (c->probe_credit_ns <= 0)
		return c->now_ns + CORE_SECOND;
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		if (p->state == MESH_PEER_UP && p->probe_due_ns && asks(c, p) && p->probe_due_ns < next)
			next = p->probe_due_ns;
	}
	return next;
}

bool mesh_core_probe_accept(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p)
{
	c->now_ns = now_ns;
	if (c->config.no_probes || p->state != MESH_PEER_UP || (c->probing && c->probing != p && now_ns < c->probe_end_ns))
		return false;
	c->probing = p;
	c->probe_end_ns = now_ns + ACCEPT_LIMIT;
	return true;
}

void mesh_core_probe_failed(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p)
{
	c->now_ns = now_ns;
	mesh_core_probe_forget(c, p);
	unsigned doublings = p->probe_failures < RETRY_DOUBLINGS ? p->probe_failures : RETRY_DOUBLINGS;
	p->probe_failures++;
	p->probe_due_ns = now_ns + (RETRY << doublings) + c->ops->random(c->ctx) % CORE_SECOND;
}

/* What came out of a probe that others disturbed is a lower bound. */
static void measured(struct mesh_core *c, struct mesh_core_bandwidth *b, uint64_t bps, bool unsteady)
{
	if (bps > (unsteady ? b->bps : 0))
		*b = (struct mesh_core_bandwidth){
			.bps = bps, .top_bps = bps, .at_ns = c->now_ns, .source = MESH_SOURCE_PROBE
		};
}

static bool same(const struct in6_addr *a, const struct in6_addr *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* Routing chose the asker's address on a way that is not a cable: it could not name it. */
static bool measured_on(const struct mesh_core_link *l, const struct mesh_core_probe_rate *rate)
{
	if (!l->ifindex)
		return same(&rate->remote, &in6addr_any) || same(&rate->remote, &l->address.ip);
	return same(&rate->remote, &l->address.ip) && same(&rate->local, &l->local);
}

void mesh_core_probe_done(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p,
	const struct mesh_core_probe_rate *rates, size_t count, uint64_t aggregate_up_bps, uint64_t aggregate_down_bps,
	uint64_t duration_ns, bool unsteady)
{
	c->now_ns = now_ns;
	mesh_core_probe_forget(c, p);
	c->probe_credit_ns -= (int64_t)duration_ns;
	uint64_t best_up = 0, best_down = 0;
	size_t found = 0;
	for (size_t i = 0; i < count; i++) {
		list_for_each(l, &p->links, struct mesh_core_link, link) {
			if (l->state == MESH_LINK_DOWN || !measured_on(l, &rates[i]))
				continue;
			measured(c, &l->up, rates[i].up_bps, unsteady);
			measured(c, &l->down, rates[i].down_bps, unsteady);
			best_up = l->up.bps > best_up ? l->up.bps : best_up;
			best_down = l->down.bps > best_down ? l->down.bps : best_down;
			found++;
		}
	}
	if (count > 1 && found == count) {
		/* All together are never less than the best one alone: nobody has to use the others. */
		bool other_links = p->aggregate_links != count;
		if (other_links)
			p->aggregate_up = p->aggregate_down = (struct mesh_core_bandwidth){ 0 };
		if (aggregate_up_bps)
			measured(c, &p->aggregate_up, aggregate_up_bps > best_up ? aggregate_up_bps : best_up, unsteady);
		if (aggregate_down_bps)
			measured(c, &p->aggregate_down, aggregate_down_bps > best_down ? aggregate_down_bps : best_down,
				unsteady);
		p->aggregate_links = count;
	}
	mesh_core_graph_changed(c);
	p->probe_failures = 0;
	unsigned doublings = p->probe_unsteady < UNSTEADY_DOUBLINGS ? p->probe_unsteady : UNSTEADY_DOUBLINGS;
	p->probe_unsteady = unsteady ? p->probe_unsteady + 1 : 0;
	/* Links that came up meanwhile were not in it. */
	p->probe_due_ns = now_ns + (found != mesh_core_links_up(p) ? RETRY : unsteady ? UNSTEADY_AGE << doublings : OLD_AGE);
}

/* Real traffic proves at least so much; less than what is known proves nothing. As long as it comes near, it is the better
 * measurement: newer, longer, and on the data's own way. */
static void learn(struct mesh_core_bandwidth *b, uint64_t bps, uint64_t now_ns)
{
	if (bps <= BUSY_BPS || bps < b->top_bps / 10 * 9)
		return;
	b->top_bps = bps > b->top_bps ? bps : b->top_bps;
	b->bps = bps;
	b->at_ns = now_ns;
	b->source = MESH_SOURCE_TRAFFIC;
}

void mesh_core_traffic(struct mesh_core *c, uint64_t now_ns, unsigned ifindex, uint64_t up_bps, uint64_t down_bps)
{
	c->now_ns = now_ns;
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		bool probing = c->probing == p || (p->probe_end_ns && now_ns - p->probe_end_ns < PROBE_ECHO);
		list_for_each(l, &p->links, struct mesh_core_link, link) {
			if (!l->interface || l->ifindex != ifindex || l->state == MESH_LINK_DOWN)
				continue;
			l->use_up_bps = up_bps;
			l->use_down_bps = down_bps;
			l->use_ns = now_ns;
			if (probing)
				continue; /* what a probe sends is counted by itself */
			if (up_bps + down_bps > LOADED_BPS)
				mesh_core_link_busy(c, l);
			learn(&l->up, up_bps, now_ns);
			learn(&l->down, down_bps, now_ns);
			/* Whoever uses the link is not disturbed; what it does is a measurement, too. */
			if (up_bps + down_bps > BUSY_BPS && p->probe_due_ns && p->probe_due_ns < now_ns + RETRY)
				p->probe_due_ns = now_ns + RETRY;
		}
	}
}
