/* The completion thread: waits for the jobs' fences in order and tells the session what the GPU wrote. */
#ifndef TBMESH_MIGRATE_EXEC_COMPLETION_H
#define TBMESH_MIGRATE_EXEC_COMPLETION_H

struct jobs;

/* Starts the thread; it lives as long as the process. 0 or -errno. */
int completion_start(struct jobs *j);

#endif
