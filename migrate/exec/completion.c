#include "migrate/exec/completion.h"

#include <pthread.h>

#include "base/util.h"
#include "migrate/exec/blocks.h"
#include "migrate/exec/commit.h"
#include "migrate/exec/jobs.h"
#include "migrate/exec/link.h"

#define FENCE_WAIT_NS 1000000000ull
#define SMALL_WINDOW_BYTES (128u << 10)

static void wait_fence(struct jobs *j, const struct job *job)
{
	const struct device *d = j->device;
	VkResult result;

	do {
		result = d->vk.vkWaitForFences(d->handle, 1, &job->fence, VK_TRUE, FENCE_WAIT_NS);
	} while (result == VK_TIMEOUT);
	if (result < 0)
		link_lost(j->link, result, "waiting for the GPU failed");
}

static void report_window(struct jobs *j, const struct job *job)
{
	const struct window *w = job->window;
	const unsigned char *bytes = w->out.map;
	struct frame_window window = { .index = w->index, .word_count = w->size / 4 };
	struct frame_header header = { .kind = FRAME_WINDOW, .a = job->seq };
	/* The session wakes once for all of a small one; a large one it reads as it comes. */
	bool small = w->size <= SMALL_WINDOW_BYTES;

	for (uint32_t i = 0; i < w->piece_count; i++) {
		const struct window_piece *piece = &w->pieces[i];

		for (uint32_t done = 0; done < piece->size;) {
			uint32_t size = piece->size - done < FRAME_MAX_PAYLOAD ? piece->size - done : FRAME_MAX_PAYLOAD;
			struct frame_header result = {
				.kind = piece->hashes ? FRAME_HASHES : FRAME_RESULT,
				.a = job->seq,
				.b = piece->memory,
				.c = piece->offset +
					(piece->hashes ? (uint64_t)done / sizeof(uint64_t) * BLOCK_BYTES : done),
			};

			if (small)
				link_send_first(j->link, &result, bytes, size);
			else
				link_send(j->link, &result, bytes, size);
			bytes += size;
			done += size;
		}
	}
	header.b = job->words->window_nonce;
	header.c = (uint64_t)job->words->window_hash[1] << 32 | job->words->window_hash[0];
	if (small && job->final)
		link_send_first(j->link, &header, &window, sizeof(window)); /* DONE follows */
	else
		link_send(j->link, &header, &window, sizeof(window));
}

static void *run(void *ctx)
{
	struct jobs *j = ctx;
	uint64_t nonce = 0;

	for (;;) {
		struct job *job = jobs_next_pending(j);

		wait_fence(j, job);
		job->done_ns = time_monotonic_ns();
		if (job->has_nonce)
			nonce = job->words->nonce;
		if (job->window)
			report_window(j, job);
		if (job->final)
			link_done(j->link, job->seq, nonce, job->brings_nothing);
		jobs_finish(j, job);
	}
	return NULL;
}

int completion_start(struct jobs *j)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run, j);

	if (!error)
		pthread_detach(thread);
	return -error;
}
