#include "mesh/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "mesh/bulk.h"
#include "proto/messages.h"

#define REPLY_MS 3000u

enum mesh_probe_state { PROBE_IDLE, PROBE_ASKED, PROBE_RUNNING };

struct mesh_probe {
	const struct mesh_probe_callbacks *callbacks;
	void *ctx;
	struct loop_timer *timer; /* waiting for the reply */
	int ended_fd;             /* eventfd: the thread is through */
	struct loop_io *ended_io;
	enum mesh_probe_state state;
	char peer_id[MESH_ID_SIZE];
	uint64_t request;
	bool asked_for; /* a person wants it: it costs the node's own budget nothing */
	/* The peer's probe, as the answering side: what ProbeResult is checked against. */
	char served_id[MESH_ID_SIZE];
	uint64_t served_request;
	uint64_t served_ns;
	bool served_asked_for;
	/* While running the thread has bulk; result is its last word. */
	struct mesh_bulk bulk;
	pthread_t thread;
	int result;
};

static void finish(struct mesh_probe *p)
{
	mesh_bulk_finish(&p->bulk);
	p->state = PROBE_IDLE;
}

static void text_of(const struct in6_addr *ip, char text[INET6_ADDRSTRLEN])
{
	inet_ntop(AF_INET6, ip, text, INET6_ADDRSTRLEN);
}

static void send_result(struct mesh_probe *p, const struct mesh_bulk *b)
{
	Tbmesh__ProbeRate rates[MESH_MAX_PEER_LINKS], *rate_list[MESH_MAX_PEER_LINKS];
	Tbmesh__ProbePath paths[MESH_MAX_PEER_LINKS];
	char texts[MESH_MAX_PEER_LINKS][2][INET6_ADDRSTRLEN];
	Tbmesh__ProbeResult result = TBMESH__PROBE_RESULT__INIT;
	Tbmesh__PeerMessage m = TBMESH__PEER_MESSAGE__INIT;
	for (size_t i = 0; i < b->path_count; i++) {
		tbmesh__probe_rate__init(&rates[i]);
		tbmesh__probe_path__init(&paths[i]);
		text_of(&b->paths[i].local, texts[i][0]);
		text_of(&b->paths[i].remote, texts[i][1]);
		paths[i].asker_address = texts[i][0];
		paths[i].other_address = texts[i][1];
		rates[i].path = &paths[i];
		rates[i].up_bps = b->paths[i].up_bps;
		rates[i].down_bps = b->paths[i].down_bps;
		rate_list[i] = &rates[i];
	}
	result.request = p->request;
	result.rates = rate_list;
	result.n_rates = b->path_count;
	result.aggregate_up_bps = b->aggregate_up_bps;
	result.aggregate_down_bps = b->aggregate_down_bps;
	result.unsteady = b->unsteady;
	m.body_case = TBMESH__PEER_MESSAGE__BODY_PROBE_RESULT;
	m.probe_result = &result;
	p->callbacks->send(p->ctx, p->peer_id, &m);
}

/* On the loop, when the thread is through. */
static void ended(void *ctx, unsigned events)
{
	struct mesh_probe *p = ctx;
	uint64_t wakes;
	(void)events;
	if (read(p->ended_fd, &wakes, sizeof wakes) != sizeof wakes || p->state != PROBE_RUNNING)
		return;
	pthread_join(p->thread, NULL);
	struct mesh_bulk *b = &p->bulk;
	char peer_id[MESH_ID_SIZE];
	memcpy(peer_id, p->peer_id, sizeof peer_id);
	int r = p->result;
	if (r < 0) {
		finish(p);
		p->callbacks->failed(p->ctx, peer_id, strerror(-r));
		return;
	}
	if (!b->asks) {
		finish(p); /* the asker has all numbers and tells them */
		return;
	}
	struct mesh_core_probe_rate rates[MESH_MAX_PEER_LINKS];
	size_t count = b->path_count;
	bool unsteady = b->unsteady;
	uint64_t up = b->aggregate_up_bps, down = b->aggregate_down_bps, duration = p->asked_for ? 0 : b->duration_ns;
	for (size_t i = 0; i < count; i++)
		rates[i] = (struct mesh_core_probe_rate){ b->paths[i].local, b->paths[i].remote, b->paths[i].up_bps,
			b->paths[i].down_bps };
	send_result(p, b);
	finish(p);
	p->callbacks->done(p->ctx, peer_id, rates, count, up, down, duration, unsteady);
}

static void *run_thread(void *ctx)
{
	struct mesh_probe *p = ctx;
	p->result = mesh_bulk_run(&p->bulk);
	ssize_t written = write(p->ended_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	(void)written; /* an eventfd takes it */
	return NULL;
}

static int start_thread(struct mesh_probe *p)
{
	int r = -pthread_create(&p->thread, NULL, run_thread, p);
	if (r == 0)
		p->state = PROBE_RUNNING;
	return r;
}

static void give_up(struct mesh_probe *p, const char *why)
{
	char peer_id[MESH_ID_SIZE];
	memcpy(peer_id, p->peer_id, sizeof peer_id);
	loop_timer_stop(p->timer);
	finish(p);
	log_debug("mesh: bandwidth probe with %s: %s", peer_id, why);
	p->callbacks->failed(p->ctx, peer_id, why);
}

static void no_reply(void *ctx)
{
	struct mesh_probe *p = ctx;
	if (p->state == PROBE_ASKED)
		give_up(p, "no reply");
}

void mesh_probe_ask(struct mesh_probe *p, const struct mesh_core_peer *peer, const struct mesh_bench_options *options)
{
	if (p->state != PROBE_IDLE) {
		p->callbacks->failed(p->ctx, peer->id, "busy");
		return;
	}
	struct mesh_bulk *b = &p->bulk;
	mesh_bulk_init(b);
	p->state = PROBE_ASKED;
	memcpy(p->peer_id, peer->id, sizeof p->peer_id);
	b->asks = true;
	p->asked_for = options != NULL;
	list_for_each(l, &peer->links, struct mesh_core_link, link) {
		if (l->state == MESH_LINK_UP && b->path_count < MESH_MAX_PEER_LINKS)
			b->paths[b->path_count++] =
				(struct mesh_bulk_path){ .local = l->local, .remote = l->address.ip, .ifindex = l->ifindex };
	}
	if (options) {
		b->ways = options->ways;
		b->streams = options->streams ? options->streams : 1;
		while (b->streams > 1 && b->path_count * b->streams > BULK_MAX_CONNECTIONS)
			b->streams--;
	}
	Tbmesh__ProbePath paths[MESH_MAX_PEER_LINKS], *path_list[MESH_MAX_PEER_LINKS];
	char texts[MESH_MAX_PEER_LINKS][2][INET6_ADDRSTRLEN];
	for (size_t i = 0; i < b->path_count; i++) {
		tbmesh__probe_path__init(&paths[i]);
		text_of(&b->paths[i].local, texts[i][0]);
		text_of(&b->paths[i].remote, texts[i][1]);
		paths[i].asker_address = texts[i][0];
		paths[i].other_address = texts[i][1];
		path_list[i] = &paths[i];
	}
	if (!b->path_count || random_bytes(b->token, sizeof b->token) < 0 ||
		random_bytes(&p->request, sizeof p->request) < 0) {
		give_up(p, "no link is up");
		return;
	}
	Tbmesh__ProbeRequest request = TBMESH__PROBE_REQUEST__INIT;
	Tbmesh__PeerMessage m = TBMESH__PEER_MESSAGE__INIT;
	request.request = p->request;
	request.paths = path_list;
	request.n_paths = b->path_count;
	request.budget_bytes = b->budget_bytes;
	request.budget_ms = b->budget_ms;
	request.asked_for = p->asked_for;
	request.streams = b->streams;
	request.ways = b->ways;
	request.token = (ProtobufCBinaryData){ sizeof b->token, b->token };
	m.body_case = TBMESH__PEER_MESSAGE__BODY_PROBE_REQUEST;
	m.probe_request = &request;
	loop_timer_start(p->timer, REPLY_MS, 0);
	if (p->callbacks->send(p->ctx, p->peer_id, &m) < 0)
		give_up(p, "it is far behind");
}

static void reply(
	struct mesh_probe *p, const char *peer_id, uint64_t request, uint32_t code, const char *text, uint16_t port)
{
	Tbmesh__ProbeReply r = TBMESH__PROBE_REPLY__INIT;
	Tbmesh__PeerMessage m = TBMESH__PEER_MESSAGE__INIT;
	r.request = request;
	r.code = code;
	r.message = (char *)text;
	r.port = port;
	m.body_case = TBMESH__PEER_MESSAGE__BODY_PROBE_REPLY;
	m.probe_reply = &r;
	p->callbacks->send(p->ctx, peer_id, &m);
}

static void handle_request(struct mesh_probe *p, const struct mesh_core_peer *peer, const Tbmesh__ProbeRequest *q)
{
	if (!q->n_paths || q->n_paths > MESH_MAX_PEER_LINKS || q->token.len != BULK_TOKEN_SIZE ||
		q->budget_bytes > BULK_BYTES || q->budget_ms > BULK_MS || q->streams > BULK_MAX_CONNECTIONS ||
		q->n_paths * q->streams > BULK_MAX_CONNECTIONS || q->ways > MESH_BENCH_DOWN) {
		reply(p, peer->id, q->request, 2, "more than a probe may take", 0);
		return;
	}
	if (p->state != PROBE_IDLE || !p->callbacks->accept(p->ctx, peer->id)) {
		reply(p, peer->id, q->request, 1, "busy", 0);
		return;
	}
	struct mesh_bulk *b = &p->bulk;
	mesh_bulk_init(b);
	b->path_count = q->n_paths;
	b->streams = q->streams ? q->streams : 1;
	b->ways = (enum mesh_bench_ways)q->ways;
	b->budget_bytes = q->budget_bytes;
	b->budget_ms = q->budget_ms;
	memcpy(b->token, q->token.data, sizeof b->token);
	memcpy(p->peer_id, peer->id, sizeof p->peer_id);
	memcpy(p->served_id, peer->id, sizeof p->served_id);
	p->served_request = q->request;
	p->served_ns = time_monotonic_ns();
	p->served_asked_for = q->asked_for;
	int r = mesh_bulk_listen(b);
	if (r == 0)
		r = start_thread(p);
	if (r < 0) {
		reply(p, peer->id, q->request, 1, strerror(-r), 0);
		give_up(p, strerror(-r));
		return;
	}
	reply(p, peer->id, q->request, 0, "", b->port);
}

static void handle_reply(struct mesh_probe *p, const struct mesh_core_peer *peer, const Tbmesh__ProbeReply *r)
{
	if (p->state != PROBE_ASKED || r->request != p->request || strcmp(peer->id, p->peer_id) != 0)
		return;
	if (r->code || !r->port || r->port > UINT16_MAX) {
		give_up(p, r->message && *r->message ? r->message : "refused");
		return;
	}
	loop_timer_stop(p->timer);
	p->bulk.port = (uint16_t)r->port;
	if (start_thread(p) < 0)
		give_up(p, "no thread to be had");
}

/* The asker's numbers, seen from here: its up is our down. */
static void handle_result(struct mesh_probe *p, const struct mesh_core_peer *peer, const Tbmesh__ProbeResult *r)
{
	struct mesh_core_probe_rate rates[MESH_MAX_PEER_LINKS];
	size_t count = 0;
	if (!*p->served_id || strcmp(peer->id, p->served_id) != 0 || r->request != p->served_request)
		return;
	p->served_id[0] = '\0';
	for (size_t i = 0; i < r->n_rates && count < MESH_MAX_PEER_LINKS; i++) {
		const Tbmesh__ProbeRate *rate = r->rates[i];
		struct mesh_core_probe_rate *to = &rates[count];
		if (!rate->path || inet_pton(AF_INET6, rate->path->asker_address, &to->remote) != 1 ||
			inet_pton(AF_INET6, rate->path->other_address, &to->local) != 1)
			continue;
		to->up_bps = rate->down_bps;
		to->down_bps = rate->up_bps;
		count++;
	}
	p->callbacks->done(p->ctx, peer->id, rates, count, r->aggregate_down_bps, r->aggregate_up_bps,
		p->served_asked_for ? 0 : time_monotonic_ns() - p->served_ns, r->unsteady);
}

void mesh_probe_message(struct mesh_probe *p, const struct mesh_core_peer *peer, const Tbmesh__PeerMessage *m)
{
	if (m->body_case == TBMESH__PEER_MESSAGE__BODY_PROBE_REQUEST)
		handle_request(p, peer, m->probe_request);
	else if (m->body_case == TBMESH__PEER_MESSAGE__BODY_PROBE_REPLY)
		handle_reply(p, peer, m->probe_reply);
	else if (m->body_case == TBMESH__PEER_MESSAGE__BODY_PROBE_RESULT)
		handle_result(p, peer, m->probe_result);
}

int mesh_probe_create(struct loop *l, const struct mesh_probe_callbacks *callbacks, void *ctx, struct mesh_probe **ret)
{
	struct mesh_probe *p = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	*p = (struct mesh_probe){ .callbacks = callbacks, .ctx = ctx, .ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (p->ended_fd >= 0)
		p->ended_io = loop_io_create(l, p->ended_fd, LOOP_READ, ended, p);
	p->timer = loop_timer_create(l, no_reply, p);
	if (!p->timer || !p->ended_io) {
		mesh_probe_destroy(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void mesh_probe_destroy(struct mesh_probe *p)
{
	if (!p)
		return;
	if (p->state == PROBE_RUNNING) {
		mesh_bulk_cancel(&p->bulk);
		pthread_join(p->thread, NULL);
	}
	if (p->state != PROBE_IDLE)
		finish(p);
	loop_timer_destroy(p->timer);
	loop_io_destroy(p->ended_io);
	if (p->ended_fd >= 0)
		close(p->ended_fd);
	free(p);
}
