#include "migrate/exec/executor.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Decoded structs of one command; the largest is a record full of shader code. Pages are touched as needed. */
#define ARENA_BYTES (64u << 20)

void executor_init(struct executor *x, const char *cache_directory)
{
	struct device *d = &x->device;
	VkCommandPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
		.queueFamilyIndex = d->family,
	};
	VkResult result;
	void *arena;

	list_init(&x->dirty_images);
	jobs_init(&x->jobs, d, &x->link);
	upload_init(&x->upload, &x->jobs);
	commit_init(&x->commit, &x->jobs);
	set_pools_init(&x->sets, d);
	pipeline_cache_init(&x->pipelines, d, cache_directory);
	if (!shader_check_init(&x->shaders, d, cache_directory))
		link_lost(&x->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	result = d->vk.vkCreateCommandPool(d->handle, &pool, NULL, &x->pool);
	if (result < 0)
		link_lost(&x->link, result, "vkCreateCommandPool failed");
	arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED)
		link_lost(&x->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	x->next_seq = 1;
	x->arena = (struct wire_arena){ .base = arena, .size = ARENA_BYTES };
}

/* A copy that nobody else writes. */
static void make_private(struct executor *x, struct record_view *record)
{
	if (record->private_bytes)
		return;
	buf_clear(&x->record);
	buf_append(&x->record, record->bytes, record->header.size);
	if (x->record.failed)
		link_lost(&x->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	memcpy(x->record.data, &record->header, sizeof(record->header));
	record->bytes = x->record.data;
	record->private_bytes = true;
}

void executor_apply(struct executor *x, const struct record_view *shared)
{
	struct record_view record = *shared;

	if (record.header.observed >= x->next_seq)
		link_lost(&x->link, RESULT_WORKLOAD_FAULT,
			"a record says that submission %llu, which was not made yet, is complete",
			(unsigned long long)record.header.observed);
	jobs_wait_seq(&x->jobs, record.header.observed);
	if (record.header.kind != RECORD_WRITE)
		make_private(x, &record);
	switch ((enum record_kind)record.header.kind) {
	case RECORD_CREATE:
		apply_create(x, &record);
		return;
	case RECORD_UPDATE:
		apply_update(x, &record);
		return;
	case RECORD_DESTROY:
		apply_destroy(x, &record);
		return;
	case RECORD_ALLOCATE:
		apply_allocate(x, &record);
		return;
	case RECORD_FREE:
		apply_free(x, &record);
		return;
	case RECORD_WRITE:
		apply_write(x, &record);
		return;
	case RECORD_SUBMIT:
		apply_submit(x, &record);
		return;
	case RECORD_COPY:
		apply_copy(x, &record);
		return;
	case RECORD_NEED:
		return;
	}
	link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a record of the unknown kind %u", record.header.kind);
}

struct memory *executor_memory(struct executor *x, uint64_t id)
{
	struct object *object = objects_find(&x->objects, id);

	if (!object || !object->memory)
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a record names memory %llu, which is not there",
			(unsigned long long)id);
	return object->memory;
}
