#include "migrate/exec/drivers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "gpu/instance.h"

/* --- finding them --- */

static void add(struct drivers *d, const char *path)
{
	char real[PATH_MAX];
	struct stat here, there;

	if (d->count == DRIVERS_MAX || strlen(path) >= sizeof(d->at[0].manifest) || !realpath(path, real) ||
		stat(path, &here) < 0)
		return;
	/* The same file under one name; under several names it is several drivers, as the loader has it. */
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->at[i].manifest, path) == 0 ||
			(strcmp(strrchr(d->at[i].manifest, '/') + 1, strrchr(path, '/') + 1) == 0 &&
				stat(d->at[i].manifest, &there) == 0 && here.st_ino == there.st_ino &&
				here.st_dev == there.st_dev))
			return;
	d->at[d->count] = (struct driver){ .fd = -1 };
	memcpy(d->at[d->count++].manifest, path, strlen(path) + 1);
}

static int is_manifest(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && strcmp(dot, ".json") == 0;
}

static void add_folder(struct drivers *d, const char *folder)
{
	struct dirent **names;
	int count = scandir(folder, &names, is_manifest, alphasort);

	for (int i = 0; i < count; i++) {
		char path[PATH_MAX];

		if (snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name) < (int)sizeof(path))
			add(d, path);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

/* Each part of a list like PATH. suffix: NULL, the parts are manifests or folders of them; else folders in which it lies. */
static void add_list(struct drivers *d, const char *list, const char *suffix)
{
	__attribute__((cleanup(free_pointer))) char *copy = strdup(list);
	char *rest = copy;

	for (char *part; copy && (part = strsep(&rest, ":"));) {
		char path[PATH_MAX];
		struct stat s;

		if (part[0] != '/' ||
			snprintf(path, sizeof(path), "%s%s", part, suffix ? suffix : "") >= (int)sizeof(path) ||
			stat(path, &s) < 0)
			continue;
		if (S_ISDIR(s.st_mode))
			add_folder(d, path);
		else if (!suffix)
			add(d, path);
	}
}

static void add_home(struct drivers *d, const char *variable, const char *below_home)
{
	const char *value = getenv(variable), *home = getenv("HOME");
	char path[PATH_MAX];

	if (value && value[0])
		add_list(d, value, "/vulkan/icd.d");
	else if (home && snprintf(path, sizeof(path), "%s/%s", home, below_home) < (int)sizeof(path))
		add_list(d, path, "/vulkan/icd.d");
}

static void add_shared(struct drivers *d, const char *variable, const char *standard)
{
	const char *value = getenv(variable);

	add_list(d, value && value[0] ? value : standard, "/vulkan/icd.d");
}

void drivers_find(struct drivers *d)
{
	const char *only = getenv("VK_DRIVER_FILES"), *more = getenv("VK_ADD_DRIVER_FILES");

	*d = (struct drivers){ 0 };
	if (!only || !only[0])
		only = getenv("VK_ICD_FILENAMES");
	if (only && only[0]) {
		add_list(d, only, NULL);
		return;
	}
	if (more)
		add_list(d, more, NULL);
	add_home(d, "XDG_CONFIG_HOME", ".config");
	add_shared(d, "XDG_CONFIG_DIRS", "/etc/xdg");
	add_list(d, "/usr/local/etc:/etc", "/vulkan/icd.d");
	add_home(d, "XDG_DATA_HOME", ".local/share");
	add_shared(d, "XDG_DATA_DIRS", "/usr/local/share:/usr/share");
}

/* --- trying them --- */

static _Noreturn void ask_in_child(const char *manifest)
{
	struct gpu_instance instance;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* one that hangs does not outlive the probe */
	if (drivers_restrict(manifest))
		(void)gpu_instance_init(&instance, "tbmesh-probe"); /* one that only says no disturbs nobody */
	_exit(0);
}

static int start(struct drivers *d, struct driver *one)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	one->child = fork();
	if (one->child == 0) {
		for (size_t i = 0; i < d->count; i++)
			if (&d->at[i] != one)
				close_fd(&d->at[i].fd);
		ask_in_child(one->manifest);
	}
	close(ends[1]);
	if (one->child < 0) {
		close(ends[0]);
		return -EAGAIN;
	}
	one->fd = ends[0]; /* readable, at its end, when the child has ended */
	return 0;
}

static void judge(struct drivers *d, struct driver *one)
{
	int status = 0;

	close_fd(&one->fd);
	one->fd = -1;
	one->state = DRIVER_GOOD;
	if (waitpid(one->child, &status, 0) == one->child && WIFSIGNALED(status)) {
		one->state = DRIVER_CRASHES;
		one->signal = WTERMSIG(status);
		d->bad++;
	}
}

static void give_up(struct drivers *d, struct driver *one)
{
	kill(one->child, SIGKILL);
	waitpid(one->child, NULL, WNOHANG); /* stuck in the kernel it may not even die */
	close_fd(&one->fd);
	one->fd = -1;
	one->state = DRIVER_HANGS;
	d->bad++;
	d->slow = true;
}

int drivers_try(struct drivers *d, unsigned patience_ms)
{
	uint64_t deadline_ns = time_monotonic_ns() + patience_ms * 1000000ull;
	size_t waiting = 0;

	for (size_t i = 0; i < d->count; i++) {
		int error = start(d, &d->at[i]);

		if (error)
			return error;
		waiting++;
	}
	while (waiting) {
		struct pollfd polls[DRIVERS_MAX];
		uint64_t now_ns = time_monotonic_ns();

		for (size_t i = 0; i < d->count; i++)
			polls[i] = (struct pollfd){ .fd = d->at[i].fd, .events = POLLIN };
		if (now_ns >= deadline_ns)
			break;
		if (poll(polls, d->count, (int)((deadline_ns - now_ns) / 1000000) + 1) < 0 && errno != EINTR)
			return -errno;
		for (size_t i = 0; i < d->count; i++)
			if (d->at[i].fd >= 0 && polls[i].revents) {
				judge(d, &d->at[i]);
				waiting--;
			}
	}
	for (size_t i = 0; i < d->count; i++)
		if (d->at[i].fd >= 0)
			give_up(d, &d->at[i]);
	return 0;
}

bool drivers_restrict(const char *manifests)
{
	/* The older name for older loaders; what is added to them goes, too. */
	unsetenv("VK_ADD_DRIVER_FILES");
	return setenv("VK_DRIVER_FILES", manifests, 1) == 0 && setenv("VK_ICD_FILENAMES", manifests, 1) == 0;
}

bool drivers_list_good(const struct drivers *d, char *out, size_t size)
{
	size_t length = 0;

	out[0] = 0;
	for (size_t i = 0; i < d->count && length < size; i++)
		if (d->at[i].state == DRIVER_GOOD)
			length +=
				(size_t)snprintf(out + length, size - length, "%s%s", length ? ":" : "", d->at[i].manifest);
	return length < size;
}
