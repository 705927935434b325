/* The library behind include/tbmesh/tbmesh.h: asks over the control socket; events come through a thread of their own. */
#include <tbmesh/tbmesh.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/list.h"
#include "node/client.h"
#include "node/paths.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define TIMEOUT_MS 10000u
#define FOLLOW_MS 25000u /* the node answers earlier, if only with nothing */
#define RETRY_US 300000
#define QUEUE_MAX 4096u /* events that nobody fetches: then the thread waits */

struct waiting {
	struct list link;
	struct tbmesh_event event;
	uint64_t lost;
};

struct tbmesh {
	struct node_paths paths;
	struct client *client; /* NULL: to be opened */
	/* set by tbmesh_watch */
	tbmesh_event_fn *seen;
	void *ctx;
	int fd; /* eventfd; -1 before */
	pthread_t thread;
	/* under mutex */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct list queue; /* of struct waiting */
	size_t queued;
	bool ended;
	struct client *follower; /* the thread's */
	/* the thread's */
	uint64_t since;
};

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

int tbmesh_connect(const char *root, struct tbmesh **ret)
{
	struct tbmesh *t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	t->fd = -1;
	list_init(&t->queue);
	int r = node_paths_init(&t->paths, root);
	if (r == 0)
		r = client_open(&t->paths, &t->client);
	if (r < 0) {
		free(t);
		return r;
	}
	pthread_mutex_init(&t->mutex, NULL);
	pthread_cond_init(&t->changed, NULL);
	*ret = t;
	return 0;
}

static int ask(struct tbmesh *t, Tbmesh__Request *request, Tbmesh__Reply__BodyCase expected, Tbmesh__Reply **ret)
{
	static const int errors[] = { [1] = -EIO, [2] = -EINVAL, [4] = -ENOENT, [5] = -ETIMEDOUT, [7] = -EACCES };
	Tbmesh__Reply *reply;
	int r = t->client ? 0 : client_open(&t->paths, &t->client);
	if (r == 0)
		r = client_request(t->client, request, TIMEOUT_MS, &reply);
	if (r < 0) {
		client_close(t->client);
		t->client = NULL;
		return r;
	}
	if (reply->code)
		r = reply->code < sizeof errors / sizeof errors[0] && errors[reply->code] ? errors[reply->code] : -EIO;
	else if (reply->body_case != expected)
		r = -EPROTO;
	if (r < 0)
		message_free_reply(reply);
	else
		*ret = reply;
	return r;
}

static int ask_list(struct tbmesh *t, Tbmesh__Request__BodyCase which, Tbmesh__Reply__BodyCase expected, Tbmesh__Reply **ret)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__ListRequest body = TBMESH__LIST_REQUEST__INIT;
	request.body_case = which;
	request.peers = &body; /* all lists are asked for by the same message */
	return ask(t, &request, expected, ret);
}

static struct tbmesh_rtt read_rtt(const Tbmesh__Rtt *r)
{
	if (!r)
		return (struct tbmesh_rtt){ 0 };
	return (struct tbmesh_rtt){ r->min_us, r->p50_us, r->p99_us, r->jitter_us, r->loss, r->samples, r->age_ms };
}

static struct tbmesh_bandwidth read_bandwidth(const Tbmesh__Bandwidth *b)
{
	struct tbmesh_bandwidth out = { 0 };
	if (b) {
		out.bps = b->bps;
		out.age_ms = b->age_ms;
		copy(out.source, sizeof out.source, b->source);
	}
	return out;
}

int tbmesh_status(struct tbmesh *t, struct tbmesh_status *ret)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__StatusRequest body = TBMESH__STATUS_REQUEST__INIT;
	Tbmesh__Reply *reply;
	request.body_case = TBMESH__REQUEST__BODY_STATUS;
	request.status = &body;
	int r = ask(t, &request, TBMESH__REPLY__BODY_STATUS, &reply);
	if (r < 0)
		return r;
	const Tbmesh__NodeStatus *s = reply->status;
	*ret = (struct tbmesh_status){ .uptime_ms = s->uptime_ms,
		.peers_up = s->peers_up,
		.links_up = s->links_up,
		.gpus = s->gpus,
		.workloads = s->workloads,
		.warnings = (unsigned)s->n_warnings,
		.mesh_up_bps = s->mesh_up_bps,
		.mesh_down_bps = s->mesh_down_bps };
	copy(ret->node_id, sizeof ret->node_id, s->node_id);
	copy(ret->name, sizeof ret->name, s->name);
	copy(ret->version, sizeof ret->version, s->version);
	copy(ret->best_peer, sizeof ret->best_peer, s->best_peer);
	message_free_reply(reply);
	return 0;
}

int tbmesh_peers(struct tbmesh *t, struct tbmesh_peer **ret, size_t *ret_count)
{
	Tbmesh__Reply *reply;
	int r = ask_list(t, TBMESH__REQUEST__BODY_PEERS, TBMESH__REPLY__BODY_PEERS, &reply);
	if (r < 0)
		return r;
	size_t count = reply->peers->n_peers;
	struct tbmesh_peer *out = calloc(count + 1, sizeof *out);
	for (size_t i = 0; out && i < count; i++) {
		const Tbmesh__Peer *p = reply->peers->peers[i];
		copy(out[i].node_id, sizeof out[i].node_id, p->node_id);
		copy(out[i].name, sizeof out[i].name, p->name);
		copy(out[i].version, sizeof out[i].version, p->version);
		copy(out[i].state, sizeof out[i].state, p->state);
		copy(out[i].best_link, sizeof out[i].best_link, p->best_link);
		copy(out[i].note, sizeof out[i].note, p->note);
		out[i].links_up = p->links_up;
		out[i].gpus = p->gpus;
		out[i].rtt = read_rtt(p->rtt);
		out[i].aggregate_up = read_bandwidth(p->aggregate_up);
		out[i].aggregate_down = read_bandwidth(p->aggregate_down);
	}
	message_free_reply(reply);
	if (!out)
		return -ENOMEM;
	*ret = out;
	*ret_count = count;
	return 0;
}

int tbmesh_links(struct tbmesh *t, struct tbmesh_link **ret, size_t *ret_count)
{
	Tbmesh__Reply *reply;
	int r = ask_list(t, TBMESH__REQUEST__BODY_LINKS, TBMESH__REPLY__BODY_LINKS, &reply);
	if (r < 0)
		return r;
	size_t count = reply->links->n_links;
	struct tbmesh_link *out = calloc(count + 1, sizeof *out);
	for (size_t i = 0; out && i < count; i++) {
		const Tbmesh__Link *l = reply->links->links[i];
		copy(out[i].id, sizeof out[i].id, l->id);
		copy(out[i].peer, sizeof out[i].peer, l->peer_name);
		copy(out[i].interface, sizeof out[i].interface, l->interface);
		copy(out[i].domain, sizeof out[i].domain, l->domain);
		copy(out[i].state, sizeof out[i].state, l->state);
		out[i].negotiated_tx_bps = l->negotiated_tx_bps;
		out[i].negotiated_rx_bps = l->negotiated_rx_bps;
		out[i].rtt = read_rtt(l->rtt);
		out[i].rtt_loaded = read_rtt(l->rtt_loaded);
		out[i].up = read_bandwidth(l->up);
		out[i].down = read_bandwidth(l->down);
		out[i].use_up_bps = l->use_up_bps;
		out[i].use_down_bps = l->use_down_bps;
	}
	message_free_reply(reply);
	if (!out)
		return -ENOMEM;
	*ret = out;
	*ret_count = count;
	return 0;
}

int tbmesh_best(struct tbmesh *t, const struct tbmesh_query *q, struct tbmesh_candidate **ret, size_t *ret_count)
{
	static const char *const criteria[] = { [TBMESH_FOR_LATENCY] = "latency",
		[TBMESH_FOR_FRAMES] = "frames",
		[TBMESH_FOR_OFFLOAD] = "offload",
		[TBMESH_FOR_CHECKPOINT] = "checkpoint" };
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__BestRequest body = TBMESH__BEST_REQUEST__INIT;
	Tbmesh__Reply *reply;
	if ((size_t)q->criterion >= sizeof criteria / sizeof criteria[0])
		return -EINVAL;
	body.criterion = (char *)criteria[q->criterion];
	body.width = q->width;
	body.height = q->height;
	body.fps = q->fps;
	body.bits_per_pixel = q->bits_per_pixel;
	request.body_case = TBMESH__REQUEST__BODY_BEST;
	request.best = &body;
	int r = ask(t, &request, TBMESH__REPLY__BODY_BEST, &reply);
	if (r < 0)
		return r;
	size_t count = reply->best->n_candidates;
	struct tbmesh_candidate *out = calloc(count + 1, sizeof *out);
	for (size_t i = 0; out && i < count; i++) {
		const Tbmesh__BestCandidate *c = reply->best->candidates[i];
		copy(out[i].peer, sizeof out[i].peer, c->peer);
		copy(out[i].reason, sizeof out[i].reason, c->reason);
		out[i].score = c->score;
		out[i].viable = c->viable;
		for (size_t k = 0; k < c->n_terms && k < TBMESH_MAX_TERMS; k++) {
			struct tbmesh_term *term = &out[i].terms[out[i].term_count++];
			copy(term->name, sizeof term->name, c->terms[k]->name);
			copy(term->unit, sizeof term->unit, c->terms[k]->unit);
			term->value = c->terms[k]->value;
			term->weight = c->terms[k]->weight;
			term->points = c->terms[k]->points;
		}
	}
	message_free_reply(reply);
	if (!out)
		return -ENOMEM;
	*ret = out;
	*ret_count = count;
	return 0;
}

int tbmesh_total(struct tbmesh *t, uint64_t *ret_up_bps, uint64_t *ret_down_bps)
{
	struct tbmesh_status s;
	int r = tbmesh_status(t, &s);
	if (r < 0)
		return r;
	*ret_up_bps = s.mesh_up_bps;
	*ret_down_bps = s.mesh_down_bps;
	return 0;
}

int tbmesh_active_peers(struct tbmesh *t, unsigned *ret)
{
	struct tbmesh_status s;
	int r = tbmesh_status(t, &s);
	if (r == 0)
		*ret = s.peers_up;
	return r;
}

int tbmesh_best_peer(struct tbmesh *t, const struct tbmesh_query *q, char ret[TBMESH_TEXT])
{
	struct tbmesh_candidate *list;
	size_t count;
	int r = tbmesh_best(t, q, &list, &count);
	if (r < 0)
		return r;
	r = count && list[0].viable ? 0 : -ENOENT;
	if (r == 0)
		memcpy(ret, list[0].peer, TBMESH_TEXT);
	tbmesh_free(list);
	return r;
}

void tbmesh_free(void *list)
{
	free(list);
}

/* ---- events ---- */

static struct waiting *read_event(const Tbmesh__Event *e, uint64_t lost)
{
	struct waiting *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->lost = lost;
	w->event.number = e->number;
	w->event.realtime_us = e->realtime_us;
	copy(w->event.type, sizeof w->event.type, e->type);
	copy(w->event.subject, sizeof w->event.subject, e->subject);
	for (size_t i = 0; i < e->n_fields && i < TBMESH_MAX_FIELDS; i++) {
		struct tbmesh_field *f = &w->event.fields[w->event.field_count++];
		copy(f->name, sizeof f->name, e->fields[i]->name);
		copy(f->value, sizeof f->value, e->fields[i]->value);
	}
	return w;
}

/* With the mutex held. */
static void hand_over(struct tbmesh *t, const Tbmesh__EventList *list)
{
	uint64_t lost = t->since ? list->lost : 0;
	for (size_t i = 0; i < list->n_events && !t->ended; i++) {
		while (t->queued >= QUEUE_MAX && !t->ended)
			pthread_cond_wait(&t->changed, &t->mutex);
		struct waiting *w = read_event(list->events[i], lost);
		lost = 0;
		if (!w)
			continue;
		list_append(&t->queue, &w->link);
		t->queued++;
		ssize_t written = write(t->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		(void)written; /* an eventfd takes it */
	}
	t->since = list->last;
}

static void *follow(void *argument)
{
	struct tbmesh *t = argument;
	struct client *client = NULL;
	for (;;) {
		Tbmesh__Request request = TBMESH__REQUEST__INIT;
		Tbmesh__EventsRequest body = TBMESH__EVENTS_REQUEST__INIT;
		Tbmesh__Reply *reply = NULL;
		int r = client ? 0 : client_open(&t->paths, &client);
		pthread_mutex_lock(&t->mutex);
		t->follower = client;
		bool ended = t->ended;
		pthread_mutex_unlock(&t->mutex);
		if (ended)
			break;
		body.since = t->since;
		body.follow = true;
		request.body_case = TBMESH__REQUEST__BODY_EVENTS;
		request.events = &body;
		if (r == 0)
			r = client_request(client, &request, FOLLOW_MS, &reply);
		pthread_mutex_lock(&t->mutex);
		if (r == 0 && reply->code == 0 && reply->body_case == TBMESH__REPLY__BODY_EVENTS)
			hand_over(t, reply->events);
		else
			t->follower = NULL;
		bool failed = !t->follower;
		ended = t->ended;
		pthread_mutex_unlock(&t->mutex);
		if (reply)
			message_free_reply(reply);
		if (ended)
			break;
		if (failed) { /* the node is away, or another one now */
			client_close(client);
			client = NULL;
			usleep(RETRY_US);
		}
	}
	client_close(client);
	return NULL;
}

int tbmesh_watch(struct tbmesh *t, uint64_t since, tbmesh_event_fn *seen, void *ctx)
{
	sigset_t all, before;
	if (t->fd >= 0)
		return -EALREADY;
	t->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->fd < 0)
		return -errno;
	t->since = since;
	t->seen = seen;
	t->ctx = ctx;
	sigfillset(&all); /* signals are the program's own threads' */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = -pthread_create(&t->thread, NULL, follow, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0) {
		close(t->fd);
		t->fd = -1;
	}
	return r;
}

int tbmesh_fd(const struct tbmesh *t)
{
	return t->fd >= 0 ? t->fd : -EINVAL;
}

int tbmesh_dispatch(struct tbmesh *t)
{
	int count = 0;
	uint64_t wakes;
	if (t->fd < 0)
		return -EINVAL;
	ssize_t size = read(t->fd, &wakes, sizeof wakes);
	(void)size; /* nothing there: nothing to do below */
	for (;;) {
		pthread_mutex_lock(&t->mutex);
		struct waiting *w = list_empty(&t->queue) ? NULL : list_entry(t->queue.next, struct waiting, link);
		if (w) {
			list_remove(&w->link);
			t->queued--;
			pthread_cond_signal(&t->changed);
		}
		pthread_mutex_unlock(&t->mutex);
		if (!w)
			return count;
		t->seen(t->ctx, &w->event, w->lost);
		free(w);
		count++;
	}
}

void tbmesh_close(struct tbmesh *t)
{
	if (!t)
		return;
	if (t->fd >= 0) {
		pthread_mutex_lock(&t->mutex);
		t->ended = true;
		pthread_cond_signal(&t->changed);
		if (t->follower)
			client_interrupt(t->follower);
		pthread_mutex_unlock(&t->mutex);
		pthread_join(t->thread, NULL);
		close(t->fd);
	}
	list_for_each_safe(w, &t->queue, struct waiting, link)
		free(w);
	client_close(t->client);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}
