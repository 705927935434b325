/* What executors tell of their GPUs' pace (proto/vitals.h), read with mistrust. */
#include "tests/unit/test.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "node/vitals.h"

struct file {
	int fd;
	struct vitals_reader reader;
	struct vitals_page page;
};

static void set_up(struct file *f)
{
	*f = (struct file){ .fd = memfd_create("vitals", MFD_CLOEXEC), .page.magic = VITALS_MAGIC };
	assert_true(f->fd >= 0);
	vitals_reader_init(&f->reader, dup(f->fd));
}

static void tear_down(struct file *f)
{
	vitals_reader_finish(&f->reader);
	close_fd(&f->fd);
}

static bool look(struct file *f, struct vitals_latency *sum)
{
	assert_int_equal(pwrite(f->fd, &f->page, sizeof f->page, 0), sizeof f->page);
	return vitals_reader_look(&f->reader, sum);
}

static void done(struct file *f, unsigned bucket, uint64_t count)
{
	f->page.submitted += count;
	f->page.completed += count;
	f->page.latency[bucket] += count;
}

static void test_percentiles(void **state)
{
	struct vitals_latency sum = { 0 };
	struct file f;
	(void)state;
	set_up(&f);
	assert_false(vitals_reader_look(&f.reader, &sum)); /* nothing was written yet */
	assert_int_equal(vitals_latency_us(&sum, 0.5), 0);
	done(&f, 40, 97); /* up to 1.024 ms */
	done(&f, 60, 3);  /* up to 32.768 ms */
	f.page.submitted += 2;
	assert_true(look(&f, &sum));
	assert_int_equal(sum.completed, 100);
	assert_int_equal(vitals_waiting(&f.reader), 2);
	assert_int_equal(vitals_latency_us(&sum, 0.5), 1024);
	assert_int_equal(vitals_latency_us(&sum, 0.97), 1024);
	assert_int_equal(vitals_latency_us(&sum, 0.99), 32768);
	/* Only what is new counts; what is not new is not told again. */
	assert_false(look(&f, &sum));
	sum = (struct vitals_latency){ 0 };
	done(&f, 0, 10);
	assert_true(look(&f, &sum));
	assert_int_equal(sum.completed, 10);
	assert_int_equal(vitals_latency_us(&sum, 0.99), 1);
	tear_down(&f);
}

static void test_nonsense(void **state)
{
	struct vitals_latency sum = { 0 };
	struct file f;
	(void)state;
	set_up(&f);
	done(&f, 8, 5);
	assert_true(look(&f, &sum));
	const struct vitals_page good = f.page;
	f.page.magic ^= 1;
	done(&f, 8, 1);
	assert_false(look(&f, &sum));
	f.page = good;
	f.page.completed--; /* backwards */
	f.page.latency[8]--;
	assert_false(look(&f, &sum));
	f.page = good;
	f.page.completed += 3; /* the buckets say something else */
	f.page.submitted += 3;
	f.page.latency[9] += 2;
	assert_false(look(&f, &sum));
	f.page = good;
	f.page.submitted = 2; /* more came back than went there */
	assert_false(look(&f, &sum));
	f.page = good;
	done(&f, 3, UINT64_MAX / 2);
	assert_false(look(&f, &sum));
	f.page = good;
	f.page.memory_free_bytes = 1;
	f.page.memory_at_ns = UINT64_MAX; /* of a time to come */
	assert_false(look(&f, &sum));
	f.page = good;
	memset(&f.page, 0xff, sizeof f.page);
	f.page.magic = VITALS_MAGIC;
	assert_false(look(&f, &sum));
	assert_int_equal(ftruncate(f.fd, 100), 0);
	assert_false(vitals_reader_look(&f.reader, &sum));
	assert_int_equal(sum.completed, 5);
	f.page = good;
	done(&f, 8, 1); /* it goes on where it was good */
	assert_true(look(&f, &sum));
	assert_int_equal(sum.completed, 6);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_percentiles), cmocka_unit_test(test_nonsense) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
