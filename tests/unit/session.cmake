tbmesh_test(test_session_parts unit SOURCES session/test_parts.c LIBS tbmesh_session_core)
tbmesh_test(test_session_core unit SOURCES session/test_core.c LIBS tbmesh_session_core)
tbmesh_test(test_session_outbox unit SOURCES session/test_outbox.c ${CMAKE_SOURCE_DIR}/migrate/session/outbox.c
	LIBS tbmesh_session_core)
