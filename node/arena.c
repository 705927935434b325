#include "node/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_piece {
	struct arena_piece *next;
	_Alignas(max_align_t) unsigned char data[];
};

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_piece *p = calloc(1, sizeof *p + size);
	if (!p) {
		a->failed = true;
		return NULL;
	}
	p->next = a->pieces;
	a->pieces = p;
	return p->data;
}

char *arena_text(struct arena *a, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = arena_alloc(a, size);
	return copy ? memcpy(copy, text, size) : NULL;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	return arena_text(a, text);
}

void arena_finish(struct arena *a)
{
	while (a->pieces) {
		struct arena_piece *next = a->pieces->next;
		free(a->pieces);
		a->pieces = next;
	}
	a->failed = false;
}
