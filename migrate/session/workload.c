/* One workload: a VkDevice of the program. This file joins the core with sockets, clock, threads and the node.
 *
 * Threads: this one (the loop: node, program, timers), and two for each epoch (epoch.c). The core is under one mutex; what it asks
 * of the loop while another thread holds that, is noted and posted. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"
#include "migrate/session/epoch.h"
#include "migrate/session/node_link.h"
#include "migrate/session/options.h"
#include "migrate/session/outbox.h"
#include "migrate/session/report.h"
#include "proto/ipc.h"
#include "proto/messages.h"

#define TICK_MS 100
#define REPORT_MS 1000
#define NODE_LOOK_MS 500                   /* while an executor was asked for */
#define GOODBYE_MS 2000                    /* for the node to take the last report */
#define CHECKPOINT_EVENT_NS 10000000000ull /* one event in so long */

struct workload {
	const struct session_options *options;
	struct loop *loop;
	struct node_link *node;
	struct loop_io *program_io, *process_io;
	int process_fd; /* pidfd of the program, -1 */
	struct loop_timer *tick_timer, *report_timer, *node_timer, *goodbye_timer;
	int program_fd;
	struct report_facts facts;

	struct ring log;
	struct outbox outbox;
	struct epoch_host host;

	pthread_mutex_t mutex; /* all below, up to the next line */
	struct session_core *core;
	struct epoch *epoch;        /* the current one, owned */
	struct list closed;         /* epochs to be destroyed by the loop, owned */
	struct epoch_target target; /* of the executor that was just acquired */
	struct {
		bool wanted;
		uint64_t request;
		char exclude[SESSION_MAX_EXCLUDED + 1][SESSION_TEXT];
		size_t exclude_count;
		char prefer[SESSION_TEXT];
	} ask;
	struct report_events events;
	uint64_t log_head; /* as last read */
	uint64_t checkpoint_event_ns, checkpoints;
	bool reap_posted, report_posted, first_ready, failed;
	uint64_t leave_order;     /* number of the node's last order to leave a GPU */
	char stays[SESSION_TEXT]; /* why it stays there, "" not (yet) */

	/* the loop's */
	uint64_t asked_request;    /* of the core; 0: none under way */
	uint64_t ask_id;           /* of the message */
	uint64_t node_incarnation; /* 0 not known */
	uint64_t report_id, goodbye_id;
	bool opened, ending, lost_said;
};

/* --- effects of the core; under the mutex, on any thread --- */

static const unsigned char *record_at(void *ctx, uint64_t position)
{
	struct workload *w = ctx;

	return ring_at(&w->log, position);
}

static uint64_t records_head(void *ctx)
{
	struct workload *w = ctx;
	struct session_status s;
	uint64_t head;

	session_core_status(w->core, &s);
	/* A program that lies about its log stands still at what was true. */
	if (ring_read_head(&w->log, s.position, &head) == 0 && head > w->log_head)
		w->log_head = head;
	return w->log_head;
}

static void send_ask(void *ctx);
static void reap(void *ctx);
static void send_report(void *ctx);

static void acquire(void *ctx, const struct session_acquire *request)
{
	struct workload *w = ctx;

	w->ask.wanted = true;
	w->ask.request = request->request;
	w->ask.exclude_count = request->exclude_count;
	for (size_t i = 0; i < request->exclude_count; i++)
		snprintf(w->ask.exclude[i], SESSION_TEXT, "%s", request->exclude[i]);
	snprintf(w->ask.prefer, SESSION_TEXT, "%s", request->prefer);
	loop_post(w->loop, send_ask, w);
}

static int add_need(void *ctx, const struct record_header *record)
{
	buf_append(ctx, record, record->size);
	return 0;
}

static void seed(void *ctx, uint64_t number)
{
	struct workload *w = ctx;
	struct buf needs = { 0 };

	session_core_needs(w->core, add_need, &needs);
	w->epoch = epoch_create(&w->host, number, &w->target, &needs);
	buf_finish(&needs);
	if (!w->epoch)
		log_error("no thread can be made for an executor"); /* the core gives up on it in time */
}

static void close_epoch(void *ctx, uint64_t number)
{
	struct workload *w = ctx;

	(void)number;
	if (!w->epoch)
		return;
	epoch_close(w->epoch);
	list_append(&w->closed, &w->epoch->link);
	w->epoch = NULL;
	if (!w->reap_posted)
		w->reap_posted = loop_post(w->loop, reap, w) == 0;
}

static void leave(void *ctx, uint64_t number, uint64_t nonce)
{
	struct workload *w = ctx;

	(void)number;
	if (w->epoch)
		epoch_leave(w->epoch, nonce);
}

static void deliver_delta(void *ctx, const struct delivery_delta *delta)
{
	outbox_delta(&((struct workload *)ctx)->outbox, delta);
}

static void deliver_complete(void *ctx, uint64_t seq, bool brings_nothing)
{
	outbox_complete(&((struct workload *)ctx)->outbox, seq, brings_nothing);
}

static void deliver_allocated(void *ctx, uint64_t memory, int32_t result)
{
	outbox_put(&((struct workload *)ctx)->outbox, DELIVERY_ALLOCATED, memory, (uint32_t)result);
}

static void deliver_lost(void *ctx)
{
	struct workload *w = ctx;
	struct session_status s;

	session_core_status(w->core, &s);
	outbox_lost(&w->outbox, s.loss_text);
}

static void trim(void *ctx, uint64_t position)
{
	outbox_trim(&((struct workload *)ctx)->outbox, position);
}

static double ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e6 : 0;
}

static void add_completed(struct workload *w, const struct session_status *s)
{
	const struct session_timeline *t = &s->timeline;
	struct report_event *e = report_event_add(&w->events, "MigrationCompleted", w->facts.id, t->resumed_ns);
	const struct epoch *epoch = w->epoch;
	double stream_s = epoch ? ms_between(epoch->seed_start_ns, epoch->seed_end_ns) / 1e3 : 0;

	report_event_field(e, "duration_ms", "%.1f", ms_between(t->noticed_ns, t->resumed_ns));
	report_event_field(e, "from", "%s", s->loss_gpu);
	report_event_field(e, "to", "%s", s->gpu);
	report_event_field(e, "cause", "%s", s->loss_text);
	report_event_field(e, "graceful", "%s", s->graceful ? "true" : "false");
	report_event_field(e, "replayed", "%llu", (unsigned long long)s->replayed);
	report_event_field(e, "acquired_ms", "%.1f", ms_between(t->noticed_ns, t->acquired_ns));
	report_event_field(e, "ready_ms", "%.1f", ms_between(t->noticed_ns, t->ready_ns));
	report_event_field(e, "streamed_ms", "%.1f", epoch ? ms_between(t->noticed_ns, epoch->seed_end_ns) : 0);
	report_event_field(e, "started_ms", "%.1f", ms_between(t->noticed_ns, t->started_ns));
	report_event_field(e, "streamed_bytes", "%llu", (unsigned long long)t->streamed_bytes);
	report_event_field(e, "streamed_gbps", "%.2f", stream_s > 0 ? (double)t->streamed_bytes * 8 / stream_s / 1e9 : 0);
}

static void report(void *ctx, enum session_event event)
{
	struct workload *w = ctx;
	uint64_t now_ns = time_monotonic_ns();
	struct session_status s;
	struct report_event *e;

	session_core_status(w->core, &s);
	switch (event) {
	case SESSION_EVENT_MOVE_STARTED:
		e = report_event_add(&w->events, "MigrationStarted", w->facts.id, s.timeline.noticed_ns);
		report_event_field(e, "graceful", "false");
		report_event_field(e, "from", "%s", s.loss_gpu);
		report_event_field(e, "cause", "%s", s.loss_text);
		break;
	case SESSION_EVENT_MOVE_COMPLETED:
		add_completed(w, &s);
		break;
	case SESSION_EVENT_MOVE_FAILED:
		e = report_event_add(&w->events, "MigrationFailed", w->facts.id, now_ns);
		report_event_field(e, "from", "%s", s.loss_gpu);
		report_event_field(e, "reason", "%s", s.loss_text);
		w->failed = true;
		break;
	case SESSION_EVENT_CHECKPOINT:
		w->checkpoints++;
		if (w->checkpoint_event_ns && now_ns - w->checkpoint_event_ns < CHECKPOINT_EVENT_NS)
			return;
		w->checkpoint_event_ns = now_ns;
		e = report_event_add(&w->events, "CheckpointTaken", w->facts.id, now_ns);
		report_event_field(e, "seq", "%llu", (unsigned long long)s.committed_seq);
		report_event_field(e, "state_bytes", "%llu", (unsigned long long)s.state_bytes);
		report_event_field(e, "count", "%llu", (unsigned long long)w->checkpoints);
		break;
	case SESSION_EVENT_LEAVE_STARTED:
		e = report_event_add(&w->events, "MigrationStarted", w->facts.id, now_ns);
		report_event_field(e, "graceful", "true");
		report_event_field(e, "from", "%s", s.gpu);
		report_event_field(e, "cause", "it was told to leave");
		break;
	case SESSION_EVENT_LEAVE_FAILED:
		e = report_event_add(&w->events, "MigrationFailed", w->facts.id, now_ns);
		report_event_field(e, "graceful", "true");
		report_event_field(e, "from", "%s", s.gpu);
		report_event_field(e, "reason", "%s", s.refusal);
		snprintf(w->stays, sizeof(w->stays), "%s", s.refusal[0] ? s.refusal : "no other GPU takes it");
		break;
	case SESSION_EVENT_DIVERGED:
		e = report_event_add(&w->events, "Diverged", w->facts.id, now_ns);
		report_event_field(e, "seq", "%llu", (unsigned long long)s.diverged_seq);
		report_event_field(e, "from", "%s", s.loss_gpu);
		report_event_field(e, "to", "%s", s.gpu);
		log_warn("%s (pid %d): submission %llu came out otherwise on %s than before the loss of %s; the program "
			 "goes on with "
			 "what it has seen",
			w->facts.program, w->facts.program_pid, (unsigned long long)s.diverged_seq, s.gpu, s.loss_gpu);
		break;
	case SESSION_EVENT_READY:
		w->first_ready = true;
		break;
	}
	if (!w->report_posted)
		w->report_posted = loop_post(w->loop, send_report, w) == 0;
}

static void moved(void *ctx, enum session_phase from, enum session_phase to)
{
	struct workload *w = ctx;
	struct session_status s;

	session_core_status(w->core, &s);
	if (to == SESSION_ACQUIRE && from != SESSION_IDLE)
		log_info("epoch %llu on %s is over: %s (%s); completed %llu, checkpoint %llu", (unsigned long long)s.epoch,
			s.loss_gpu, session_loss_name(s.loss), s.loss_text, (unsigned long long)s.completed_seq,
			(unsigned long long)s.committed_seq);
	else
		log_debug("epoch %llu: %s -> %s", (unsigned long long)s.epoch, session_phase_name(from),
			session_phase_name(to));
}

static const struct session_core_ops ops = {
	record_at,
	records_head,
	acquire,
	seed,
	close_epoch,
	leave,
	deliver_delta,
	deliver_complete,
	deliver_allocated,
	deliver_lost,
	trim,
	report,
	moved,
};

/* --- the loop --- */

/* Closed epochs: their threads are told to end, so this takes no longer than what they have in their hands. */
static void reap(void *ctx)
{
	struct workload *w = ctx;
	struct list closed;

	list_init(&closed);
	pthread_mutex_lock(&w->mutex);
	w->reap_posted = false;
	while (!list_empty(&w->closed)) {
		struct list *first = w->closed.next;

		list_remove(first);
		list_append(&closed, first);
	}
	pthread_mutex_unlock(&w->mutex);
	list_for_each_safe(e, &closed, struct epoch, link) {
		list_remove(&e->link);
		epoch_destroy(e);
	}
}

static const char *state_name(const struct workload *w, const struct session_status *s)
{
	switch (s->phase) {
	case SESSION_IDLE:
	case SESSION_ACQUIRE:
	case SESSION_ATTACH:
	case SESSION_SEED:
		return w->first_ready && (s->losses || s->graceful) ? "moving" : "starting";
	case SESSION_RUN:
		return "running";
	case SESSION_LOST:
		return "lost";
	case SESSION_ENDED:
		return "finished";
	}
	return "";
}

/* The driver waits for this since IPC_OPEN. */
static void answer_open(struct workload *w, int error, const char *text)
{
	struct ipc_message message = { .version = IPC_VERSION,
		.kind = IPC_OPENED,
		.error = error,
		.flags = w->options->relaxed ? IPC_RELAXED : 0,
		.workload = w->host.workload };
	int fds[2] = { error ? -1 : ring_reopen_read_only(&w->outbox.ring),
		error ? -1 : progress_reopen_read_only(&w->outbox.progress) };

	w->opened = true;
	snprintf(message.text, sizeof(message.text), "%s", text);
	if (!error)
		message.error = fds[0] < 0 ? fds[0] : fds[1] < 0 ? fds[1] : 0;
	error = unix_send(w->program_fd, &message, sizeof(message), fds, message.error ? 0 : 2);
	for (int i = 0; i < 2; i++)
		close_fd(&fds[i]);
	if (error < 0)
		log_debug("the driver did not take its answer: %s", strerror(-error));
}

static void send_report(void *ctx)
{
	struct workload *w = ctx;
	struct report_events events;
	struct session_status s;
	struct buf needs = { 0 };
	bool ready, failed;
	uint64_t id;

	pthread_mutex_lock(&w->mutex);
	w->report_posted = false;
	session_core_status(w->core, &s);
	session_core_needs(w->core, add_need, &needs);
	events = w->events;
	w->events.count = 0;
	ready = w->first_ready;
	failed = w->failed;
	w->facts.leave_order = w->leave_order;
	memcpy(w->facts.stays, w->stays, sizeof(w->facts.stays));
	if (w->epoch) {
		memcpy(w->facts.gpu_name, w->epoch->target.gpu_name, sizeof(w->facts.gpu_name));
		w->facts.executor_pid = w->epoch->target.pid;
	}
	pthread_mutex_unlock(&w->mutex);
	id = report_send(w->node, &w->facts, &s, state_name(w, &s), &needs, &events);
	buf_finish(&needs);
	w->report_id = id;
	if (!w->opened && ready)
		answer_open(w, 0, "");
	else if (!w->opened && failed)
		answer_open(w, -ENODEV, s.loss_text);
	if (failed && !w->lost_said) {
		w->lost_said = true;
		log_error("%s (pid %d) lost its GPU for good: %s", w->facts.program, w->facts.program_pid, s.loss_text);
	}
}

static void look_at_node(void *ctx)
{
	struct workload *w = ctx;
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__StatusRequest status = TBMESH__STATUS_REQUEST__INIT;

	request.body_case = TBMESH__REQUEST__BODY_STATUS;
	request.status = &status;
	node_link_ask(w->node, &request);
}

static void send_ask(void *ctx)
{
	struct workload *w = ctx;
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__AcquireRequest a = TBMESH__ACQUIRE_REQUEST__INIT;
	char exclude[SESSION_MAX_EXCLUDED + 1][SESSION_TEXT], prefer[SESSION_TEXT];
	char *exclude_list[SESSION_MAX_EXCLUDED + 1];
	struct report_needs needs = { 0 };
	struct buf records = { 0 };

	pthread_mutex_lock(&w->mutex);
	if (!w->ask.wanted) {
		pthread_mutex_unlock(&w->mutex);
		return;
	}
	w->asked_request = w->ask.request;
	memcpy(exclude, w->ask.exclude, sizeof(exclude));
	memcpy(prefer, w->ask.prefer, sizeof(prefer));
	a.n_exclude = w->ask.exclude_count;
	session_core_needs(w->core, add_need, &records);
	pthread_mutex_unlock(&w->mutex);
	for (size_t i = 0; i < a.n_exclude; i++)
		exclude_list[i] = exclude[i];
	if (report_needs_init(&needs, &records) == 0) {
		a.workload = w->facts.id;
		a.exclude = exclude_list;
		a.prefer = prefer;
		a.uid = geteuid();
		a.needs = needs.list;
		a.n_needs = needs.count;
		request.body_case = TBMESH__REQUEST__BODY_ACQUIRE;
		request.acquire = &a;
		w->ask_id = node_link_ask(w->node, &request);
	}
	report_needs_finish(&needs);
	buf_finish(&records);
	loop_timer_start(w->node_timer, w->ask_id ? NODE_LOOK_MS : TICK_MS, NODE_LOOK_MS);
}

/* While an executor was asked for. A node that was started anew meanwhile does not know of it. */
static void node_look(void *ctx)
{
	struct workload *w = ctx;

	if (!w->ask_id)
		send_ask(w);
	look_at_node(w);
}

static int read_target(struct epoch_target *t, const Tbmesh__AcquireReply *a)
{
	*t = (struct epoch_target){ .pid = (int)a->pid };
	if (strlen(a->socket) >= sizeof(t->socket) || (!a->socket[0] && a->secret.len != sizeof(t->secret)))
		return -EBADMSG;
	snprintf(t->socket, sizeof(t->socket), "%s", a->socket);
	snprintf(t->gpu_name, sizeof(t->gpu_name), "%s", a->gpu_name);
	if (a->secret.len == sizeof(t->secret))
		memcpy(t->secret, a->secret.data, sizeof(t->secret));
	for (size_t i = 0; i < a->n_endpoints && t->endpoint_count < EPOCH_MAX_ENDPOINTS; i++) {
		const Tbmesh__Endpoint *e = a->endpoints[i];

		if (strlen(e->address) >= sizeof(t->endpoints[0].address) || e->port == 0 || e->port > 65535)
			continue;
		snprintf(t->endpoints[t->endpoint_count].address, sizeof(t->endpoints[0].address), "%s", e->address);
		t->endpoints[t->endpoint_count].port = (uint16_t)e->port;
		t->endpoints[t->endpoint_count++].scope_id = e->scope_id;
	}
	return t->socket[0] || t->endpoint_count ? 0 : -EBADMSG;
}

static void handle_acquire(struct workload *w, const Tbmesh__Reply *reply)
{
	uint64_t request = w->asked_request, number;
	struct epoch_target target;
	const char *why = reply->message;
	bool good = reply->code == 0 && reply->body_case == TBMESH__REPLY__BODY_ACQUIRE;

	w->ask_id = 0;
	loop_timer_stop(w->node_timer);
	if (good && read_target(&target, reply->acquire) < 0) {
		good = false;
		why = "the node's answer names no way to the executor";
	}
	if (!good)
		log_info("no executor: %s", why);
	reap(w); /* nobody walks through graph and memory any more */
	pthread_mutex_lock(&w->mutex);
	w->ask.wanted = false;
	if (good) {
		w->target = target;
		if (!session_core_acquired(w->core, time_monotonic_ns(), request, reply->acquire->gpu, &number))
			log_debug("an executor came too late");
	} else {
		session_core_refused(w->core, time_monotonic_ns(), request, why);
	}
	pthread_mutex_unlock(&w->mutex);
	explicit_bzero(&target, sizeof(target));
}

/* The node's order to leave a GPU. What comes of it is in the reports: another GPU, or why not. */
static void handle_leave(struct workload *w, const Tbmesh__LeaveGpu *order)
{
	uint64_t nonce;
	int error = random_bytes(&nonce, sizeof(nonce));

	pthread_mutex_lock(&w->mutex);
	w->leave_order = order->number;
	w->stays[0] = 0;
	if (!error)
		error = session_core_leave(w->core, time_monotonic_ns(), order->gpu, nonce);
	pthread_mutex_unlock(&w->mutex);
	log_info("the node wants this workload off %s%s%s", order->gpu, error ? ": " : "",
		error == -ENOENT             ? "it is not there"
			: error == -EALREADY ? "it is about to go"
			: error              ? strerror(-error)
					     : "");
	send_report(w);
}

static void replied(void *ctx, const Tbmesh__Reply *reply)
{
	struct workload *w = ctx;

	if (reply->id && reply->id == w->goodbye_id) {
		loop_stop(w->loop);
	} else if (reply->id && reply->id == w->ask_id) {
		handle_acquire(w, reply);
	} else if (reply->body_case == TBMESH__REPLY__BODY_STATUS) {
		bool other = w->node_incarnation && w->node_incarnation != reply->status->incarnation;

		w->node_incarnation = reply->status->incarnation;
		if (other && w->ask_id)
			send_ask(w);
	} else if (reply->body_case == TBMESH__REPLY__BODY_GPU_GONE) {
		pthread_mutex_lock(&w->mutex);
		session_core_gpu_gone(w->core, time_monotonic_ns(), reply->gpu_gone->gpu, reply->gpu_gone->at_ns);
		pthread_mutex_unlock(&w->mutex);
	} else if (reply->body_case == TBMESH__REPLY__BODY_LEAVE_GPU) {
		handle_leave(w, reply->leave_gpu);
	}
}

static void tick(void *ctx)
{
	struct workload *w = ctx;

	pthread_mutex_lock(&w->mutex);
	session_core_tick(w->core, time_monotonic_ns());
	pthread_mutex_unlock(&w->mutex);
}

static void stop(void *ctx)
{
	loop_stop(((struct workload *)ctx)->loop);
}

/* The program is gone, or has destroyed its device. */
static void end(struct workload *w)
{
	struct session_status s;
	struct epoch *epoch;

	if (w->ending)
		return;
	w->ending = true;
	loop_io_destroy(w->program_io);
	loop_io_destroy(w->process_io);
	w->program_io = w->process_io = NULL;
	loop_timer_stop(w->tick_timer);
	loop_timer_stop(w->report_timer);
	pthread_mutex_lock(&w->mutex);
	session_core_status(w->core, &s);
	epoch = s.phase == SESSION_RUN ? w->epoch
				       : NULL; /* it has read its seed, so it reads this; only this thread destroys it */
	pthread_mutex_unlock(&w->mutex);
	if (epoch)
		epoch_say_bye(epoch);
	pthread_mutex_lock(&w->mutex);
	session_core_end(w->core, time_monotonic_ns());
	pthread_mutex_unlock(&w->mutex);
	send_report(w);
	w->goodbye_id = w->report_id;
	if (w->goodbye_id)
		loop_timer_start(w->goodbye_timer, GOODBYE_MS, 0);
	else
		loop_stop(w->loop);
}

static void program_ready(void *ctx, unsigned events)
{
	struct workload *w = ctx;
	char byte;
	ssize_t size = recv(w->program_fd, &byte, sizeof(byte), MSG_DONTWAIT);

	(void)events;
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size > 0)
		log_warn("the program says something where nothing is to be said; this workload ends");
	end(w);
}

/* Its socket may live on: in a child that it forked. */
static void process_ended(void *ctx, unsigned events)
{
	(void)events;
	end(ctx);
}

static void told_to_end(void *ctx, int signal_number)
{
	(void)signal_number;
	end(ctx);
}

static int workload_init(struct workload *w)
{
	const struct session_options *o = w->options;
	struct session_config config = SESSION_CONFIG_DEFAULT;
	int error = ring_attach(&w->log, o->log_fd, RING_LOG_BYTES, false);

	if (error)
		return error;
	error = outbox_init(&w->outbox, &w->log);
	if (error)
		return error;
	error = random_bytes(&w->host.workload, sizeof(w->host.workload));
	if (error)
		return error;
	snprintf(w->facts.id, sizeof(w->facts.id), "%016llx", (unsigned long long)w->host.workload);
	w->facts.program = o->program;
	w->facts.program_pid = o->program_pid;
	w->facts.relaxed = o->relaxed;
	config.migration_timeout_ms = o->migration_timeout_s * 1000ull;
	config.submit_timeout_ms = o->submit_timeout_s * 1000ull;
	w->core = session_core_create(&config, o->gpu, &ops, w);
	w->loop = loop_create();
	if (!w->core || !w->loop)
		return -ENOMEM;
	w->host.core = w->core;
	w->host.mutex = &w->mutex;
	w->host.log = &w->log;
	w->host.outbox = &w->outbox;
	w->node = node_link_create(w->loop, o->control, replied, w);
	w->program_io = loop_io_create(w->loop, w->program_fd, LOOP_READ, program_ready, w);
	w->process_fd = (int)syscall(SYS_pidfd_open, o->program_pid, 0);
	if (w->process_fd >= 0)
		w->process_io = loop_io_create(w->loop, w->process_fd, LOOP_READ, process_ended, w);
	else if (errno == ESRCH)
		return -ESRCH;
	w->tick_timer = loop_timer_create(w->loop, tick, w);
	w->report_timer = loop_timer_create(w->loop, send_report, w);
	w->node_timer = loop_timer_create(w->loop, node_look, w);
	w->goodbye_timer = loop_timer_create(w->loop, stop, w);
	if (!w->node || !w->program_io || !w->tick_timer || !w->report_timer || !w->node_timer || !w->goodbye_timer ||
		loop_signal(w->loop, SIGTERM, told_to_end, w) < 0)
		return -ENOMEM;
	return 0;
}

static void workload_finish(struct workload *w)
{
	pthread_mutex_lock(&w->mutex);
	if (w->core && !w->ending)
		session_core_end(w->core, time_monotonic_ns());
	pthread_mutex_unlock(&w->mutex);
	reap(w);
	loop_io_destroy(w->program_io);
	loop_io_destroy(w->process_io);
	close_fd(&w->process_fd);
	loop_timer_destroy(w->tick_timer);
	loop_timer_destroy(w->report_timer);
	loop_timer_destroy(w->node_timer);
	loop_timer_destroy(w->goodbye_timer);
	node_link_destroy(w->node);
	loop_destroy(w->loop);
	session_core_destroy(w->core);
}

int workload_run(const struct session_options *o)
{
	static struct workload w;
	int error;

	w.options = o;
	w.program_fd = o->workload_fd;
	w.log.fd = -1;
	w.process_fd = -1;
	list_init(&w.closed);
	pthread_mutex_init(&w.mutex, NULL);
	error = workload_init(&w);
	if (error) {
		log_error("a workload of %s cannot be set up: %s", o->program, strerror(-error));
		answer_open(&w, error, "the session cannot set up the workload");
		return 1;
	}
	look_at_node(&w);
	loop_timer_start(w.tick_timer, TICK_MS, TICK_MS);
	loop_timer_start(w.report_timer, REPORT_MS, REPORT_MS);
	pthread_mutex_lock(&w.mutex);
	session_core_start(w.core, time_monotonic_ns());
	pthread_mutex_unlock(&w.mutex);
	loop_run(w.loop);
	workload_finish(&w);
	return 0;
}
