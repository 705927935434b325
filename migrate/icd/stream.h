/* The way to the session: records into the log, deliveries out of the other ring. Contract: proto/README.md §1. */
#ifndef TBMESH_MIGRATE_ICD_STREAM_H
#define TBMESH_MIGRATE_ICD_STREAM_H

#include <stddef.h>
#include <sys/uio.h>

#include "migrate/icd/icd.h"

#define ICD_NEVER UINT64_MAX /* a seq that no submission has: not known yet */

/* open.c: make the log (records may be appended from then on, as long as they fit), then connect to the session and open the workload.
 * Both say why not. 0 or -errno. Closed after make, whether open came about or not. */
int icd_stream_make(struct icd_device *d);
int icd_stream_open(struct icd_device *d);
void icd_stream_close(struct icd_device *d);

/* log.c. A record with a command: begin takes the mutex and gives the writer for the payload, end appends the record and
 * gives the mutex back. VK_ERROR_OUT_OF_HOST_MEMORY when it did not fit (nothing is appended). A lost device takes records without effect. */
struct wire_writer *icd_record_begin(struct icd_device *d);
VkResult icd_record_end(struct icd_device *d, enum record_kind kind, uint64_t subject, uint64_t key);
/* The same for records without a command. */
void icd_record_plain(struct icd_device *d, enum record_kind kind, uint64_t subject);
/* Under the mutex: any record, its payload gathered. May wait for room, and drains deliveries meanwhile. false: lost. */
bool icd_append(struct icd_device *d, const struct record_header *head, const uint64_t *deps, const struct iovec *parts,
	size_t count);
/* Under the mutex: a SUBMIT. copies: struct record_copy[] for the COPY in front of it, or NULL. Returns its seq, 0 when lost. */
uint64_t icd_append_submit(struct icd_device *d, const uint64_t *deps, size_t dep_count, const struct buf *copies,
	const struct record_range *ranges, size_t range_count, const uint64_t *images, size_t image_count, uint32_t flags);
/* Under the mutex: lets the other side see what was appended. */
void icd_publish(struct icd_device *d);
bool icd_commit_due(const struct icd_device *d);
/* For wire_writer.id. */
uint64_t icd_id_of(void *ctx, uint64_t handle, VkObjectType type);

/* delivery.c. */
void icd_drain(struct icd_device *d); /* under the mutex */
/* Takes what has come, if anything; cheap otherwise. false: lost. Not under the mutex. */
bool icd_poll(struct icd_device *d);
void icd_lose(struct icd_device *d, const char *why); /* any thread */
/* Sleeps until something is delivered after `seen` (progress_sequence) or until the deadline, at most half a second;
 * looks after the session. Not under the mutex. */
void icd_sleep(struct icd_device *d, uint32_t seen, uint64_t deadline_ns);
/* Also in a child of the program that was forked: what it does here has no effect. */
static inline bool icd_lost(const struct icd_device *d)
{
	return atomic_load_explicit(&d->stream.lost, memory_order_acquire) ||
		!atomic_load_explicit(d->stream.life, memory_order_relaxed);
}
static inline bool icd_complete(const struct icd_device *d, uint64_t seq)
{
	return seq <= atomic_load_explicit(&d->stream.completed, memory_order_acquire);
}

/* needs.c: what the workload uses of its GPU. Each is told once, and again when it grows. Not under the mutex. */
enum icd_limit {
	ICD_LIMIT_PUSH_CONSTANTS,
	ICD_LIMIT_BOUND_SETS,
	ICD_LIMIT_UNIFORM_RANGE,
	ICD_LIMIT_STORAGE_RANGE,
	ICD_LIMIT_TEXEL_ELEMENTS,
	ICD_LIMIT_STAGE_UNIFORM,
	ICD_LIMIT_STAGE_STORAGE,
	ICD_LIMIT_STAGE_SAMPLED,
	ICD_LIMIT_STAGE_IMAGES,
	ICD_LIMIT_STAGE_SAMPLERS,
	ICD_LIMIT_STAGE_RESOURCES,
	ICD_LIMIT_IMAGE_1D,
	ICD_LIMIT_IMAGE_2D,
	ICD_LIMIT_IMAGE_3D,
	ICD_LIMIT_IMAGE_CUBE,
	ICD_LIMIT_IMAGE_LAYERS,
	ICD_LIMIT_SHARED_MEMORY,
	ICD_LIMIT_INVOCATIONS,
	ICD_LIMIT_SIZE_X,
	ICD_LIMIT_SIZE_Y,
	ICD_LIMIT_SIZE_Z,
	ICD_LIMIT_COUNT_X,
	ICD_LIMIT_COUNT_Y,
	ICD_LIMIT_COUNT_Z,
	ICD_LIMIT_UNIFORM_ALIGN,
	ICD_LIMIT_STORAGE_ALIGN,
	ICD_LIMIT_TEXEL_ALIGN,
	ICD_LIMIT_FRAMEBUFFER_WIDTH,
	ICD_LIMIT_FRAMEBUFFER_HEIGHT,
	ICD_LIMIT_FRAMEBUFFER_LAYERS,
	ICD_LIMIT_COLOR_ATTACHMENTS,
	ICD_LIMIT_VERTEX_BINDINGS,
	ICD_LIMIT_VERTEX_ATTRIBUTES,
	ICD_LIMIT_TIMESTAMPS, /* 1: must be there */
	ICD_LIMIT_SET_UNIFORM,
	ICD_LIMIT_SET_UNIFORM_DYNAMIC,
	ICD_LIMIT_SET_STORAGE,
	ICD_LIMIT_SET_STORAGE_DYNAMIC,
	ICD_LIMIT_SET_SAMPLED,
	ICD_LIMIT_SET_IMAGES,
	ICD_LIMIT_ALLOCATIONS,
	ICD_LIMIT_ALLOCATION_SIZE,
	ICD_LIMIT_BUFFER_SIZE,
	ICD_LIMIT_SET_DESCRIPTORS,
	ICD_LIMIT_PUSH_DESCRIPTORS,
	ICD_LIMIT_WORKGROUP_SUBGROUPS,
	ICD_LIMIT_INLINE_BYTES, /* of one inline uniform block */
	ICD_LIMIT_STAGE_INLINE,
	ICD_LIMIT_SET_INLINE,
	/* The same of layouts whose sets may be updated after they are bound. */
	ICD_LIMIT_LATE_STAGE_UNIFORM,
	ICD_LIMIT_LATE_STAGE_STORAGE,
	ICD_LIMIT_LATE_STAGE_SAMPLED,
	ICD_LIMIT_LATE_STAGE_IMAGES,
	ICD_LIMIT_LATE_STAGE_SAMPLERS,
	ICD_LIMIT_LATE_STAGE_RESOURCES,
	ICD_LIMIT_LATE_SET_UNIFORM,
	ICD_LIMIT_LATE_SET_UNIFORM_DYNAMIC,
	ICD_LIMIT_LATE_SET_STORAGE,
	ICD_LIMIT_LATE_SET_STORAGE_DYNAMIC,
	ICD_LIMIT_LATE_SET_SAMPLED,
	ICD_LIMIT_LATE_SET_IMAGES,
	ICD_LIMIT_LATE_STAGE_INLINE,
	ICD_LIMIT_LATE_SET_INLINE,
	ICD_LIMIT_VIEWS, /* the highest of a pass, from 1 */
	ICD_LIMIT_BIND_ALIGN,
	ICD_LIMIT_ENUM_COUNT,
};
struct icd_needs *icd_needs_create(void);
void icd_needs_destroy(struct icd_needs *n);
/* value: what is needed at least; of an alignment: an offset that is used. */
void icd_need_limit(struct icd_device *d, enum icd_limit limit, uint64_t value);
/* a and b as record.h has them. */
void icd_need(struct icd_device *d, enum need_kind kind, uint64_t a, uint64_t b);
/* The VkBool32 at that offset of the features' struct `type`. */
void icd_need_feature(struct icd_device *d, VkStructureType type, size_t offset);
#define ICD_NEED_FEATURE(d, stype, s, member)                                                                               \
	icd_need_feature(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_##stype, offsetof(VkPhysicalDevice##s, member))
/* features: VkFormatFeatureFlags of optimally tiled images. */
void icd_need_image(struct icd_device *d, VkFormat format, uint64_t features);
/* enabled.c: at the device's creation. */
void icd_tell_enabled(struct icd_device *d, const VkDeviceCreateInfo *info);
void icd_need_extension(struct icd_device *d, enum icd_extension extension);
void icd_need_memory(struct icd_device *d, uint64_t total);

#endif
