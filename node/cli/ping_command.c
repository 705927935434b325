/* ping: round trips as the node itself measures them, one a line. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/cli/cli.h"
#include "node/cli/document.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define KEPT 100000u

struct ping_options {
	const char *peer, *link;
	uint64_t count; /* 0: until ctrl-c */
	double interval_s;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

static int parse(struct cli *c, int argc, char **argv, struct ping_options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		char *end = NULL;
		if (option[0] != '-') {
			if (o->peer)
				return cli_usage(c, &command_ping, "\"%s\" is one name too many", option);
			o->peer = option;
			continue;
		}
		if (!value)
			return cli_usage(c, &command_ping, "\"%s\" is not expected here, or needs a value", option);
		i++;
		if (strcmp(option, "--link") == 0) {
			o->link = value;
		} else if (strcmp(option, "--count") == 0 || strcmp(option, "-c") == 0) {
			if (!cli_number(value, KEPT, &o->count) || !o->count)
				return cli_usage(c, &command_ping, "--count must be from 1 to %u, not \"%s\"", KEPT, value);
		} else if (strcmp(option, "--interval") == 0 || strcmp(option, "-i") == 0) {
			o->interval_s = strtod(value, &end);
			if (*end || end == value || !(o->interval_s >= 0.002 && o->interval_s <= 3600))
				return cli_usage(c, &command_ping,
					"--interval must be from 0.002 to 3600 seconds, not \"%s\"", value);
		} else {
			return cli_usage(c, &command_ping, "unknown option \"%s\"", option);
		}
	}
	return o->peer ? EXIT_OK : cli_usage(c, &command_ping, "expected a PEER");
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int sum_up(struct cli *c, const struct ping_options *o, double *times, size_t count, uint64_t sent)
{
	double jitter = 0, sum = 0;
	for (size_t i = 0; i < count; i++) {
		sum += times[i];
		jitter += i ? fabs(times[i] - times[i - 1]) : 0;
	}
	jitter = count > 1 ? jitter / (double)(count - 1) : 0;
	qsort(times, count, sizeof *times, by_value);
	double min = count ? times[0] : 0, p50 = count ? times[(count - 1) / 2] : 0,
	       p99 = count ? times[(count * 99 + 99) / 100 - 1] : 0;
	if (c->json) {
		json_t *m = document_create("tbmesh.ping_summary/1");
		json_object_set_new(m, "peer", json_string(o->peer));
		json_object_set_new(m, "sent", json_integer((json_int_t)sent));
		json_object_set_new(m, "received", json_integer((json_int_t)count));
		json_object_set_new(m, "min_us", json_real(min));
		json_object_set_new(m, "mean_us", json_real(count ? sum / (double)count : 0));
		json_object_set_new(m, "p50_us", json_real(p50));
		json_object_set_new(m, "p99_us", json_real(p99));
		json_object_set_new(m, "jitter_us", json_real(jitter));
		int r = cli_print_json(m);
		return r == EXIT_OK && !count ? EXIT_TIMED_OUT : r;
	}
	printf("%" PRIu64 " sent, %zu answered, %.1f %% lost", sent, count,
		sent ? 100.0 * (double)(sent - count) / (double)sent : 0);
	if (count)
		printf("; min %.1f, p50 %.1f, p99 %.1f, jitter %.1f us", min, p50, p99, jitter);
	putchar('\n');
	return count ? EXIT_OK : EXIT_TIMED_OUT;
}

static int show_one(struct cli *c, const Tbmesh__PingReply *p, uint64_t number)
{
	if (c->json) {
		json_t *m = document_create("tbmesh.ping/1");
		json_object_set_new(m, "number", json_integer((json_int_t)number));
		json_object_set_new(m, "link", json_string(p->link));
		json_object_set_new(m, "address", json_string(p->address));
		json_object_set_new(m, "rtt_us", p->lost ? json_null() : json_real(p->rtt_us));
		return cli_print_json(m);
	}
	if (p->lost)
		printf("%s (%s): %" PRIu64 ": no answer\n", p->link, p->address, number);
	else
		printf("%s (%s): %" PRIu64 ": %.1f us\n", p->link, p->address, number, p->rtt_us);
	return fflush(stdout) == 0 ? EXIT_OK : EXIT_ERROR;
}

static void wait_until(double due_s)
{
	struct timespec at = { .tv_sec = (time_t)due_s, .tv_nsec = (long)((due_s - floor(due_s)) * 1e9) };
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL); /* a signal ends it early */
}

static int run_ping(struct cli *c, int argc, char **argv)
{
	struct ping_options o = { .interval_s = 1 };
	int r = parse(c, argc, argv, &o);
	if (r != EXIT_OK)
		return r;
	double *times = calloc(KEPT, sizeof *times);
	if (!times)
		return cli_fail(c, EXIT_ERROR, "out of memory");
	size_t count = 0;
	uint64_t sent = 0;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	double due_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	struct sigaction action = { .sa_handler = on_interrupt };
	sigaction(SIGINT, &action, NULL);
	while (r == EXIT_OK && !interrupted && sent < (o.count ? o.count : KEPT)) {
		Tbmesh__Request request = TBMESH__REQUEST__INIT;
		Tbmesh__PingRequest body = TBMESH__PING_REQUEST__INIT;
		Tbmesh__Reply *reply;
		body.peer = (char *)o.peer;
		body.link = (char *)(o.link ? o.link : "");
		request.body_case = TBMESH__REQUEST__BODY_PING;
		request.ping = &body;
		r = client_ask(c, &request, CLIENT_TIMEOUT_MS, &reply);
		if (r != EXIT_OK)
			break;
		sent++;
		if (reply->body_case != TBMESH__REPLY__BODY_PING) {
			r = cli_fail(c, EXIT_ERROR, "the node answered something else");
		} else {
			r = show_one(c, reply->ping, sent);
			if (!reply->ping->lost)
				times[count++] = reply->ping->rtt_us;
		}
		message_free_reply(reply);
		due_s += o.interval_s;
		if (sent != o.count)
			wait_until(due_s);
	}
	if (sent && r != EXIT_ERROR) {
		int summed = sum_up(c, &o, times, count, sent);
		r = r == EXIT_OK ? summed : r;
	}
	free(times);
	return r;
}

const struct command command_ping = {
	.name = "ping",
	.summary = "round trips to a peer, one a line",
	.run = run_ping,
	.usage =
		"Usage: tbmesh ping [--link LINK] [--count N] [--interval SECONDS] PEER\n"
		"Sends echoes over the best link to a peer and shows each round trip, then a summary. The time that the "
		"peer needed to\n"
		"answer is not counted. Compare with ping(8) at the same interval: an idle core takes its time to wake up.\n"
		"\n"
		"  --link LINK         over this link (`tbmesh links`)\n"
		"  -c, --count N       so many, else until ctrl-c\n"
		"  -i, --interval S    seconds between two, from 0.002 (default 1)\n",
};
