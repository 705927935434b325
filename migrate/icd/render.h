/* Render passes and framebuffers, as far as the analysis of recordings needs them. */
#ifndef TBMESH_MIGRATE_ICD_RENDER_H
#define TBMESH_MIGRATE_ICD_RENDER_H

#include "migrate/icd/image.h"

struct icd_subpass {
	bool has_color, has_depth;
	uint32_t view_mask; /* 0: no multiview */
};

struct icd_render_pass {
	struct icd_object object;
	uint32_t attachment_count, subpass_count;
	bool *loads; /* of each attachment: its contents are needed; owned */
	struct icd_subpass subpasses[];
};

struct icd_framebuffer {
	struct icd_object object;
	VkExtent2D extent;
	uint32_t layers, view_count;    /* view_count: 0 where the pass names them */
	struct icd_image_view *views[]; /* referenced */
};

/* How many layers a pass with this mask draws into by itself, and how many queries one counts as there. */
static inline uint32_t icd_view_count(uint32_t view_mask)
{
	return view_mask ? (uint32_t)__builtin_popcount(view_mask) : 1;
}
/* What multiview needs of a GPU; nothing for a mask of 0. */
void icd_need_views(struct icd_device *d, uint32_t view_mask);

#endif
