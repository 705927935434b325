#include "node/event_watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "node/api.h"
#include "node/arena.h"
#include "node/event_track.h"
#include "node/node.h"
#include "node/peer.h"
#include "node/view.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define WATCHES_MAX 64
#define SOURCES_MAX (MESH_MAX_PEERS + 1)
#define EVENTS_AT_ONCE 256
#define QUEUE_MAX 512u /* of a watch: what comes then is asked for when there is room */
#define ASKS_MAX 4u    /* of a watch at the same time: an answer may bring 256 */
#define TICK_MS 1000
#define ANSWER_NS 5000000000ull
#define FOLLOW_NS 20000000000ull /* an empty answer after that, as api.c gives */
#define SETTLE_NS 1000000000ull  /* so long who has answered waits for who has not, so that events come sorted by time */
#define LEASE_NS 60000000000ull  /* a client that is away for longer starts anew with what it says in `at` */

struct queued {
	struct list link;
	Tbmesh__Event *event; /* owned */
};

/* A peer of which a watch hands on the events. */
struct source {
	struct list link;
	struct watch *watch;
	char id[MESH_ID_SIZE], name[MESH_NAME_SIZE];
	struct event_track track;
	uint64_t asked_number, asked_ns, asked_since; /* of the question under way: track.asking */
	struct list queue;                            /* of struct queued, in order */
	/* To be told with the next answer. */
	uint64_t lost;
	bool restarted, anew, changed;
	bool unreached;
	char note[128];
};

struct watch {
	struct list link;
	struct event_watches *all;
	Tbmesh__EventsRequest *wanted; /* owned: filters, host, all, follow */
	struct list sources;
	size_t source_count, queued_count, asks;
	uint64_t own_at, own_lost; /* this node's own, with `all` */
	bool own_restarted, own_anew;
	uint64_t token;
	/* The question that waits for its answer. */
	bool waiting;
	struct api_route route;
	uint64_t request, since_ns;
	uint64_t lease_ns; /* when nobody waits: the watch goes then */
};

struct event_watches {
	struct node *node;
	struct list list;
	size_t count;
	uint64_t last_number, last_token;
	struct loop_timer *timer;
};

/* ---- life ---- */

static bool is_followed(const struct event_watches *all, const char *peer)
{
	list_for_each(w, &all->list, struct watch, link) {
		list_for_each(s, &w->sources, struct source, link)
			if (w->wanted->follow && strcmp(s->id, peer) == 0)
				return true;
	}
	return false;
}

static void unqueue(struct source *s, struct queued *q)
{
	list_remove(&q->link);
	s->watch->queued_count--;
	tbmesh__event__free_unpacked(q->event, NULL);
	free(q);
}

static void watch_free(struct watch *w)
{
	struct event_watches *all = w->all;
	list_remove(&w->link);
	all->count--;
	list_for_each_safe(s, &w->sources, struct source, link) {
		list_for_each_safe(q, &s->queue, struct queued, link)
			unqueue(s, q);
		if (all->node->mesh && !is_followed(all, s->id))
			mesh_unsubscribe(all->node->mesh, s->id);
		free(s);
	}
	tbmesh__events_request__free_unpacked(w->wanted, NULL);
	free(w);
	if (!all->count)
		loop_timer_stop(all->timer);
}

static struct source *source_find(struct watch *w, const char *peer)
{
	list_for_each(s, &w->sources, struct source, link)
		if (strcmp(s->id, peer) == 0)
			return s;
	return NULL;
}

static void subscribe(struct source *s)
{
	struct node *n = s->watch->all->node;
	uint16_t port = peers_events_port(n->peers, s->id);
	int r = s->watch->wanted->follow && port ? mesh_subscribe(n->mesh, s->id, port) : 0;
	if (r < 0)
		log_debug("cannot follow the events of %s: %s", s->name, strerror(-r));
}

static struct source *source_add(struct watch *w, const char *id, const char *name, uint64_t since)
{
	struct source *s = w->source_count < SOURCES_MAX ? calloc(1, sizeof *s) : NULL;
	if (!s)
		return NULL;
	s->watch = w;
	snprintf(s->id, sizeof s->id, "%s", id);
	snprintf(s->name, sizeof s->name, "%s", name);
	event_track_init(&s->track, since);
	list_init(&s->queue);
	list_append(&w->sources, &s->link);
	w->source_count++;
	subscribe(s);
	return s;
}

/* ---- asking peers ---- */

static void set_unreached(struct source *s, bool unreached, const char *note)
{
	if (s->unreached == unreached)
		return;
	s->unreached = unreached;
	s->changed = true;
	snprintf(s->note, sizeof s->note, "%s", note);
}

static void ask(struct source *s)
{
	struct watch *w = s->watch;
	Tbmesh__EventsRequest wanted = *w->wanted;
	Tbmesh__EventsAsk body = TBMESH__EVENTS_ASK__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	wanted.host = (char *)"";
	wanted.follow = wanted.all = false;
	wanted.n_at = 0;
	wanted.token = 0;
	wanted.max = EVENTS_AT_ONCE;
	wanted.since = s->asked_since = s->track.have;
	body.request = s->asked_number = ++w->all->last_number;
	body.wanted = &wanted;
	message.body_case = TBMESH__PEER_MESSAGE__BODY_EVENTS_ASK;
	message.events_ask = &body;
	int error = mesh_send(w->all->node->mesh, s->id, &message);
	s->asked_ns = time_monotonic_ns();
	event_track_asked(&s->track);
	if (error < 0) {
		char note[sizeof s->note];
		snprintf(note, sizeof note, "%s cannot be asked: %s", s->name, strerror(-error));
		event_track_failed(&s->track);
		set_unreached(s, true, note);
		return;
	}
	w->asks++;
}

static void failed(struct source *s, const char *note)
{
	if (s->track.asking)
		s->watch->asks--;
	event_track_failed(&s->track);
	set_unreached(s, true, note);
}

/* ---- answers to the client ---- */

static bool matches(const Tbmesh__Event *e, const Tbmesh__EventsRequest *wanted)
{
	if (!event_is_of(e->type, wanted->types, wanted->n_types))
		return false;
	bool found = !wanted->about[0] || event_is_about(e->subject, wanted->about);
	for (size_t i = 0; i < e->n_fields; i++)
		found |= event_is_about(e->fields[i]->value, wanted->about);
	return found;
}

/* The next of this node's own that it wants, or NULL. What it does not want is behind it then. */
static const struct node_event *own_next(struct watch *w)
{
	struct event_log *log = w->all->node->events;
	const struct node_event *e;
	if (!w->wanted->all)
		return NULL;
	if (w->own_at > 0)
		w->own_lost += event_log_lost(log, w->own_at);
	while ((e = event_log_next(log, w->own_at)) != NULL) {
		if (event_matches(e, w->wanted->types, w->wanted->n_types, w->wanted->about))
			return e;
		w->own_at = e->number;
	}
	return NULL;
}

/* Whose next event is the oldest. NULL: none has one. */
static struct source *oldest(struct watch *w)
{
	struct source *best = NULL;
	uint64_t best_us = 0;
	list_for_each(s, &w->sources, struct source, link) {
		if (list_empty(&s->queue))
			continue;
		uint64_t us = list_entry(s->queue.next, struct queued, link)->event->realtime_us;
		if (!best || us < best_us) {
			best = s;
			best_us = us;
		}
	}
	return best;
}

static void fill_at(struct watch *w, Tbmesh__EventList *list, struct arena *a)
{
	struct node *n = w->all->node;
	size_t max = w->source_count + 1;
	Tbmesh__EventsAt *at = arena_alloc(a, max * sizeof *at);
	list->at = arena_alloc(a, max * sizeof *list->at);
	if (!at || !list->at)
		return;
	for (size_t i = 0; i < max; i++) {
		tbmesh__events_at__init(&at[i]);
		list->at[i] = &at[i];
	}
	if (w->wanted->all) {
		Tbmesh__EventsAt *own = &at[list->n_at++];
		own->node_id = (char *)n->identity.id;
		own->name = n->config.name;
		own->number = w->own_at;
		own->lost = w->own_lost;
		own->restarted = w->own_restarted;
		own->anew = w->own_anew;
		w->own_lost = 0;
		w->own_restarted = w->own_anew = false;
	}
	list_for_each(s, &w->sources, struct source, link) {
		Tbmesh__EventsAt *one = &at[list->n_at++];
		one->node_id = arena_text(a, s->id);
		one->name = arena_text(a, s->name);
		one->number = list_empty(&s->queue) ? s->track.have
						    : list_entry(s->queue.next, struct queued, link)->event->number - 1;
		one->lost = s->lost;
		one->restarted = s->restarted;
		one->anew = s->anew;
		one->unreached = s->unreached;
		one->note = arena_text(a, s->note);
		s->lost = 0;
		s->restarted = s->anew = s->changed = false;
		if (!w->wanted->all) { /* the only one: as its own node would say */
			list->last = one->number;
			list->lost = one->lost;
			list->newest = s->track.known;
			list->incarnation = s->track.incarnation;
		}
	}
}

static bool settled(const struct watch *w)
{
	list_for_each(s, &w->sources, struct source, link)
		if (!s->unreached && !event_track_settled(&s->track))
			return false;
	return true;
}

static bool has_something(struct watch *w)
{
	if (w->queued_count || own_next(w) || w->own_lost)
		return true;
	list_for_each(s, &w->sources, struct source, link)
		if (s->changed || s->lost)
			return true;
	return false;
}

static bool is_due(struct watch *w)
{
	uint64_t waited_ns = time_monotonic_ns() - w->since_ns;
	bool whole = settled(w) || w->queued_count >= EVENTS_AT_ONCE;
	if (!w->wanted->follow)
		return whole;
	return waited_ns >= FOLLOW_NS || (has_something(w) && (whole || waited_ns >= SETTLE_NS));
}

/* One peer, no `follow`, and it cannot be asked: that is the answer. */
static bool refuse(struct watch *w)
{
	struct source *s = list_empty(&w->sources) ? NULL : list_entry(w->sources.next, struct source, link);
	if (w->wanted->all || w->wanted->follow || !s || !s->unreached || w->queued_count)
		return false;
	api_fail(w->all->node->api, &w->route, w->request, 5, "%s", s->note);
	watch_free(w);
	return true;
}

static void answer(struct watch *w)
{
	struct arena a = { 0 };
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	Tbmesh__EventList list = TBMESH__EVENT_LIST__INIT;
	Tbmesh__Event *events[EVENTS_AT_ONCE];
	struct node *n = w->all->node;
	struct list sent;
	list_init(&sent);
	list.events = events;
	while (list.n_events < EVENTS_AT_ONCE) {
		const struct node_event *own = own_next(w);
		struct source *s = oldest(w);
		if (!own && !s)
			break;
		struct queued *q = s ? list_entry(s->queue.next, struct queued, link) : NULL;
		if (own && (!q || own->realtime_us <= q->event->realtime_us)) {
			Tbmesh__Event *m = view_event(n, own, &a);
			if (!m)
				break;
			events[list.n_events++] = m;
			w->own_at = own->number;
			continue;
		}
		list_remove(&q->link);
		list_append(&sent, &q->link);
		w->queued_count--;
		events[list.n_events++] = q->event;
	}
	fill_at(w, &list, &a);
	bool over = !w->wanted->follow && settled(w) && !w->queued_count && !own_next(w);
	w->token = list.token = over ? 0 : ++w->all->last_token;
	reply.id = w->request;
	reply.body_case = TBMESH__REPLY__BODY_EVENTS;
	reply.events = &list;
	if (a.failed)
		api_fail(n->api, &w->route, w->request, 1, "out of memory");
	else
		api_reply(n->api, &w->route, &reply);
	arena_finish(&a);
	list_for_each_safe(q, &sent, struct queued, link) {
		list_remove(&q->link);
		tbmesh__event__free_unpacked(q->event, NULL);
		free(q);
	}
	w->waiting = false;
	w->lease_ns = time_monotonic_ns() + LEASE_NS;
	if (over)
		watch_free(w);
}

/* After each change: asks what is to be asked, and answers who waits. May free it. */
static void go_on(struct watch *w)
{
	list_for_each(s, &w->sources, struct source, link)
		if (w->asks < ASKS_MAX && w->queued_count < QUEUE_MAX && !s->unreached && event_track_must_ask(&s->track))
			ask(s);
	if (w->waiting && is_due(w) && !refuse(w))
		answer(w);
}

static void tick(void *ctx)
{
	struct event_watches *all = ctx;
	uint64_t now_ns = time_monotonic_ns();
	list_for_each_safe(w, &all->list, struct watch, link) {
		if (!w->waiting && now_ns >= w->lease_ns) {
			watch_free(w);
			continue;
		}
		list_for_each(s, &w->sources, struct source, link) {
			char note[sizeof s->note];
			if (!s->track.asking || now_ns - s->asked_ns < ANSWER_NS)
				continue;
			snprintf(note, sizeof note, "%s did not answer", s->name);
			failed(s, note);
		}
		go_on(w);
	}
}

/* ---- a client's question ---- */

static Tbmesh__EventsRequest *clone_request(const Tbmesh__EventsRequest *r)
{
	struct buf packed = { 0 };
	Tbmesh__EventsRequest *copy = NULL;
	if (message_pack(&r->base, &packed) == 0)
		copy = tbmesh__events_request__unpack(NULL, packed.size, packed.data);
	buf_finish(&packed);
	return copy;
}

static struct watch *watch_find(struct event_watches *all, uint64_t token)
{
	list_for_each(w, &all->list, struct watch, link)
		if (token && w->token == token)
			return w;
	return NULL;
}

/* Who is not asking just now can begin anew with what it says in `at`: the one that is away longest makes way. */
static void make_room(struct event_watches *all)
{
	struct watch *idle = NULL;
	list_for_each(w, &all->list, struct watch, link)
		if (!w->waiting && (!idle || w->lease_ns < idle->lease_ns))
			idle = w;
	if (idle)
		watch_free(idle);
}

static struct watch *watch_new(struct event_watches *all, const Tbmesh__EventsRequest *r)
{
	if (all->count == WATCHES_MAX)
		make_room(all);
	struct watch *w = all->count < WATCHES_MAX ? calloc(1, sizeof *w) : NULL;
	Tbmesh__EventsRequest *wanted = w ? clone_request(r) : NULL;
	if (!wanted) {
		free(w);
		return NULL;
	}
	w->all = all;
	w->wanted = wanted;
	list_init(&w->sources);
	list_append(&all->list, &w->link);
	if (all->count++ == 0)
		loop_timer_start(all->timer, TICK_MS, TICK_MS);
	return w;
}

static void add_own(struct watch *w, uint64_t since)
{
	const struct event_log *log = w->all->node->events;
	w->own_anew = since > event_log_last(log);
	w->own_at = w->own_anew ? 0 : since;
	w->own_restarted = !w->own_anew && since > 0 && since + 1 < event_log_first(log);
}

/* How far the client is with it. A person writes names, programs ids. */
static bool find_at(const struct watch *w, const char *id, const char *name, uint64_t *ret)
{
	for (size_t i = 0; i < w->wanted->n_at; i++) {
		const Tbmesh__EventsAt *at = w->wanted->at[i];
		if (at->node_id[0] ? strcmp(at->node_id, id) != 0 : strcmp(at->name, name) != 0)
			continue;
		*ret = at->number;
		return true;
	}
	return false;
}

/* This node, its peers, and whom else the client knows from before. NULL, or a name that nobody has. */
static const char *add_all(struct watch *w)
{
	struct node *n = w->all->node;
	struct mesh_peer_info *peers = calloc(MESH_MAX_PEERS, sizeof *peers);
	size_t count = peers ? mesh_peers(n->mesh, peers, MESH_MAX_PEERS) : 0;
	const char *nobody = NULL;
	uint64_t since = 0;
	if (find_at(w, n->identity.id, n->config.name, &since))
		add_own(w, since);
	for (size_t i = 0; i < count && i < MESH_MAX_PEERS; i++) {
		since = 0;
		bool known = find_at(w, peers[i].id, peers[i].name, &since);
		if (known || peers[i].state != MESH_PEER_DEAD)
			source_add(w, peers[i].id, peers[i].name, since);
	}
	for (size_t i = 0; i < w->wanted->n_at; i++) {
		const Tbmesh__EventsAt *at = w->wanted->at[i];
		bool there = strcmp(at->node_id[0] ? at->node_id : at->name,
				     at->node_id[0] ? n->identity.id : n->config.name) == 0;
		list_for_each(s, &w->sources, struct source, link)
			there |= strcmp(at->node_id[0] ? s->id : s->name, at->node_id[0] ? at->node_id : at->name) == 0;
		if (!there && at->node_id[0])
			source_add(w, at->node_id, at->name, at->number);
		else if (!there)
			nobody = at->name;
	}
	free(peers);
	return nobody;
}

/* 0, or the code of a failure that the client was told. */
static int add_sources(struct watch *w, const struct api_route *from, uint64_t request)
{
	struct node *n = w->all->node;
	const Tbmesh__EventsRequest *r = w->wanted;
	struct mesh_peer_info info;
	if (r->all) {
		const char *nobody = add_all(w);
		if (nobody)
			api_fail(n->api, from, request, 4, "no host is called \"%s\"; see `tbmesh peers`", nobody);
		return nobody ? 4 : 0;
	}
	if (mesh_peer(n->mesh, r->host, &info) < 0) {
		api_fail(n->api, from, request, 4, "no peer is called \"%s\"; see `tbmesh peers`", r->host);
		return 4;
	}
	uint64_t since = r->since;
	for (size_t i = 0; i < r->n_at; i++)
		if (strcmp(r->at[i]->node_id, info.id) == 0)
			since = r->at[i]->number;
	source_add(w, info.id, info.name, since);
	return 0;
}

void event_watches_start(
	struct event_watches *all, const struct api_route *from, uint64_t request, const Tbmesh__EventsRequest *r)
{
	struct watch *w = watch_find(all, r->token);
	if (!w) {
		w = watch_new(all, r);
		if (!w) {
			api_fail(all->node->api, from, request, 1, "too many follow the events of peers");
			return;
		}
		if (add_sources(w, from, request) != 0) {
			watch_free(w);
			return;
		}
	}
	w->route = *from;
	w->request = request;
	w->since_ns = time_monotonic_ns();
	w->waiting = true;
	go_on(w);
}

void event_watches_own(struct event_watches *all)
{
	list_for_each_safe(w, &all->list, struct watch, link)
		if (w->waiting && w->wanted->all)
			go_on(w);
}

/* ---- what peers say ---- */

static void queue(struct source *s, const Tbmesh__Event *e)
{
	struct buf packed = { 0 };
	Tbmesh__Event event = *e;
	struct queued *q = calloc(1, sizeof *q);
	event.node_id = s->id; /* proved, whatever it says */
	if (q && message_pack(&event.base, &packed) == 0)
		q->event = tbmesh__event__unpack(NULL, packed.size, packed.data);
	buf_finish(&packed);
	if (!q || !q->event) {
		free(q);
		s->lost++;
		return;
	}
	list_append(&s->queue, &q->link);
	s->watch->queued_count++;
}

void event_watches_published(struct event_watches *all, const char *peer, const Tbmesh__PeerMessage *m)
{
	const Tbmesh__Event *e = m->body_case == TBMESH__PEER_MESSAGE__BODY_EVENT ? m->event->event : NULL;
	if (!e)
		return;
	list_for_each_safe(w, &all->list, struct watch, link) {
		struct source *s = source_find(w, peer);
		if (!s || !w->wanted->follow)
			continue;
		set_unreached(s, false, "");
		if (event_track_published(&s->track, m->incarnation, e->number, w->queued_count < QUEUE_MAX) &&
			matches(e, w->wanted))
			queue(s, e);
		go_on(w);
	}
}

void event_watches_subscribed(struct event_watches *all, const char *peer)
{
	list_for_each_safe(w, &all->list, struct watch, link) {
		struct source *s = source_find(w, peer);
		if (!s)
			continue;
		event_track_connected(&s->track);
		set_unreached(s, false, "");
		go_on(w);
	}
}

void event_watches_told(struct event_watches *all, const char *peer, uint64_t incarnation, uint64_t last, uint32_t port)
{
	struct mesh_peer_info info;
	list_for_each_safe(w, &all->list, struct watch, link) {
		struct source *s = source_find(w, peer);
		if (!s && w->wanted->all && w->wanted->follow && mesh_peer(all->node->mesh, peer, &info) == 0)
			s = source_add(w, peer, info.name, 0);
		if (!s)
			continue;
		event_track_told(&s->track, incarnation, last);
		set_unreached(s, false, "");
		subscribe(s);
		if (w->wanted->follow && !port && !s->note[0]) {
			snprintf(s->note, sizeof s->note, "%s runs an older tbmesh, which does not publish its events",
				s->name);
			s->changed = true;
		}
		go_on(w);
	}
}

void event_watches_peer_down(struct event_watches *all, const char *peer)
{
	list_for_each_safe(w, &all->list, struct watch, link) {
		struct source *s = source_find(w, peer);
		char note[sizeof s->note];
		if (!s)
			continue;
		snprintf(note, sizeof note, "%s is not reached; its events come when it is back", s->name);
		failed(s, note);
		go_on(w);
	}
}

void event_watches_answered(struct event_watches *all, const char *peer, const Tbmesh__EventsAnswer *m)
{
	list_for_each_safe(w, &all->list, struct watch, link) {
		struct source *s = source_find(w, peer);
		const Tbmesh__EventList *l = m->events;
		if (!s || !s->track.asking || s->asked_number != m->request)
			continue;
		if (!l) {
			failed(s, "it answered nothing");
			go_on(w);
			continue;
		}
		w->asks--;
		/* An older node does not say how far its numbers are: an answer without events is the last one. */
		uint64_t newest = l->newest ? l->newest : l->last + (l->n_events > 0);
		if (s->asked_since > 0 && l->last >= s->asked_since) {
			s->lost += l->lost;
			s->restarted |= l->lost > 0 && s->asked_since + 1 < l->first;
		}
		s->anew |= l->last < s->asked_since;
		event_track_answered(&s->track, l->incarnation, l->last, newest);
		set_unreached(s, false, "");
		for (size_t i = 0; i < l->n_events; i++)
			queue(s, l->events[i]);
		go_on(w);
	}
}

void event_watches_asked(struct node *n, const char *peer, const Tbmesh__EventsAsk *m)
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

struct event_watches *event_watches_create(struct node *n)
{
	struct event_watches *all = calloc(1, sizeof *all);
	if (!all)
		return NULL;
	all->node = n;
	list_init(&all->list);
	/* An answer, and a token, of the node that was here before is not ours. */
	all->last_number = all->last_token = time_realtime_us();
	all->timer = loop_timer_create(n->loop, tick, all);
	if (!all->timer) {
		free(all);
		return NULL;
	}
	return all;
}

void event_watches_destroy(struct event_watches *all)
{
	if (!all)
		return;
	list_for_each_safe(w, &all->list, struct watch, link)
		watch_free(w);
	loop_timer_destroy(all->timer);
	free(all);
}
