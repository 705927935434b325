/* Images, their views, samplers. An image's state is the range of memory that it is bound to, in the canonical form of gpu/image.h;
 * executors keep the real ones in GENERAL layout, so no layout of the program's ever travels. */
#ifndef TBMESH_MIGRATE_ICD_IMAGE_H
#define TBMESH_MIGRATE_ICD_IMAGE_H

#include "gpu/image.h"
#include "migrate/icd/icd.h"
#include "migrate/icd/ranges.h"

/* Lives as long as a handle or a descriptor refers to it. */
struct icd_image {
	struct icd_object object;
	_Atomic unsigned references;
	struct gpu_image layout;
	VkImageUsageFlags usage;
	bool linear;
	/* set by binding */
	uint64_t memory; /* id, 0: not bound */
	uint64_t offset;
	bool host_visible; /* a linear one whose bytes the program sees */
};

struct icd_image_view {
	struct icd_object object;
	_Atomic unsigned references;
	struct icd_image *image; /* referenced */
	uint32_t mip, mips, layer, layers;
};

struct icd_sampler {
	struct icd_object object;
	_Atomic unsigned references;
};

/* An image whose contents a recording leaves behind: what is written later over the same bytes makes them undefined. */
struct icd_image_use {
	uint64_t id, memory, begin, end;
};

void icd_image_ref(struct icd_image *i); /* NULL is fine */
void icd_image_unref(struct icd_image *i);
void icd_image_view_ref(struct icd_image_view *v);
void icd_image_view_unref(struct icd_image_view *v);
void icd_sampler_ref(struct icd_sampler *s);
void icd_sampler_unref(struct icd_sampler *s);

/* Appends the ranges of these subresources; mips and layers may be REMAINING. */
void icd_image_ranges(
	struct icd_ranges *r, const struct icd_image *i, uint32_t mip, uint32_t mips, uint32_t layer, uint32_t layers);
/* uses: struct icd_image_use[]. The image is the last one written. */
void icd_image_used(struct buf *uses, const struct icd_image *i);
/* A multisampled image's contents are used; nothing in front of that in this list may have written them. */
void icd_image_needed(struct buf *uses, const struct icd_image *i);
/* These bytes were written through something else. */
void icd_image_uses_overwrite(struct buf *uses, uint64_t memory, uint64_t offset, uint64_t size);
/* What one recording leaves behind after another one; its writes are tidied. */
void icd_image_uses_add(struct buf *uses, const struct buf *later, const struct icd_ranges *writes);

/* format.c: what is offered of a format. */
VkFormatProperties icd_format_properties(const struct icd_physical *p, VkFormat format);
/* The workload uses it so. */
void icd_need_image_format(struct icd_device *d, VkFormat format, VkImageUsageFlags usage);

#endif
