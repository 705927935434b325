#include "node/peer_events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "node/api.h"
#include "node/arena.h"
#include "node/node.h"
#include "node/view.h"
#include "proto/messages.h"

#define WAITING_MAX 64
#define ANSWER_MS 5000

struct waiting {
	struct list link;
	struct peer_events *owner;
	struct api_route route;
	uint64_t request;
	uint64_t number; /* of this question */
	char peer[64], name[64];
	struct loop_timer *deadline;
};

struct peer_events {
	struct node *node;
	struct list list;
	size_t count;
	uint64_t last_number;
};

struct peer_events *peer_events_create(struct node *n)
{
	struct peer_events *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->node = n;
	list_init(&p->list);
	p->last_number = (uint64_t)time_realtime_us(); /* an answer to the node that was here before is not ours */
	return p;
}

static void waiting_free(struct waiting *w)
{
	loop_timer_destroy(w->deadline);
	list_remove(&w->link);
	w->owner->count--;
	free(w);
}

void peer_events_destroy(struct peer_events *p)
{
	if (!p)
		return;
	list_for_each_safe(w, &p->list, struct waiting, link)
		waiting_free(w);
	free(p);
}

static void late(void *ctx)
{
	struct waiting *w = ctx;
	api_fail(w->owner->node->api, &w->route, w->request, 5, "%s did not answer", w->name);
	waiting_free(w);
}

static struct waiting *waiting_new(struct peer_events *p, const struct api_route *from, uint64_t request)
{
	struct waiting *w = p->count < WAITING_MAX ? calloc(1, sizeof *w) : NULL;
	if (!w)
		return NULL;
	w->deadline = loop_timer_create(p->node->loop, late, w);
	if (!w->deadline) {
		free(w);
		return NULL;
	}
	w->owner = p;
	w->route = *from;
	w->request = request;
	w->number = ++p->last_number;
	list_append(&p->list, &w->link);
	p->count++;
	return w;
}

void peer_events_start(struct peer_events *p, const struct api_route *from, uint64_t request, const Tbmesh__EventsRequest *r)
{
	struct node *n = p->node;
	struct mesh_peer_info info;
	Tbmesh__EventsAsk body = TBMESH__EVENTS_ASK__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	if (mesh_peer(n->mesh, r->host, &info) < 0) {
		api_fail(n->api, from, request, 4, "no peer is called \"%s\"; see `tbmesh peers`", r->host);
		return;
	}
	struct waiting *w = waiting_new(p, from, request);
	if (!w) {
		api_fail(n->api, from, request, 1, "too many ask for the events of peers");
		return;
	}
	snprintf(w->peer, sizeof w->peer, "%s", info.id);
	snprintf(w->name, sizeof w->name, "%s", info.name);
	Tbmesh__EventsRequest wanted = *r;
	wanted.host = (char *)"";
	wanted.follow = false;
	body.request = w->number;
	body.wanted = &wanted;
	message.body_case = TBMESH__PEER_MESSAGE__BODY_EVENTS_ASK;
	message.events_ask = &body;
	int error = mesh_send(n->mesh, w->peer, &message);
	if (error < 0) {
		api_fail(n->api, from, request, 5, "%s cannot be asked: %s", w->name, strerror(-error));
		waiting_free(w);
		return;
	}
	loop_timer_start(w->deadline, ANSWER_MS, 0);
}

void peer_events_asked(struct node *n, const char *peer, const Tbmesh__EventsAsk *m)
{
	struct arena a = { 0 };
	Tbmesh__EventsAnswer body = TBMESH__EVENTS_ANSWER__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	if (!m->wanted)
		return;
	body.request = m->request;
	body.events = view_events(n, m->wanted, &a);
	message.body_case = TBMESH__PEER_MESSAGE__BODY_EVENTS_ANSWER;
	message.events_answer = &body;
	int error = a.failed ? -ENOMEM : mesh_send(n->mesh, peer, &message);
	if (error < 0)
		log_debug("events for peer %s: %s", peer, strerror(-error));
	arena_finish(&a);
}

void peer_events_answered(struct peer_events *p, const char *peer, const Tbmesh__EventsAnswer *m)
{
	list_for_each_safe(w, &p->list, struct waiting, link) {
		if (w->number != m->request || strcmp(w->peer, peer) != 0)
			continue;
		Tbmesh__Reply reply = TBMESH__REPLY__INIT;
		reply.id = w->request;
		reply.body_case = TBMESH__REPLY__BODY_EVENTS;
		reply.events = m->events;
		if (m->events)
			api_reply(p->node->api, &w->route, &reply);
		else
			api_fail(p->node->api, &w->route, w->request, 1, "%s answered nothing", w->name);
		waiting_free(w);
		return;
	}
}
