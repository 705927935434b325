/* The mesh's core, many nodes, many seeds: deploy/sim. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "base/util.h"
#include "tests/sim/mesh/world.h"

#define MAX_JOBS 64

static const char *const topologies[] = { [TOPOLOGY_RING] = "ring",
	[TOPOLOGY_GRID] = "grid",
	[TOPOLOGY_RANDOM] = "random",
	[TOPOLOGY_LINE] = "line",
	[TOPOLOGY_FULL] = "full" };

struct settings {
	struct world_options world;
	uint64_t first, last;
	double minutes, steady_s;
	long jobs;
	bool json;
};

static int usage(void)
{
	fputs("Usage: deploy/sim [--nodes N] [--seeds A..B] [--minutes M] [--topology ring|grid|random|line|full]\n"
	      "                  [--steady SECONDS] [--routed] [--jobs J] [--json] [--verbose] [--sodium]\n"
	      "Runs N mesh cores on a virtual clock: M minutes of trouble (loss, delay, reordering, duplication, cuts one "
	      "way and\n"
	      "both, partitions, pulled cables, stopped, killed and restarted processes, clocks that are set, hostile "
	      "datagrams),\n"
	      "then all is repaired, then one cable is pulled. What must hold is checked all the while.\n"
	      "\n"
	      "  --nodes N     how many (16)\n"
	      "  --seeds A..B  one run each (1..100)\n"
	      "  --minutes M   of trouble, on the virtual clock (0.1)\n"
	      "  --topology T  how they are cabled (random)\n"
	      "  --steady S    seconds of peace at the end, over which the cost is counted (2)\n"
	      "  --routed      hosts route for each other, as with babeld: who shares no cable is a peer, too (up to 33 "
	      "nodes)\n"
	      "  --jobs J      processes (as many as there are cores)\n"
	      "  --json        one JSON object\n"
	      "  --verbose     tells what happens; one job\n"
	      "  --sodium      with real signatures and tags: 20 times slower\n"
	      "Or: deploy/sim --scale   rings, grids and random meshes of 16 to 1000 nodes, and what each costs\n",
		stderr);
	return 2;
}

static bool parse_seeds(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
	char *end;
	*ret_first = *ret_last = strtoull(text, &end, 10);
	if (strncmp(end, "..", 2) == 0)
		*ret_last = strtoull(end + 2, &end, 10);
	return end != text && !*end && *ret_first <= *ret_last;
}

static bool parse_topology(const char *text, enum topology *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(topologies); i++) {
		if (strcmp(topologies[i], text) == 0) {
			*ret = (enum topology)i;
			return true;
		}
	}
	return false;
}

static bool parse(int argc, char **argv, struct settings *s)
{
	for (int i = 1; i < argc; i++) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(option, "--verbose") == 0) {
			s->world.verbose = true;
			continue;
		}
		if (strcmp(option, "--routed") == 0) {
			s->world.routed = true;
			continue;
		}
		if (strcmp(option, "--json") == 0) {
			s->json = true;
			continue;
		}
		if (!value)
			return false;
		i++;
		if (strcmp(option, "--nodes") == 0)
			s->world.nodes = strtoull(value, NULL, 10);
		else if (strcmp(option, "--minutes") == 0)
			s->minutes = strtod(value, NULL);
		else if (strcmp(option, "--steady") == 0)
			s->steady_s = strtod(value, NULL);
		else if (strcmp(option, "--jobs") == 0)
			s->jobs = strtol(value, NULL, 10);
		else if (strcmp(option, "--seeds") == 0             ? !parse_seeds(value, &s->first, &s->last)
				: strcmp(option, "--topology") == 0 ? !parse_topology(value, &s->world.topology)
								    : true)
			return false;
	}
	s->world.trouble_ns = (uint64_t)(s->minutes * 60e9);
	s->world.steady_ns = (uint64_t)(s->steady_s * 1e9);
	if (s->world.verbose)
		s->jobs = 1;
	bool full = s->world.topology == TOPOLOGY_FULL;
	if (s->world.routed && s->world.nodes > WORLD_MAX_ROUTED)
		return false;
	return s->world.nodes >= 2 && s->world.nodes <= (full ? WORLD_MAX_PORTS + 1 : MESH_MAX_GRAPH) && s->minutes >= 0 &&
		s->steady_s >= 0 && s->jobs >= 1 && s->jobs <= MAX_JOBS;
}

/* One line a seed, through a pipe that all jobs share: shorter than PIPE_BUF, so whole. */
static void run_job(const struct settings *s, long job, int fd)
{
	for (uint64_t seed = s->first + (uint64_t)job; seed <= s->last; seed += (uint64_t)s->jobs) {
		struct world_options o = s->world;
		struct world_result r;
		char line[1024];
		o.seed = seed;
		world_play(&o, &r);
		int size = snprintf(line, sizeof line, "%" PRIu64 " %.3f %.3f %.1f %.2f %" PRIu64 " %" PRIu64 " %s\n", seed,
			(double)r.repaired_ns / 1e6, (double)r.told_ns / 1e6, r.steady_bytes, r.steady_packets, r.packets,
			r.events, r.failure);
		if (write(fd, line, (size_t)size) != size)
			exit(1);
		if (r.failure[0])
			return;
	}
}

struct totals {
	uint64_t seeds, packets, failed;
	double repaired_ms, repaired_worst_ms, told_ms, told_worst_ms, bytes, steady_packets;
};

static void take_line(const struct settings *s, const char *line, struct totals *t)
{
	uint64_t seed, packets, events;
	double repaired, told, bytes, steady;
	int at = 0;
	if (sscanf(line, "%" SCNu64 " %lf %lf %lf %lf %" SCNu64 " %" SCNu64 " %n", &seed, &repaired, &told, &bytes, &steady,
		    &packets, &events, &at) != 7)
		return;
	if (at && line[at] && line[at] != '\n') {
		t->failed++;
		printf("seed %" PRIu64
		       ": %sreplay: deploy/sim --nodes %zu --topology %s --minutes %g --steady %g --seeds %" PRIu64
		       "%s --verbose\n",
			seed, line + at, s->world.nodes, topologies[s->world.topology], s->minutes, s->steady_s, seed,
			s->world.routed ? " --routed" : "");
		return;
	}
	t->seeds++;
	t->packets += packets;
	t->repaired_ms += repaired;
	t->told_ms += told;
	t->bytes += bytes;
	t->steady_packets += steady;
	t->repaired_worst_ms = repaired > t->repaired_worst_ms ? repaired : t->repaired_worst_ms;
	t->told_worst_ms = told > t->told_worst_ms ? told : t->told_worst_ms;
}

static void show(const struct settings *s, const struct totals *t)
{
	double n = t->seeds ? (double)t->seeds : 1;
	if (s->json) {
		printf("{\"schema\": \"tbmesh.sim/1\", \"nodes\": %zu, \"topology\": \"%s\", \"seeds\": %" PRIu64
		       ", \"failed\": %" PRIu64
		       ", \"converged_ms\": %.1f, \"converged_worst_ms\": %.1f, \"pulled_known_ms\": "
		       "%.1f, \"pulled_known_worst_ms\": %.1f, \"bytes_per_node_s\": %.0f, \"datagrams_per_node_s\": "
		       "%.1f}\n",
			s->world.nodes, topologies[s->world.topology], t->seeds, t->failed, t->repaired_ms / n,
			t->repaired_worst_ms, t->told_ms / n, t->told_worst_ms, t->bytes / n, t->steady_packets / n);
		return;
	}
	printf("%" PRIu64 " seeds from %" PRIu64 " on, %zu nodes (%s), %g minutes of trouble each, %" PRIu64
	       " datagrams: %s\n",
		t->seeds, s->first, s->world.nodes, topologies[s->world.topology], s->minutes, t->packets,
		t->failed ? "FAILED" : "all that must hold held");
	if (!t->seeds)
		return;
	printf("  after the last repair every node had the whole graph within %.0f ms (mean), %.0f ms (worst)\n",
		t->repaired_ms / n, t->repaired_worst_ms);
	printf("  a pulled cable was known everywhere within %.0f ms (mean), %.0f ms (worst)\n", t->told_ms / n,
		t->told_worst_ms);
	printf("  at peace a node sent %.0f bytes and %.1f datagrams a second\n", t->bytes / n, t->steady_packets / n);
}

int main(int argc, char **argv)
{
	struct settings s = { .world = { .nodes = 16, .topology = TOPOLOGY_RANDOM },
		.first = 1,
		.last = 100,
		.minutes = 0.1,
		.steady_s = 2,
		.jobs = sysconf(_SC_NPROCESSORS_ONLN) };
	struct totals totals = { 0 };
	int pipes[2], status = 0;
	char line[1024];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!parse(argc, argv, &s))
		return usage();
	if (sodium_init() < 0 || pipe(pipes) < 0)
		return 1;
	for (long job = 0; job < s.jobs; job++) {
		pid_t pid = fork();
		if (pid < 0)
			return 1;
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL); /* a job ends with the whole */
			close(pipes[0]);
			run_job(&s, job, pipes[1]);
			exit(0);
		}
	}
	close(pipes[1]);
	FILE *in = fdopen(pipes[0], "r");
	while (in && fgets(line, sizeof line, in))
		take_line(&s, line, &totals);
	for (int child; wait(&child) > 0;) {
		if (!WIFEXITED(child) || WEXITSTATUS(child) != 0) {
			printf("a job died (status %d): run its seeds with --jobs 1 --verbose\n", child);
			status = 1;
		}
	}
	show(&s, &totals);
	return status || totals.failed || !totals.seeds;
}
