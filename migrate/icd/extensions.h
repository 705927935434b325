/* Device extensions that the driver implements, as X-macros.
 *   ICD_EXTENSION(name, spec, promoted)  offered when the real device has it, as an extension or because it is in the core of
 *                                        its version (11: 1.1 …; 0: never): executors need it to run the program's work
 *   ICD_LOCAL_EXTENSION(name, spec)      made by the driver alone, always offered
 * spec: the name as vulkan_core.h's macros write it.
 * No include guard: included several times. */
#ifndef ICD_EXTENSION
#define ICD_EXTENSION(name, spec, promoted)
#endif
#ifndef ICD_LOCAL_EXTENSION
#define ICD_LOCAL_EXTENSION(name, spec)
#endif

ICD_EXTENSION(KHR_16bit_storage, KHR_16BIT_STORAGE, 11)
ICD_EXTENSION(KHR_8bit_storage, KHR_8BIT_STORAGE, 12)
ICD_EXTENSION(KHR_push_descriptor, KHR_PUSH_DESCRIPTOR, 0)
ICD_EXTENSION(KHR_relaxed_block_layout, KHR_RELAXED_BLOCK_LAYOUT, 11)
ICD_EXTENSION(KHR_shader_atomic_int64, KHR_SHADER_ATOMIC_INT64, 12)
ICD_EXTENSION(KHR_shader_float16_int8, KHR_SHADER_FLOAT16_INT8, 12)
ICD_EXTENSION(KHR_shader_float_controls, KHR_SHADER_FLOAT_CONTROLS, 12)
ICD_EXTENSION(KHR_shader_integer_dot_product, KHR_SHADER_INTEGER_DOT_PRODUCT, 13)
ICD_EXTENSION(KHR_shader_non_semantic_info, KHR_SHADER_NON_SEMANTIC_INFO, 13)
ICD_EXTENSION(KHR_shader_subgroup_extended_types, KHR_SHADER_SUBGROUP_EXTENDED_TYPES, 12)
ICD_EXTENSION(KHR_shader_subgroup_uniform_control_flow, KHR_SHADER_SUBGROUP_UNIFORM_CONTROL_FLOW, 0)
ICD_EXTENSION(KHR_spirv_1_4, KHR_SPIRV_1_4, 12)
ICD_EXTENSION(KHR_storage_buffer_storage_class, KHR_STORAGE_BUFFER_STORAGE_CLASS, 11)
ICD_EXTENSION(KHR_uniform_buffer_standard_layout, KHR_UNIFORM_BUFFER_STANDARD_LAYOUT, 12)
ICD_EXTENSION(KHR_variable_pointers, KHR_VARIABLE_POINTERS, 11)
ICD_EXTENSION(KHR_vulkan_memory_model, KHR_VULKAN_MEMORY_MODEL, 12)
ICD_EXTENSION(KHR_workgroup_memory_explicit_layout, KHR_WORKGROUP_MEMORY_EXPLICIT_LAYOUT, 0)
ICD_EXTENSION(KHR_zero_initialize_workgroup_memory, KHR_ZERO_INITIALIZE_WORKGROUP_MEMORY, 13)
ICD_EXTENSION(KHR_maintenance4, KHR_MAINTENANCE_4, 13)
ICD_EXTENSION(EXT_pipeline_robustness, EXT_PIPELINE_ROBUSTNESS, 0)
ICD_EXTENSION(EXT_scalar_block_layout, EXT_SCALAR_BLOCK_LAYOUT, 12)
ICD_EXTENSION(EXT_shader_atomic_float, EXT_SHADER_ATOMIC_FLOAT, 0)
ICD_EXTENSION(EXT_shader_atomic_float2, EXT_SHADER_ATOMIC_FLOAT_2, 0)
ICD_EXTENSION(EXT_subgroup_size_control, EXT_SUBGROUP_SIZE_CONTROL, 13)

ICD_LOCAL_EXTENSION(KHR_bind_memory2, KHR_BIND_MEMORY_2)
ICD_LOCAL_EXTENSION(KHR_copy_commands2, KHR_COPY_COMMANDS_2)
ICD_LOCAL_EXTENSION(KHR_dedicated_allocation, KHR_DEDICATED_ALLOCATION)
ICD_LOCAL_EXTENSION(KHR_descriptor_update_template, KHR_DESCRIPTOR_UPDATE_TEMPLATE)
ICD_LOCAL_EXTENSION(KHR_device_group, KHR_DEVICE_GROUP)
ICD_LOCAL_EXTENSION(KHR_driver_properties, KHR_DRIVER_PROPERTIES)
ICD_LOCAL_EXTENSION(KHR_get_memory_requirements2, KHR_GET_MEMORY_REQUIREMENTS_2)
ICD_LOCAL_EXTENSION(KHR_maintenance1, KHR_MAINTENANCE1)
ICD_LOCAL_EXTENSION(KHR_maintenance2, KHR_MAINTENANCE2)
ICD_LOCAL_EXTENSION(KHR_maintenance3, KHR_MAINTENANCE3)
ICD_LOCAL_EXTENSION(KHR_synchronization2, KHR_SYNCHRONIZATION_2)
ICD_LOCAL_EXTENSION(KHR_timeline_semaphore, KHR_TIMELINE_SEMAPHORE)
ICD_LOCAL_EXTENSION(EXT_host_query_reset, EXT_HOST_QUERY_RESET)
ICD_LOCAL_EXTENSION(EXT_memory_budget, EXT_MEMORY_BUDGET)
ICD_LOCAL_EXTENSION(EXT_pipeline_creation_cache_control, EXT_PIPELINE_CREATION_CACHE_CONTROL)
ICD_LOCAL_EXTENSION(EXT_pipeline_creation_feedback, EXT_PIPELINE_CREATION_FEEDBACK)
ICD_LOCAL_EXTENSION(EXT_private_data, EXT_PRIVATE_DATA)
ICD_LOCAL_EXTENSION(EXT_tooling_info, EXT_TOOLING_INFO)

#undef ICD_EXTENSION
#undef ICD_LOCAL_EXTENSION
