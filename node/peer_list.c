#include "node/peer_list.h"

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
	struct peer_lists *owner;
	struct api_route route;
	uint64_t request;
	uint64_t number; /* of this question */
	enum peer_list which;
	char peer[MESH_ID_SIZE], name[MESH_NAME_SIZE];
	struct loop_timer *deadline;
};

struct peer_lists {
	struct node *node;
	struct list list;
	size_t count;
	uint64_t last_number;
};

struct peer_lists *peer_lists_create(struct node *n)
{
	struct peer_lists *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->node = n;
	list_init(&p->list);
	p->last_number = time_realtime_us(); /* an answer to the node that was here before is not ours */
	return p;
}

static void waiting_free(struct waiting *w)
{
	loop_timer_destroy(w->deadline);
	list_remove(&w->link);
	w->owner->count--;
	free(w);
}

void peer_lists_destroy(struct peer_lists *p)
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
	api_fail(w->owner->node->api, &w->route, w->request, 5,
		"%s did not answer; an older tbmesh does not know that question", w->name);
	waiting_free(w);
}

static struct waiting *waiting_new(struct peer_lists *p, const struct api_route *from, uint64_t request)
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

void peer_lists_start(
	struct peer_lists *p, const struct api_route *from, uint64_t request, enum peer_list which, const char *host)
{
	struct node *n = p->node;
	struct mesh_peer_info info;
	Tbmesh__ListAsk body = TBMESH__LIST_ASK__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	if (mesh_peer(n->mesh, host, &info) < 0) {
		api_fail(n->api, from, request, 4, "no peer is called \"%s\"; see `tbmesh peers`", host);
		return;
	}
	struct waiting *w = waiting_new(p, from, request);
	if (!w) {
		api_fail(n->api, from, request, 1, "too many questions to peers at once");
		return;
	}
	w->which = which;
	snprintf(w->peer, sizeof w->peer, "%s", info.id);
	snprintf(w->name, sizeof w->name, "%s", info.name);
	body.request = w->number;
	body.which = which;
	message.body_case = TBMESH__PEER_MESSAGE__BODY_LIST_ASK;
	message.list_ask = &body;
	int error = mesh_send(n->mesh, w->peer, &message);
	if (error < 0) {
		api_fail(n->api, from, request, 5, "%s cannot be asked: %s", w->name, strerror(-error));
		waiting_free(w);
		return;
	}
	loop_timer_start(w->deadline, ANSWER_MS, 0);
}

void peer_lists_asked(struct node *n, const char *peer, const Tbmesh__ListAsk *m)
{
	struct arena a = { 0 };
	Tbmesh__ListAnswer body = TBMESH__LIST_ANSWER__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	body.request = m->request;
	if (m->which == PEER_LIST_THUNDERBOLT)
		body.thunderbolt = view_thunderbolt(n, &a);
	else if (m->which == PEER_LIST_GPUS)
		body.gpus = view_gpus(n, &a);
	if (body.gpus)
		body.gpus->n_hosts = 0; /* its own alone */
	message.body_case = TBMESH__PEER_MESSAGE__BODY_LIST_ANSWER;
	message.list_answer = &body;
	int error = a.failed ? -ENOMEM : mesh_send(n->mesh, peer, &message);
	if (error < 0)
		log_debug("a list for peer %s: %s", peer, strerror(-error));
	arena_finish(&a);
}

void peer_lists_answered(struct peer_lists *p, const char *peer, const Tbmesh__ListAnswer *m)
{
	list_for_each_safe(w, &p->list, struct waiting, link) {
		if (w->number != m->request || strcmp(w->peer, peer) != 0)
			continue;
		Tbmesh__Reply reply = TBMESH__REPLY__INIT;
		reply.id = w->request;
		if (w->which == PEER_LIST_THUNDERBOLT && m->thunderbolt) {
			reply.body_case = TBMESH__REPLY__BODY_THUNDERBOLT;
			reply.thunderbolt = m->thunderbolt;
		} else if (w->which == PEER_LIST_GPUS && m->gpus) {
			reply.body_case = TBMESH__REPLY__BODY_GPUS;
			reply.gpus = m->gpus;
		}
		if (reply.body_case)
			api_reply(p->node->api, &w->route, &reply);
		else
			api_fail(p->node->api, &w->route, w->request, 1, "%s answered nothing", w->name);
		waiting_free(w);
		return;
	}
}
