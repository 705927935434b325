/* Memory: ALLOCATE, FREE, WRITE, COPY. */
#include <string.h>

#include "migrate/exec/blocks.h"
#include "migrate/exec/executor.h"
#include "proto/frame.h"

static _Noreturn void fault(struct executor *x, const char *what)
{
	link_lost(&x->link, RESULT_WORKLOAD_FAULT, "%s", what);
}

void apply_allocate(struct executor *x, const struct record_view *record)
{
	struct frame_header reply = { .kind = FRAME_ALLOCATED, .a = record->header.subject };
	struct record_allocate allocate;
	struct memory *memory = NULL;
	struct object *object;
	uint32_t size;
	const unsigned char *payload = record_payload(record, &size);
	VkResult result;

	if (size < sizeof(allocate))
		fault(x, "an ALLOCATE record is too short");
	memcpy(&allocate, payload, sizeof(allocate));
	result = memory_create(&x->device, record->header.subject, allocate.size_bytes, &memory);
	if (result == VK_SUCCESS) {
		object = objects_add(&x->objects, record->header.subject, VK_OBJECT_TYPE_DEVICE_MEMORY);
		if (!object)
			fault(x, "an ALLOCATE record uses an id twice");
		object->usable = true;
		object->memory = memory;
		object->handle = (uint64_t)memory->handle;
		memory->host_visible = allocate.memory_class != MEMORY_DEVICE_LOCAL;
		if (!x->seeding)
			upload_zero(&x->upload, memory, 0, memory->size);
	} else if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY && result != VK_ERROR_OUT_OF_HOST_MEMORY &&
		result != VK_ERROR_TOO_MANY_OBJECTS) {
		link_lost(&x->link, result, "allocating %llu bytes failed", (unsigned long long)allocate.size_bytes);
	}
	reply.b = (uint32_t)result;
	link_send(&x->link, &reply, NULL, 0);
}

void apply_free(struct executor *x, const struct record_view *record)
{
	struct object *object = objects_find(&x->objects, record->header.subject);
	struct memory *memory;

	/* One that could not be allocated was never there. */
	if (!object)
		return;
	memory = executor_memory(x, record->header.subject);
	commit_forget(&x->commit, memory);
	/* The program is done with it, our own copies to and from it may not be. */
	if (x->upload.job && memory->last_ticket == x->upload.job->ticket)
		upload_flush(&x->upload);
	jobs_wait_ticket(&x->jobs, memory->last_ticket);
	while (!list_empty(&memory->images)) {
		struct image *image = list_entry(memory->images.next, struct image, link);

		image->object->usable = false;
		image_unbind(image);
	}
	memory_destroy(memory, &x->device);
	objects_remove(&x->objects, object);
}

/* The record may lie in memory that the program still writes: header and runs are copied, then checked; the bytes are only
 * passed on. */
void apply_write(struct executor *x, const struct record_view *record)
{
	struct memory *memory = executor_memory(x, record->header.subject);
	struct record_write write;
	const struct record_run *runs;
	uint32_t size;
	const unsigned char *payload = record_payload(record, &size);
	uint64_t end = 0, sum = 0;
	uint64_t runs_size;

	if (size < sizeof(write))
		fault(x, "a WRITE record is too short");
	memcpy(&write, payload, sizeof(write));
	runs_size = (uint64_t)write.run_count * sizeof(*runs);
	if (runs_size > size - sizeof(write) || write.byte_count > size - sizeof(write) - runs_size)
		fault(x, "a WRITE record is too short");
	buf_clear(&x->record);
	buf_append(&x->record, payload + sizeof(write), runs_size);
	if (x->record.failed)
		link_lost(&x->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	runs = (const struct record_run *)x->record.data;
	for (uint32_t i = 0; i < write.run_count; i++) {
		if (runs[i].size == 0 || runs[i].offset < end || runs[i].offset > memory->size ||
			runs[i].size > memory->size - runs[i].offset)
			fault(x, "a WRITE record writes outside its memory, or its runs are not in order");
		end = runs[i].offset + runs[i].size;
		sum += runs[i].size;
	}
	if (sum != write.byte_count)
		fault(x, "a WRITE record's runs and bytes do not fit each other");
	if (!write.run_count)
		return;
	upload_runs(&x->upload, memory, runs, write.run_count, payload + sizeof(write) + runs_size);
	/* Linear images, whose bytes the host writes: what the GPU wrote to them was stored with the submission that did. */
	list_for_each(image, &memory->images, struct image, link) {
		uint32_t i = 0;

		while (i < write.run_count && !image_overlaps(image, runs[i].offset, runs[i].size))
			i++;
		if (i < write.run_count && image->layout.samples == 1)
			upload_image(&x->upload, image);
	}
}

/* The recording does the copies. Here they only say what does not come back. */
void apply_copy(struct executor *x, const struct record_view *record)
{
	struct record_copy copy;
	uint32_t size;
	const unsigned char *payload = record_payload(record, &size);

	for (; size >= sizeof(copy); payload += sizeof(copy), size -= (uint32_t)sizeof(copy)) {
		struct memory *memory;

		memcpy(&copy, payload, sizeof(copy));
		memory = executor_memory(x, copy.memory);
		if (copy.size == 0 || copy.offset > memory->size || copy.size > memory->size - copy.offset)
			fault(x, "a COPY record writes outside its memory");
		blocks_forget(memory, copy.offset, copy.size);
	}
}
