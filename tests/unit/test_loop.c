#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/test.h"

struct fixture {
	struct loop *loop;
	struct loop_timer *timer, *other;
	struct loop_io *io, *other_io;
	int fds[2];
	unsigned count;
	uint64_t start_ns;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->loop = loop_create();
	*state = f;
	f->start_ns = time_monotonic_ns();
	return f->loop ? socketpair(AF_UNIX, SOCK_STREAM, 0, f->fds) : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	loop_destroy(f->loop);
	close(f->fds[0]);
	close(f->fds[1]);
	free(f);
	return 0;
}

static void stop(void *ctx)
{
	struct fixture *f = ctx;
	loop_stop(f->loop);
}

static void count_and_destroy(void *ctx)
{
	struct fixture *f = ctx;
	if (++f->count == 3) {
		loop_timer_destroy(f->timer);
		loop_stop(f->loop);
	}
}

static void test_timers(void **state)
{
	struct fixture *f = *state;
	f->timer = loop_timer_create(f->loop, count_and_destroy, f);
	loop_timer_start(f->timer, 5, 20);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, 3);
	uint64_t ms = (time_monotonic_ns() - f->start_ns) / 1000000;
	assert_in_range(ms, 45, 300);

	f->count = 1;
	f->timer = loop_timer_create(f->loop, count_and_destroy, f);
	f->other = loop_timer_create(f->loop, stop, f);
	loop_timer_start(f->timer, 5, 0);
	loop_timer_start(f->other, 30, 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, 2); /* one shot */
	loop_timer_start(f->timer, 5, 5);
	loop_timer_stop(f->timer);
	loop_timer_start(f->other, 20, 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, 2);
	loop_timer_destroy(f->timer);
	loop_timer_destroy(f->other);
}

/* Two sources are ready at once and the first callback destroys both. */
static void destroy_all(void *ctx, unsigned events)
{
	struct fixture *f = ctx;
	assert_true(events & LOOP_WRITE);
	f->count++;
	loop_io_destroy(f->io);
	loop_io_destroy(f->other_io);
	loop_timer_destroy(f->timer);
	loop_stop(f->loop);
}

static void never(void *ctx)
{
	(void)ctx;
	abort();
}

static void test_destroys_inside_a_callback(void **state)
{
	struct fixture *f = *state;
	f->io = loop_io_create(f->loop, f->fds[0], LOOP_WRITE, destroy_all, f);
	f->other_io = loop_io_create(f->loop, f->fds[1], LOOP_WRITE, destroy_all, f);
	f->timer = loop_timer_create(f->loop, never, f);
	loop_timer_start(f->timer, 1000, 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, 1);
}

static void readable(void *ctx, unsigned events)
{
	struct fixture *f = ctx;
	assert_int_equal(events, LOOP_READ);
	/* Level-triggered: told again until it is read. */
	char byte;
	if (++f->count < 3)
		return;
	assert_int_equal(read(f->fds[0], &byte, 1), 1);
	loop_io_set(f->io, 0);
	assert_int_equal(write(f->fds[1], "x", 1), 1);
	loop_timer_start(f->timer, 20, 0);
}

static void test_io_is_level_triggered(void **state)
{
	struct fixture *f = *state;
	f->timer = loop_timer_create(f->loop, stop, f);
	f->io = loop_io_create(f->loop, f->fds[0], LOOP_READ, readable, f);
	assert_int_equal(write(f->fds[1], "x", 1), 1);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, 3);
	loop_io_set(f->io, LOOP_READ);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, 4);
	loop_io_destroy(f->io);
	loop_timer_destroy(f->timer);
}

#define POSTS 20000u

static void posted(void *ctx)
{
	struct fixture *f = ctx;
	if (++f->count == 2 * POSTS)
		loop_stop(f->loop);
}

static void *post_many(void *ctx)
{
	struct fixture *f = ctx;
	for (unsigned i = 0; i < POSTS; i++)
		loop_post(f->loop, posted, f);
	return NULL;
}

static void test_posts_of_threads(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, f), 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, 2 * POSTS);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(loop_post(f->loop, posted, f), 0); /* left over: loop_destroy frees it */
}

static void post_again(void *ctx)
{
	struct fixture *f = ctx;
	f->count++;
	loop_post(f->loop, post_again, f);
}

/* Who posts itself for ever doesn't starve a timer. */
static void test_posts_are_fair(void **state)
{
	struct fixture *f = *state;
	f->timer = loop_timer_create(f->loop, stop, f);
	loop_timer_start(f->timer, 10, 0);
	loop_post(f->loop, post_again, f);
	assert_int_equal(loop_run(f->loop), 0);
	assert_true(f->count > 1);
	loop_timer_destroy(f->timer);
}

static void signalled(void *ctx, int signal_number)
{
	struct fixture *f = ctx;
	f->count = (unsigned)signal_number;
	loop_stop(f->loop);
}

static void test_signals(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(loop_signal(f->loop, SIGUSR1, signalled, f), 0);
	kill(getpid(), SIGUSR1);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, SIGUSR1);
}

static void test_stop_before_run(void **state)
{
	struct fixture *f = *state;
	loop_stop(f->loop);
	assert_int_equal(loop_run(f->loop), 0);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(test_timers),
		LOOP_TEST(test_destroys_inside_a_callback),
		LOOP_TEST(test_io_is_level_triggered),
		LOOP_TEST(test_posts_of_threads),
		LOOP_TEST(test_posts_are_fair),
		LOOP_TEST(test_signals),
		LOOP_TEST(test_stop_before_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
