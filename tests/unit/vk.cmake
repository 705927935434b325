# Tests of gpu/ and proto/vk/.
add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/reflect.comp.h
	COMMAND ${GLSLANG_VALIDATOR} --quiet -V --target-env vulkan1.1 --vn reflect_comp -o ${CMAKE_CURRENT_BINARY_DIR}/reflect.comp.h
		${CMAKE_CURRENT_SOURCE_DIR}/shaders/reflect.comp
	DEPENDS shaders/reflect.comp VERBATIM)
tbmesh_test(test_spirv unit SOURCES test_spirv.c ${CMAKE_CURRENT_BINARY_DIR}/reflect.comp.h LIBS tbmesh_gpu)
target_include_directories(test_spirv PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
tbmesh_test(test_description unit SOURCES test_description.c LIBS tbmesh_gpu PkgConfig::VULKAN)
tbmesh_test(test_hash unit SOURCES test_hash.c LIBS tbmesh_gpu PkgConfig::VULKAN)
