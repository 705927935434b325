/* tbmesh-session: owns the GPU side of a program. One server a program, started by `tbmesh run`; one workload process a VkDevice. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "migrate/session/options.h"

static const char usage[] = "Usage: tbmesh-session --control ENDPOINT --socket PATH --program-pid PID --program NAME --bin "
			    "DIR [--gpu GPU] [--portable] [--ready-fd N]\n"
			    "                      [--migration-timeout S] [--submit-timeout S] [--mode strict|relaxed]\n"
			    "                      [--verbose]\n"
			    "Owns the GPU side of a program. Started by `tbmesh run`.\n";

static bool parse_number(const char *text, long min, long max, long *ret)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (!*text || *end || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

static bool parse_options(int argc, char **argv, struct session_options *o)
{
	static const struct option longs[] = {
		{ "control", required_argument, NULL, 'c' },
		{ "socket", required_argument, NULL, 's' },
		{ "program", required_argument, NULL, 'n' },
		{ "program-pid", required_argument, NULL, 'p' },
		{ "gpu", required_argument, NULL, 'g' },
		{ "portable", no_argument, NULL, 'P' },
		{ "bin", required_argument, NULL, 'b' },
		{ "ready-fd", required_argument, NULL, 'r' },
		{ "workload-fd", required_argument, NULL, 'w' },
		{ "log-fd", required_argument, NULL, 'l' },
		{ "migration-timeout", required_argument, NULL, 'm' },
		{ "submit-timeout", required_argument, NULL, 't' },
		{ "mode", required_argument, NULL, 'M' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;
	long number;

	*o = (struct session_options){ .program = "",
		.gpu = "",
		.ready_fd = -1,
		.workload_fd = -1,
		.log_fd = -1,
		.migration_timeout_s = 30,
		.submit_timeout_s = 300 };
	while ((option = getopt_long(argc, argv, "hv", longs, NULL)) >= 0) {
		switch (option) {
		case 'c':
			o->control = optarg;
			break;
		case 's':
			o->socket = optarg;
			break;
		case 'n':
			o->program = optarg;
			break;
		case 'p':
			if (!parse_number(optarg, 1, INT32_MAX, &number))
				return false;
			o->program_pid = (int)number;
			break;
		case 'g':
			o->gpu = optarg;
			break;
		case 'P':
			o->portable = true;
			break;
		case 'b':
			o->bin = optarg;
			break;
		case 'r':
			if (!parse_number(optarg, 0, 65535, &number))
				return false;
			o->ready_fd = (int)number;
			break;
		case 'w':
			if (!parse_number(optarg, 0, 65535, &number))
				return false;
			o->workload_fd = (int)number;
			break;
		case 'l':
			if (!parse_number(optarg, 0, 65535, &number))
				return false;
			o->log_fd = (int)number;
			break;
		case 'm':
			if (!parse_number(optarg, 1, 86400, &number))
				return false;
			o->migration_timeout_s = (unsigned)number;
			break;
		case 't':
			if (!parse_number(optarg, 1, 86400, &number))
				return false;
			o->submit_timeout_s = (unsigned)number;
			break;
		case 'M':
			o->relaxed = strcmp(optarg, "relaxed") == 0;
			if (!o->relaxed && strcmp(optarg, "strict") != 0)
				return false;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'V':
			puts("tbmesh-session " TBMESH_VERSION);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			return false;
		}
	}
	if (optind != argc || !o->control || !o->program_pid)
		return false;
	if (o->workload_fd >= 0)
		return o->log_fd >= 0;
	return o->socket && o->bin;
}

int main(int argc, char **argv)
{
	struct session_options options;

	if (!parse_options(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	log_init(options.workload_fd >= 0 ? "workload" : "session", options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN);
	signal(SIGPIPE, SIG_IGN);
	return options.workload_fd >= 0 ? workload_run(&options) : server_run(&options);
}
