#include "migrate/exec/objects.h"

#include <stdlib.h>

static size_t slot_of(uint64_t id, size_t capacity)
{
	return (size_t)((id * 0x9E3779B97F4A7C15ull) >> 32) & (capacity - 1);
}

static void place(struct object **slots, size_t capacity, struct object *object)
{
	size_t i = slot_of(object->id, capacity);

	while (slots[i])
		i = (i + 1) & (capacity - 1);
	slots[i] = object;
}

static bool grow(struct objects *o)
{
	size_t capacity = o->capacity ? 2 * o->capacity : 256;
	struct object **slots = calloc(capacity, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < o->capacity; i++) {
		if (o->slots[i])
			place(slots, capacity, o->slots[i]);
	}
	free(o->slots);
	o->slots = slots;
	o->capacity = capacity;
	return true;
}

struct object *objects_find(const struct objects *o, uint64_t id)
{
	if (!o->capacity)
		return NULL;
	for (size_t i = slot_of(id, o->capacity); o->slots[i]; i = (i + 1) & (o->capacity - 1)) {
		if (o->slots[i]->id == id)
			return o->slots[i];
	}
	return NULL;
}

struct object *objects_add(struct objects *o, uint64_t id, VkObjectType type)
{
	struct object *object;

	if (!id || objects_find(o, id))
		return NULL;
	if (2 * (o->count + 1) > o->capacity && !grow(o))
		return NULL;
	object = calloc(1, sizeof(*object));
	if (!object)
		return NULL;
	object->id = id;
	object->type = type;
	place(o->slots, o->capacity, object);
	o->count++;
	return object;
}

void object_free(struct object *object)
{
	free(object->named);
	free(object->need);
	free(object);
}

void objects_take(struct objects *o, struct object *object)
{
	size_t mask = o->capacity - 1;
	size_t hole = slot_of(object->id, o->capacity);

	while (o->slots[hole] != object)
		hole = (hole + 1) & mask;
	/* Close the gap: whatever probed past the hole moves into it. */
	for (size_t i = (hole + 1) & mask; o->slots[i]; i = (i + 1) & mask) {
		size_t home = slot_of(o->slots[i]->id, o->capacity);

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			o->slots[hole] = o->slots[i];
			hole = i;
		}
	}
	o->slots[hole] = NULL;
	o->count--;
}

void objects_remove(struct objects *o, struct object *object)
{
	objects_take(o, object);
	object_free(object);
}

void objects_finish(struct objects *o)
{
	for (size_t i = 0; i < o->capacity; i++) {
		if (o->slots[i])
			object_free(o->slots[i]);
	}
	free(o->slots);
	*o = (struct objects){ 0 };
}
