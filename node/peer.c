#include "node/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "node/arena.h"
#include "node/eject.h"
#include "node/event_watch.h"
#include "node/node.h"
#include "node/peer_list.h"
#include "node/placement.h"
#include "proto/limits.h"
#include "proto/messages.h"

#define PEERS_REMEMBERED 256
#define WANTED_AGAIN_NS 3000000000ull

/* What a peer last said of itself. */
struct peer_facts_entry {
	struct list link;
	char id[64];
	char version[64];
	uint64_t memory_free_bytes;
	uint32_t cpu_load_percent;
	uint16_t events_port;
	char wanted[96]; /* GPU whose description was asked for last */
	uint64_t wanted_ns;
};

struct peers {
	struct list list;
	size_t count;
	uint64_t next_request;
};

struct peers *peers_create(void)
{
	struct peers *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	list_init(&p->list);
	p->next_request = 1;
	return p;
}

void peers_destroy(struct peers *p)
{
	if (!p)
		return;
	list_for_each_safe(e, &p->list, struct peer_facts_entry, link)
		free(e);
	free(p);
}

static struct peer_facts_entry *find(const struct peers *p, const char *id)
{
	list_for_each(e, &p->list, struct peer_facts_entry, link)
		if (strcmp(e->id, id) == 0)
			return e;
	return NULL;
}

static struct peer_facts_entry *find_or_add(struct peers *p, const char *id)
{
	struct peer_facts_entry *e = find(p, id);
	if (e || p->count >= PEERS_REMEMBERED || !(e = calloc(1, sizeof *e)))
		return e;
	snprintf(e->id, sizeof e->id, "%s", id);
	list_append(&p->list, &e->link);
	p->count++;
	return e;
}

const char *peers_version(const struct peers *p, const char *id)
{
	const struct peer_facts_entry *e = find(p, id);
	return e ? e->version : "";
}

uint16_t peers_events_port(const struct peers *p, const char *id)
{
	const struct peer_facts_entry *e = find(p, id);
	return e ? e->events_port : 0;
}

void peers_forget(struct peers *p, const char *id)
{
	struct peer_facts_entry *e = find(p, id);
	if (!e)
		return;
	list_remove(&e->link);
	free(e);
	p->count--;
}

static void send_to(struct node *n, const char *peer, Tbmesh__PeerMessage *m)
{
	int r = mesh_send(n->mesh, peer, m);
	if (r < 0)
		log_debug("message %d to peer %s: %s", (int)m->body_case, peer ? peer : "(all)", strerror(-r));
}

/* ---- state ---- */

void peer_send_state(struct node *n, const char *peer)
{
	struct arena a = { 0 };
	Tbmesh__NodeState body = TBMESH__NODE_STATE__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	Tbmesh__Gpu gpus[INVENTORY_MAX_PEER_GPUS], *list[INVENTORY_MAX_PEER_GPUS];
	const struct inventory_gpu *g;
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL && body.n_gpus < INVENTORY_MAX_PEER_GPUS; i++) {
		if (g->peer[0])
			continue;
		inventory_fill(g, executors_load(n->executors, g->id), &gpus[body.n_gpus], &a);
		list[body.n_gpus] = &gpus[body.n_gpus];
		body.n_gpus++;
	}
	body.gpus = list;
	body.name = n->config.name;
	body.version = (char *)TBMESH_VERSION;
	body.version_of_state = n->state_version;
	body.memory_free_bytes = n->memory_free_bytes;
	body.cpu_load_percent = n->cpu_load_percent;
	body.last_event = event_log_last(n->events);
	body.events_port = mesh_publish_port(n->mesh);
	message.body_case = TBMESH__PEER_MESSAGE__BODY_STATE;
	message.state = &body;
	if (!a.failed)
		send_to(n, peer, &message);
	arena_finish(&a);
}

static void handle_state(struct node *n, const char *peer, uint64_t incarnation, const Tbmesh__NodeState *s)
{
	struct mesh_peer_info info;
	struct peer_facts_entry *e = find_or_add(n->peers, peer);
	if (!e || mesh_peer(n->mesh, peer, &info) < 0)
		return;
	snprintf(e->version, sizeof e->version, "%s", s->version);
	e->memory_free_bytes = s->memory_free_bytes;
	e->cpu_load_percent = s->cpu_load_percent;
	e->events_port = (uint16_t)s->events_port;
	inventory_peer_state(n->inventory, peer, info.name, s);
	event_watches_told(n->watches, peer, incarnation, s->last_event, s->events_port);
}

bool peer_facts(void *node, const char *peer, struct mesh_facts *ret)
{
	struct node *n = node;
	const struct peer_facts_entry *e = find(n->peers, peer);
	if (!e)
		return false;
	*ret = (struct mesh_facts){ .gpus = inventory_active(n->inventory, peer, false),
		.gpu_fit = -1,
		.cpu_load_percent = e->cpu_load_percent,
		.memory_free_bytes = e->memory_free_bytes };
	const struct inventory_gpu *g;
	bool any = false;
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++) {
		if (strcmp(g->peer, peer) != 0 || g->state != GPU_ACTIVE || strcmp(g->type, "cpu") == 0)
			continue;
		if (!any || g->load < ret->gpu_load)
			ret->gpu_load = g->load;
		any = true;
	}
	return true;
}

/* ---- descriptions ---- */

void peer_want_description(struct node *n, const char *peer, const char *gpu)
{
	struct peer_facts_entry *e = find_or_add(n->peers, peer);
	uint64_t now_ns = time_monotonic_ns();
	if (!e || (strcmp(e->wanted, gpu) == 0 && now_ns - e->wanted_ns < WANTED_AGAIN_NS))
		return;
	snprintf(e->wanted, sizeof e->wanted, "%s", gpu);
	e->wanted_ns = now_ns;
	Tbmesh__DescriptionRequest body = TBMESH__DESCRIPTION_REQUEST__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	body.request = n->peers->next_request++;
	body.gpu = (char *)gpu;
	message.body_case = TBMESH__PEER_MESSAGE__BODY_DESCRIPTION_REQUEST;
	message.description_request = &body;
	send_to(n, peer, &message);
}

static void handle_description_request(struct node *n, const char *peer, const Tbmesh__DescriptionRequest *r)
{
	const struct inventory_gpu *g = inventory_find_local(n->inventory, r->gpu);
	Tbmesh__DescriptionReply body = TBMESH__DESCRIPTION_REPLY__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	body.request = r->request;
	body.gpu = r->gpu;
	if (g && g->described) {
		body.description.data = g->description.bytes;
		body.description.len = g->description.size;
	} else {
		body.code = 4;
		body.message = (char *)"no such GPU";
	}
	message.body_case = TBMESH__PEER_MESSAGE__BODY_DESCRIPTION_REPLY;
	message.description_reply = &body;
	send_to(n, peer, &message);
}

static void handle_description_reply(struct node *n, const char *peer, const Tbmesh__DescriptionReply *r)
{
	if (r->code != 0)
		return;
	int error = inventory_peer_description(n->inventory, peer, r->gpu, r->description.data, r->description.len);
	if (error < 0)
		log_warn("peer %s: its description of %s is of no use: %s", peer, r->gpu, strerror(-error));
}

/* ---- executors for peers ---- */

struct peer_start {
	struct node *node;
	char peer[64], gpu_name[256];
	uint64_t request;
};

static void reply_executor(struct node *n, const char *peer, uint64_t request, uint32_t code, const char *text,
	uint16_t port, uint32_t pid, const char *gpu_name)
{
	Tbmesh__ExecutorReply body = TBMESH__EXECUTOR_REPLY__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	body.request = request;
	body.code = code;
	body.message = (char *)text;
	body.port = port;
	body.pid = pid;
	body.gpu_name = (char *)gpu_name;
	message.body_case = TBMESH__PEER_MESSAGE__BODY_EXECUTOR_REPLY;
	message.executor_reply = &body;
	send_to(n, peer, &message);
}

static void executor_ready(void *ctx, const struct executor_ready *r)
{
	struct peer_start *s = ctx;
	reply_executor(s->node, s->peer, s->request, r->error == 0 ? 0 : 1, r->error == 0 ? "" : r->text, r->port,
		(uint32_t)r->pid, s->gpu_name);
	free(s);
}

static void handle_executor_request(struct node *n, const char *peer, const Tbmesh__ExecutorRequest *r)
{
	const struct inventory_gpu *g = inventory_find_local(n->inventory, r->gpu);
	if (!g || g->state != GPU_ACTIVE || g->ejected || r->secret.len != EXECUTOR_SECRET_BYTES) {
		reply_executor(
			n, peer, r->request, 4, g && g->ejected ? "that GPU was ejected" : "that GPU is gone", 0, 0, "");
		return;
	}
	struct peer_start *s = calloc(1, sizeof *s);
	uint64_t ticket;
	struct executor_request request = { .drivers = gpu_probe_drivers(n->probe),
		.gpu = g->id,
		.workload = r->workload,
		.peer = peer,
		.secret = r->secret.data };
	int error = -ENOMEM;
	if (s) {
		*s = (struct peer_start){ .node = n, .request = r->request };
		snprintf(s->peer, sizeof s->peer, "%s", peer);
		snprintf(s->gpu_name, sizeof s->gpu_name, "%s", g->name);
		error = executors_start(n->executors, &request, executor_ready, s, &ticket);
	}
	if (error == 0)
		return;
	free(s);
	reply_executor(n, peer, r->request, 1, error == -EDQUOT ? "too many workloads on it" : strerror(-error), 0, 0, "");
}

void peer_message(struct node *n, const char *peer, const Tbmesh__PeerMessage *m)
{
	switch (m->body_case) {
	case TBMESH__PEER_MESSAGE__BODY_STATE:
		handle_state(n, peer, m->incarnation, m->state);
		break;
	case TBMESH__PEER_MESSAGE__BODY_DESCRIPTION_REQUEST:
		handle_description_request(n, peer, m->description_request);
		break;
	case TBMESH__PEER_MESSAGE__BODY_DESCRIPTION_REPLY:
		handle_description_reply(n, peer, m->description_reply);
		break;
	case TBMESH__PEER_MESSAGE__BODY_EXECUTOR_REQUEST:
		handle_executor_request(n, peer, m->executor_request);
		break;
	case TBMESH__PEER_MESSAGE__BODY_EXECUTOR_REPLY:
		placement_peer_reply(n->placement, peer, m->executor_reply);
		break;
	case TBMESH__PEER_MESSAGE__BODY_LEAVE_REQUEST:
		eject_peer_asks(n->ejects, peer, m->leave_request);
		break;
	case TBMESH__PEER_MESSAGE__BODY_LEAVE_REPLY:
		eject_peer_replied(n->ejects, peer, m->leave_reply);
		break;
	case TBMESH__PEER_MESSAGE__BODY_EVENTS_ASK:
		event_watches_asked(n, peer, m->events_ask);
		break;
	case TBMESH__PEER_MESSAGE__BODY_EVENTS_ANSWER:
		event_watches_answered(n->watches, peer, m->events_answer);
		break;
	case TBMESH__PEER_MESSAGE__BODY_LIST_ASK:
		peer_lists_asked(n, peer, m->list_ask);
		break;
	case TBMESH__PEER_MESSAGE__BODY_LIST_ANSWER:
		peer_lists_answered(n->lists, peer, m->list_answer);
		break;
	case TBMESH__PEER_MESSAGE__BODY_EVENT:         /* published, never sent */
	case TBMESH__PEER_MESSAGE__BODY_PROBE_REQUEST: /* the mesh's own */
	case TBMESH__PEER_MESSAGE__BODY_PROBE_REPLY:
	case TBMESH__PEER_MESSAGE__BODY_PROBE_RESULT:
	case TBMESH__PEER_MESSAGE__BODY_GOODBYE:
	case TBMESH__PEER_MESSAGE__BODY__NOT_SET:
	case _TBMESH__PEER_MESSAGE__BODY__CASE_IS_INT_SIZE:
		break;
	}
}
