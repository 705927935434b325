# Fuzz harnesses of proto/'s messages and migrate/stream/.
tbmesh_fuzz(proto_messages LIBS tbmesh_proto)
tbmesh_fuzz(stream_delta LIBS tbmesh_stream)
tbmesh_fuzz(stream_ring LIBS tbmesh_stream)
tbmesh_fuzz(stream_sealed LIBS tbmesh_stream)
