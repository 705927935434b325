/* A growing byte buffer. Zero-initialised is empty. After a failed allocation `failed` is set and appends do nothing, so that
 * callers check once at the end. Not thread-safe. */
#ifndef TBMESH_BASE_BUF_H
#define TBMESH_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	unsigned char *data; /* owned */
	size_t size;
	size_t capacity;
	bool failed;
};

void buf_finish(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */
bool buf_reserve(struct buf *b, size_t more);
void *buf_extend(struct buf *b, size_t size); /* uninitialised room at the end, NULL when failed */
void buf_append(struct buf *b, const void *data, size_t size);
void buf_align(struct buf *b, size_t alignment); /* pads with zeros */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
