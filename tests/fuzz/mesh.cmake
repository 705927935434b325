# Fuzz harnesses of mesh/.
tbmesh_fuzz(mesh_core LIBS tbmesh_mesh_core tbmesh_base)
