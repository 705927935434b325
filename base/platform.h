/* What Linux does in one step and macOS in several. */
#ifndef TBMESH_BASE_PLATFORM_H
#define TBMESH_BASE_PLATFORM_H

#include <fcntl.h>
#include <sys/socket.h>

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

/* A descriptor to wait on and one whose written 8 bytes wake it, both close-on-exec and non-blocking; the same on Linux. 0 or -errno. */
int platform_wake_create(int *ret_read_fd, int *ret_write_fd);
/* AF_UNIX, SOCK_SEQPACKET, close-on-exec, or -errno: macOS knows none (-EPROTONOSUPPORT). */
int platform_unix_socket(void);

#endif
