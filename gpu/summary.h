/* What people and placement want to know of a GPU at a glance, out of its description. */
#ifndef TBMESH_GPU_SUMMARY_H
#define TBMESH_GPU_SUMMARY_H

#include <stdint.h>

#include "gpu/description.h"

struct gpu_summary {
	char id[96]; /* of the description, "" if it has none */
	char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
	char driver[VK_MAX_DRIVER_NAME_SIZE], driver_info[VK_MAX_DRIVER_INFO_SIZE]; /* "" unknown */
	const char *type; /* discrete | integrated | virtual | cpu | other */
	uint32_t driver_id, api_version, vendor_id, device_id;
	uint64_t memory_bytes; /* largest DEVICE_LOCAL heap */
	char pci_address[16];  /* "0000:04:00.0", "" unknown */
	char render_node[32];  /* "/dev/dri/renderD128", "" unknown */
	char primary_node[32]; /* "/dev/dri/card0", "" unknown */
	uint8_t device_uuid[VK_UUID_SIZE];
};

/* 0, or -EBADMSG: it lacks what each device must have. Texts are cut, and cleaned of what is not printable. */
int gpu_summarize(const struct description *d, struct gpu_summary *ret);

#endif
