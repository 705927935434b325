#include "migrate/stream/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "migrate/stream/futex.h"

#define PAGE_BYTES 4096u
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct progress_page {
	_Atomic uint64_t seq;
	_Atomic uint32_t sequence; /* counts what has come; futex */
};

static int map(struct progress *p, int fd, bool writer)
{
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | (writer ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	*p = (struct progress){ .page = page, .fd = fd };
	return 0;
}

int progress_create(struct progress *p)
{
	int fd = memfd_create("tbmesh-progress", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	int error = ftruncate(fd, PAGE_BYTES) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : map(p, fd, true);
	if (error < 0)
		close(fd);
	return error;
}

int progress_attach(struct progress *p, int fd, bool writer)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	if (fstat(fd, &st) < 0)
		return -errno;
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EPERM;
	return st.st_size == PAGE_BYTES ? map(p, fd, writer) : -EINVAL;
}

int progress_reopen_read_only(const struct progress *p)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void progress_finish(struct progress *p)
{
	if (p->page) {
		munmap(p->page, PAGE_BYTES);
		close_fd(&p->fd);
	}
	*p = (struct progress){ .fd = -1 };
}

void progress_say(struct progress *p, uint64_t seq)
{
	atomic_store_explicit(&p->page->seq, seq, memory_order_release);
	progress_wake(p);
}

uint64_t progress_seq(const struct progress *p)
{
	return atomic_load_explicit(&p->page->seq, memory_order_acquire);
}

void progress_wake(struct progress *p)
{
	atomic_fetch_add(&p->page->sequence, 1);
	futex_wake(&p->page->sequence);
}

uint32_t progress_sequence(const struct progress *p)
{
	return atomic_load(&p->page->sequence);
}

int progress_wait(const struct progress *p, uint32_t seen, int timeout_ms)
{
	return futex_spin(&p->page->sequence, seen) ? 0 : futex_sleep(&p->page->sequence, seen, timeout_ms);
}

void progress_nudge(const struct progress *p)
{
	futex_wake(&p->page->sequence);
}
