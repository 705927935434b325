/* The seed: a checkpoint's objects and memory, and where the log goes on. */
#include <stdlib.h>
#include <string.h>

#include "migrate/exec/blocks.h"
#include "migrate/exec/executor.h"

static void apply_seed_record(struct executor *x, const unsigned char *bytes, const struct record_header *header)
{
	struct record_view view = { .header = *header, .bytes = bytes, .private_bytes = true };

	switch ((enum record_kind)header->kind) {
	case RECORD_CREATE:
	case RECORD_UPDATE:
	case RECORD_DESTROY:
	case RECORD_ALLOCATE:
	case RECORD_FREE:
	case RECORD_NEED:
		/* What it observed lies before the checkpoint. */
		view.header.observed = 0;
		executor_apply(x, &view);
		return;
	case RECORD_WRITE:
	case RECORD_SUBMIT:
	case RECORD_COPY:
		break;
	}
	link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a seed has a record of kind %u", header->kind);
}

static void seed_records(struct executor *x, const unsigned char *bytes, size_t size)
{
	while (size) {
		struct record_header header;

		if (size < sizeof(header))
			link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a seed has a record that is cut off");
		memcpy(&header, bytes, sizeof(header));
		if (!record_header_valid(&header) || header.size > size)
			link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a seed has a record of a wrong size");
		apply_seed_record(x, bytes, &header);
		bytes += header.size;
		size -= header.size;
	}
}

/* Puts a record together that is larger than a frame. */
static void seed_part(struct executor *x, struct buf *whole, const struct seed_frame *frame)
{
	uint64_t total = frame->header.a;

	if (frame->header.b != whole->size || total > RECORD_MAX_BYTES || frame->header.size > total - whole->size)
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "the parts of a record do not fit together");
	buf_append(whole, frame->payload, frame->header.size);
	if (whole->failed)
		link_lost(&x->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	if (whole->size < total)
		return;
	seed_records(x, whole->data, whole->size);
	buf_clear(whole);
}

static void seed_memory(struct executor *x, const struct seed_frame *frame)
{
	struct memory *memory = executor_memory(x, frame->header.a);
	struct record_run run = { .offset = frame->header.b, .size = frame->header.size };

	if (run.size == 0)
		return;
	if (run.offset > memory->size || run.size > memory->size - run.offset)
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a seed writes outside memory %llu",
			(unsigned long long)memory->id);
	if (run.offset % 4 || run.size % 4)
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a seed cuts memory %llu between words",
			(unsigned long long)memory->id);
	if (!range_set_add(&memory->received, run.offset, run.offset + run.size))
		link_lost(&x->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	upload_runs(&x->upload, memory, &run, 1, frame->payload);
	x->seed_bytes += run.size;
}

/* Hashes of blocks as the checkpoint has them. */
static void seed_hashes(struct executor *x, const struct seed_frame *frame)
{
	uint64_t count = frame->header.size / sizeof(uint64_t);
	uint64_t *hashes = malloc(frame->header.size + 1);

	if (!hashes)
		link_lost(&x->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	memcpy(hashes, frame->payload, count * sizeof(*hashes));
	for (uint64_t i = 0; i < count; i++)
		x->seed_hashed |= hashes[i] != 0;
	if (!blocks_know(executor_memory(x, frame->header.a), frame->header.b, hashes, count))
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a seed has hashes of blocks that memory %llu does not have",
			(unsigned long long)frame->header.a);
	free(hashes);
}

/* Bytes that were not sent are zero. */
static void zero_gaps(struct executor *x, struct memory *memory)
{
	uint64_t at = 0;

	for (size_t i = 0; i < memory->received.count; i++) {
		const struct span *span = &memory->received.spans[i];

		if (at < span->begin)
			upload_zero(&x->upload, memory, at, span->begin);
		at = span->end;
	}
	if (at < memory->size)
		upload_zero(&x->upload, memory, at, memory->size);
	range_set_finish(&memory->received);
}

static void start(struct executor *x, const struct seed_frame *frame)
{
	struct frame_header started = { .kind = FRAME_STARTED, .a = x->seed_bytes };

	for (size_t i = 0; i < x->objects.capacity; i++) {
		if (x->objects.slots[i] && x->objects.slots[i]->memory)
			zero_gaps(x, x->objects.slots[i]->memory);
	}
	for (size_t i = 0; i < x->objects.capacity; i++) {
		const struct object *object = x->objects.slots[i];

		if (object && object->image && object->image->memory)
			upload_image(&x->upload, object->image);
	}
	/* The program waits for the first COMMIT behind a move: it is not hashed when there is nothing to compare with. */
	if (x->seed_bytes && !x->seed_hashed)
		x->commit.skip = 1;
	upload_flush(&x->upload);
	jobs_wait_ticket(&x->jobs, x->jobs.last_ticket);
	jobs_set_seq(&x->jobs, frame->header.b);
	x->next_seq = frame->header.b + 1;
	log_reader_start(&x->link.log, frame->header.a);
	link_send(&x->link, &started, NULL, 0);
}

void executor_seed(struct executor *x)
{
	struct buf whole = { 0 };
	bool started = false;

	x->seeding = true;
	while (!started) {
		struct seed_frame *frame = link_next_seed(&x->link);

		switch (frame->header.kind) {
		case FRAME_RECORDS:
			seed_records(x, frame->payload, frame->header.size);
			break;
		case FRAME_RECORD_PART:
			seed_part(x, &whole, frame);
			break;
		case FRAME_MEMORY:
			seed_memory(x, frame);
			break;
		case FRAME_KNOWN:
			seed_hashes(x, frame);
			break;
		case FRAME_START:
			start(x, frame);
			started = true;
			break;
		}
		link_release_seed(&x->link, frame);
	}
	x->seeding = false;
	buf_finish(&whole);
}
