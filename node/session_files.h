/* What sessions leave behind in RUN/sessions when they are killed: sockets and logs named after the program's pid. */
#ifndef TBMESH_NODE_SESSION_FILES_H
#define TBMESH_NODE_SESSION_FILES_H

/* Removes sockets and empty logs of programs that are gone, and logs with text an hour after the last word. */
void session_files_clean(const char *directory);

#endif
