/* What tbmesh-session was started with. */
#ifndef TBMESH_MIGRATE_SESSION_OPTIONS_H
#define TBMESH_MIGRATE_SESSION_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct session_options {
	const char *control; /* endpoint of the node */
	const char *socket;  /* server: where drivers ask */
	const char *program; /* its name, for people */
	const char *gpu;     /* server: as the user named it, ""; workload: key of the offered one */
	bool portable;       /* server: ask for what all GPUs share */
	const char *bin;     /* where this program lies */
	int program_pid;
	int ready_fd;            /* -1 none */
	int workload_fd, log_fd; /* workload: the driver's connection and its log; -1: server */
	unsigned migration_timeout_s, submit_timeout_s;
	bool relaxed;
	bool verbose;
};

int server_run(const struct session_options *o);   /* exit code */
int workload_run(const struct session_options *o); /* exit code */

#endif
