/* A child or adopted process by its pidfd: no pid is ever signalled that may belong to somebody else by now. */
#ifndef TBMESH_NODE_PROCESS_H
#define TBMESH_NODE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid;
	int fd;        /* pidfd, owned; readable when the process has ended */
	bool is_child; /* to be reaped */
};

struct process_options {
	const char *path;
	const char *const *argv;
	const int *fds;   /* the child has them as 3, 4, … and no others */
	size_t fd_count;  /* at most 4 */
	int output;       /* its stdout; -1: as errors */
	int errors;       /* its stderr; -1: this process's */
	bool new_session; /* setsid: survives this process */
};
/* 0 or -errno (also when path cannot be executed). Signals are at their defaults in the child, nothing is blocked. */
int process_spawn(const struct process_options *o, struct process *ret);
/* A process that an earlier incarnation of this node started. -ESRCH if it is not that process any more. */
int process_adopt(pid_t pid, uint64_t start_time, struct process *ret);
void process_kill(const struct process *p); /* SIGKILL, without waiting */
int process_reap(struct process *p);        /* after the end: exit status as of wait, 0 for an adopted one; closes fd */
void process_release(struct process *p);    /* closes fd; the process goes on */
uint64_t process_start_time(pid_t pid);     /* clock ticks since boot (proc(5), stat field 22); 0: no such process */
bool process_alive(pid_t pid);
bool process_stopped(pid_t pid); /* by a signal (SIGSTOP and the like), not by a debugger */

#endif
