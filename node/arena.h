/* Memory of one reply: allocated piece by piece, freed at once. Zero-initialised is empty. Failure is fatal to the reply
 * alone: failed is set and NULL returned. */
#ifndef TBMESH_NODE_ARENA_H
#define TBMESH_NODE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_piece;
struct arena {
	struct arena_piece *pieces;
	bool failed;
};

void *arena_alloc(struct arena *a, size_t size); /* zeroed */
char *arena_text(struct arena *a, const char *text);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_finish(struct arena *a);

#endif
