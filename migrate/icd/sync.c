/* Fences, semaphores, events, and waiting for them. */
#include "migrate/icd/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLICE_NS 500000000ull
/* A wait for any of several, some of which only the host can bring about, looks this often. */
#define MIXED_SLICE_NS 2000000ull

/* The last point that is complete; those are removed. false: none is. */
static bool take_points(const struct icd_device *d, struct buf *points, struct icd_point *ret_last)
{
	struct icd_point *all = (struct icd_point *)(void *)points->data;
	size_t count = points->size / sizeof(*all), done = 0;
	while (done < count && icd_complete(d, all[done].seq))
		done++;
	if (done == 0)
		return false;
	*ret_last = all[done - 1];
	memmove(all, all + done, (count - done) * sizeof(*all));
	points->size -= done * sizeof(*all);
	return true;
}

void icd_semaphore_advance(struct icd_device *d, struct icd_semaphore *s)
{
	struct icd_point last;
	if (take_points(d, &s->points, &last) && last.value > s->value)
		s->value = last.value;
}

void icd_event_advance(struct icd_device *d, struct icd_event *e)
{
	struct icd_point last;
	if (take_points(d, &e->points, &last))
		e->set = last.value;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateFence(
	VkDevice device, const VkFenceCreateInfo *info, const VkAllocationCallbacks *allocator, VkFence *ret_fence)
{
	(void)device, (void)allocator;
	struct icd_fence *f = icd_object_create(sizeof(*f));
	if (!f)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	f->seq = info->flags & VK_FENCE_CREATE_SIGNALED_BIT ? 0 : ICD_NEVER;
	*ret_fence = ICD_HANDLE(VkFence, f);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyFence(VkDevice device, VkFence fence, const VkAllocationCallbacks *allocator)
{
	(void)device, (void)allocator;
	free(ICD_FROM(icd_fence, fence));
}

VKAPI_ATTR VkResult VKAPI_CALL icd_ResetFences(VkDevice device, uint32_t count, const VkFence *fences)
{
	(void)device;
	for (uint32_t i = 0; i < count; i++)
		atomic_store_explicit(&ICD_FROM(icd_fence, fences[i])->seq, ICD_NEVER, memory_order_release);
	return VK_SUCCESS;
}

static bool fence_signalled(const struct icd_device *d, VkFence fence)
{
	uint64_t seq = atomic_load_explicit(&ICD_FROM(icd_fence, fence)->seq, memory_order_acquire);
	return seq != ICD_NEVER && icd_complete(d, seq);
}

/* Called in loops by programs: mostly two loads. */
VKAPI_ATTR VkResult VKAPI_CALL icd_GetFenceStatus(VkDevice device, VkFence fence)
{
	struct icd_device *d = ICD_FROM(icd_device, device);
	if (fence_signalled(d, fence))
		return VK_SUCCESS;
	if (!icd_poll(d))
		return VK_ERROR_DEVICE_LOST;
	return fence_signalled(d, fence) ? VK_SUCCESS : VK_NOT_READY;
}

/* What a wait stands on. */
enum outlook {
	OUTLOOK_MET,
	OUTLOOK_DEVICE, /* some completion will bring it */
	OUTLOOK_HOST,   /* only a call of the host can: a signal, a submission */
	OUTLOOK_MIXED,  /* either */
};

typedef enum outlook outlook_fn(struct icd_device *d, const void *ctx); /* under the mutex */

static uint64_t deadline_of(uint64_t timeout_ns)
{
	uint64_t now = time_monotonic_ns();
	return timeout_ns > UINT64_MAX - 1 - now ? UINT64_MAX - 1 : now + timeout_ns;
}

/* Under the mutex: sleeps until the host did something, or a slice is over. */
static void wait_for_host(struct icd_device *d, uint64_t deadline)
{
	uint64_t until = time_monotonic_ns() + SLICE_NS;
	if (until > deadline)
		until = deadline;
	const struct timespec at = { .tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u) };
	pthread_cond_timedwait(&d->changed, &d->mutex, &at);
}

static VkResult wait_until(struct icd_device *d, outlook_fn *look, const void *ctx, uint64_t timeout_ns)
{
	uint64_t deadline = timeout_ns ? deadline_of(timeout_ns) : 0;
	for (;;) {
		uint32_t seen = progress_sequence(&d->stream.progress);
		if (!icd_poll(d))
			return VK_ERROR_DEVICE_LOST;
		pthread_mutex_lock(&d->mutex);
		enum outlook outlook = look(d, ctx);
		bool late = outlook != OUTLOOK_MET && (timeout_ns == 0 || time_monotonic_ns() >= deadline);
		if (outlook == OUTLOOK_HOST && !late)
			wait_for_host(d, deadline);
		pthread_mutex_unlock(&d->mutex);
		if (outlook == OUTLOOK_MET)
			return VK_SUCCESS;
		if (late)
			return VK_TIMEOUT;
		if (outlook == OUTLOOK_DEVICE)
			icd_sleep(d, seen, deadline);
		else if (outlook == OUTLOOK_MIXED)
			icd_sleep(d, seen, deadline_of(MIXED_SLICE_NS) < deadline ? deadline_of(MIXED_SLICE_NS) : deadline);
	}
}

/* Of several conditions, counted. */
static enum outlook combine(bool all, uint32_t count, uint32_t met, uint32_t from_host)
{
	if (all ? met == count : met > 0 || count == 0)
		return OUTLOOK_MET;
	if (all)
		return from_host ? OUTLOOK_HOST : OUTLOOK_DEVICE;
	if (from_host == count)
		return OUTLOOK_HOST;
	return from_host ? OUTLOOK_MIXED : OUTLOOK_DEVICE;
}

struct fence_wait {
	uint32_t count;
	const VkFence *fences;
	bool all;
};

static enum outlook look_at_fences(struct icd_device *d, const void *ctx)
{
	const struct fence_wait *w = ctx;
	uint32_t met = 0, from_host = 0;
	for (uint32_t i = 0; i < w->count; i++) {
		uint64_t seq = atomic_load_explicit(&ICD_FROM(icd_fence, w->fences[i])->seq, memory_order_acquire);
		if (seq == ICD_NEVER)
			from_host++;
		else if (icd_complete(d, seq))
			met++;
	}
	return combine(w->all, w->count, met, from_host);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_WaitForFences(
	VkDevice device, uint32_t count, const VkFence *fences, VkBool32 all, uint64_t timeout)
{
	const struct fence_wait wait = { count, fences, all || count == 1 };
	return wait_until(ICD_FROM(icd_device, device), look_at_fences, &wait, timeout);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateSemaphore(VkDevice device, const VkSemaphoreCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkSemaphore *ret_semaphore)
{
	(void)device, (void)allocator;
	const VkSemaphoreTypeCreateInfo *type = icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO);
	struct icd_semaphore *s = icd_object_create(sizeof(*s));
	if (!s)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	s->timeline = type && type->semaphoreType == VK_SEMAPHORE_TYPE_TIMELINE;
	s->value = s->future = s->timeline ? type->initialValue : 0;
	*ret_semaphore = ICD_HANDLE(VkSemaphore, s);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroySemaphore(
	VkDevice device, VkSemaphore semaphore, const VkAllocationCallbacks *allocator)
{
	(void)device, (void)allocator;
	struct icd_semaphore *s = ICD_FROM(icd_semaphore, semaphore);
	if (!s)
		return;
	buf_finish(&s->points);
	free(s);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_GetSemaphoreCounterValue(VkDevice device, VkSemaphore semaphore, uint64_t *ret_value)
{
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_semaphore *s = ICD_FROM(icd_semaphore, semaphore);
	if (!icd_poll(d))
		return VK_ERROR_DEVICE_LOST;
	pthread_mutex_lock(&d->mutex);
	icd_semaphore_advance(d, s);
	*ret_value = s->value;
	pthread_mutex_unlock(&d->mutex);
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_SignalSemaphore(VkDevice device, const VkSemaphoreSignalInfo *info)
{
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_semaphore *s = ICD_FROM(icd_semaphore, info->semaphore);
	pthread_mutex_lock(&d->mutex);
	icd_drain(d);
	icd_semaphore_advance(d, s);
	if (info->value > s->value)
		s->value = info->value;
	if (info->value > s->future)
		s->future = info->value;
	icd_flush_pending(d);
	pthread_mutex_unlock(&d->mutex);
	/* Who waits for a completion may be content with this already. */
	progress_nudge(&d->stream.progress);
	return icd_lost(d) ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
}

static enum outlook look_at_semaphores(struct icd_device *d, const void *ctx)
{
	const VkSemaphoreWaitInfo *w = ctx;
	uint32_t met = 0, from_host = 0;
	for (uint32_t i = 0; i < w->semaphoreCount; i++) {
		struct icd_semaphore *s = ICD_FROM(icd_semaphore, w->pSemaphores[i]);
		icd_semaphore_advance(d, s);
		if (s->value >= w->pValues[i])
			met++;
		else if (s->future < w->pValues[i])
			from_host++;
	}
	return combine(!(w->flags & VK_SEMAPHORE_WAIT_ANY_BIT) || w->semaphoreCount == 1, w->semaphoreCount, met, from_host);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_WaitSemaphores(VkDevice device, const VkSemaphoreWaitInfo *info, uint64_t timeout)
{
	return wait_until(ICD_FROM(icd_device, device), look_at_semaphores, info, timeout);
}

static enum outlook look_at_queue(struct icd_device *d, const void *ctx)
{
	(void)ctx;
	if (!list_empty(&d->pending))
		return OUTLOOK_HOST;
	return icd_complete(d, d->stream.own_seq) ? OUTLOOK_MET : OUTLOOK_DEVICE;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_DeviceWaitIdle(VkDevice device)
{
	return wait_until(ICD_FROM(icd_device, device), look_at_queue, NULL, UINT64_MAX);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_QueueWaitIdle(VkQueue queue)
{
	return wait_until(ICD_FROM(icd_queue, queue)->device, look_at_queue, NULL, UINT64_MAX);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateEvent(
	VkDevice device, const VkEventCreateInfo *info, const VkAllocationCallbacks *allocator, VkEvent *ret_event)
{
	(void)device, (void)info, (void)allocator;
	struct icd_event *e = icd_object_create(sizeof(*e));
	if (!e)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	*ret_event = ICD_HANDLE(VkEvent, e);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyEvent(VkDevice device, VkEvent event, const VkAllocationCallbacks *allocator)
{
	(void)device, (void)allocator;
	struct icd_event *e = ICD_FROM(icd_event, event);
	if (!e)
		return;
	buf_finish(&e->points);
	free(e);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_GetEventStatus(VkDevice device, VkEvent event)
{
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_event *e = ICD_FROM(icd_event, event);
	if (!icd_poll(d))
		return VK_ERROR_DEVICE_LOST;
	pthread_mutex_lock(&d->mutex);
	icd_event_advance(d, e);
	bool set = e->set;
	pthread_mutex_unlock(&d->mutex);
	return set ? VK_EVENT_SET : VK_EVENT_RESET;
}

static VkResult put_event(struct icd_device *d, struct icd_event *e, bool set)
{
	pthread_mutex_lock(&d->mutex);
	icd_drain(d);
	icd_event_advance(d, e);
	e->set = e->future = set;
	if (set)
		icd_flush_pending(d);
	pthread_mutex_unlock(&d->mutex);
	return icd_lost(d) ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_SetEvent(VkDevice device, VkEvent event)
{
	return put_event(ICD_FROM(icd_device, device), ICD_FROM(icd_event, event), true);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_ResetEvent(VkDevice device, VkEvent event)
{
	VkResult result = put_event(ICD_FROM(icd_device, device), ICD_FROM(icd_event, event), false);
	/* The call cannot say that the device is lost. */
	return result == VK_ERROR_DEVICE_LOST ? VK_SUCCESS : result;
}
