#include "migrate/stream/ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "migrate/stream/futex.h"

#define PAGE_BYTES 4096u
#define MIN_RING_BYTES (64u << 10)

/* Written by the ring's writer alone. */
struct ring_page {
	_Atomic uint64_t head;     /* bytes written since the start */
	_Atomic uint64_t tail;     /* bytes of the ring that runs the other way that were read */
	_Atomic uint32_t sequence; /* counts changes of both; futex */
};

static int ring_map(struct ring *r, bool map_data)
{
	int protection = PROT_READ | (r->writer ? PROT_WRITE : 0);
	void *page = mmap(NULL, PAGE_BYTES, protection, MAP_SHARED, r->fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	if (!map_data) {
		r->page = page;
		return 0;
	}
	unsigned char *data = mmap(NULL, 2 * r->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (data == MAP_FAILED)
		goto fail_page;
	for (unsigned i = 0; i < 2; i++) {
		if (mmap(data + i * r->size, r->size, protection, MAP_SHARED | MAP_FIXED, r->fd, PAGE_BYTES) == MAP_FAILED)
			goto fail_data;
	}
	r->page = page;
	r->data = data;
	return 0;

fail_data:
	munmap(data, 2 * r->size);
fail_page:
	munmap(page, PAGE_BYTES);
	return -ENOMEM;
}

static bool size_is_good(uint64_t size)
{
	return size >= MIN_RING_BYTES && size <= (UINT64_MAX >> 2) && (size & (size - 1)) == 0;
}

static int ring_make(struct ring *r, const char *name, uint64_t size, bool writer, int seals)
{
	if (!size_is_good(size))
		return -EINVAL;
	struct ring made = {
		.size = size, .fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), .writer = writer, .sealed = writer
	};
	if (made.fd < 0)
		return -errno;
	int error = ftruncate(made.fd, (off_t)(PAGE_BYTES + size)) < 0 ? -errno : ring_map(&made, writer);
	if (error == 0 && fcntl(made.fd, F_ADD_SEALS, seals) < 0)
		error = -errno;
	if (error < 0) {
		ring_finish(&made);
		return error;
	}
	*r = made;
	return 0;
}

int ring_create(struct ring *r, const char *name, uint64_t size)
{
	return ring_make(r, name, size, true, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
}

int ring_create_result(struct ring *r, const char *name, uint64_t size)
{
	return ring_make(r, name, size, false, F_SEAL_GROW | F_SEAL_SEAL);
}

int ring_attach(struct ring *r, int fd, uint64_t size, bool writer)
{
	struct stat st;
	if (!size_is_good(size))
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	int seals = fcntl(fd, F_GET_SEALS); /* only memfds have them */
	bool sealed = seals >= 0 && (seals & F_SEAL_SHRINK);
	if (seals < 0 || (!writer && !sealed))
		return -EPERM;
	if ((uint64_t)st.st_size != PAGE_BYTES + size)
		return -EINVAL;
	struct ring made = { .size = size, .fd = fd, .writer = writer, .sealed = sealed };
	int error = ring_map(&made, true);
	if (error < 0)
		return error;
	*r = made;
	return 0;
}

int ring_reopen_read_only(const struct ring *r)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int ring_truncate(struct ring *r)
{
	return ftruncate(r->fd, 0) < 0 ? -errno : 0;
}

void ring_finish(struct ring *r)
{
	if (r->page)
		munmap(r->page, PAGE_BYTES);
	if (r->data)
		munmap(r->data, 2 * r->size);
	close_fd(&r->fd);
	*r = (struct ring){ .fd = -1 };
}

uint64_t ring_head(const struct ring *r)
{
	return atomic_load_explicit(&r->page->head, memory_order_relaxed);
}

unsigned char *ring_at(const struct ring *r, uint64_t position)
{
	return r->data + (position & (r->size - 1));
}

void ring_wake(struct ring *r)
{
	assert(r->writer);
	atomic_fetch_add(&r->page->sequence, 1);
	futex_wake(&r->page->sequence);
}

void ring_nudge(const struct ring *r)
{
	futex_wake(&r->page->sequence);
}

void ring_set_head(struct ring *r, uint64_t new_head)
{
	assert(r->writer);
	atomic_store_explicit(&r->page->head, new_head, memory_order_release);
}

void ring_publish(struct ring *r, uint64_t new_head)
{
	ring_set_head(r, new_head);
	ring_wake(r);
}

void ring_set_tail(struct ring *own, uint64_t tail_of_other)
{
	assert(own->writer);
	atomic_store_explicit(&own->page->tail, tail_of_other, memory_order_release);
}

void ring_release(struct ring *own, uint64_t tail_of_other)
{
	ring_set_tail(own, tail_of_other);
	ring_wake(own);
}

static int read_at(const struct ring *r, uint64_t offset, void *out, size_t size)
{
	char *at = out;
	while (size) {
		ssize_t got = pread(r->fd, at, size, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EPIPE;
		at += got;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
	return 0;
}

/* A word of a page that may be cut away at any moment. The kernel's copy need not be one load: two equal ones are good. */
static int read_word(const struct ring *r, uint64_t offset, uint64_t *ret_word)
{
	uint64_t word, again;
	int error = read_at(r, offset, &again, sizeof(again));
	do {
		word = again;
		error = error < 0 ? error : read_at(r, offset, &again, sizeof(again));
	} while (error == 0 && word != again);
	if (error == 0)
		*ret_word = word;
	/* Reads of the data must not go before it. */
	atomic_thread_fence(memory_order_acquire);
	return error;
}

int ring_read_head(const struct ring *r, uint64_t position, uint64_t *ret_head)
{
	uint64_t head;
	if (r->data)
		head = atomic_load_explicit(&r->page->head, memory_order_acquire);
	else if (read_word(r, offsetof(struct ring_page, head), &head) < 0)
		return -EPIPE;
	if (head < position || head - position > r->size)
		return -EBADMSG;
	*ret_head = head;
	return 0;
}

int ring_read_tail(const struct ring *other, uint64_t own_head, uint64_t own_size, uint64_t *ret_tail)
{
	uint64_t tail;
	if (other->data)
		tail = atomic_load_explicit(&other->page->tail, memory_order_acquire);
	else if (read_word(other, offsetof(struct ring_page, tail), &tail) < 0)
		return -EPIPE;
	if (tail > own_head || own_head - tail > own_size)
		return -EBADMSG;
	*ret_tail = tail;
	return 0;
}

int ring_copy(const struct ring *r, uint64_t position, void *out, uint64_t size)
{
	assert(size <= r->size);
	if (r->data) {
		memcpy(out, ring_at(r, position), size);
		return 0;
	}
	uint64_t offset = position & (r->size - 1);
	uint64_t first = size < r->size - offset ? size : r->size - offset;
	int error = read_at(r, PAGE_BYTES + offset, out, first);
	if (error == 0 && first < size)
		error = read_at(r, PAGE_BYTES, (unsigned char *)out + first, size - first);
	return error;
}

uint32_t ring_sequence(const struct ring *r)
{
	uint32_t sequence = 0; /* of a cut ring: whoever reads on finds out */
	if (r->data)
		return atomic_load(&r->page->sequence);
	read_at(r, offsetof(struct ring_page, sequence), &sequence, sizeof(sequence));
	return sequence;
}

int ring_wait(const struct ring *r, uint32_t seen, int timeout_ms)
{
	if (r->data && futex_spin(&r->page->sequence, seen))
		return 0;
	int error = futex_sleep(&r->page->sequence, seen, timeout_ms);
	return error == 0 || ring_sequence(r) != seen ? 0 : error;
}
