/* buf, list, log, util, unix sockets. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "tests/unit/test.h"

static char folder[] = "/tmp/tbmesh-test-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static const char *in_folder(const char *name)
{
	static char path[512];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void test_buf(void **state)
{
	(void)state;
	struct buf b = { 0 };
	buf_append(&b, "abc", 3);
	buf_align(&b, 8);
	assert_int_equal(b.size, 8);
	assert_memory_equal(b.data, "abc\0\0\0\0\0", 8);
	buf_align(&b, 8);
	assert_int_equal(b.size, 8);
	for (int i = 0; i < 100; i++)
		buf_printf(&b, "%d,", i);
	assert_int_equal(b.size, 8 + 10 * 2 + 90 * 3);
	assert_string_equal((char *)b.data + 8 + 10 * 2 + 89 * 3, "99,");
	assert_false(buf_reserve(&b, SIZE_MAX - 4));
	assert_true(b.failed);
	size_t size = b.size;
	buf_append(&b, "x", 1);
	buf_printf(&b, "x");
	assert_null(buf_extend(&b, 1));
	assert_int_equal(b.size, size);
	buf_clear(&b);
	assert_false(b.failed);
	buf_append(&b, NULL, 0);
	assert_int_equal(b.size, 0);
	buf_finish(&b);
	assert_null(b.data);
}

struct item {
	int value;
	struct list link;
};

static void test_list(void **state)
{
	(void)state;
	struct list head;
	struct item items[4];
	list_init(&head);
	assert_true(list_empty(&head));
	for (int i = 0; i < 4; i++) {
		items[i].value = i;
		list_append(&head, &items[i].link);
	}
	list_for_each_safe(item, &head, struct item, link) {
		if (item->value % 2)
			list_remove(&item->link);
	}
	int sum = 0, count = 0;
	list_for_each(item, &head, struct item, link) {
		sum = sum * 10 + item->value;
		count++;
	}
	assert_int_equal(count, 2);
	assert_int_equal(sum, 2);
	list_remove(&items[1].link); /* twice is fine */
}

static void test_log_lines(void **state)
{
	(void)state;
	int pipes[2], stderr_copy = dup(STDERR_FILENO);
	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	log_init("test", LOG_LEVEL_INFO);
	log_debug("not seen");
	log_warn("a device says \"%s\"", "x\n\033[31mfatal: y");
	char huge[5000];
	memset(huge, 'h', sizeof(huge));
	huge[sizeof(huge) - 1] = 0;
	log_error("%s", huge);
	dup2(stderr_copy, STDERR_FILENO);
	close(stderr_copy);
	close(pipes[1]);
	char text[8192];
	ssize_t size = 0, got;
	while ((got = read(pipes[0], text + size, sizeof(text) - 1 - (size_t)size)) > 0)
		size += got;
	close(pipes[0]);
	text[size] = 0;
	const char *first = "warn test: a device says \"x  [31mfatal: y\"\n";
	assert_memory_equal(text, first, strlen(first));
	assert_memory_equal(text + strlen(first), "error test: hhh", 15);
	assert_true((size_t)size < strlen(first) + 2049);
	assert_string_equal(text + size - 5, "h...\n");
}

static void test_files(void **state)
{
	(void)state;
	char *text;
	size_t size;
	char path[512];
	snprintf(path, sizeof(path), "%s/a/b/c", folder);
	assert_int_equal(directory_make(path, 0700), 0);
	assert_int_equal(directory_make(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/a/b/c/file", folder);
	assert_int_equal(file_write_atomic(path, "first", 5, 0600), 0);
	assert_int_equal(file_write_atomic(path, "second", 6, 0640), 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(file_read(path, 6, &text, &size), 0);
	assert_int_equal(size, 6);
	assert_string_equal(text, "second");
	free(text);
	assert_int_equal(file_read(path, 5, &text, &size), -EFBIG);
	assert_int_equal(file_read(in_folder("none"), 5, &text, &size), -ENOENT);
	assert_int_equal(directory_make(path, 0700), -ENOTDIR);
	assert_int_equal(file_write_atomic(in_folder("no/such"), "x", 1, 0600), -ENOENT);
	assert_int_equal(file_read("/proc/self/maps", 1 << 20, &text, NULL), 0);
	assert_non_null(strstr(text, "[stack]"));
	free(text);
}

static int accept_on(int listener)
{
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

static void check_socket(const char *path)
{
	__attribute__((cleanup(close_fd))) int listener = unix_listen(path, 0600);
	assert_true(listener >= 0);
	assert_int_equal(unix_listen(path, 0600), -EADDRINUSE);
	close_fd(&(int){ accept_on(listener) }); /* the look whether somebody listens */
	__attribute__((cleanup(close_fd))) int a = unix_connect(path);
	__attribute__((cleanup(close_fd))) int b = accept_on(listener);
	assert_true(a >= 0 && b >= 0);

	int fds[3] = { open("/dev/null", O_RDWR), open("/dev/zero", O_RDONLY), open("/dev/null", O_RDWR) }, received[3];
	char text[16];
	size_t size, count;
	assert_int_equal(unix_send(a, "hello", 5, fds, 2), 0);
	assert_int_equal(unix_recv(b, text, sizeof(text), &size, received, 2, &count), 0);
	assert_int_equal(size, 5);
	assert_int_equal(count, 2);
	assert_int_equal(fcntl(received[1], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	char zero = 1;
	assert_int_equal(read(received[1], &zero, 1), 1);
	assert_int_equal(zero, 0);
	close(received[0]);
	close(received[1]);

	/* Refused ones leave nothing open. */
	int next = dup(0);
	close(next);
	assert_int_equal(unix_send(a, "hello", 5, fds, 3), 0);
	assert_int_equal(unix_recv(b, text, sizeof(text), &size, received, 2, &count), -EMSGSIZE);
	assert_int_equal(unix_send(a, "hello", 5, fds, 1), 0);
	assert_int_equal(unix_recv(b, text, 4, &size, received, 2, &count), -EMSGSIZE);
	assert_int_equal(unix_send(a, "hello", 5, fds, 1), 0);
	assert_int_equal(unix_recv(b, text, sizeof(text), &size, NULL, 0, NULL), -EMSGSIZE);
	int again = dup(0);
	close(again);
	assert_int_equal(again, next);

	assert_int_equal(unix_send(a, "hello", 5, NULL, 0), 0);
	assert_int_equal(unix_recv(b, text, sizeof(text), &size, NULL, 0, NULL), 0);
	close_fd(&a);
	assert_int_equal(unix_recv(b, text, sizeof(text), &size, received, 2, &count), -EPIPE);
	assert_int_equal(unix_send(b, "x", 1, NULL, 0), -EPIPE);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void test_sockets(void **state)
{
	(void)state;
	const char *path = in_folder("socket");
	check_socket(path);
	check_socket(path); /* the stale file is in the way now */
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(unix_connect(in_folder("none")), -ENOENT);

	assert_int_equal(file_write_atomic(in_folder("file"), "x", 1, 0600), 0);
	assert_int_equal(unix_listen(in_folder("file"), 0600), -EADDRINUSE);

	char deep[512];
	snprintf(deep, sizeof(deep), "%s/%0100d", folder, 0);
	assert_int_equal(directory_make(deep, 0700), 0);
	strcat(deep, "/socket");
	check_socket(deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_log_lines),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_sockets),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
