# Tests of migrate/exec/.
tbmesh_test(test_exec_parts unit SOURCES exec/test_parts.c ${CMAKE_SOURCE_DIR}/migrate/exec/range_set.c
	${CMAKE_SOURCE_DIR}/migrate/exec/objects.c ${CMAKE_SOURCE_DIR}/migrate/exec/shader_check.c
	LIBS tbmesh_gpu tbmesh_wire PkgConfig::VULKAN PkgConfig::CRYPTO ${SPIRV_TOOLS_LIBRARY} stdc++)
target_include_directories(test_exec_parts PRIVATE ${SPIRV_TOOLS_INCLUDE})

add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/cells.comp.h
	COMMAND ${GLSLANG_VALIDATOR} --quiet -V --target-env vulkan1.1 --vn cells_comp -o ${CMAKE_CURRENT_BINARY_DIR}/cells.comp.h
		${CMAKE_CURRENT_SOURCE_DIR}/exec/cells.comp
	DEPENDS exec/cells.comp VERBATIM)
tbmesh_test(test_exec gpu SOURCES exec/test_exec.c exec/player.c ${CMAKE_CURRENT_BINARY_DIR}/cells.comp.h
	LIBS tbmesh_stream tbmesh_wire tbmesh_gpu PkgConfig::VULKAN TIMEOUT 180)
target_include_directories(test_exec PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
target_compile_definitions(test_exec PRIVATE TBMESH_EXEC="$<TARGET_FILE:tbmesh-exec>")
add_dependencies(test_exec tbmesh-exec)

# Once more under the validation layers, with checks of barriers.
add_test(NAME test_exec_validated COMMAND test_exec)
set_tests_properties(test_exec_validated PROPERTIES LABELS gpu TIMEOUT 180 SKIP_RETURN_CODE 77
	ENVIRONMENT "VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation;VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT"
	FAIL_REGULAR_EXPRESSION "VUID-;UNASSIGNED-;SYNC-HAZARD")
