# Fuzz harnesses of node/.
tbmesh_fuzz(node_devices LIBS tbmesh_device)
tbmesh_fuzz(node_config LIBS tbmesh_host)
