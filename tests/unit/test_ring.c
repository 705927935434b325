#include "migrate/stream/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/test.h"

#define SIZE (64u << 10)

static void test_wraps_without_a_seam(void **state)
{
	(void)state;
	struct ring r, reader;
	assert_int_equal(ring_create(&r, "test", SIZE), 0);
	int fd = ring_reopen_read_only(&r);
	assert_true(fd >= 0);
	assert_int_equal(ring_attach(&reader, fd, SIZE, false), 0);
	memcpy(ring_at(&r, SIZE - 4), "abcdefgh", 8);
	assert_memory_equal(ring_at(&reader, 0), "efgh", 4);
	assert_memory_equal(ring_at(&reader, SIZE - 4), "abcdefgh", 8);
	char copy[8];
	assert_int_equal(ring_copy(&reader, 5 * (uint64_t)SIZE - 4, copy, 8), 0);
	assert_memory_equal(copy, "abcdefgh", 8);
	ring_finish(&reader);
	ring_finish(&r);
}

static void test_only_the_creator_writes(void **state)
{
	(void)state;
	struct ring r, other;
	assert_int_equal(ring_create(&r, "test", SIZE), 0);
	int fd = dup(r.fd); /* the strongest descriptor there is */
	assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ring_attach(&other, fd, SIZE, true), -EPERM);
	close(fd);
	assert_int_equal(ring_truncate(&r), -EPERM);
	ring_finish(&r);
}

static void test_attach_checks(void **state)
{
	(void)state;
	struct ring r, result, other;
	assert_int_equal(ring_create(&r, "test", 3 * SIZE), -EINVAL);
	assert_int_equal(ring_create(&r, "test", SIZE), 0);
	assert_int_equal(ring_create_result(&result, "result", SIZE), 0);
	assert_int_equal(ring_attach(&other, r.fd, 2 * SIZE, false), -EINVAL);
	assert_int_equal(ring_attach(&other, result.fd, SIZE, false), -EPERM);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(ring_attach(&other, file, SIZE, false), -EPERM);
	close(file);
	ring_finish(&r);
	ring_finish(&result);
}

static void test_words_are_checked(void **state)
{
	(void)state;
	struct ring r;
	uint64_t word;
	assert_int_equal(ring_create(&r, "test", SIZE), 0);
	ring_publish(&r, 1000);
	assert_int_equal(ring_read_head(&r, 0, &word), 0);
	assert_int_equal(word, 1000);
	assert_int_equal(ring_read_head(&r, 1001, &word), -EBADMSG);
	ring_publish(&r, SIZE + 1);
	assert_int_equal(ring_read_head(&r, 0, &word), -EBADMSG);
	ring_release(&r, 50);
	assert_int_equal(ring_read_tail(&r, 49, SIZE, &word), -EBADMSG);
	assert_int_equal(ring_read_tail(&r, 50 + SIZE, SIZE, &word), 0);
	assert_int_equal(ring_read_tail(&r, 51 + SIZE, SIZE, &word), -EBADMSG);
	ring_finish(&r);
}

/* Another process waits on a mapping that it can't write, and is woken by each kind of change. */
static void test_waits_read_only(void **state)
{
	(void)state;
	struct ring r, answer;
	assert_int_equal(ring_create(&r, "test", SIZE), 0);
	assert_int_equal(ring_create_result(&answer, "answer", SIZE), 0);
	pid_t child = fork();
	if (child == 0) {
		struct ring mine, out;
		if (ring_attach(&mine, ring_reopen_read_only(&r), SIZE, false) < 0 ||
			ring_attach(&out, dup(answer.fd), SIZE, true) < 0)
			_exit(1);
		for (uint64_t position = 0; position < 1000;) {
			uint32_t seen = ring_sequence(&mine);
			uint64_t head;
			if (ring_read_head(&mine, position, &head) < 0)
				_exit(2);
			if (head == position) {
				if (ring_wait(&mine, seen, 5000) < 0)
					_exit(3);
				continue;
			}
			position = head;
			ring_publish(&out, position);
		}
		_exit(0);
	}
	for (uint64_t i = 1; i <= 1000; i++) {
		if (i % 100 == 0)
			usleep(2000); /* so that it really sleeps */
		ring_publish(&r, i);
		for (;;) {
			uint32_t seen = ring_sequence(&answer);
			uint64_t head;
			assert_int_equal(ring_read_head(&answer, 0, &head), 0);
			if (head == i)
				break;
			assert_int_equal(ring_wait(&answer, seen, 5000), 0);
		}
	}
	int status;
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	ring_finish(&r);
	ring_finish(&answer);
}

static void test_wait_times_out(void **state)
{
	(void)state;
	struct ring r;
	assert_int_equal(ring_create(&r, "test", SIZE), 0);
	uint64_t start = time_monotonic_ns();
	assert_int_equal(ring_wait(&r, ring_sequence(&r), 20), -ETIMEDOUT);
	assert_true(time_monotonic_ns() - start >= 20000000u);
	assert_int_equal(ring_wait(&r, ring_sequence(&r) - 1, -1), 0);
	ring_finish(&r);
}

static void test_a_cut_ring_kills_its_writer_only(void **state)
{
	(void)state;
	struct ring result;
	assert_int_equal(ring_create_result(&result, "result", SIZE), 0);
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	pid_t child = fork();
	if (child == 0) {
		struct ring mine;
		char byte;
		signal(SIGBUS, SIG_DFL); /* cmocka catches it */
		if (ring_attach(&mine, dup(result.fd), SIZE, true) < 0)
			_exit(1);
		ring_publish(&mine, 8);
		close(pipes[1]);
		if (read(pipes[0], &byte, 1) != 0)
			_exit(2);
		ring_publish(&mine, 16);
		_exit(3);
	}
	uint64_t head = 0;
	while (head != 8) {
		uint32_t seen = ring_sequence(&result);
		assert_int_equal(ring_read_head(&result, 0, &head), 0);
		if (head != 8)
			assert_int_equal(ring_wait(&result, seen, 5000), 0);
	}
	assert_int_equal(ring_truncate(&result), 0);
	close(pipes[0]);
	close(pipes[1]);
	int status;
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);

	char copy[8];
	assert_int_equal(ring_read_head(&result, 0, &head), -EPIPE);
	assert_int_equal(ring_read_tail(&result, 0, SIZE, &head), -EPIPE);
	assert_int_equal(ring_copy(&result, 0, copy, sizeof(copy)), -EPIPE);
	assert_int_equal(ring_wait(&result, ring_sequence(&result), 10), 0);
	ring_finish(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wraps_without_a_seam),
		cmocka_unit_test(test_only_the_creator_writes),
		cmocka_unit_test(test_attach_checks),
		cmocka_unit_test(test_words_are_checked),
		cmocka_unit_test(test_waits_read_only),
		cmocka_unit_test(test_wait_times_out),
		cmocka_unit_test(test_a_cut_ring_kills_its_writer_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
