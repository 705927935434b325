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

void ping_start(struct node *n, const struct api_route *from, uint64_t request, const Tbmesh__PingRequest *r)
{
	struct pings *p = n->pings;
	struct ping *e = p->count < PINGS_MAX ? calloc(1, sizeof *e) : NULL;
	if (!e) {
		api_fail(n->api, from, request, 1, "too many are pinging at once");
		return;
	}
	e->route = *from;
	e->request = request;
	e->token = ++p->next_token;
	int error = mesh_ping(n->mesh, r->peer, r->link[0] ? r->link : NULL, e->token, &e->info);
	if (error < 0) {
		free(e);
		if (error == -ENOENT)
			api_fail(n->api, from, request, 4, "no peer is called \"%s\"%s%s%s; see `tbmesh links`", r->peer,
				r->link[0] ? ", or it has no link \"" : "", r->link, r->link[0] ? "\"" : "");
		else
			api_fail(n->api, from, request, 5, "%s cannot be reached: %s", r->peer,
				error == -EHOSTUNREACH ? "no link to it is up" : strerror(-error));
		return;
	}
	list_append(&p->list, &e->link);
	p->count++;
}

void ping_answered(struct node *n, uint64_t token, double rtt_us)
{
	list_for_each_safe(e, &n->pings->list, struct ping, link) {
		if (e->token != token)
			continue;
		Tbmesh__Reply reply = TBMESH__REPLY__INIT;
		Tbmesh__PingReply body = TBMESH__PING_REPLY__INIT;
		body.link = e->info.id;
		body.address = e->info.peer_address;
		body.lost = rtt_us < 0;
		body.rtt_us = body.lost ? 0 : rtt_us;
		reply.id = e->request;
		reply.body_case = TBMESH__REPLY__BODY_PING;
		reply.ping = &body;
		api_reply(n->api, &e->route, &reply);
		list_remove(&e->link);
		n->pings->count--;
		free(e);
	}
}
