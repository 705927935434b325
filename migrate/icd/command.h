/* Command buffers: the recording as the log will carry it, and beside it what it may read and write. */
#ifndef TBMESH_MIGRATE_ICD_COMMAND_H
#define TBMESH_MIGRATE_ICD_COMMAND_H

#include "migrate/icd/descriptor.h"
#include "migrate/icd/image.h"
#include "migrate/icd/pipeline.h"
#include "migrate/icd/ranges.h"

struct icd_event;
struct icd_render_pass;

#define ICD_PASS_OF_PRIMARY SIZE_MAX /* a secondary command buffer goes on in it */

enum icd_event_action { ICD_EVENT_SET, ICD_EVENT_RESET, ICD_EVENT_WAIT };

struct icd_event_use {
	struct icd_event *event;
	enum icd_event_action action;
};

/* A binding that is updated after it is bound: what its descriptors name is looked up at each submission. */
struct icd_late {
	const struct icd_set *set;
	const struct icd_binding *binding;
	bool writable;
};

struct icd_command_pool {
	struct icd_object object;
	struct list buffers;
};

/* What is bound to one bind point. */
struct icd_bound {
	const struct icd_pipeline *pipeline;
	struct icd_set *sets[ICD_MAX_SETS];   /* NULL: none */
	struct icd_set *pushed[ICD_MAX_SETS]; /* owned */
	bool changed;                         /* since the last dispatch or draw was analysed */
};

struct icd_command_buffer {
	struct icd_object object;
	struct icd_device *device;
	struct list link; /* in the pool */
	bool failed;      /* out of memory while recording */
	bool sent;        /* the log has this recording; under the device's mutex */
	/* Of the last recording in the log; under the device's mutex. */
	uint32_t parts, serial;
	struct buf commands, deps;
	struct wire_writer writer;
	/* What it may touch. Only host-visible memory is captured. */
	struct icd_ranges captures, writes;
	bool writes_host;
	struct buf copies;      /* struct record_copy[], in order: what of its writes the host knows; not among `writes` */
	struct buf events;      /* struct icd_event_use[], in order */
	struct buf secondaries; /* struct icd_command_buffer *[] */
	struct buf images;      /* struct icd_image_use[]: what it leaves in images, in order */
	struct buf lates;       /* struct icd_late[]; where they come in among the images: entries without an id */
	struct buf layouts;     /* struct icd_pipeline_layout *[], referenced */
	struct buf queries;     /* struct icd_query_use[]: written or reset since the last copies */
	/* Bound state while recording. */
	struct icd_bound compute, graphics;
	bool secondary, in_pass;
	const struct icd_render_pass *pass; /* of that pass, or NULL */
	uint32_t subpass, view_mask;
	size_t pass_start;                       /* in `commands`: where the pass at hand begins, or ICD_PASS_OF_PRIMARY */
	struct buf pushed_writes, pushed_images; /* scratch: VkWriteDescriptorSet[], VkDescriptorImageInfo[] */
};

/* analysis.c */
/* A dispatch or a draw. */
void icd_analyse_use(struct icd_command_buffer *cb, struct icd_bound *bound);
void icd_analyse_read(struct icd_command_buffer *cb, const struct icd_buffer *b, uint64_t offset, uint64_t size);
void icd_analyse_write(struct icd_command_buffer *cb, const struct icd_buffer *b, uint64_t offset, uint64_t size);
void icd_analyse_image_write(struct icd_command_buffer *cb, const struct icd_image *i, uint32_t mip, uint32_t mips,
	uint32_t layer, uint32_t layers);
/* What the image holds is used. */
void icd_analyse_image_read(struct icd_command_buffer *cb, const struct icd_image *i);
/* Both ends of a copy; what a fill writes, with its word. */
void icd_analyse_copy(struct icd_command_buffer *cb, const struct icd_buffer *from, uint64_t from_offset,
	const struct icd_buffer *to, uint64_t to_offset, uint64_t size);
void icd_analyse_fill(
	struct icd_command_buffer *cb, const struct icd_buffer *b, uint64_t offset, uint64_t size, uint32_t word);

/* Behind icd_image_uses_add of the secondary's images. */
void icd_lates_add(struct icd_command_buffer *cb, const struct icd_command_buffer *secondary);
/* What the recording touches if it is submitted now, in captures, writes, images and writes_host: the recording itself, or `scratch`. Under
 * the device's mutex. */
const struct icd_command_buffer *icd_lates_resolve(const struct icd_command_buffer *cb, struct icd_command_buffer *scratch);

/* draw.c: how far draws read is not known: to the buffer's end. */
void icd_read_rest(struct icd_command_buffer *cb, VkBuffer buffer, VkDeviceSize offset);

/* rendering.c: passes without objects. */
void icd_need_rendering(struct icd_device *d);
/* What of it a secondary command buffer needs, in structs of the caller's. */
void icd_take_inheritance(const VkCommandBufferInheritanceInfo *info, VkCommandBufferInheritanceInfo *ret,
	VkCommandBufferInheritanceRenderingInfo *ret_rendering);
/* The view mask of the pass that such a command buffer goes on with. */
uint32_t icd_inherited_views(const VkCommandBufferInheritanceInfo *taken);

/* recording.c: the recording as UPDATEs. */
bool icd_recording_fits(const struct icd_command_buffer *cb);                 /* it can be sent */
void icd_recording_send(struct icd_device *d, struct icd_command_buffer *cb); /* under the mutex; once */

/* Everything recorded goes. */
void icd_command_buffer_reset(struct icd_command_buffer *cb);

#endif
