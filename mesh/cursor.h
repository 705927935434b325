/* Little-endian fields of datagrams. A cursor over a buffer whose size was checked once. */
#ifndef TBMESH_MESH_CURSOR_H
#define TBMESH_MESH_CURSOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void put(uint8_t **p, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		*(*p)++ = (uint8_t)(value >> 8 * i);
}

static inline uint64_t get(const uint8_t **p, unsigned bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t) * (*p)++ << 8 * i;
	return value;
}

static inline void put_bytes(uint8_t **p, const void *data, size_t size)
{
	memcpy(*p, data, size);
	*p += size;
}

static inline void get_bytes(const uint8_t **p, void *data, size_t size)
{
	memcpy(data, *p, size);
	*p += size;
}

#endif
