/* SUBMIT: the program's command buffers between uploads and nonce, and the windows of a COMMIT behind them. */
#include <string.h>

#include "migrate/exec/blocks.h"
#include "migrate/exec/executor.h"

static void append(struct executor *x, VkCommandBuffer buffer)
{
	buf_append(&x->submit, &buffer, sizeof(buffer));
}

/* The program's command buffers, a full barrier between them; the tail begins with one. */
static void collect_buffers(struct executor *x, const struct record_view *record)
{
	for (uint32_t i = 0; i < record->header.dep_count; i++) {
		struct object *object;
		uint64_t id;

		memcpy(&id, record->bytes + sizeof(record->header) + i * sizeof(id), sizeof(id));
		object = objects_find(&x->objects, id);
		if (!object || object->type != VK_OBJECT_TYPE_COMMAND_BUFFER || !object->primary || !object->usable) {
			link_lost(&x->link, RESULT_WORKLOAD_FAULT,
				"submission %llu runs command buffer %llu, which is not there or uses destroyed objects",
				(unsigned long long)record->header.subject, (unsigned long long)id);
		}
		if (i)
			append(x, x->jobs.barrier);
		append(x, (VkCommandBuffer)(uintptr_t)object->handle);
	}
}

static void note_ranges(struct executor *x, const struct record_view *record, const unsigned char *ranges, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct record_range range;
		struct memory *memory;

		memcpy(&range, ranges + (size_t)i * sizeof(range), sizeof(range));
		memory = executor_memory(x, range.memory);
		if (range.size == 0 || range.offset > memory->size || range.size > memory->size - range.offset) {
			link_lost(&x->link, RESULT_WORKLOAD_FAULT, "submission %llu writes outside memory %llu",
				(unsigned long long)record->header.subject, (unsigned long long)range.memory);
		}
		commit_note_write(&x->commit, memory, range.offset, range.offset + range.size);
	}
}

/* Ids of the images that the submission may write, in order. One that is gone was only named by a descriptor that nothing uses. */
static void note_images(struct executor *x, const unsigned char *ids, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct object *object;
		uint64_t id;

		memcpy(&id, ids + (size_t)i * sizeof(id), sizeof(id));
		object = objects_find(&x->objects, id & ~SUBMIT_IMAGE_NEEDED);
		if (!object || !object->image || !object->image->memory)
			continue;
		if (id & SUBMIT_IMAGE_NEEDED) {
			if (object->image->hollow)
				link_lost(&x->link, RESULT_WORKLOAD_FAULT,
					"the program goes on drawing into multisampled image %llu, or reads it; what such "
					"images "
					"hold can't be carried to another GPU from one submission to the next",
					(unsigned long long)object->id);
			continue;
		}
		object->image->hollow = false;
		if (object->image->layout.samples != 1)
			continue;
		list_remove(&object->image->dirty_link);
		list_append(&x->dirty_images, &object->image->dirty_link);
	}
}

static bool same_layout(const struct gpu_image *a, const struct gpu_image *b)
{
	return memcmp(&a->format, &b->format, sizeof(a->format)) == 0 && a->extent.width == b->extent.width &&
		a->extent.height == b->extent.height && a->extent.depth == b->extent.depth && a->mips == b->mips &&
		a->layers == b->layers && a->samples == b->samples;
}

/* Images that Vulkan calls aliases of one another: the same image twice at one place of a memory. What one of them holds the others
 * do, from the next submission on. */
static void load_aliases(struct executor *x, struct job *job, const struct image *stored)
{
	list_for_each(image, &stored->memory->images, struct image, link) {
		if (image == stored || image->offset != stored->offset || !list_empty(&image->dirty_link) ||
			!same_layout(&image->layout, &stored->layout))
			continue;
		device_full_barrier(&x->device, job->tail);
		image_record_load(image, &x->device, job->tail);
		image->last_ticket = job->ticket;
	}
}

/* Behind the program's commands: images go where their state belongs: all of them, or those that are returned now (host_visible: in memory
 * that the program can see), and those whose bytes others may write next. */
static void store_images(struct executor *x, struct job *job, bool all, bool host_visible)
{
	bool stored = false;

	list_for_each_safe(image, &x->dirty_images, struct image, dirty_link) {
		if (!all && !image->memory->aliased && !(host_visible && image->memory->host_visible))
			continue;
		if (stored && image->memory->aliased)
			device_full_barrier(&x->device, job->tail);
		image_record_store(image, &x->device, job->tail);
		image->last_ticket = image->memory->last_ticket = job->ticket;
		list_remove(&image->dirty_link);
		load_aliases(x, job, image);
		stored = true;
	}
	if (stored)
		device_full_barrier(&x->device, job->tail);
}

static void begin_tail(struct executor *x, struct job *job)
{
	jobs_begin(&x->jobs, job->tail);
	device_full_barrier(&x->device, job->tail);
}

/* Ends the tail, and with it the job: a full barrier in front of the next one's commands; what it wrote is there for the host when the
 * fence has signalled. */
static void end_tail(struct executor *x, struct job *job)
{
	const VkMemoryBarrier all = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT | VK_ACCESS_HOST_READ_BIT,
	};

	x->device.vk.vkCmdPipelineBarrier(job->tail, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
		VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &all, 0, NULL, 0, NULL);
	jobs_end(&x->jobs, job->tail);
}

static void submit_windows(struct executor *x, uint64_t seq, uint64_t nonce, bool host_visible)
{
	bool final = false;

	for (uint32_t index = 1; !final; index++) {
		struct job *job = jobs_take(&x->jobs);

		job->seq = seq;
		begin_tail(x, job);
		commit_record_window(&x->commit, job, nonce, index, host_visible);
		end_tail(x, job);
		final = job->final = commit_is_empty(&x->commit, host_visible);
		jobs_submit(&x->jobs, job, &job->tail, 1);
	}
}

/* A job that begins with what was uploaded. */
static struct job *begin_job(struct executor *x)
{
	struct job *job = upload_take(&x->upload);

	buf_clear(&x->submit);
	if (job)
		append(x, job->upload);
	else
		job = jobs_take(&x->jobs);
	return job;
}

/* What stands behind the program's command buffers: nonce and windows. */
static void submit_job(struct executor *x, struct job *job, uint64_t seq, uint64_t nonce, uint32_t flags)
{
	bool returns = flags & (SUBMIT_COMMIT | SUBMIT_RETURN), host_visible = !(flags & SUBMIT_COMMIT), hashes, final;

	job->seq = seq;
	job->has_nonce = true;
	job->brings_nothing = !returns;
	begin_tail(x, job);
	store_images(x, job, flags & SUBMIT_COMMIT, returns);
	x->device.vk.vkCmdUpdateBuffer(job->tail, x->jobs.words.buffer,
		job->words_offset + offsetof(struct job_words, nonce), sizeof(nonce), &nonce);
	hashes = returns && !host_visible && blocks_wanted(&x->commit) && blocks_record(&x->commit, job, nonce);
	if (!hashes && returns)
		commit_record_window(&x->commit, job, nonce, 0, host_visible);
	end_tail(x, job);
	append(x, job->tail);
	if (x->submit.failed)
		link_lost(&x->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	final = job->final = !returns || (!hashes && commit_is_empty(&x->commit, host_visible));
	jobs_submit(&x->jobs, job, (const VkCommandBuffer *)x->submit.data,
		(uint32_t)(x->submit.size / sizeof(VkCommandBuffer)));
	if (hashes) {
		jobs_wait_ticket(&x->jobs, x->jobs.last_ticket);
		blocks_drop_unchanged(&x->commit);
	}
	if (!final)
		submit_windows(x, seq, nonce, host_visible);
}

void executor_leave(struct executor *x, uint64_t position, uint64_t nonce)
{
	struct frame_header leaving = { .kind = FRAME_LEAVING, .a = position, .b = x->next_seq - 1 };

	jobs_wait_ticket(&x->jobs, x->jobs.last_ticket); /* all DONEs are said */
	link_send(&x->link, &leaving, NULL, 0);
	submit_job(x, begin_job(x), FRAME_LEAVE_SEQ, nonce, SUBMIT_COMMIT);
}

void apply_submit(struct executor *x, const struct record_view *record)
{
	struct record_submit submit;
	uint32_t size;
	const unsigned char *payload = record_payload(record, &size);
	struct job *job;

	if (record->header.subject != x->next_seq)
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "submission %llu came instead of %llu",
			(unsigned long long)record->header.subject, (unsigned long long)x->next_seq);
	if (size < sizeof(submit))
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a SUBMIT record is too short");
	memcpy(&submit, payload, sizeof(submit));
	if (submit.range_count > (size - sizeof(submit)) / sizeof(struct record_range))
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a SUBMIT record is too short");
	job = begin_job(x);
	collect_buffers(x, record);
	note_ranges(x, record, payload + sizeof(submit), submit.range_count);
	size -= (uint32_t)(sizeof(submit) + submit.range_count * sizeof(struct record_range));
	note_images(x, payload + sizeof(submit) + submit.range_count * sizeof(struct record_range),
		size / (uint32_t)sizeof(uint64_t));

	submit_job(x, job, record->header.subject, submit.nonce, submit.flags);
	x->next_seq++;
}
