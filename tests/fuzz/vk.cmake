# Fuzz harnesses of gpu/ and proto/vk/.
tbmesh_fuzz(wire_commands LIBS wire_round)
tbmesh_fuzz(gpu_spirv LIBS tbmesh_gpu)
tbmesh_fuzz(gpu_description LIBS tbmesh_gpu)
