/* How the lab tells the fault layer what has happened to a GPU: one file DDDD:BB:DD.F in TBMESH_FAULT_DIR a GPU, this struct
 * at its start, written in place with pwrite and mapped by every process that uses the GPU. */
#ifndef TBMESH_TESTS_FAULT_FAULT_PAGE_H
#define TBMESH_TESTS_FAULT_FAULT_PAGE_H

#include <stdint.h>

#define FAULT_PAGE_SIZE 4096

enum fault_way { /* how a device of the GPU behaves once it is lost */
	FAULT_NONE = 0,
	FAULT_LOST = 'l',   /* submits, waits and queries return VK_ERROR_DEVICE_LOST */
	FAULT_SILENT = 's', /* everything succeeds, nothing is executed, mapped memory reads garbage */
	FAULT_HANG = 'h',   /* submits succeed, fences never signal, waits block */
	FAULT_CRASH = 'c',  /* SIGBUS, at once */
};

struct fault_page {
	uint8_t way;    /* enum fault_way of the latest loss */
	uint8_t absent; /* not 0: no new instance sees the GPU */
	uint8_t reserved[2];
	uint32_t losses; /* grows with each loss; a device is lost when it differs from the value at its creation */
};

#endif
