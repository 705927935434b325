/* Unix SEQPACKET sockets with descriptors (base/util.h). */
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/platform.h"

#define UNIX_BACKLOG 64
#define UNIX_MAX_FDS 16

/* A path longer than sun_path is reached through its directory, opened as *ret_directory (-1 if not needed). */
static int address_make(struct sockaddr_un *a, const char *path, int *ret_directory)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*ret_directory = -1;
	size_t length = strlen(path);
	if (length == 0)
		return -EINVAL;
	if (length < sizeof(a->sun_path)) {
		memcpy(a->sun_path, path, length + 1);
		return 0;
	}
	const char *slash = strrchr(path, '/');
	if (!slash || slash == path)
		return -ENAMETOOLONG;
	__attribute__((cleanup(free_pointer))) char *parent = strndup(path, (size_t)(slash - path));
	if (!parent)
		return -ENOMEM;
	__attribute__((cleanup(close_fd))) int directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	int size = snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/%s", directory, slash + 1);
	if (size < 0 || (size_t)size >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	*ret_directory = directory;
	directory = -1;
	return 0;
}

int unix_connect(const char *path)
{
	struct sockaddr_un address;
	__attribute__((cleanup(close_fd))) int directory = -1;
	int r = address_make(&address, path, &directory);
	if (r < 0)
		return r;
	__attribute__((cleanup(close_fd))) int fd = platform_unix_socket();
	if (fd < 0)
		return fd;
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	r = fd;
	fd = -1;
	return r;
}

/* Is there a socket file that nobody listens on? */
static bool is_stale(const char *path)
{
	__attribute__((cleanup(close_fd))) int fd = -1;
	struct stat st;
	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	int r = unix_connect(path);
	if (r >= 0)
		fd = r;
	return r == -ECONNREFUSED;
}

int unix_listen(const char *path, unsigned mode)
{
	struct sockaddr_un address;
	__attribute__((cleanup(close_fd))) int directory = -1;
	int r = address_make(&address, path, &directory);
	if (r < 0)
		return r;
	__attribute__((cleanup(close_fd))) int fd = platform_unix_socket();
	if (fd < 0)
		return fd;
	/* The socket's own mode limits the file's at bind, so that it is never open to more than it should be. */
	if (fchmod(fd, mode) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EADDRINUSE)
			return -errno;
		if (!is_stale(path))
			return -EADDRINUSE;
		if (unlink(path) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			return -errno;
	}
	if (chmod(path, mode) < 0 || listen(fd, UNIX_BACKLOG) < 0) {
		r = -errno;
		unlink(path);
		return r;
	}
	r = fd;
	fd = -1;
	return r;
}

int unix_send(int fd, const void *data, size_t size, const int *fds, size_t fd_count)
{
	if (fd_count > UNIX_MAX_FDS || size == 0)
		return -EINVAL;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(UNIX_MAX_FDS * sizeof(int))];
	} control;
	memset(&control, 0, sizeof(control));
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd_count) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
	}
	for (;;) {
		if (sendmsg(fd, &message, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
	}
}

int unix_recv(int fd, void *data, size_t size, size_t *ret_size, int *fds, size_t max_fds, size_t *ret_fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(UNIX_MAX_FDS * sizeof(int))];
	} control;
	memset(&control, 0, sizeof(control));
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	ssize_t got;
	do
		got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;

	int received[UNIX_MAX_FDS];
	size_t count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here && count < UNIX_MAX_FDS; i++)
			memcpy(&received[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	int r = 0;
	if (got == 0)
		r = -EPIPE;
	else if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || count > max_fds)
		r = -EMSGSIZE;
	if (r < 0) {
		while (count)
			close(received[--count]);
		return r;
	}
	if (count)
		memcpy(fds, received, count * sizeof(int));
	if (ret_size)
		*ret_size = (size_t)got;
	if (ret_fd_count)
		*ret_fd_count = count;
	return 0;
}
