#include "node/eject.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "node/ejected.h"
#include "node/node.h"
#include "node/peer.h"
#include "node/workload.h"
#include "proto/messages.h"

#define ASKED_MAX 64 /* peers with programs on one GPU */
#define WHY_MAX 1024
#define TIMEOUT_MAX_MS 3600000u

struct asked {
	char peer[64];
	bool answered;
};

struct eject {
	struct list link;
	struct ejects *owner;
	uint64_t order; /* number of this job: of LeaveGpu and LeaveRequest messages */
	/* Who waits: a user, or a peer whose GPU it is. */
	struct api_route from;
	uint64_t request;
	char peer[64]; /* "": a user */
	/* What */
	char key[POLICY_KEY_SIZE], id[96], pci_address[16];
	bool force;
	bool was; /* ejected before */
	uint64_t started_ns;
	uint32_t executors, killed;
	struct asked asked[ASKED_MAX];
	size_t asked_count;
	char refusal[WHY_MAX]; /* of a peer's programs, "" none */
	struct loop_timer *deadline;
};

struct ejects {
	struct node *node;
	struct list list;
	uint64_t last_order;
};

struct ejects *ejects_create(struct node *n)
{
	struct ejects *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->node = n;
	list_init(&e->list);
	/* Sessions outlive a node: their last order must not be one of ours. */
	e->last_order = (uint64_t)time_realtime_us();
	return e;
}

static void job_free(struct eject *j)
{
	loop_timer_destroy(j->deadline);
	list_remove(&j->link);
	free(j);
}

void ejects_destroy(struct ejects *e)
{
	if (!e)
		return;
	list_for_each_safe(j, &e->list, struct eject, link)
		job_free(j);
	free(e);
}

/* ---- the GPU ---- */

static bool is_ours(const struct eject *j, const struct inventory_gpu *g)
{
	return !g->peer[0] &&
		(strcmp(g->id, j->id) == 0 || (j->pci_address[0] && strcmp(g->pci_address, j->pci_address) == 0));
}

/* Executors on it, under all drivers of the card. */
static uint32_t count_executors(const struct eject *j)
{
	const struct node *n = j->owner->node;
	const struct inventory_gpu *g;
	uint32_t count = 0;
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++)
		count += is_ours(j, g) ? executors_load(n->executors, g->id) : 0;
	return count;
}

static const char *kept_as(const char *id, const char *pci_address)
{
	return pci_address[0] ? pci_address : id;
}

/* Over a restart of the node, too. */
static void keep(struct node *n, const struct eject *j)
{
	const struct device_gpu *d =
		n->devices.model && j->pci_address[0] ? device_model_find_gpu(n->devices.model, j->pci_address) : NULL;
	(void)ejected_add(n->ejected, kept_as(j->id, j->pci_address), d ? d->incarnation : 0);
}

static void kill_executors(struct eject *j)
{
	struct node *n = j->owner->node;
	const struct inventory_gpu *g;
	j->killed = count_executors(j);
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++)
		if (is_ours(j, g))
			executors_kill_gpu(n->executors, g->id);
}

/* ---- ends ---- */

static void answer_peer(struct eject *j, uint32_t code, const char *text)
{
	Tbmesh__LeaveReply body = TBMESH__LEAVE_REPLY__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	body.request = j->request;
	body.code = code;
	body.message = (char *)text;
	message.body_case = TBMESH__PEER_MESSAGE__BODY_LEAVE_REPLY;
	message.leave_reply = &body;
	int r = mesh_send(j->owner->node->mesh, j->peer, &message);
	if (r < 0)
		log_debug("the answer to peer %s about %s: %s", j->peer, j->key, strerror(-r));
	job_free(j);
}

static void finish(struct eject *j)
{
	struct node *n = j->owner->node;
	Tbmesh__EjectReply body = TBMESH__EJECT_REPLY__INIT;
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	struct node_event e;
	if (j->peer[0]) {
		answer_peer(j, 0, "");
		return;
	}
	body.gpu = j->key;
	body.killed = j->killed;
	body.moved = j->executors - (j->killed < j->executors ? j->killed : j->executors);
	body.took_ms = (time_monotonic_ns() - j->started_ns) / 1000000;
	reply.id = j->request;
	reply.body_case = TBMESH__REPLY__BODY_EJECT;
	reply.eject = &body;
	body.was = j->was;
	if (!j->was) {
		keep(n, j);
		node_event_init(&e, "Ejected", j->key);
		node_event_field(&e, "moved", "%" PRIu32, body.moved);
		node_event_field(&e, "killed", "%" PRIu32, body.killed);
		node_event_field(&e, "duration_ms", "%" PRIu64, body.took_ms);
		node_event(n, &e);
	}
	api_reply(n->api, &j->from, &reply);
	job_free(j);
}

/* It stays in use, as if nobody had asked; what has left it meanwhile stays where it is. */
static void refuse(struct eject *j, uint32_t code, const char *why)
{
	struct node *n = j->owner->node;
	if (j->peer[0]) {
		answer_peer(j, code, why);
		return;
	}
	(void)inventory_set_ejected(n->inventory, j->id, false);
	(void)ejected_remove(n->ejected, kept_as(j->id, j->pci_address));
	api_fail(n->api, &j->from, j->request, code,
		"%s stays: %s. End that program, or use `tbmesh eject --force %s`: it loses its GPU then", j->key, why,
		j->id);
	job_free(j);
}

/* Its user has thought better of it. */
static void call_off(struct eject *j)
{
	struct node *n = j->owner->node;
	(void)inventory_set_ejected(n->inventory, j->id, false);
	(void)ejected_remove(n->ejected, kept_as(j->id, j->pci_address));
	api_fail(n->api, &j->from, j->request, 1,
		"%s stays: `tbmesh plug` called it off; what has left it stays where it is", j->key);
	job_free(j);
}

/* ---- the way there ---- */

static size_t leave_here(struct eject *j, size_t *ret_refused, char *why, size_t why_size)
{
	struct node *n = j->owner->node;
	const struct inventory_gpu *g;
	size_t there = 0;
	*ret_refused = 0;
	if (j->peer[0])
		return workloads_leave(n->workloads, j->key, j->order, ret_refused, why, why_size);
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++) {
		size_t refused;
		if (!is_ours(j, g))
			continue;
		there += workloads_leave(n->workloads, g->key, j->order, &refused, why, why_size);
		*ret_refused += refused;
	}
	return there;
}

static bool peers_answered(const struct eject *j)
{
	for (size_t i = 0; i < j->asked_count; i++)
		if (!j->asked[i].answered)
			return false;
	return true;
}

static void look(struct eject *j)
{
	char why[WHY_MAX] = "";
	size_t refused;
	size_t there = leave_here(j, &refused, why, sizeof why);
	uint32_t executors = j->peer[0] ? 0 : count_executors(j);
	if (there == 0 && executors == 0) {
		finish(j);
		return;
	}
	if (refused == 0 && !j->refusal[0])
		return;
	if (!j->force) {
		refuse(j, 1, refused > 0 ? why : j->refusal);
		return;
	}
	/* Those that can leave may do so first; the end of the executors comes here again. */
	if (there <= refused && peers_answered(j) && j->killed == 0)
		kill_executors(j);
}

static void out_of_time(void *ctx)
{
	struct eject *j = ctx;
	if (j->force && !j->peer[0] && j->killed == 0) {
		kill_executors(j);
		loop_timer_start(j->deadline, 5000, 0);
		return;
	}
	refuse(j, 5,
		j->killed ? "an executor can't be killed: it hangs in its driver"
			  : "a program on it did not come to a quiet point in time");
}

void eject_look(struct ejects *e)
{
	if (!e)
		return;
	list_for_each_safe(j, &e->list, struct eject, link)
		look(j);
}

static struct eject *job_new(struct ejects *e, uint32_t timeout_ms)
{
	struct eject *j = calloc(1, sizeof *j);
	if (!j)
		return NULL;
	j->owner = e;
	j->started_ns = time_monotonic_ns();
	j->deadline = loop_timer_create(e->node->loop, out_of_time, j);
	if (!j->deadline) {
		free(j);
		return NULL;
	}
	j->order = ++e->last_order;
	list_append(&e->list, &j->link);
	uint64_t standard_ms = e->node->config.migration_timeout_s * 2000ull;
	loop_timer_start(j->deadline,
		timeout_ms == 0                       ? standard_ms
			: timeout_ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS
						      : timeout_ms,
		0);
	return j;
}

static void ask_peers(struct eject *j, uint32_t timeout_ms)
{
	struct node *n = j->owner->node;
	size_t max = mesh_peers(n->mesh, NULL, 0);
	__attribute__((cleanup(free_pointer))) struct mesh_peer_info *peers = calloc(max + 1, sizeof *peers);
	size_t count = peers ? mesh_peers(n->mesh, peers, max) : 0;
	const struct inventory_gpu *g;
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++)
		for (size_t p = 0; is_ours(j, g) && p < count && j->asked_count < ASKED_MAX; p++) {
			Tbmesh__LeaveRequest body = TBMESH__LEAVE_REQUEST__INIT;
			Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
			if (!executors_of_peer(n->executors, g->id, peers[p].id))
				continue;
			body.request = j->order;
			body.gpu = (char *)g->id;
			body.timeout_ms = timeout_ms;
			message.body_case = TBMESH__PEER_MESSAGE__BODY_LEAVE_REQUEST;
			message.leave_request = &body;
			if (mesh_send(n->mesh, peers[p].id, &message) == 0)
				snprintf(j->asked[j->asked_count++].peer, sizeof j->asked[0].peer, "%s", peers[p].id);
		}
}

/* The GPU of this host that the user means; NULL: an answer was sent. */
static const struct inventory_gpu *find_gpu(
	struct ejects *e, const struct api_route *from, uint64_t request, const char *wish)
{
	struct node *n = e->node;
	const struct inventory_gpu *g, *found = NULL, *elsewhere = NULL;
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++) {
		const struct policy_gpu named = { .key = g->key, .name = g->name };
		if (!policy_gpu_matches(&named, wish))
			continue;
		if (g->peer[0]) {
			elsewhere = g;
		} else if (found && (!found->pci_address[0] || strcmp(found->pci_address, g->pci_address) != 0)) {
			api_fail(n->api, from, request, 2, "\"%s\" is several GPUs, %s and %s; say which", wish, found->id,
				g->id);
			return NULL;
		} else if (!found) {
			found = g;
		}
	}
	if (!found && elsewhere)
		api_fail(
			n->api, from, request, 4, "%s is not of this host; say this on %s", elsewhere->key, elsewhere->host);
	else if (!found)
		api_fail(n->api, from, request, 4, "no GPU of this host is called \"%s\"; `tbmesh gpus` lists them", wish);
	return found;
}

static void plug(
	struct node *n, const struct api_route *from, uint64_t request, const struct inventory_gpu *g, bool was_ejected)
{
	Tbmesh__EjectReply body = TBMESH__EJECT_REPLY__INIT;
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	body.gpu = (char *)g->key;
	body.was = !was_ejected;
	if (was_ejected) {
		struct node_event e;
		(void)inventory_set_ejected(n->inventory, g->id, false);
		(void)ejected_remove(n->ejected, kept_as(g->id, g->pci_address));
		node_event_init(&e, "Plugged", g->key);
		node_event(n, &e);
	}
	reply.id = request;
	reply.body_case = TBMESH__REPLY__BODY_EJECT;
	reply.eject = &body;
	api_reply(n->api, from, &reply);
}

/* The one that is under way for this GPU, under whichever driver of it. */
static struct eject *under_way(struct ejects *e, const struct inventory_gpu *g)
{
	list_for_each(j, &e->list, struct eject, link)
		if (!j->peer[0] && is_ours(j, g))
			return j;
	return NULL;
}

void eject_start(struct ejects *e, const struct api_route *from, uint64_t request, const Tbmesh__EjectRequest *r)
{
	struct node *n = e->node;
	const struct inventory_gpu *g = find_gpu(e, from, request, r->gpu);
	char why[WHY_MAX];
	if (!g)
		return;
	struct eject *running = under_way(e, g);
	if (r->plug) {
		bool was_ejected = g->ejected;
		if (running)
			call_off(running);
		plug(n, from, request, g, was_ejected);
		return;
	}
	if (running) {
		api_fail(n->api, from, request, 5, "%s is being ejected already; `tbmesh plug %s` calls that off", g->key,
			g->id);
		return;
	}
	if (g->state == GPU_GONE) {
		api_fail(n->api, from, request, 4, "%s is not plugged in", g->key);
		return;
	}
	struct eject *j = job_new(e, r->timeout_ms);
	if (!j) {
		api_fail(n->api, from, request, 1, "out of memory");
		return;
	}
	j->from = *from;
	j->request = request;
	j->force = r->force;
	j->was = g->ejected;
	snprintf(j->key, sizeof j->key, "%s", g->key);
	snprintf(j->id, sizeof j->id, "%s", g->id);
	snprintf(j->pci_address, sizeof j->pci_address, "%s", g->pci_address);
	j->executors = count_executors(j);
	(void)inventory_set_ejected(n->inventory, j->id, true);
	if (!r->force && !j->was && workloads_stuck_on(n->workloads, j->key, why, sizeof why)) {
		refuse(j, 1, why);
		return;
	}
	/* Peers hear that it is ejected before they are asked. */
	peer_send_state(n, NULL);
	ask_peers(j, r->timeout_ms);
	look(j);
}

/* ---- peers ---- */

void eject_peer_asks(struct ejects *e, const char *peer, const Tbmesh__LeaveRequest *r)
{
	struct node *n = e->node;
	const struct inventory_gpu *g, *found = NULL;
	char why[WHY_MAX];
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++)
		if (strcmp(g->peer, peer) == 0 && strcmp(g->id, r->gpu) == 0)
			found = g;
	struct eject *j = job_new(e, r->timeout_ms);
	if (!j)
		return; /* the peer's own deadline tells its user */
	snprintf(j->peer, sizeof j->peer, "%s", peer);
	j->request = r->request;
	if (!found) {
		answer_peer(j, 0, "");
		return;
	}
	snprintf(j->key, sizeof j->key, "%s", found->key);
	if (workloads_stuck_on(n->workloads, j->key, why, sizeof why))
		refuse(j, 1, why);
	else
		look(j);
}

void eject_peer_replied(struct ejects *e, const char *peer, const Tbmesh__LeaveReply *r)
{
	list_for_each_safe(j, &e->list, struct eject, link) {
		if (j->peer[0] || j->order != r->request)
			continue;
		for (size_t i = 0; i < j->asked_count; i++) {
			if (strcmp(j->asked[i].peer, peer) != 0)
				continue;
			j->asked[i].answered = true;
			if (r->code != 0)
				snprintf(j->refusal, sizeof j->refusal, "a program of another host: %.*s", WHY_MAX - 64,
					r->message[0] ? r->message : "it can't leave");
		}
		look(j);
		return;
	}
}

void eject_peer_down(struct ejects *e, const char *peer)
{
	list_for_each(j, &e->list, struct eject, link)
		for (size_t i = 0; i < j->asked_count; i++)
			if (strcmp(j->asked[i].peer, peer) == 0)
				j->asked[i].answered = true; /* its executors end by themselves */
}
