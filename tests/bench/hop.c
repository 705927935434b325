/* The floor of every hand-over between processes: a token goes round N processes, each woken by a futex in shared memory, nothing else done.
 * hop PROCESSES [ROUNDS] prints the median microseconds of one round. No spinning: what a sleeper costs is the question. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCESSES 8

struct seat {
	_Alignas(64) _Atomic uint32_t turn;
};

static void wake(struct seat *s)
{
	atomic_fetch_add(&s->turn, 1);
	syscall(SYS_futex, &s->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void wait_for(struct seat *s, uint32_t seen)
{
	while (atomic_load(&s->turn) == seen)
		syscall(SYS_futex, &s->turn, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	long processes = argc > 1 ? atol(argv[1]) : 2, rounds = argc > 2 ? atol(argv[2]) : 2000;
	if (processes < 2 || processes > MAX_PROCESSES || rounds < 1) {
		fprintf(stderr, "usage: %s PROCESSES(2-%d) [ROUNDS]\n", argv[0], MAX_PROCESSES);
		return 2;
	}
	struct seat *seats =
		mmap(NULL, MAX_PROCESSES * sizeof(*seats), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double *took = calloc((size_t)rounds, sizeof(*took));
	pid_t children[MAX_PROCESSES];
	if (seats == MAP_FAILED || !took)
		return 1;
	for (long i = 1; i < processes; i++) {
		children[i] = fork();
		if (children[i] < 0)
			return 1;
		if (children[i] > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (uint32_t seen = 0;; seen++) {
			wait_for(&seats[i], seen);
			wake(&seats[(i + 1) % processes]);
		}
	}
	for (long r = 0; r < rounds; r++) {
		double began = now_us();
		wake(&seats[1]);
		wait_for(&seats[0], (uint32_t)r);
		took[r] = now_us() - began;
	}
	qsort(took, (size_t)rounds, sizeof(*took), compare);
	printf("%.3f\n", took[rounds / 2]);
	for (long i = 1; i < processes; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	free(took);
	return 0;
}
