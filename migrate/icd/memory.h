/* The program's VkDeviceMemory and the buffers and views on it. */
#ifndef TBMESH_MIGRATE_ICD_MEMORY_H
#define TBMESH_MIGRATE_ICD_MEMORY_H

#include "migrate/icd/icd.h"

struct icd_memory {
	struct icd_object object;
	struct list link;     /* icd_device.memories; under its mutex */
	uint64_t size;        /* as asked, rounded up to ICD_ALIGNMENT */
	uint32_t type;        /* enum memory_class */
	unsigned char *map;   /* host-visible: what the program sees; else NULL */
	unsigned char *seen;  /* as last captured or delivered; under the device's mutex */
	_Atomic bool touched; /* was mapped once: only then can the host have written */
	uint64_t written_seq; /* last submission that may write it, if it is host-visible; under the device's mutex */
	bool answered;        /* under the device's mutex */
	VkResult result;
};

/* Lives as long as a handle or a descriptor refers to it, so that analysing a stale descriptor is harmless. */
struct icd_buffer {
	struct icd_object object;
	_Atomic unsigned references;
	uint64_t size;
	VkBufferUsageFlags usage;
	/* set by binding */
	uint64_t memory; /* id, 0: not bound */
	uint64_t offset;
	bool host_visible;
};

struct icd_buffer_view {
	struct icd_object object;
	_Atomic unsigned references;
	struct icd_buffer *buffer; /* referenced */
	uint64_t offset, range;
};

/* Under the device's mutex. */
struct icd_memory *icd_memory_find(struct icd_device *d, uint64_t id);
void icd_memory_answer(struct icd_device *d, uint64_t id, VkResult result);
/* What the program left behind, at the end of the device. */
void icd_memory_free_all(struct icd_device *d);

struct icd_buffer *icd_buffer_ref(struct icd_buffer *b); /* NULL is fine */
void icd_buffer_unref(struct icd_buffer *b);
struct icd_buffer_view *icd_buffer_view_ref(struct icd_buffer_view *v);
void icd_buffer_view_unref(struct icd_buffer_view *v);

#endif
