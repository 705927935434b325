/* The world around the core: its effects, the way of frames, time, faults. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/session/delivery.h"
#include "tests/sim/model.h"

uint32_t choose(struct choices *c, uint32_t below)
{
	uint32_t value = 0;

	if (c->bytes) {
		for (unsigned i = 0; below > 1 && i < (below > 256 ? 4u : 1u) && c->bytes < c->end; i++)
			value = value << 8 | *c->bytes++;
	} else {
		/* splitmix64 */
		uint64_t z = c->state += 0x9E3779B97F4A7C15u;

		z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
		z = (z ^ z >> 27) * 0x94D049BB133111EBu;
		value = (uint32_t)(z ^ z >> 31);
	}
	return below > 1 ? value % below : 0;
}

bool one_in(struct choices *c, uint32_t n)
{
	return choose(c, n) == 0;
}

void world_fail(struct world *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->failure, sizeof(w->failure), format, args);
	va_end(args);
	longjmp(w->failed, 1);
}

static const unsigned char *log_at(void *ctx, uint64_t position)
{
	struct world *w = ctx;

	if (position < w->trimmed || position > w->log.size)
		world_fail(w, "core: reads the log at %llu", (unsigned long long)position);
	return w->log.data + position;
}

static uint64_t log_head(void *ctx)
{
	return ((struct world *)ctx)->log.size;
}

static void acquire(void *ctx, const struct session_acquire *request)
{
	struct world *w = ctx;

	w->request = request->request;
	w->excluded_count = request->exclude_count < 8 ? request->exclude_count : 8;
	for (size_t i = 0; i < w->excluded_count; i++)
		snprintf(w->excluded[i], SESSION_TEXT, "%s", request->exclude[i]);
}

static void seed(void *ctx, uint64_t epoch)
{
	struct world *w = ctx;
	enum fate fate = FATE_HONEST;
	unsigned at = choose(&w->choices, one_in(&w->choices, 2) ? 8 : 120);

	if (w->faults_left && !one_in(&w->choices, 3)) {
		fate = choose(&w->choices, FATES);
		w->faults_left--;
	}
	if (fate >= FATE_BAD_DONE_NONCE && fate <= FATE_EARLY_DONE)
		at %= 4; /* commits, not frames */
	w->device = device_create(w, epoch, fate, at);
	w->epochs++;
}

static void close_epoch(void *ctx, uint64_t epoch)
{
	struct world *w = ctx;
	unsigned slot = choose(&w->choices, 4);

	if (!w->device || w->device->epoch != epoch)
		world_fail(w, "core: closes epoch %llu", (unsigned long long)epoch);
	device_destroy(w->stale[slot]);
	w->stale[slot] = w->device;
	w->closed = w->device->fate;
	w->device = NULL;
}

static void leave(void *ctx, uint64_t epoch, uint64_t nonce)
{
	struct world *w = ctx;

	if (!w->device || w->device->epoch != epoch)
		world_fail(w, "core: tells epoch %llu to leave", (unsigned long long)epoch);
	w->device->told_to_leave = true;
	w->device->leave_nonce = nonce;
}

/* An executor that was only killed, or was slow, has said nothing wrong. */
static void judge_loss(struct world *w, enum session_phase to)
{
	struct session_status s;

	session_core_status(w->core, &s);
	if (to == SESSION_ACQUIRE && (s.loss == SESSION_LOSS_PROTOCOL || s.loss == SESSION_LOSS_GARBAGE) &&
		w->closed <= FATE_SILENT)
		world_fail(w, "core: blames an honest executor: %s", s.loss_text);
}

static void deliver_delta(void *ctx, const struct delivery_delta *delta)
{
	struct world *w = ctx;

	if (delta->gently && !w->diverging)
		world_fail(w, "core: tells the program what it was told");
	delivery_put_delta(buf_extend(&w->delivery, delivery_delta_size(delta)), delta);
}

static void deliver(struct world *w, enum delivery_kind kind, uint64_t subject, uint64_t value)
{
	delivery_put(buf_extend(&w->delivery, sizeof(struct delivery_header)), kind, subject, value);
}

static void deliver_complete(void *ctx, uint64_t seq, bool brings_nothing)
{
	(void)brings_nothing;
	struct world *w = ctx;

	if (w->lie)
		world_fail(w, "core: believes an executor that lies");
	deliver(w, DELIVERY_COMPLETE, seq, 0);
}

static void deliver_allocated(void *ctx, uint64_t memory, int32_t result)
{
	deliver(ctx, DELIVERY_ALLOCATED, memory, (uint32_t)result);
}

static void deliver_lost(void *ctx)
{
	deliver(ctx, DELIVERY_LOST, 0, 0);
}

static void trim(void *ctx, uint64_t position)
{
	struct world *w = ctx;

	if (position < w->trim_to || position > w->log.size)
		world_fail(w, "core: trims the log to %llu", (unsigned long long)position);
	if (w->lie)
		world_fail(w, "core: takes a checkpoint from an executor that lies");
	w->trim_to = position;
	w->checkpoints++;
}

static void report(void *ctx, enum session_event event)
{
	struct world *w = ctx;

	if (event == SESSION_EVENT_MOVE_COMPLETED) {
		struct session_status s;

		session_core_status(w->core, &s);
		w->leaves += s.graceful;
		if (s.graceful && s.replayed)
			world_fail(
				w, "core: a move with notice runs %llu submissions again", (unsigned long long)s.replayed);
	}
	if (event != SESSION_EVENT_DIVERGED)
		return;
	w->diverged++;
	if (!w->diverging)
		world_fail(w, "core: says that an honest executor's replay diverges");
}

static void moved(void *ctx, enum session_phase from, enum session_phase to)
{
	(void)from;
	judge_loss(ctx, to);
}

static void moved_aloud(void *ctx, enum session_phase from, enum session_phase to)
{
	struct world *w = ctx;
	struct session_status s;

	session_core_status(w->core, &s);
	printf("%8llu ms epoch %llu: %s -> %s, completed %llu, committed %llu %s\n",
		(unsigned long long)(w->now_ns / 1000000), (unsigned long long)s.epoch, session_phase_name(from),
		session_phase_name(to), (unsigned long long)s.completed_seq, (unsigned long long)s.committed_seq,
		to == SESSION_ACQUIRE || to == SESSION_LOST ? s.loss_text : "");
	judge_loss(w, to);
}

static int give_record(void *ctx, const struct record_header *record)
{
	struct world *w = ctx;

	device_seed_record(w->device, record);
	return 0;
}

static int give_block(void *ctx, uint64_t id, uint64_t offset, const unsigned char *bytes, uint64_t size)
{
	struct world *w = ctx;

	device_seed_block(w->device, id, offset, bytes, size);
	return 0;
}

static int give_hashes(void *ctx, uint64_t id, uint64_t offset, const unsigned char *bytes, uint64_t size)
{
	struct world *w = ctx;

	device_seed_hashes(w->device, id, offset, bytes, size);
	return 0;
}

/* One step of the sender of the current epoch. Between them anything may happen. */
static void send_seed(struct world *w)
{
	struct device *d = w->device;
	uint64_t position, seq;

	switch (d->stage) {
	case SEED_NEW:
		device_push(d, &(struct frame_header){ 0, FRAME_READY, 0, 0, 0 }, NULL);
		d->stage = SEED_READY;
		break;
	case SEED_READY:
		session_core_seed_records(w->core, give_record, w);
		d->stage = SEED_RECORDS;
		break;
	case SEED_RECORDS:
		session_core_seed_memory(w->core, STATE_BLOCK, give_block, w);
		session_core_seed_hashes(w->core, 64, give_hashes, w);
		d->stage = SEED_MEMORY;
		break;
	case SEED_MEMORY:
		if (session_core_seeding_done(w->core, d->epoch, &position, &seq) && !d->dead) {
			struct session_status s;

			session_core_status(w->core, &s);
			if (s.graceful && seq != w->left_seq)
				world_fail(w, "core: goes on behind submission %llu, its executor left behind %llu",
					(unsigned long long)seq, (unsigned long long)w->left_seq);
			device_start(d, position, seq);
		}
		d->stage = SEED_STARTED;
		break;
	case SEED_STARTED:
		break;
	}
}

/* Hands on the next frame of a device, or the end of its channel. */
static void hand_on(struct world *w, struct device *d)
{
	uint64_t epoch = d->epoch;

	if (d->first < d->frame_count) {
		struct device_frame f = d->frames[d->first++];

		w->lie = f.lie;
		session_core_frame(w->core, w->now_ns, epoch, &f.header, f.payload);
		w->lie = false;
		free(f.payload);
	} else if (d->dead) {
		session_core_lost(w->core, w->now_ns, epoch, SESSION_LOSS_CHANNEL, NULL);
	}
}

static void answer_acquire(struct world *w)
{
	uint64_t request = w->request, epoch;
	char gpu[8];

	if (!request)
		return;
	w->request = 0;
	if (w->faults_left && one_in(&w->choices, 8)) {
		w->faults_left--;
		session_core_refused(w->core, w->now_ns, request, "no");
		return;
	}
	/* The first GPU that is not excluded; an unfit one never becomes fit in this world, so four are not always enough. */
	for (unsigned i = 0; i < 40; i++) {
		bool excluded = false;

		snprintf(gpu, sizeof(gpu), "g%u", i);
		for (size_t k = 0; k < w->excluded_count; k++)
			excluded |= strcmp(gpu, w->excluded[k]) == 0;
		if (!excluded)
			break;
	}
	if (!session_core_acquired(w->core, w->now_ns, request, gpu, &epoch))
		world_fail(w, "core: does not want the executor that it asked for");
}

static void pass_time(struct world *w)
{
	w->now_ns += (uint64_t)(10 + choose(&w->choices, 250)) * 1000000;
	if (w->device && w->device->stage != SEED_NEW && w->device->frame_count - w->device->first < 4)
		device_push(w->device, &(struct frame_header){ 0, FRAME_HEARTBEAT, 0, 0, 0 }, NULL);
	session_core_tick(w->core, w->now_ns);
}

static void strike(struct world *w)
{
	struct choices *c = &w->choices;
	char gpu[8];

	if (!w->faults_left)
		return;
	w->faults_left--;
	switch (choose(c, 4)) {
	case 0:
		snprintf(gpu, sizeof(gpu), "g%u", choose(c, 3));
		session_core_gpu_gone(w->core, w->now_ns, gpu, w->now_ns - choose(c, 1000000));
		break;
	case 1:
		if (w->device) /* killed; what it had sent may still arrive */
			w->device->dead = true;
		break;
	case 2:
		if (w->device) { /* killed, and its last words are lost */
			w->device->dead = true;
			while (w->device->first < w->device->frame_count && choose(c, 3))
				free(w->device->frames[--w->device->frame_count].payload);
		}
		break;
	case 3:
		if (w->device)
			session_core_lost(w->core, w->now_ns, w->device->epoch, SESSION_LOSS_ATTACH, "cut");
		break;
	}
}

/* The user wants the GPU for himself. */
static void move_away(struct world *w)
{
	struct session_status s;

	session_core_status(w->core, &s);
	if (s.gpu[0] && !w->stays)
		session_core_leave(w->core, w->now_ns, s.gpu, 0x1234567890abcdefu + w->leaves);
}

void world_pump(struct world *w)
{
	struct choices *c = &w->choices;
	uint32_t chance;

	if (w->device && one_in(c, 2))
		send_seed(w);
	for (unsigned n = 1 + choose(c, 4); n-- && w->device;)
		device_step(w->device);
	for (unsigned n = 1 + choose(c, 6); n-- && w->device;)
		hand_on(w, w->device);
	if (one_in(c, 3)) {
		struct device *d = w->stale[choose(c, 4)];

		for (unsigned n = 1 + choose(c, 6); n-- && d;) {
			device_step(d);
			hand_on(w, d);
		}
	}
	if (one_in(c, 3))
		answer_acquire(w);
	if (one_in(c, 8))
		pass_time(w);
	chance = choose(c, 64);
	if (chance == 1)
		strike(w);
	else if (chance == 2 || (chance == 3 && w->faults_left == 0))
		move_away(w);
	if (one_in(c, 4) && w->trim_to > w->trimmed) {
		memset(w->log.data + w->trimmed, 0xdd, w->trim_to - w->trimmed);
		w->trimmed = w->trim_to;
	}
}

int world_run(const struct choices *choices, const struct world_options *options, char failure[256], uint64_t *ret_epochs,
	uint64_t *ret_diverged, uint64_t *ret_leaves)
{
	struct session_core_ops ops = { log_at, log_head, acquire, seed, close_epoch, leave, deliver_delta, deliver_complete,
		deliver_allocated, deliver_lost, trim, report, options->verbose ? moved_aloud : moved };
	struct session_config config = SESSION_CONFIG_DEFAULT;
	struct world *w = calloc(1, sizeof(*w));
	volatile int result = 0;

	config.max_losses = 100;
	config.migration_timeout_ms = 3000000;
	w->choices = *choices;
	w->now_ns = 1000000000;
	w->core = session_core_create(&config, "", &ops, w);
	if (setjmp(w->failed) == 0) {
		w->faults_left = choose(&w->choices, 12);
		w->diverging = options->diverging;
		w->relaxed = options->diverging || one_in(&w->choices, 2);
		session_core_start(w->core, w->now_ns);
		program_create(w);
		for (unsigned i = 0; i < options->steps; i++) {
			program_step(w->program);
			if (!one_in(&w->choices, 3))
				world_pump(w);
			if (one_in(&w->choices, 3))
				program_poll(w->program);
		}
		program_finish(w->program);
		session_core_end(w->core, w->now_ns);
	} else {
		memcpy(failure, w->failure, sizeof(w->failure));
		result = -1;
	}
	*ret_epochs = w->epochs;
	*ret_diverged = w->diverged;
	*ret_leaves = w->leaves;
	session_core_destroy(w->core);
	program_destroy(w->program);
	device_destroy(w->device);
	for (unsigned i = 0; i < 4; i++)
		device_destroy(w->stale[i]);
	buf_finish(&w->log);
	buf_finish(&w->delivery);
	free(w);
	return result;
}
