#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_MIN_CAPACITY 256u

void buf_finish(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void buf_clear(struct buf *b)
{
	b->size = 0;
	b->failed = false;
}

bool buf_reserve(struct buf *b, size_t more)
{
	if (b->failed)
		return false;
	if (more <= b->capacity - b->size)
		return true;
	if (more > SIZE_MAX / 2 - b->size) {
		b->failed = true;
		return false;
	}
	size_t capacity = b->capacity ? b->capacity : BUF_MIN_CAPACITY;
	while (capacity < b->size + more)
		capacity *= 2;
	unsigned char *data = realloc(b->data, capacity);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->capacity = capacity;
	return true;
}

void *buf_extend(struct buf *b, size_t size)
{
	if (!buf_reserve(b, size ? size : 1))
		return NULL;
	void *room = b->data + b->size;
	b->size += size;
	return room;
}

void buf_append(struct buf *b, const void *data, size_t size)
{
	void *room = buf_extend(b, size);
	if (room && size)
		memcpy(room, data, size);
}

void buf_align(struct buf *b, size_t alignment)
{
	size_t rest = b->size % alignment;
	if (!rest)
		return;
	void *room = buf_extend(b, alignment - rest);
	if (room)
		memset(room, 0, alignment - rest);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list arguments, again;
	va_start(arguments, format);
	va_copy(again, arguments);
	int size = vsnprintf(NULL, 0, format, arguments);
	if (size < 0) {
		b->failed = true;
	} else if (buf_reserve(b, (size_t)size + 1)) {
		/* The NUL lies behind the end, so that a text can be printed; it does not count. */
		vsnprintf((char *)b->data + b->size, (size_t)size + 1, format, again);
		b->size += (size_t)size;
	}
	va_end(again);
	va_end(arguments);
}
