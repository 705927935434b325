/* VkDeviceMemory. What is host-visible is plain memory of this process; nothing but the bytes that differ ever leaves it. */
#include "migrate/icd/memory.h"
#include "migrate/icd/stream.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/util.h"

struct icd_memory *icd_memory_find(struct icd_device *d, uint64_t id)
{
	list_for_each(m, &d->memories, struct icd_memory, link) {
		if (m->object.id == id)
			return m;
	}
	return NULL;
}

void icd_memory_answer(struct icd_device *d, uint64_t id, VkResult result)
{
	struct icd_memory *m = icd_memory_find(d, id);
	if (!m)
		return;
	m->answered = true;
	m->result = result;
}

static unsigned char *map_zeros(uint64_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return map == MAP_FAILED ? NULL : memory_large(map, size);
}

static void memory_free(struct icd_memory *m)
{
	if (m->map)
		munmap(m->map, m->size);
	if (m->seen)
		munmap(m->seen, m->size);
	free(m);
}

static uint32_t heap_of(const struct icd_memory *m)
{
	return m->type == MEMORY_DEVICE_LOCAL ? 0 : 1;
}

/* Counts an allocation in, if the heaps have room: both are carved out of the real device's one. */
static bool charge(struct icd_physical *p, uint32_t heap, uint64_t size)
{
	uint64_t used = atomic_fetch_add(&p->heap_used[heap], size);
	uint64_t other = atomic_load(&p->heap_used[1 - heap]);
	if (size <= p->memory.memoryHeaps[heap].size && used + size <= p->memory.memoryHeaps[heap].size &&
		used + size + other <= p->memory.memoryHeaps[0].size)
		return true;
	atomic_fetch_sub(&p->heap_used[heap], size);
	return false;
}

/* Asks the executor and waits for its answer. */
static VkResult allocate(struct icd_device *d, struct icd_memory *m)
{
	struct record_allocate payload = { .size_bytes = m->size, .memory_class = m->type };
	struct record_header head = { .kind = RECORD_ALLOCATE, .subject = m->object.id };
	struct iovec part = { &payload, sizeof(payload) };
	pthread_mutex_lock(&d->mutex);
	list_append(&d->memories, &m->link);
	icd_append(d, &head, NULL, &part, 1);
	icd_publish(d);
	while (!m->answered && !icd_lost(d)) {
		uint32_t seen = progress_sequence(&d->stream.progress);
		icd_drain(d);
		if (m->answered || icd_lost(d))
			break;
		pthread_mutex_unlock(&d->mutex);
		icd_sleep(d, seen, ICD_NEVER);
		pthread_mutex_lock(&d->mutex);
	}
	VkResult result = m->answered ? m->result : VK_ERROR_OUT_OF_DEVICE_MEMORY;
	if (result != VK_SUCCESS)
		list_remove(&m->link);
	else
		d->memory_count++;
	uint32_t count = d->memory_count;
	pthread_mutex_unlock(&d->mutex);
	if (result == VK_SUCCESS) {
		icd_need_limit(d, ICD_LIMIT_ALLOCATIONS, count);
		icd_need_limit(d, ICD_LIMIT_ALLOCATION_SIZE, m->size);
		icd_need_limit(d, ICD_LIMIT_BUFFER_SIZE, m->size); /* executors see it through one buffer */
	}
	/* The call may return only these two. */
	return result == VK_SUCCESS || result == VK_ERROR_OUT_OF_HOST_MEMORY ? result : VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_AllocateMemory(VkDevice device, const VkMemoryAllocateInfo *info,
	const VkAllocationCallbacks *allocator, VkDeviceMemory *ret_memory)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	if (info->allocationSize == 0 || info->allocationSize > UINT64_MAX / 4 ||
		info->memoryTypeIndex >= ICD_MEMORY_TYPE_COUNT)
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	struct icd_memory *m = icd_object_create(sizeof(*m));
	if (!m)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	list_init(&m->link);
	m->object.id = icd_new_id(d);
	m->size = (info->allocationSize + ICD_ALIGNMENT - 1) & ~(uint64_t)(ICD_ALIGNMENT - 1);
	m->type = info->memoryTypeIndex;
	VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
	if (!charge(d->physical, heap_of(m), m->size))
		goto fail;
	if (m->type != MEMORY_DEVICE_LOCAL) {
		m->map = map_zeros(m->size);
		m->seen = map_zeros(m->size);
		result = VK_ERROR_OUT_OF_HOST_MEMORY;
		if (!m->map || !m->seen)
			goto fail_charged;
	}
	icd_need_memory(d, atomic_load(&d->physical->heap_used[0]) + atomic_load(&d->physical->heap_used[1]));
	result = allocate(d, m);
	if (result != VK_SUCCESS)
		goto fail_charged;
	*ret_memory = ICD_HANDLE(VkDeviceMemory, m);
	return VK_SUCCESS;

fail_charged:
	atomic_fetch_sub(&d->physical->heap_used[heap_of(m)], m->size);
fail:
	memory_free(m);
	return result;
}

VKAPI_ATTR void VKAPI_CALL icd_FreeMemory(VkDevice device, VkDeviceMemory memory, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_memory *m = ICD_FROM(icd_memory, memory);
	if (!m)
		return;
	struct record_header head = { .kind = RECORD_FREE, .subject = m->object.id };
	pthread_mutex_lock(&d->mutex);
	list_remove(&m->link);
	d->memory_count--;
	icd_append(d, &head, NULL, NULL, 0);
	icd_publish(d); /* somebody may wait for the room */
	pthread_mutex_unlock(&d->mutex);
	atomic_fetch_sub(&d->physical->heap_used[heap_of(m)], m->size);
	memory_free(m);
}

void icd_memory_free_all(struct icd_device *d)
{
	list_for_each_safe(m, &d->memories, struct icd_memory, link) {
		atomic_fetch_sub(&d->physical->heap_used[heap_of(m)], m->size);
		memory_free(m);
	}
	list_init(&d->memories);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_MapMemory(VkDevice device, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize size,
	VkMemoryMapFlags flags, void **ret_data)
{
	(void)device, (void)size, (void)flags;
	struct icd_memory *m = ICD_FROM(icd_memory, memory);
	if (!m->map)
		return VK_ERROR_MEMORY_MAP_FAILED;
	atomic_store_explicit(&m->touched, true, memory_order_release);
	*ret_data = m->map + offset;
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_UnmapMemory(VkDevice device, VkDeviceMemory memory)
{
	(void)device, (void)memory;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_FlushMappedMemoryRanges(
	VkDevice device, uint32_t count, const VkMappedMemoryRange *ranges)
{
	(void)device, (void)count, (void)ranges;
	return VK_SUCCESS; /* all host-visible memory is coherent */
}

VKAPI_ATTR VkResult VKAPI_CALL icd_InvalidateMappedMemoryRanges(
	VkDevice device, uint32_t count, const VkMappedMemoryRange *ranges)
{
	(void)device, (void)count, (void)ranges;
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_GetDeviceMemoryCommitment(VkDevice device, VkDeviceMemory memory, VkDeviceSize *committed)
{
	(void)device;
	*committed = ICD_FROM(icd_memory, memory)->size;
}

/* bufferDeviceAddress is not offered: there is nothing to capture. */
VKAPI_ATTR uint64_t VKAPI_CALL icd_GetDeviceMemoryOpaqueCaptureAddress(
	VkDevice device, const VkDeviceMemoryOpaqueCaptureAddressInfo *info)
{
	(void)device, (void)info;
	return 0;
}
