/* Shader modules, layouts and pipelines, as far as the analysis of recordings needs them. */
#ifndef TBMESH_MIGRATE_ICD_PIPELINE_H
#define TBMESH_MIGRATE_ICD_PIPELINE_H

#include "gpu/spirv.h"
#include "migrate/icd/icd.h"

/* A binding that the pipeline's shaders may touch. */
struct icd_use {
	uint32_t set, binding;
	bool writable;
};

struct icd_pipeline {
	struct icd_object object;
	uint32_t use_count;
	struct icd_use uses[];
};

#endif
