#include "migrate/exec/vitals.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "gpu/instance.h"
#include "migrate/exec/jobs.h"

#define PERIOD_S 1

struct teller {
	struct jobs *jobs;
	int fd;
	bool tells_memory;
};

/* 2^(i/4) in 1/65536 for i = 0 … 3. */
static const uint32_t quarters[4] = { 65536, 77936, 92682, 110218 };

unsigned vitals_bucket(uint64_t latency_ns)
{
	uint64_t us = latency_ns / 1000;
	unsigned whole, quarter = 0;

	if (us < 1)
		return 0;
	whole = 63u - (unsigned)__builtin_clzll(us);
	if (whole > 31)
		return VITALS_BUCKETS - 1;
	while (quarter < 3 && (us << 16) >= (uint64_t)quarters[quarter + 1] << whole)
		quarter++;
	return whole * 4 + quarter + 1 < VITALS_BUCKETS ? whole * 4 + quarter + 1 : VITALS_BUCKETS - 1;
}

/* Beside the threads that the workload needs: a driver that does not answer here costs it nothing. The driver is only asked while
 * submissions come back: so the GPU is awake, and is not woken for this. */
static void *run(void *ctx)
{
	const struct timespec pause = { .tv_sec = PERIOD_S };
	struct teller *t = ctx;
	struct vitals_page page = { 0 };
	uint64_t free_bytes = 0, at_ns = 0, completed = 0, submitted = 0;

	for (;; nanosleep(&pause, NULL)) {
		jobs_vitals(t->jobs, &page);
		if (page.completed == completed && page.submitted == submitted)
			continue;
		if (t->tells_memory && page.completed != completed) {
			free_bytes = gpu_memory_free(t->jobs->device->physical);
			at_ns = time_monotonic_ns();
		}
		completed = page.completed;
		submitted = page.submitted;
		page.magic = VITALS_MAGIC;
		page.memory_free_bytes = free_bytes;
		page.memory_at_ns = at_ns;
		/* A node that does not get it shows less. */
		if (pwrite(t->fd, &page, sizeof(page), 0) < 0)
			break;
	}
	close(t->fd);
	free(t);
	return NULL;
}

int vitals_start(struct jobs *j, int fd)
{
	struct teller *t = calloc(1, sizeof(*t));
	pthread_t thread;
	int error;

	if (!t)
		return -ENOMEM;
	*t = (struct teller){ .jobs = j, .fd = fd, .tells_memory = gpu_tells_memory(j->device->physical) };
	error = pthread_create(&thread, NULL, run, t);
	if (error)
		free(t);
	else
		pthread_detach(thread);
	return -error;
}
