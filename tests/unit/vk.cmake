# Tests of gpu/ and proto/vk/.
add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/reflect.comp.h
	COMMAND ${GLSLANG_VALIDATOR} --quiet -V --target-env vulkan1.1 --vn reflect_comp -o ${CMAKE_CURRENT_BINARY_DIR}/reflect.comp.h
		${CMAKE_CURRENT_SOURCE_DIR}/shaders/reflect.comp
	DEPENDS shaders/reflect.comp VERBATIM)
tbmesh_test(test_spirv unit SOURCES test_spirv.c ${CMAKE_CURRENT_BINARY_DIR}/reflect.comp.h LIBS tbmesh_gpu)
target_include_directories(test_spirv PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
tbmesh_test(test_description unit SOURCES test_description.c LIBS tbmesh_gpu PkgConfig::VULKAN)
tbmesh_test(test_hash unit SOURCES test_hash.c LIBS tbmesh_gpu PkgConfig::VULKAN)

set(WIRE_ROUND_SOURCE ${CMAKE_CURRENT_BINARY_DIR}/wire_round.c)
add_custom_command(OUTPUT ${WIRE_ROUND_SOURCE}
	COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/wire_round.py ${CMAKE_SOURCE_DIR}/proto/vk ${VULKAN_REGISTRY}
		${CMAKE_SOURCE_DIR}/proto/vk/commands.txt ${WIRE_ROUND_SOURCE}
	DEPENDS wire_round.py ${CMAKE_SOURCE_DIR}/proto/vk/generate.py ${CMAKE_SOURCE_DIR}/proto/vk/commands.txt ${VULKAN_REGISTRY}
	VERBATIM)
tbmesh_test(test_wire unit SOURCES test_wire.c ${WIRE_ROUND_SOURCE} LIBS tbmesh_wire)
