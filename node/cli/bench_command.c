/* bench: bandwidth to a peer, measured now, again and again for a time. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "node/cli/cli.h"
#include "node/cli/document.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define MAX_SERIES 40u /* each way of each link, and of all together */
#define MAX_RUNS 4096u
#define MAX_STREAMS 16u
#define BUSY_US 200000
#define BUSY_LIMIT_MS 15000u

/* What came out for one way of one link. */
struct series {
	char name[128];
	uint64_t bps[MAX_RUNS];
	size_t count;
};

static void add(struct series *all, size_t *count, const char *name, const char *way, uint64_t bps)
{
	char full[sizeof all->name];
	size_t i = 0;
	snprintf(full, sizeof full, "%.100s %s", name, way);
	while (i < *count && strcmp(all[i].name, full) != 0)
		i++;
	if (!bps || i == MAX_SERIES)
		return;
	if (i == *count)
		memcpy(all[(*count)++].name, full, sizeof full);
	if (all[i].count < MAX_RUNS)
		all[i].bps[all[i].count++] = bps;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static int sum_up(struct cli *c, const char *peer, struct series *all, size_t count, uint64_t runs)
{
	static const char *const headers[] = { "LINK", "WAY", ">MEDIAN", ">LEAST", ">MOST", ">RUNS" };
	char text[FORMAT_SIZE];
	json_t *o = document_create("tbmesh.bench/1"), *list = json_array();
	struct table *t = table_create(headers, ARRAY_SIZE(headers));
	json_object_set_new(o, "peer", json_string(peer));
	json_object_set_new(o, "runs", json_integer((json_int_t)runs));
	for (size_t i = 0; i < count; i++) {
		struct series *s = &all[i];
		char *way = strrchr(s->name, ' ');
		*way++ = '\0';
		qsort(s->bps, s->count, sizeof s->bps[0], by_value);
		uint64_t median = s->bps[(s->count - 1) / 2], least = s->bps[0], most = s->bps[s->count - 1];
		table_cell(t, "%s", s->name);
		table_cell(t, "%s", way);
		table_cell(t, "%s", format_bps(median, text));
		table_cell(t, "%s", format_bps(least, text));
		table_cell(t, "%s", format_bps(most, text));
		table_cell(t, "%zu", s->count);
		json_t *m = json_object();
		json_object_set_new(m, "link", json_string(s->name));
		json_object_set_new(m, "way", json_string(way));
		json_object_set_new(m, "median_bps", json_integer((json_int_t)median));
		json_object_set_new(m, "least_bps", json_integer((json_int_t)least));
		json_object_set_new(m, "most_bps", json_integer((json_int_t)most));
		json_array_append_new(list, m);
	}
	json_object_set_new(o, "results", list);
	int r = EXIT_OK;
	if (c->json) {
		r = cli_print_json(o);
	} else {
		table_print(t, stdout, c->color);
		json_decref(o);
	}
	table_destroy(t);
	return r;
}

/* One run; waits while another measurement is under way. An exit code. */
static int measure(struct cli *c, const Tbmesh__BenchRequest *body, Tbmesh__Reply **ret)
{
	uint64_t start_ns = time_monotonic_ns();
	for (;;) {
		Tbmesh__Request request = TBMESH__REQUEST__INIT;
		Tbmesh__Reply *reply;
		request.body_case = TBMESH__REQUEST__BODY_BENCH;
		request.bench = (Tbmesh__BenchRequest *)body;
		int r = client_ask_quietly(c, &request, 2 * CLIENT_TIMEOUT_MS, &reply);
		if (r < 0)
			return client_explain(c, r);
		if (reply->code == 0 && reply->body_case == TBMESH__REPLY__BODY_BENCH) {
			*ret = reply;
			return EXIT_OK;
		}
		bool again = reply->code == EXIT_TIMED_OUT && time_monotonic_ns() - start_ns < BUSY_LIMIT_MS * 1000000ull;
		if (!again)
			r = cli_fail(c, reply->code ? (int)reply->code : EXIT_ERROR, "%s",
				reply->code ? reply->message : "the node answered something else");
		message_free_reply(reply);
		if (!again)
			return r;
		usleep(BUSY_US);
	}
}

/* up, and down, as far as they were measured. */
static void live_line(const char *peer, uint64_t up_bps, uint64_t down_bps, bool unsteady, uint64_t runs)
{
	char text[FORMAT_SIZE];
	printf("\r\033[K%s:", peer);
	if (up_bps)
		printf(" %s up", format_bps(up_bps, text));
	if (down_bps)
		printf("%s %s down", up_bps ? "," : "", format_bps(down_bps, text));
	printf("%s, run %" PRIu64, unsteady ? " (disturbed)" : "", runs);
	fflush(stdout);
}

static int run_bench(struct cli *c, int argc, char **argv)
{
	const char *peer = NULL;
	uint64_t seconds = 5, streams = 1, runs = 0;
	Tbmesh__BenchRequest body = TBMESH__BENCH_REQUEST__INIT;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--time") == 0) {
			if (++i == argc || !cli_number(argv[i], 3600, &seconds) || !seconds)
				return cli_usage(c, &command_bench, "--time needs seconds, from 1 to 3600");
		} else if (strcmp(argv[i], "--streams") == 0) {
			if (++i == argc || !cli_number(argv[i], MAX_STREAMS, &streams) || !streams)
				return cli_usage(c, &command_bench, "--streams needs a number from 1 to %u", MAX_STREAMS);
		} else if (strcmp(argv[i], "--dir") == 0) {
			if (++i == argc ||
				(strcmp(argv[i], "up") != 0 && strcmp(argv[i], "down") != 0 && strcmp(argv[i], "both") != 0))
				return cli_usage(c, &command_bench, "--dir needs up, down or both");
			body.way = strcmp(argv[i], "both") == 0 ? (char *)"" : argv[i];
		} else if (argv[i][0] == '-' || peer) {
			return cli_usage(c, &command_bench, "\"%s\" is not expected here", argv[i]);
		} else {
			peer = argv[i];
		}
	}
	if (!peer)
		return cli_usage(c, &command_bench, "expected a PEER");
	struct series *all = calloc(MAX_SERIES, sizeof *all);
	if (!all)
		return cli_fail(c, EXIT_ERROR, "out of memory");
	body.peer = (char *)peer;
	body.streams = (uint32_t)streams;
	bool live = !c->json && isatty(STDOUT_FILENO);
	uint64_t start_ns = time_monotonic_ns();
	size_t count = 0;
	int r = EXIT_OK;
	do {
		Tbmesh__Reply *reply = NULL;
		r = measure(c, &body, &reply);
		if (r != EXIT_OK)
			break;
		const Tbmesh__BenchReply *b = reply->bench;
		runs++;
		uint64_t up_bps = b->aggregate_up_bps, down_bps = b->aggregate_down_bps;
		for (size_t i = 0; i < b->n_links; i++) {
			add(all, &count, b->links[i]->link, "up", b->links[i]->up_bps);
			add(all, &count, b->links[i]->link, "down", b->links[i]->down_bps);
			up_bps = b->n_links == 1 ? b->links[i]->up_bps : up_bps;
			down_bps = b->n_links == 1 ? b->links[i]->down_bps : down_bps;
		}
		if (b->n_links > 1) {
			add(all, &count, "all at once", "up", b->aggregate_up_bps);
			add(all, &count, "all at once", "down", b->aggregate_down_bps);
		}
		if (live)
			live_line(peer, up_bps, down_bps, b->unsteady, runs);
		message_free_reply(reply);
	} while (time_monotonic_ns() - start_ns < seconds * 1000000000ull);
	if (live && runs)
		fputs("\r\033[K", stdout); /* the live line goes: ECMA-48 */
	if (runs) {
		int summed = sum_up(c, peer, all, count, runs);
		r = r == EXIT_OK ? summed : r;
	}
	free(all);
	return r;
}

const struct command command_bench = {
	.name = "bench",
	.summary = "bandwidth to a peer, measured now",
	.run = run_bench,
	.usage = "Usage: tbmesh bench [--dir up|down|both] [--time SECONDS] [--streams N] PEER\n"
		 "Runs the node's bandwidth probe again and again: each cable alone, then all at once, each way, at most 16 "
		 "MiB or 50 ms\n"
		 "each. Shows a live line on a terminal, then median, least and most. What others use meanwhile is missing "
		 "in it.\n"
		 "\n"
		 "  --dir WAY       up: what this host sends, down: what it receives (default both)\n"
		 "  --time SECONDS  go on so long (default 5)\n"
		 "  --streams N     TCP connections on each cable at the same time, at most 16 (default 1)\n",
};
