/* Small things that every folder needs. */
#ifndef TBMESH_BASE_UTIL_H
#define TBMESH_BASE_UTIL_H

#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

uint64_t time_monotonic_ns(void);
uint64_t time_realtime_us(void);
/* Large memory of malloc and mmap comes in huge pages from here, where the kernel gives them: a page fault for each 4 KiB costs more than
 * what is done with them. Returns p; NULL is fine. */
void *memory_large(void *p, size_t size);
int random_bytes(void *out, size_t size); /* getrandom; 0 or -errno */

/* For the cleanup attribute. */
void close_fd(int *fd);     /* __attribute__((cleanup(close_fd))) int fd = -1; */
void free_pointer(void *p); /* __attribute__((cleanup(free_pointer))) char *s = NULL; */

/* Whole files. Both return 0 or -errno. read: at most max bytes, else -EFBIG; NUL-terminated copy that the caller frees,
 * ret_size may be NULL. */
int file_read(const char *path, size_t max, char **ret_text, size_t *ret_size);
int file_write_atomic(const char *path, const void *data, size_t size, unsigned mode); /* temp + fsync + rename */
int directory_make(const char *path, unsigned mode);                                   /* with parents; fine if there */

/* Unix SEQPACKET with descriptors (at most 16 a message, received CLOEXEC). Receive refuses truncated messages and more than
 * max_fds (-EMSGSIZE, all closed then); -EPIPE when the other side is gone. fds may be NULL if max_fds is 0. Paths may be
 * longer than sun_path. */
int unix_listen(const char *path, unsigned mode); /* fd or -errno; a stale socket file is replaced, a live one -EADDRINUSE */
int unix_connect(const char *path);               /* fd or -errno */
int unix_send(int fd, const void *data, size_t size, const int *fds, size_t fd_count);
int unix_recv(int fd, void *data, size_t size, size_t *ret_size, int *fds, size_t max_fds, size_t *ret_fd_count);

#endif
