# Tests of gpu/ and proto/vk/.
# Twice: from Vulkan 1.3 on glslang says LocalSizeId.
foreach(version 1.1 1.3)
	string(REPLACE . _ name reflect_${version})
	set(output ${CMAKE_CURRENT_BINARY_DIR}/${name}.h)
	add_custom_command(OUTPUT ${output}
		COMMAND ${GLSLANG_VALIDATOR} --quiet -V --target-env vulkan${version} --vn ${name} -o ${output}
			${CMAKE_CURRENT_SOURCE_DIR}/shaders/reflect.comp
		DEPENDS shaders/reflect.comp VERBATIM)
	list(APPEND reflect_shaders ${output})
endforeach()
tbmesh_test(test_spirv unit SOURCES test_spirv.c ${reflect_shaders} LIBS tbmesh_gpu)
target_include_directories(test_spirv PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
tbmesh_test(test_image unit SOURCES test_image.c LIBS tbmesh_gpu)
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
