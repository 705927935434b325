#include "node/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"

#define FIRST_FD 3
#define SAFE_FD 64 /* above all targets, so that moving one descriptor never overwrites another */

extern char **environ;

static int open_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : fd;
}

static int add_files(posix_spawn_file_actions_t *a, const struct process_options *o, int *moved)
{
	int r = posix_spawn_file_actions_addopen(a, 0, "/dev/null", O_RDONLY, 0);
	int errors = o->errors >= 0 ? o->errors : 2;
	if (r == 0 && errors != 2)
		r = posix_spawn_file_actions_adddup2(a, errors, 2);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(a, o->output >= 0 ? o->output : errors, 1);
	for (size_t i = 0; r == 0 && i < o->fd_count; i++)
		r = posix_spawn_file_actions_adddup2(a, moved[i], FIRST_FD + (int)i);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(a, FIRST_FD + (int)o->fd_count);
	return r;
}

static int set_attributes(posix_spawnattr_t *a, const struct process_options *o)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (o->new_session ? POSIX_SPAWN_SETSID : 0);
	int r = posix_spawnattr_setsigmask(a, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(a, &all);
	return r == 0 ? posix_spawnattr_setflags(a, flags) : r;
}

int process_spawn(const struct process_options *o, struct process *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int moved[4] = { -1, -1, -1, -1 }, r = posix_spawn_file_actions_init(&files);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r != 0) {
		posix_spawn_file_actions_destroy(&files);
		return -r;
	}
	for (size_t i = 0; i < o->fd_count && r == 0; i++) {
		moved[i] = fcntl(o->fds[i], F_DUPFD_CLOEXEC, SAFE_FD);
		r = moved[i] < 0 ? errno : 0;
	}
	if (r == 0)
		r = add_files(&files, o, moved);
	if (r == 0)
		r = set_attributes(&attributes, o);
	pid_t pid = -1;
	if (r == 0)
		r = posix_spawn(&pid, o->path, &files, &attributes, (char *const *)o->argv, environ);
	for (size_t i = 0; i < o->fd_count; i++)
		close_fd(&moved[i]);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	if (r != 0)
		return -r;
	int fd = open_pidfd(pid);
	if (fd < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return fd;
	}
	*ret = (struct process){ .pid = pid, .fd = fd, .is_child = true };
	return 0;
}

int process_adopt(pid_t pid, uint64_t start_time, struct process *ret)
{
	int fd = open_pidfd(pid);
	if (fd < 0)
		return fd;
	/* Behind pidfd_open: if the pid was given out again in between, the times differ. */
	if (start_time == 0 || process_start_time(pid) != start_time) {
		close(fd);
		return -ESRCH;
	}
	*ret = (struct process){ .pid = pid, .fd = fd, .is_child = false };
	return 0;
}

void process_kill(const struct process *p)
{
	if (p->fd >= 0)
		(void)syscall(SYS_pidfd_send_signal, p->fd, SIGKILL, NULL, 0);
}

int process_reap(struct process *p)
{
	int status = 0;
	if (p->is_child && waitpid(p->pid, &status, 0) < 0)
		status = 0;
	process_release(p);
	return status;
}

void process_release(struct process *p)
{
	close_fd(&p->fd);
	p->fd = -1;
}

uint64_t process_start_time(pid_t pid)
{
	char path[64];
	__attribute__((cleanup(free_pointer))) char *text = NULL;
	size_t size;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (file_read(path, 8192, &text, &size) < 0)
		return 0;
	char *p = strrchr(text, ')'); /* the name may hold spaces and brackets; field 3 follows it */
	for (unsigned field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) : 0;
}

bool process_alive(pid_t pid)
{
	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

bool process_stopped(pid_t pid)
{
	char path[64];
	__attribute__((cleanup(free_pointer))) char *text = NULL;
	size_t size;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (file_read(path, 8192, &text, &size) < 0)
		return false;
	const char *p = strrchr(text, ')');
	return p && strncmp(p, ") T", 3) == 0;
}
