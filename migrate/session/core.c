#include "migrate/session/core.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/session/core_private.h"

#define MS 1000000ull
#define BLAME_LOSSES 3  /* an executor that blames the workload counts for so many that only die of it */
#define TICK_MAX_MS 400 /* a tick that comes later than this: this process did not run, so it heard nothing either */

#define TO(phase) (1u << (phase))
static const unsigned allowed_moves[SESSION_PHASES] = {
	[SESSION_IDLE] = TO(SESSION_ACQUIRE) | TO(SESSION_ENDED),
	[SESSION_ACQUIRE] = TO(SESSION_ATTACH) | TO(SESSION_LOST) | TO(SESSION_ENDED),
	[SESSION_ATTACH] = TO(SESSION_SEED) | TO(SESSION_ACQUIRE) | TO(SESSION_LOST) | TO(SESSION_ENDED),
	[SESSION_SEED] = TO(SESSION_RUN) | TO(SESSION_ACQUIRE) | TO(SESSION_LOST) | TO(SESSION_ENDED),
	[SESSION_RUN] = TO(SESSION_ACQUIRE) | TO(SESSION_ATTACH) | TO(SESSION_LOST) | TO(SESSION_ENDED),
	[SESSION_LOST] = TO(SESSION_ENDED),
	[SESSION_ENDED] = 0,
};

const char *session_phase_name(enum session_phase phase)
{
	static const char *const names[SESSION_PHASES] = { "idle", "acquire", "attach", "seed", "run", "lost", "ended" };

	return names[phase];
}

const char *session_loss_name(enum session_loss loss)
{
	switch (loss) {
	case SESSION_LOSS_NONE:
		return "none";
	case SESSION_LOSS_CHANNEL:
		return "its channel ended";
	case SESSION_LOSS_ATTACH:
		return "it could not be attached";
	case SESSION_LOSS_PROTOCOL:
		return "it broke the protocol";
	case SESSION_LOSS_DEVICE:
		return "its driver reports an error";
	case SESSION_LOSS_GARBAGE:
		return "its GPU returns garbage";
	case SESSION_LOSS_SILENT:
		return "it is silent";
	case SESSION_LOSS_STUCK:
		return "it makes no progress";
	case SESSION_LOSS_GPU:
		return "its GPU is gone";
	case SESSION_LOSS_UNFIT:
		return "it cannot hold what the program has";
	case SESSION_LOSS_WORKLOAD:
		return "it says that the program is to blame";
	}
	return "?";
}

static bool attached(const struct session_core *c)
{
	return c->phase == SESSION_ATTACH || c->phase == SESSION_SEED || c->phase == SESSION_RUN;
}

static void check(const struct session_core *c)
{
	assert(c->position <= c->scanned);
	assert(c->committed_seq <= c->done_seq);
	assert(c->committed_seq <= c->completed_seq);
	assert(c->submissions.first_seq == c->committed_seq + 1);
	assert(c->phase == SESSION_RUN || c->phase == SESSION_LOST || c->phase == SESSION_ENDED ||
		c->done_seq == c->committed_seq);
	assert(c->phase == SESSION_RUN || !c->begun);
	assert(c->phase != SESSION_RUN || c->seeded);
	assert(!c->asked || c->phase == SESSION_ACQUIRE || c->leave == LEAVE_ASKED);
	assert(c->leave == LEAVE_NO || c->leave == LEAVE_WANTED || c->phase == SESSION_RUN);
	assert(attached(c) == (c->gpu[0] != 0));
}

static void move(struct session_core *c, uint64_t now_ns, enum session_phase to)
{
	enum session_phase from = c->phase;

	assert(allowed_moves[from] & TO(to));
	c->phase = to;
	c->phase_ns = now_ns;
	c->progress_ns = now_ns;
	c->silent_ns = 0;
	check(c);
	c->ops->moved(c->ctx, from, to);
}

/* Lets go of this epoch's executor: what it did since the checkpoint never happened. */
static void drop_epoch(struct session_core *c)
{
	if (attached(c))
		c->ops->close(c->ctx, c->epoch);
	state_abandon(&c->state);
	if (c->view_position > c->told_position)
		c->told_position = c->view_position;
	c->view_position = c->position;
	c->telling = c->relaxed;
	c->begun = false;
	c->seeded = false;
	c->done_seq = c->committed_seq;
	c->gpu[0] = 0;
	c->asked = false;
	c->leave = LEAVE_NO;
}

static void exclude_gpu(struct session_core *c, const char *gpu, bool unfit)
{
	for (size_t i = 0; i < c->excluded_count; i++) {
		if (strcmp(c->excluded[i].gpu, gpu) == 0) {
			c->excluded[i].unfit |= unfit;
			return;
		}
	}
	if (c->excluded_count == SESSION_MAX_EXCLUDED) /* the oldest may be asked again */
		memmove(&c->excluded[0], &c->excluded[1], --c->excluded_count * sizeof(c->excluded[0]));
	snprintf(c->excluded[c->excluded_count].gpu, SESSION_TEXT, "%s", gpu);
	c->excluded[c->excluded_count++].unfit = unfit;
}

/* When nobody else would serve: GPUs that failed once may try again, unfit ones may not. True if there were any. */
static bool forgive(struct session_core *c)
{
	size_t kept = 0, before = c->excluded_count;

	for (size_t i = 0; i < before; i++)
		if (c->excluded[i].unfit)
			c->excluded[kept++] = c->excluded[i];
	c->excluded_count = kept;
	return kept != before;
}

void core_give_up(struct session_core *c, uint64_t now_ns, const char *why)
{
	if (c->phase == SESSION_LOST || c->phase == SESSION_ENDED)
		return;
	snprintf(c->loss_text, sizeof(c->loss_text), "%s", why);
	drop_epoch(c);
	move(c, now_ns, SESSION_LOST);
	c->ops->deliver_lost(c->ctx);
	c->ops->report(c->ctx, SESSION_EVENT_MOVE_FAILED);
}

/* Reads the log ahead. False: it makes no sense, and the workload is over. */
static bool scan(struct session_core *c, uint64_t now_ns)
{
	int error = core_scan(c);

	if (error < 0)
		core_give_up(c, now_ns, error == -ENOMEM ? "out of memory" : "the program's log is malformed");
	return error == 0;
}

static void ask(struct session_core *c, uint64_t now_ns)
{
	const char *exclude[SESSION_MAX_EXCLUDED + 1];
	struct session_acquire request = { .exclude = exclude, .exclude_count = c->excluded_count, .prefer = c->prefer };

	if (!scan(c, now_ns)) /* for the NEEDs */
		return;
	for (size_t i = 0; i < c->excluded_count; i++)
		exclude[i] = c->excluded[i].gpu;
	if (c->leave != LEAVE_NO)
		exclude[request.exclude_count++] = c->gpu;
	request.request = ++c->request;
	c->asked = true;
	c->ops->acquire(c->ctx, &request);
}

static void lose_at(struct session_core *c, uint64_t now_ns, uint64_t noticed_ns, enum session_loss loss, const char *text)
{
	assert(attached(c));
	c->losses++;
	c->losses_in_row += loss == SESSION_LOSS_WORKLOAD ? BLAME_LOSSES : 1;
	c->loss = loss;
	snprintf(c->loss_text, sizeof(c->loss_text), "%s", text ? text : session_loss_name(loss));
	snprintf(c->loss_gpu, sizeof(c->loss_gpu), "%s", c->gpu);
	/* A process may die on a healthy GPU; twice in a row it is the GPU, or all but. */
	if (loss != SESSION_LOSS_CHANNEL || c->losses_in_row > 1) {
		exclude_gpu(c, c->gpu, loss == SESSION_LOSS_UNFIT);
		c->prefer[0] = 0;
	} else {
		snprintf(c->prefer, sizeof(c->prefer), "%s", c->gpu);
	}
	if (c->losses_in_row > c->config.max_losses) {
		char why[SESSION_TEXT];

		snprintf(why, sizeof(why), "executor after executor dies of this workload; the last: %.120s", c->loss_text);
		core_give_up(c, now_ns, why);
		return;
	}
	if (c->phase != SESSION_ATTACH)
		c->repair_ns = noticed_ns;
	if (!c->repairing)
		c->replayed = 0;
	c->replayed += c->done_seq - c->committed_seq;
	drop_epoch(c);
	c->graceful = false;
	if (!c->repairing) {
		c->repairing = true;
		c->timeline = (struct session_timeline){ .noticed_ns = noticed_ns };
		if (c->first_ready)
			c->ops->report(c->ctx, SESSION_EVENT_MOVE_STARTED);
	}
	move(c, now_ns, SESSION_ACQUIRE);
	ask(c, now_ns);
}

void core_lose(struct session_core *c, uint64_t now_ns, enum session_loss loss, const char *text)
{
	lose_at(c, now_ns, now_ns, loss, text);
}

/* Work goes on: the repair, if one was under way, is over. */
static void resumed(struct session_core *c, uint64_t now_ns)
{
	if (!c->repairing)
		return;
	c->repairing = false;
	c->timeline.resumed_ns = now_ns;
	if (c->timeline.noticed_ns) {
		c->moves++;
		c->ops->report(c->ctx, SESSION_EVENT_MOVE_COMPLETED);
	}
}

void core_progress(struct session_core *c, uint64_t now_ns, uint64_t seq, bool brings_nothing)
{
	c->done_seq = seq;
	c->progress_ns = now_ns;
	if (seq > c->completed_seq) {
		c->completed_seq = seq;
		c->losses_in_row = 0;
		forgive(c);
		c->ops->deliver_complete(c->ctx, seq, brings_nothing);
	}
	resumed(c, now_ns);
}

struct session_core *session_core_create(
	const struct session_config *config, const char *prefer, const struct session_core_ops *ops, void *ctx)
{
	struct session_core *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->delivery = malloc(sizeof(*c->delivery));
	if (!c->delivery) {
		free(c);
		return NULL;
	}
	c->config = *config;
	c->ops = ops;
	c->ctx = ctx;
	c->submissions.first_seq = 1;
	snprintf(c->prefer, sizeof(c->prefer), "%s", prefer);
	return c;
}

void session_core_destroy(struct session_core *c)
{
	if (!c)
		return;
	core_scan_finish(c);
	graph_finish(&c->graph);
	state_finish(&c->state);
	free(c->delivery);
	free(c);
}

void session_core_start(struct session_core *c, uint64_t now_ns)
{
	c->repairing = true; /* the first executor comes by the same way; its timeline has no loss in it */
	c->repair_ns = now_ns;
	move(c, now_ns, SESSION_ACQUIRE);
	ask(c, now_ns);
}

bool session_core_acquired(struct session_core *c, uint64_t now_ns, uint64_t request, const char *gpu, uint64_t *ret_epoch)
{
	if (!c->asked || request != c->request || !gpu[0])
		return false;
	c->asked = false;
	if (c->leave == LEAVE_ASKED) {
		c->leave = LEAVE_SENT;
		c->leave_ns = now_ns;
		snprintf(c->leave_target, sizeof(c->leave_target), "%s", gpu);
		*ret_epoch = c->epoch + 1;
		c->ops->leave(c->ctx, c->epoch, c->leave_nonce);
		c->ops->report(c->ctx, SESSION_EVENT_LEAVE_STARTED);
		return true;
	}
	c->epoch++;
	snprintf(c->gpu, sizeof(c->gpu), "%s", gpu);
	c->timeline.acquired_ns = now_ns;
	move(c, now_ns, SESSION_ATTACH);
	*ret_epoch = c->epoch;
	c->ops->seed(c->ctx, c->epoch);
	return true;
}

void session_core_refused(struct session_core *c, uint64_t now_ns, uint64_t request, const char *why)
{
	if (!c->asked || request != c->request)
		return;
	c->asked = false;
	if (c->leave == LEAVE_ASKED) {
		c->leave = LEAVE_NO;
		snprintf(c->refusal, sizeof(c->refusal), "%s", why);
		c->ops->report(c->ctx, SESSION_EVENT_LEAVE_FAILED);
		return;
	}
	c->retry_ns = now_ns + (forgive(c) ? 0 : c->config.retry_ms * MS);
	snprintf(c->refusal, sizeof(c->refusal), "%s", why);
}

/* Asks for another executor once there is something to take along. */
static void leave(struct session_core *c, uint64_t now_ns)
{
	if (c->leave != LEAVE_WANTED || c->phase != SESSION_RUN || c->repairing)
		return;
	c->leave = LEAVE_ASKED;
	ask(c, now_ns);
}

int session_core_leave(struct session_core *c, uint64_t now_ns, const char *gpu, uint64_t nonce)
{
	if (!attached(c) || strcmp(c->gpu, gpu) != 0)
		return -ENOENT;
	if (c->leave != LEAVE_NO)
		return -EALREADY;
	c->leave = LEAVE_WANTED;
	c->leave_nonce = nonce;
	leave(c, now_ns);
	return 0;
}

void core_left(struct session_core *c, uint64_t now_ns)
{
	snprintf(c->loss_text, sizeof(c->loss_text), "it was told to leave");
	snprintf(c->loss_gpu, sizeof(c->loss_gpu), "%s", c->gpu);
	c->timeline = (struct session_timeline){ .noticed_ns = c->leave_ns, .acquired_ns = now_ns };
	c->repairing = c->graceful = true;
	c->replayed = c->done_seq - c->committed_seq;
	c->repair_ns = now_ns;
	drop_epoch(c);
	c->prefer[0] = 0;
	c->epoch++;
	snprintf(c->gpu, sizeof(c->gpu), "%s", c->leave_target);
	move(c, now_ns, SESSION_ATTACH);
	c->ops->seed(c->ctx, c->epoch);
}

bool session_core_seeding_done(struct session_core *c, uint64_t epoch, uint64_t *ret_position, uint64_t *ret_seq)
{
	if (epoch != c->epoch || (c->phase != SESSION_ATTACH && c->phase != SESSION_SEED))
		return false;
	c->seeded = true;
	*ret_position = c->position;
	*ret_seq = c->committed_seq;
	return true;
}

static void handle_ready(struct session_core *c, uint64_t now_ns)
{
	c->timeline.ready_ns = now_ns;
	move(c, now_ns, SESSION_SEED);
	if (!c->first_ready) {
		c->first_ready = true;
		c->ops->report(c->ctx, SESSION_EVENT_READY);
	}
}

static void handle_started(struct session_core *c, uint64_t now_ns, const struct frame_header *h)
{
	if (!c->seeded) {
		core_lose(c, now_ns, SESSION_LOSS_PROTOCOL, "it has applied a checkpoint that it was not sent");
		return;
	}
	c->timeline.started_ns = now_ns;
	c->timeline.streamed_bytes = h->a;
	move(c, now_ns, SESSION_RUN);
	if (scan(c, now_ns) && c->submissions.count == 0)
		resumed(c, now_ns);
}

static void handle_allocated(struct session_core *c, uint64_t now_ns, const struct frame_header *h)
{
	int32_t result = (int32_t)(uint32_t)h->b;
	struct state_memory *m = state_find(&c->state, h->a);

	if (!m && !scan(c, now_ns))
		return;
	m = state_find(&c->state, h->a);
	if (!m) {
		core_lose(c, now_ns, SESSION_LOSS_PROTOCOL, "it answers an allocation that was not asked for");
		return;
	}
	c->progress_ns = now_ns;
	if (m->answer == STATE_MADE && result < 0) {
		core_lose(c, now_ns, SESSION_LOSS_UNFIT, "it has not enough memory for what the program already has");
		return;
	}
	if (m->answer != STATE_PENDING)
		return; /* a replay: the program was told */
	m->answer = result < 0 ? STATE_FAILED : STATE_MADE;
	c->pending_answers--;
	c->ops->deliver_allocated(c->ctx, h->a, result);
}

static void handle_lost(struct session_core *c, uint64_t now_ns, const struct frame_header *h, const void *payload)
{
	char text[SESSION_TEXT];
	int32_t result = (int32_t)(uint32_t)h->a;
	int length = h->size < 120 ? (int)h->size : 120;

	snprintf(text, sizeof(text), "VkResult %d: %.*s", (int)result, length, h->size ? (const char *)payload : "");
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?'; /* an executor's words end up in logs and messages */
	core_lose(c, now_ns,
		result == FRAME_LOST_WORKLOAD        ? SESSION_LOSS_WORKLOAD
			: result == FRAME_LOST_UNFIT ? SESSION_LOSS_UNFIT
						     : SESSION_LOSS_DEVICE,
		text);
}

void session_core_frame(
	struct session_core *c, uint64_t now_ns, uint64_t epoch, const struct frame_header *h, const void *payload)
{
	if (epoch != c->epoch || !attached(c))
		return; /* an executor of the past goes on talking */
	c->silent_ns = 0;
	switch (h->kind) {
	case FRAME_READY:
		if (c->phase == SESSION_ATTACH) {
			handle_ready(c, now_ns);
			return;
		}
		break;
	case FRAME_STARTED:
		if (c->phase == SESSION_SEED) {
			handle_started(c, now_ns, h);
			return;
		}
		break;
	case FRAME_ALLOCATED:
		if (c->phase != SESSION_ATTACH) {
			handle_allocated(c, now_ns, h);
			return;
		}
		break;
	case FRAME_RESULT:
		if (c->phase == SESSION_RUN) {
			core_result(c, now_ns, h, payload);
			return;
		}
		break;
	case FRAME_HASHES:
		if (c->phase == SESSION_RUN) {
			core_hashes(c, now_ns, h, payload);
			return;
		}
		break;
	case FRAME_WINDOW:
		if (c->phase == SESSION_RUN) {
			core_window(c, now_ns, h, payload);
			return;
		}
		break;
	case FRAME_LEAVING:
		if (c->phase == SESSION_RUN) {
			core_leaving(c, now_ns, h);
			return;
		}
		break;
	case FRAME_DONE:
		if (c->phase == SESSION_RUN) {
			core_done(c, now_ns, h);
			return;
		}
		break;
	case FRAME_LOST:
		handle_lost(c, now_ns, h, payload);
		return;
	case FRAME_HEARTBEAT:
		return;
	}
	core_lose(c, now_ns, SESSION_LOSS_PROTOCOL, "it sends a frame that has no place here");
}

void *session_core_place(struct session_core *c, uint64_t epoch, const struct frame_header *h)
{
	return epoch == c->epoch && c->phase == SESSION_RUN ? core_place(c, h) : NULL;
}

void session_core_waiting(struct session_core *c, uint64_t now_ns, uint64_t epoch)
{
	(void)now_ns;
	if (epoch == c->epoch && attached(c))
		c->silent_ns = 0;
}

void session_core_lost(struct session_core *c, uint64_t now_ns, uint64_t epoch, enum session_loss loss, const char *text)
{
	if (epoch == c->epoch && attached(c))
		core_lose(c, now_ns, loss, text);
}

void session_core_gpu_gone(struct session_core *c, uint64_t now_ns, const char *gpu, uint64_t at_ns)
{
	if (attached(c) && strcmp(c->gpu, gpu) == 0)
		lose_at(c, now_ns, at_ns && at_ns < now_ns ? at_ns : now_ns, SESSION_LOSS_GPU,
			"the node says that its GPU is gone");
}

static void judge(struct session_core *c, uint64_t now_ns, uint64_t passed_ns)
{
	c->silent_ns += passed_ns < TICK_MAX_MS * MS ? passed_ns : TICK_MAX_MS * MS;
	if (c->phase == SESSION_ATTACH) {
		if (now_ns - c->phase_ns > c->config.attach_timeout_ms * MS)
			core_lose(c, now_ns, SESSION_LOSS_ATTACH, "it made no device in time");
		return;
	}
	if (c->silent_ns > c->config.heartbeat_ms * MS) {
		core_lose(c, now_ns, SESSION_LOSS_SILENT, NULL);
		return;
	}
	if (c->phase == SESSION_RUN && c->done_seq + 1 == c->submissions.first_seq + c->submissions.count &&
		!c->pending_answers && c->leave < LEAVE_SENT)
		c->progress_ns = now_ns; /* idle */
	if (now_ns - c->progress_ns > c->config.submit_timeout_ms * MS)
		core_lose(c, now_ns, SESSION_LOSS_STUCK, NULL);
}

void session_core_tick(struct session_core *c, uint64_t now_ns)
{
	uint64_t passed_ns = c->tick_ns && now_ns > c->tick_ns ? now_ns - c->tick_ns : 0;

	c->tick_ns = now_ns;
	if (c->phase == SESSION_IDLE || c->phase == SESSION_LOST || c->phase == SESSION_ENDED)
		return;
	if (!scan(c, now_ns))
		return;
	if (attached(c))
		judge(c, now_ns, passed_ns);
	leave(c, now_ns);
	if (c->phase != SESSION_ACQUIRE && c->phase != SESSION_ATTACH)
		return;
	if (now_ns > c->repair_ns + c->config.migration_timeout_ms * MS) {
		char why[SESSION_TEXT];

		snprintf(why, sizeof(why), "no GPU took the workload in time: %.150s",
			c->asked                ? "the node does not answer"
				: c->refusal[0] ? c->refusal
						: "none made a device");
		core_give_up(c, now_ns, why);
		return;
	}
	if (c->phase == SESSION_ACQUIRE && !c->asked && now_ns >= c->retry_ns)
		ask(c, now_ns);
}

void session_core_end(struct session_core *c, uint64_t now_ns)
{
	if (c->phase == SESSION_ENDED)
		return;
	drop_epoch(c);
	move(c, now_ns, SESSION_ENDED);
}

void session_core_status(const struct session_core *c, struct session_status *ret)
{
	*ret = (struct session_status){ .phase = c->phase,
		.epoch = c->epoch,
		.completed_seq = c->completed_seq,
		.committed_seq = c->committed_seq,
		.submitted_seq = c->submissions.first_seq + c->submissions.count - 1,
		.state_bytes = c->state.size_bytes,
		.position = c->position,
		.scanned = c->scanned,
		.diverged = c->diverged,
		.diverged_seq = c->diverged_seq,
		.moves = c->moves,
		.losses = c->losses,
		.waiting_ns = c->phase == SESSION_RUN && c->tick_ns > c->progress_ns ? c->tick_ns - c->progress_ns : 0,
		.leaving = c->leave != LEAVE_NO,
		.graceful = c->graceful,
		.replayed = c->replayed,
		.loss = c->loss,
		.timeline = c->timeline };
	memcpy(ret->gpu, c->gpu, sizeof(ret->gpu));
	memcpy(ret->loss_text, c->loss_text, sizeof(ret->loss_text));
	memcpy(ret->refusal, c->refusal, sizeof(ret->refusal));
	memcpy(ret->loss_gpu, c->loss_gpu, sizeof(ret->loss_gpu));
}

int session_core_needs(const struct session_core *c, graph_record_fn *fn, void *ctx)
{
	map_for_each(&c->needs, slot) {
		int error = fn(ctx, slot->value);
		if (error)
			return error;
	}
	return 0;
}

int session_core_seed_records(const struct session_core *c, graph_record_fn *fn, void *ctx)
{
	return graph_walk(&c->graph, fn, ctx);
}

int session_core_seed_memory(const struct session_core *c, uint64_t max_block, state_block_fn *fn, void *ctx)
{
	return state_walk(&c->state, max_block, fn, ctx);
}

int session_core_seed_hashes(const struct session_core *c, uint64_t max_bytes, state_block_fn *fn, void *ctx)
{
	return state_walk_hashes(&c->state, max_bytes, fn, ctx);
}
