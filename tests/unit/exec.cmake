# Tests of migrate/exec/.
tbmesh_test(test_exec_parts unit SOURCES exec/test_parts.c ${CMAKE_SOURCE_DIR}/migrate/exec/range_set.c
	${CMAKE_SOURCE_DIR}/migrate/exec/objects.c LIBS PkgConfig::VULKAN)

add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/cells.comp.h
	COMMAND ${GLSLANG_VALIDATOR} --quiet -V --target-env vulkan1.1 --vn cells_comp -o ${CMAKE_CURRENT_BINARY_DIR}/cells.comp.h
		${CMAKE_CURRENT_SOURCE_DIR}/exec/cells.comp
	DEPENDS exec/cells.comp VERBATIM)
tbmesh_test(test_exec gpu SOURCES exec/test_exec.c exec/player.c ${CMAKE_CURRENT_BINARY_DIR}/cells.comp.h
	LIBS tbmesh_stream tbmesh_wire tbmesh_gpu PkgConfig::VULKAN TIMEOUT 120)
target_include_directories(test_exec PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
target_compile_definitions(test_exec PRIVATE TBMESH_EXEC="$<TARGET_FILE:tbmesh-exec>")
add_dependencies(test_exec tbmesh-exec)
