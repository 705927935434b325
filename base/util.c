#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HUGE_PAGE_BYTES (2u << 20)
#define LARGE_BYTES (8u << 20) /* less is not worth that a page of it may be used only in part */

uint64_t time_monotonic_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t time_realtime_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

void *memory_large(void *p, size_t size)
{
#ifdef MADV_HUGEPAGE
	uintptr_t start = ((uintptr_t)p + HUGE_PAGE_BYTES - 1) & ~(uintptr_t)(HUGE_PAGE_BYTES - 1);
	uintptr_t end = ((uintptr_t)p + size) & ~(uintptr_t)(HUGE_PAGE_BYTES - 1);
	if (p && size >= LARGE_BYTES)
		madvise((void *)start, end - start, MADV_HUGEPAGE); /* advice: it may not be taken */
#else
	(void)size;
#endif
	return p;
}

int random_bytes(void *out, size_t size)
{
	unsigned char *at = out;
	while (size) {
		size_t piece = size < 256 ? size : 256; /* getentropy(3) gives no more at once */
		if (getentropy(at, piece) < 0)
			return -errno;
		at += piece;
		size -= piece;
	}
	return 0;
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void free_pointer(void *p)
{
	void **pointer = p;
	free(*pointer);
	*pointer = NULL;
}

int file_read(const char *path, size_t max, char **ret_text, size_t *ret_size)
{
	__attribute__((cleanup(close_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	__attribute__((cleanup(free_pointer))) char *text = NULL;
	size_t size = 0, capacity = 0;
	/* Files of /proc and /sys tell no size: read until the end. */
	for (;;) {
		if (size + 1 >= capacity) {
			size_t larger = capacity ? capacity * 2 : 4096;
			if (larger > max + 2)
				larger = max + 2;
			char *moved = realloc(text, larger);
			if (!moved)
				return -ENOMEM;
			text = moved;
			capacity = larger;
		}
		ssize_t got = read(fd, text + size, capacity - 1 - size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		size += (size_t)got;
		if (size > max)
			return -EFBIG;
	}
	text[size] = 0;
	*ret_text = text;
	text = NULL;
	if (ret_size)
		*ret_size = size;
	return 0;
}

static int write_all(int fd, const void *data, size_t size)
{
	const char *at = data;
	while (size) {
		ssize_t put = write(fd, at, size);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		at += put;
		size -= (size_t)put;
	}
	return 0;
}

/* A rename is lasting only when its directory is. */
static int sync_parent(const char *path)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	if (!slash)
		snprintf(parent, sizeof(parent), ".");
	else
		snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	__attribute__((cleanup(close_fd))) int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int file_write_atomic(const char *path, const void *data, size_t size, unsigned mode)
{
	char temporary[PATH_MAX];
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= sizeof(temporary))
		return -ENAMETOOLONG;
	__attribute__((cleanup(close_fd))) int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, data, size);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0))
		r = -errno;
	if (r < 0) {
		unlink(temporary);
		return r;
	}
	return sync_parent(path);
}

int directory_make(const char *path, unsigned mode)
{
	char part[PATH_MAX];
	size_t length = strlen(path);
	if (length >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, length + 1);
	for (size_t i = 1; i <= length; i++) {
		if (part[i] != '/' && part[i] != 0)
			continue;
		part[i] = 0;
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return -errno;
		part[i] = path[i];
	}
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}
