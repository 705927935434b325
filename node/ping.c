#include "node/ping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "node/node.h"
#include "proto/messages.h"

#define PINGS_MAX 256u

struct ping {
	struct list link;
	struct api_route route;
	uint64_t request, token;
	struct mesh_link_info info;
};

struct pings {
	struct list list;
	size_t count;
	uint64_t next_token;
};

struct pings *pings_create(void)
{
	struct pings *p = calloc(1, sizeof *p);
	if (p)
		list_init(&p->list);
	return p;
}

void pings_destroy(struct pings *p)
{
	if (!p)
		return;
	list_for_each_safe(e, &p->list, struct ping, link)
		free(e);
	free(p);
}

static struct ping *new_waiting(struct node *n, const struct api_route *from, uint64_t request)
{
	struct pings *p = n->pings;
	struct ping *e = p->count < PINGS_MAX ? calloc(1, sizeof *e) : NULL;
	if (!e) {
		api_fail(n->api, from, request, 1, "too many measurements at once");
		return NULL;
	}
	e->route = *from;
	e->request = request;
	e->token = ++p->next_token;
	return e;
}

static void no_peer(struct node *n, const struct api_route *from, uint64_t request, const char *name)
{
	if (strcmp(name, n->config.name) == 0)
		api_fail(n->api, from, request, 4, "%s is this host itself; see `tbmesh peers`", name);
	else
		api_fail(n->api, from, request, 4, "no peer is called \"%s\"; see `tbmesh peers`", name);
}

void ping_start(struct node *n, const struct api_route *from, uint64_t request, const Tbmesh__PingRequest *r)
{
	struct ping *e = new_waiting(n, from, request);
	if (!e)
		return;
	int error = mesh_ping(n->mesh, r->peer, r->link[0] ? r->link : NULL, e->token, &e->info);
	if (error < 0) {
		struct mesh_peer_info known;
		free(e);
		if (error == -ENOENT && mesh_peer(n->mesh, r->peer, &known) == 0)
			api_fail(n->api, from, request, 4, "%s has no link \"%s\"; see `tbmesh links`", r->peer, r->link);
		else if (error == -ENOENT)
			no_peer(n, from, request, r->peer);
		else
			api_fail(n->api, from, request, 5, "%s cannot be reached: %s", r->peer,
				error == -EHOSTUNREACH ? "no link to it is up" : strerror(-error));
		return;
	}
	list_append(&n->pings->list, &e->link);
	n->pings->count++;
}

static struct ping *find(struct node *n, uint64_t token)
{
	list_for_each(e, &n->pings->list, struct ping, link) {
		if (e->token == token)
			return e;
	}
	return NULL;
}

static void forget(struct node *n, struct ping *e)
{
	list_remove(&e->link);
	n->pings->count--;
	free(e);
}

void ping_answered(struct node *n, uint64_t token, double rtt_us)
{
	struct ping *e = find(n, token);
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	Tbmesh__PingReply body = TBMESH__PING_REPLY__INIT;
	if (!e)
		return;
	body.link = e->info.id;
	body.address = e->info.peer_address;
	body.lost = rtt_us < 0;
	body.rtt_us = body.lost ? 0 : rtt_us;
	reply.id = e->request;
	reply.body_case = TBMESH__REPLY__BODY_PING;
	reply.ping = &body;
	api_reply(n->api, &e->route, &reply);
	forget(n, e);
}

void bench_start(struct node *n, const struct api_route *from, uint64_t request, const Tbmesh__BenchRequest *r)
{
	struct ping *e = new_waiting(n, from, request);
	if (!e)
		return;
	list_append(&n->pings->list, &e->link); /* it may fail before mesh_bench returns */
	n->pings->count++;
	uint64_t token = e->token;
	struct mesh_bench_options options = { .streams = r->streams,
		.ways = strcmp(r->way, "up") == 0     ? MESH_BENCH_UP
			: strcmp(r->way, "down") == 0 ? MESH_BENCH_DOWN
						      : MESH_BENCH_BOTH };
	int error = mesh_bench(n->mesh, r->peer, &options, token);
	e = error < 0 ? find(n, token) : NULL;
	if (!e)
		return;
	if (error == -ENOENT)
		no_peer(n, from, request, r->peer);
	else if (error == -EINVAL)
		api_fail(n->api, from, request, 2, "at most %u streams on a link", MESH_BENCH_STREAMS);
	else if (error == -EBUSY)
		api_fail(n->api, from, request, 5, "another measurement is under way");
	else
		api_fail(n->api, from, request, 5, "%s cannot be reached: no link to it is up", r->peer);
	forget(n, e);
}

void bench_done(struct node *n, uint64_t token, const struct mesh_bench *b)
{
	struct ping *e = find(n, token);
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	Tbmesh__BenchReply body = TBMESH__BENCH_REPLY__INIT;
	Tbmesh__BenchLink links[MESH_MAX_PEER_LINKS], *list[MESH_MAX_PEER_LINKS];
	if (!e)
		return;
	if (!b) {
		api_fail(n->api, &e->route, e->request, 5, "the peer is busy with another measurement, or did not answer");
		forget(n, e);
		return;
	}
	for (size_t i = 0; i < b->count; i++) {
		tbmesh__bench_link__init(&links[i]);
		links[i].link = (char *)b->links[i].link;
		links[i].up_bps = b->links[i].up_bps;
		links[i].down_bps = b->links[i].down_bps;
		list[i] = &links[i];
	}
	body.links = list;
	body.n_links = b->count;
	body.aggregate_up_bps = b->aggregate_up_bps;
	body.aggregate_down_bps = b->aggregate_down_bps;
	body.unsteady = b->unsteady;
	reply.id = e->request;
	reply.body_case = TBMESH__REPLY__BODY_BENCH;
	reply.bench = &body;
	api_reply(n->api, &e->route, &reply);
	forget(n, e);
}
