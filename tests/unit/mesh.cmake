# Tests of mesh/.
tbmesh_test(test_mesh_core unit SOURCES test_mesh_core.c mesh_sim.c LIBS tbmesh_mesh_core tbmesh_base)
tbmesh_test(test_mesh_identity unit SOURCES test_mesh_identity.c LIBS tbmesh_mesh)
tbmesh_test(test_mesh_score unit SOURCES test_mesh_score.c LIBS tbmesh_mesh_core)
tbmesh_test(test_mesh_graph unit SOURCES test_mesh_graph.c mesh_sim.c LIBS tbmesh_mesh_core tbmesh_base)
