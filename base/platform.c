#include "base/platform.h"

#include <errno.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/eventfd.h>

int platform_wake_create(int *ret_read_fd, int *ret_write_fd)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ret_read_fd = *ret_write_fd = fd;
	return 0;
}

int platform_unix_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}
#else
int platform_wake_create(int *ret_read_fd, int *ret_write_fd)
{
	int fds[2];
	if (pipe(fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	*ret_read_fd = fds[0];
	*ret_write_fd = fds[1];
	return 0;
}

int platform_unix_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (fd < 0)
		return -errno;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}
#endif
