/* Render passes and framebuffers, as far as the analysis of recordings needs them. */
#ifndef TBMESH_MIGRATE_ICD_RENDER_H
#define TBMESH_MIGRATE_ICD_RENDER_H

#include "migrate/icd/image.h"

struct icd_subpass {
	bool has_color, has_depth;
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
	uint32_t layers, view_count;
	struct icd_image_view *views[]; /* referenced */
};

#endif
