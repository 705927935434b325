# A real executor on a real driver, fed with bent logs. For longer:
# build/asan/tests/fuzz_exec_logs --seconds 3600 --jobs 8 --save /tmp tests/fuzz/corpus/exec_logs/*.log
add_executable(fuzz_exec_logs exec_logs.c)
target_link_libraries(fuzz_exec_logs PRIVATE tbmesh_flags tbmesh_stream tbmesh_wire tbmesh_gpu PkgConfig::VULKAN Threads::Threads)
target_compile_definitions(fuzz_exec_logs PRIVATE TBMESH_EXEC="$<TARGET_FILE:tbmesh-exec>")
set_target_properties(fuzz_exec_logs PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_dependencies(fuzz_exec_logs tbmesh-exec)
file(GLOB exec_logs CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/exec_logs/*.log)
add_test(NAME fuzz_exec_logs COMMAND fuzz_exec_logs --seconds 5 --jobs 4 --seed 1 ${exec_logs})
set_tests_properties(fuzz_exec_logs PROPERTIES LABELS fuzz TIMEOUT 120 PROCESSORS 2 SKIP_RETURN_CODE 77)
