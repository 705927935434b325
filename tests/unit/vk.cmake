# Tests of gpu/ and proto/vk/.
add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/reflect.comp.h
	COMMAND ${GLSLANG_VALIDATOR} --quiet -V --target-env vulkan1.1 --vn reflect_comp -o ${CMAKE_CURRENT_BINARY_DIR}/reflect.comp.h
		${CMAKE_CURRENT_SOURCE_DIR}/shaders/reflect.comp
	DEPENDS shaders/reflect.comp VERBATIM)
tbmesh_test(test_spirv unit SOURCES test_spirv.c ${CMAKE_CURRENT_BINARY_DIR}/reflect.comp.h LIBS tbmesh_gpu)
target_include_directories(test_spirv PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
tbmesh_test(test_description unit SOURCES test_description.c LIBS tbmesh_gpu PkgConfig::VULKAN)
tbmesh_test(test_hash unit SOURCES test_hash.c LIBS tbmesh_gpu PkgConfig::VULKAN)

set(wire_round ${CMAKE_CURRENT_BINARY_DIR}/wire_round_gen.c)
add_custom_command(OUTPUT ${wire_round}
	COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/wire_round.py ${CMAKE_SOURCE_DIR}/proto/vk ${VULKAN_REGISTRY}
		${CMAKE_SOURCE_DIR}/proto/vk/commands.txt ${wire_round}
	DEPENDS wire_round.py ${CMAKE_SOURCE_DIR}/proto/vk/generate.py ${CMAKE_SOURCE_DIR}/proto/vk/commands.txt ${VULKAN_REGISTRY}
	VERBATIM)
# The fuzzer of the command stream uses it too.
add_library(wire_round STATIC wire_round.c ${wire_round})
target_link_libraries(wire_round PUBLIC tbmesh_wire PRIVATE tbmesh_flags)
tbmesh_test(test_wire unit SOURCES test_wire.c LIBS wire_round)
