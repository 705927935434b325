# Tests of migrate/icd/.
add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/two_buffers.comp.h
	COMMAND ${GLSLANG_VALIDATOR} --quiet -V --target-env vulkan1.1 --vn two_buffers_comp
		-o ${CMAKE_CURRENT_BINARY_DIR}/two_buffers.comp.h ${CMAKE_CURRENT_SOURCE_DIR}/icd/two_buffers.comp
	DEPENDS icd/two_buffers.comp VERBATIM)
tbmesh_test(test_icd unit SOURCES icd/test_icd.c icd/session.c ${CMAKE_CURRENT_BINARY_DIR}/two_buffers.comp.h
	LIBS tbmesh_stream tbmesh_wire ${CMAKE_DL_LIBS} TIMEOUT 120)
target_include_directories(test_icd PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
target_compile_definitions(test_icd PRIVATE TBMESH_ICD="$<TARGET_FILE:vulkan_tbmesh>")
add_dependencies(test_icd vulkan_tbmesh)

# Sanitizers' runtimes and coverage need more.
if(NOT TBMESH_SANITIZE AND NOT TBMESH_COVERAGE)
	add_test(NAME icd_exports COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/icd/exports.sh $<TARGET_FILE:vulkan_tbmesh>)
	set_tests_properties(icd_exports PROPERTIES LABELS unit TIMEOUT 20)
endif()
