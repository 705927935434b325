# Tests of node/ and migrate/policy/.
tbmesh_test(test_device unit SOURCES test_device.c device_tree.c LIBS tbmesh_device)
target_compile_definitions(test_device PRIVATE TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
tbmesh_test(test_policy unit SOURCES test_policy.c LIBS tbmesh_policy)
tbmesh_test(test_node unit SOURCES test_node.c LIBS tbmesh_node)
target_compile_definitions(test_node PRIVATE CONFIG_EXAMPLE="${CMAKE_SOURCE_DIR}/node/tbmesh.conf.example")
tbmesh_test(test_cli unit SOURCES test_cli.c LIBS tbmesh_cli)
target_compile_definitions(test_cli PRIVATE TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
