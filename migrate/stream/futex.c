#include "migrate/stream/futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

#define SPIN_NS 5000u

static int futex(const _Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
	return (int)syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

void futex_wake(const _Atomic uint32_t *word)
{
	futex(word, FUTEX_WAKE, INT_MAX, NULL);
}

/* With a second CPU the other side may be about to change it: a short look is cheaper than a sleep. Each thread looks only while that
 * has paid off lately. */
bool futex_spin(const _Atomic uint32_t *word, uint32_t seen)
{
	static _Thread_local int luck = 4;
	static atomic_int cpus;
	int count = atomic_load_explicit(&cpus, memory_order_relaxed);
	if (!count) {
		count = (int)sysconf(_SC_NPROCESSORS_ONLN);
		atomic_store_explicit(&cpus, count, memory_order_relaxed);
	}
	if (count < 2)
		return false;
	static _Thread_local unsigned turn;
	if (luck <= 0 && ++turn % 16)
		return false;
	uint64_t end = time_monotonic_ns() + SPIN_NS;
	do {
		for (int i = 0; i < 32; i++) {
			if (atomic_load(word) != seen) {
				luck = luck < 8 ? luck + 1 : luck;
				return true;
			}
		}
	} while (time_monotonic_ns() < end);
	luck = luck > 0 ? luck - 1 : 0;
	return false;
}

int futex_sleep(const _Atomic uint32_t *word, uint32_t seen, int timeout_ms)
{
	uint64_t end = timeout_ms < 0 ? 0 : time_monotonic_ns() + (uint64_t)timeout_ms * 1000000u;
	for (;;) {
		struct timespec left = { 0 };
		if (timeout_ms >= 0) {
			uint64_t now = time_monotonic_ns();
			if (now >= end)
				return -ETIMEDOUT;
			left = (struct timespec){ .tv_sec = (time_t)((end - now) / 1000000000u),
				.tv_nsec = (long)((end - now) % 1000000000u) };
		}
		if (futex(word, FUTEX_WAIT, seen, timeout_ms < 0 ? NULL : &left) == 0)
			return 0;
		/* EAGAIN: changed already. EFAULT: its file was cut, and the next read says so. */
		if (errno != EINTR && errno != ETIMEDOUT)
			return 0;
	}
}
