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

#include "base/buf.h"
#include "base/list.h"
#include "node/client.h"
#include "node/paths.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define TIMEOUT_MS 10000u
#define FOLLOW_MS 25000u /* the node answers earlier, if only with nothing */
#define RETRY_US 300000
#define FILTER_MAX_BYTES 4096 /* of a newer version's */
#define QUEUE_MAX 4096u       /* events that nobody fetches: then the thread waits */

struct waiting { /* its texts lie behind it */
	struct list link;
	struct tbmesh_event event;
};
struct host { /* how far the watch is with it */
	struct list link;
	char id[TBMESH_TEXT], name[TBMESH_TEXT];
	uint64_t number;
	uint64_t lost; /* to be told with its next event */
	bool restarted;
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
	/* the thread's, set before it starts */
	Tbmesh__EventsRequest *wanted; /* owned */
	struct list hosts;             /* of struct host; of several, or of a peer */
	struct host own;               /* of this host alone */
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
	list_init(&t->hosts);
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

static const char *put(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copied = *at;
	memcpy(copied, text, size);
	*at += size;
	return copied;
}

static struct waiting *read_event(const Tbmesh__Event *e, struct host *h)
{
	size_t texts = strlen(e->type) + strlen(e->subject) + strlen(e->node) + strlen(e->node_id) + 4;
	for (size_t i = 0; i < e->n_fields; i++)
		texts += strlen(e->fields[i]->name) + strlen(e->fields[i]->value) + 2;
	struct waiting *w = malloc(sizeof *w + e->n_fields * sizeof(struct tbmesh_field) + texts);
	if (!w)
		return NULL;
	struct tbmesh_field *fields = (struct tbmesh_field *)(w + 1);
	char *at = (char *)(fields + e->n_fields);
	w->event = (struct tbmesh_event){ .type = put(&at, e->type),
		.subject = put(&at, e->subject),
		.host = put(&at, e->node),
		.node_id = put(&at, e->node_id),
		.number = e->number,
		.incarnation = e->incarnation,
		.realtime_us = e->realtime_us,
		.field_count = e->n_fields,
		.fields = fields };
	for (size_t i = 0; i < e->n_fields; i++) {
		fields[i].name = put(&at, e->fields[i]->name);
		fields[i].value = put(&at, e->fields[i]->value);
	}
	if (h) {
		w->event.lost = h->lost;
		w->event.restarted = h->restarted;
		h->lost = 0;
		h->restarted = false;
	}
	return w;
}

static struct host *host_find(struct tbmesh *t, const char *id)
{
	list_for_each(h, &t->hosts, struct host, link)
		if (strcmp(h->id, id) == 0)
			return h;
	return NULL;
}

static struct host *host_add(struct tbmesh *t, const char *id, const char *name, uint64_t number)
{
	struct host *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	copy(h->id, sizeof h->id, id);
	copy(h->name, sizeof h->name, name);
	h->number = number;
	list_append(&t->hosts, &h->link);
	return h;
}

/* How far the answer goes with each host. */
static void take_positions(struct tbmesh *t, const Tbmesh__EventList *list)
{
	if (!list->n_at) {
		uint64_t since = t->own.number;
		t->own.lost += since ? list->lost : 0;
		t->own.restarted |= since && (since > list->newest || (list->lost && since + 1 < list->first));
		t->own.number = list->last;
	}
	for (size_t i = 0; i < list->n_at; i++) {
		const Tbmesh__EventsAt *at = list->at[i];
		struct host *h = host_find(t, at->node_id);
		if (!h)
			h = host_add(t, at->node_id, at->name, 0);
		if (!h)
			continue;
		h->number = at->number;
		h->lost += at->lost;
		h->restarted |= at->restarted || at->anew;
	}
}

/* With the mutex held. */
static void hand_over(struct tbmesh *t, const Tbmesh__EventList *list)
{
	take_positions(t, list);
	for (size_t i = 0; i < list->n_events && !t->ended; i++) {
		while (t->queued >= QUEUE_MAX && !t->ended)
			pthread_cond_wait(&t->changed, &t->mutex);
		struct host *h = list->n_at ? host_find(t, list->events[i]->node_id) : &t->own;
		struct waiting *w = read_event(list->events[i], h);
		if (!w) {
			if (h)
				h->lost++;
			continue;
		}
		list_append(&t->queue, &w->link);
		t->queued++;
		ssize_t written = write(t->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		(void)written; /* an eventfd takes it */
	}
}

/* The next question: behind what has come. */
static int follow_ask(struct tbmesh *t, struct client *client, uint64_t token, Tbmesh__Reply **ret)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__EventsRequest body = *t->wanted;
	size_t count = 0, i = 0;
	list_for_each(h, &t->hosts, struct host, link)
		count++;
	Tbmesh__EventsAt *at = calloc(count + 1, sizeof *at), **pointers = calloc(count + 1, sizeof *pointers);
	int r = at && pointers ? 0 : -ENOMEM;
	if (r == 0) {
		list_for_each(h, &t->hosts, struct host, link) {
			tbmesh__events_at__init(&at[i]);
			at[i].node_id = h->id;
			at[i].name = h->name;
			at[i].number = h->number;
			pointers[i] = &at[i];
			i++;
		}
		body.at = pointers;
		body.n_at = count;
		body.since = t->own.number;
		body.token = token;
		request.body_case = TBMESH__REQUEST__BODY_EVENTS;
		request.events = &body;
		r = client_request(client, &request, FOLLOW_MS, ret);
	}
	free(at);
	free(pointers);
	return r;
}

static void *follow(void *argument)
{
	struct tbmesh *t = argument;
	struct client *client = NULL;
	uint64_t token = 0;
	for (;;) {
		Tbmesh__Reply *reply = NULL;
		int r = client ? 0 : client_open(&t->paths, &client);
		pthread_mutex_lock(&t->mutex);
		t->follower = client;
		bool ended = t->ended;
		pthread_mutex_unlock(&t->mutex);
		if (ended)
			break;
		if (r == 0)
			r = follow_ask(t, client, token, &reply);
		pthread_mutex_lock(&t->mutex);
		if (r == 0 && reply->code == 0 && reply->body_case == TBMESH__REPLY__BODY_EVENTS) {
			token = reply->events->token;
			hand_over(t, reply->events);
		} else {
			t->follower = NULL;
		}
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

/* What the filter says, as the node wants it; its own copy. */
static int read_filter(struct tbmesh *t, const struct tbmesh_filter *filter)
{
	struct tbmesh_filter f = { 0 };
	Tbmesh__EventsRequest body = TBMESH__EVENTS_REQUEST__INIT;
	struct buf packed = { 0 };
	if (filter && (filter->size < sizeof filter->size || filter->size > FILTER_MAX_BYTES))
		return -EINVAL;
	if (filter)
		memcpy(&f, filter, filter->size < sizeof f ? filter->size : sizeof f);
	bool peer = f.host && f.host[0];
	if ((f.all_hosts && (peer || f.since)) || (!f.all_hosts && f.position_count))
		return -EINVAL;
	body.types = (char **)f.types;
	body.n_types = f.type_count;
	body.about = (char *)(f.about ? f.about : "");
	body.host = (char *)(peer ? f.host : "");
	body.all = f.all_hosts;
	body.follow = true;
	int r = message_pack(&body.base, &packed);
	if (r == 0) {
		t->wanted = tbmesh__events_request__unpack(NULL, packed.size, packed.data);
		r = t->wanted ? 0 : -ENOMEM;
	}
	buf_finish(&packed);
	for (size_t i = 0; r == 0 && i < f.position_count; i++)
		if (!host_add(t, f.positions[i].node_id, "", f.positions[i].number))
			r = -ENOMEM;
	t->own.number = f.since;
	return r == -EBADMSG ? -EINVAL : r;
}

/* Is there such a peer? One question, before the thread asks for ever. */
static int try_filter(struct tbmesh *t)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__EventsRequest body = *t->wanted;
	Tbmesh__Reply *reply;
	body.follow = false;
	body.max = 1;
	body.since = t->own.number;
	request.body_case = TBMESH__REQUEST__BODY_EVENTS;
	request.events = &body;
	int r = ask(t, &request, TBMESH__REPLY__BODY_EVENTS, &reply);
	if (r < 0)
		return r == -ETIMEDOUT && body.host[0] ? 0 : r; /* it is known, and not reached now */
	message_free_reply(reply);
	return 0;
}

static void forget_filter(struct tbmesh *t)
{
	list_for_each_safe(h, &t->hosts, struct host, link) {
		list_remove(&h->link);
		free(h);
	}
	if (t->wanted)
		tbmesh__events_request__free_unpacked(t->wanted, NULL);
	t->wanted = NULL;
	t->own = (struct host){ 0 };
}

int tbmesh_watch(struct tbmesh *t, const struct tbmesh_filter *f, tbmesh_event_fn *seen, void *ctx)
{
	sigset_t all, before;
	if (t->fd >= 0)
		return -EALREADY;
	int r = read_filter(t, f);
	if (r == 0 && t->wanted->host[0])
		r = try_filter(t);
	if (r < 0) {
		forget_filter(t);
		return r;
	}
	t->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->fd < 0) {
		r = -errno;
		forget_filter(t);
		return r;
	}
	t->seen = seen;
	t->ctx = ctx;
	sigfillset(&all); /* signals are the program's own threads' */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&t->thread, NULL, follow, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0) {
		close(t->fd);
		t->fd = -1;
		forget_filter(t);
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
		t->seen(t->ctx, &w->event);
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
	forget_filter(t);
	client_close(t->client);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}
