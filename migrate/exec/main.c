/* tbmesh-exec: drives one GPU for one workload, or tells what GPUs there are. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "migrate/exec/completion.h"
#include "migrate/exec/drivers.h"
#include "migrate/exec/executor.h"
#include "migrate/exec/probe.h"
#include "migrate/exec/vitals.h"
#include "proto/ipc.h"
#include "proto/seal.h"

#define PATIENCE_S 20 /* for a driver that is asked for its devices */
#define IDLE_MS 500   /* without a record: time for the pipeline cache */

struct options {
	const char *gpu, *socket, *cache, *drivers;
	bool probe, listen, verbose;
	int secret_fd, ready_fd, vitals_fd;
	unsigned patience_s;
};

static const char usage[] = "usage: tbmesh-exec --probe [--patience S]\n"
			    "       tbmesh-exec --gpu ID --socket PATH [--ready-fd N] [--cache DIR]\n"
			    "       tbmesh-exec --gpu ID --listen --secret-fd S [--ready-fd N] [--cache DIR]\n"
			    "       with --gpu: --vitals-fd N, a file for proto/vitals.h\n"
			    "Drives a GPU for one session. Started by tbmeshd.\n";

static bool parse_fd(const char *text, int *ret_fd)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (!*text || *end || value < 0 || value > 65535)
		return false;
	*ret_fd = (int)value;
	return true;
}

static bool parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "probe", no_argument, NULL, 'p' },
		{ "gpu", required_argument, NULL, 'g' },
		{ "socket", required_argument, NULL, 's' },
		{ "listen", no_argument, NULL, 'l' },
		{ "secret-fd", required_argument, NULL, 'S' },
		{ "ready-fd", required_argument, NULL, 'r' },
		{ "vitals-fd", required_argument, NULL, 'f' },
		{ "cache", required_argument, NULL, 'c' },
		{ "drivers", required_argument, NULL, 'd' },
		{ "patience", required_argument, NULL, 'P' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	*o = (struct options){ .secret_fd = -1, .ready_fd = -1, .vitals_fd = -1, .patience_s = PATIENCE_S };
	while ((option = getopt_long(argc, argv, "hv", longs, NULL)) >= 0) {
		switch (option) {
		case 'p':
			o->probe = true;
			break;
		case 'g':
			o->gpu = optarg;
			break;
		case 's':
			o->socket = optarg;
			break;
		case 'l':
			o->listen = true;
			break;
		case 'S':
			if (!parse_fd(optarg, &o->secret_fd))
				return false;
			break;
		case 'r':
			if (!parse_fd(optarg, &o->ready_fd))
				return false;
			break;
		case 'f':
			if (!parse_fd(optarg, &o->vitals_fd))
				return false;
			break;
		case 'c':
			o->cache = optarg;
			break;
		case 'd':
			o->drivers = optarg;
			break;
		case 'P':
			o->patience_s = (unsigned)atoi(optarg);
			if (o->patience_s < 1 || o->patience_s > 600)
				return false;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'V':
			puts("tbmesh-exec " TBMESH_VERSION);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			return false;
		}
	}
	if (optind != argc)
		return false;
	if (o->probe)
		return !o->gpu && !o->socket && !o->listen;
	return o->gpu && (o->socket != NULL) != o->listen && o->listen == (o->secret_fd >= 0);
}

static int read_secret(int fd, unsigned char secret[SEAL_SECRET_BYTES])
{
	size_t have = 0;

	while (have < SEAL_SECRET_BYTES) {
		ssize_t got = read(fd, secret + have, SEAL_SECRET_BYTES - have);

		if (got == 0)
			return -EPIPE;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			have += (size_t)got;
	}
	close(fd);
	return 0;
}

static int open_link(const struct options *o, struct link *l)
{
	unsigned char secret[SEAL_SECRET_BYTES];
	char ready[32] = "ready\n";
	uint16_t port;
	int error;

	if (o->socket) {
		error = link_listen_local(l, o->socket);
	} else {
		error = read_secret(o->secret_fd, secret);
		if (!error)
			error = link_listen_remote(l, secret, &port);
		explicit_bzero(secret, sizeof(secret));
		if (!error)
			snprintf(ready, sizeof(ready), "port %u\n", port);
	}
	if (!error)
		error = link_start(l);
	if (!error && o->ready_fd >= 0) {
		if (write(o->ready_fd, ready, strlen(ready)) < 0)
			error = -errno;
		close(o->ready_fd);
	}
	return error;
}

static _Noreturn void serve(struct executor *x, const struct options *o)
{
	struct frame_header ready = { .kind = FRAME_READY };
	struct record_view record;
	char why[256];
	VkResult result = device_init(&x->device, o->gpu, why, sizeof(why));
	int got;

	if (result < 0)
		link_lost(&x->link, result, "%s", why);
	executor_init(x, o->cache);
	link_wait(&x->link);
	link_set_jobs(&x->link, &x->jobs);
	if (completion_start(&x->jobs))
		link_lost(&x->link, VK_ERROR_OUT_OF_HOST_MEMORY, "no thread can be made");
	if (o->vitals_fd >= 0 && vitals_start(&x->jobs, o->vitals_fd))
		log_warn("no thread can be made for what the node is told");
	link_send(&x->link, &ready, x->device.properties.deviceName, strlen(x->device.properties.deviceName));
	executor_seed(x);
	for (;;) {
		got = log_reader_next(&x->link.log, x->pipelines.changed || x->shaders.changed ? IDLE_MS : -1, &record);
		if (got == -ECANCELED) {
			executor_leave(x, x->link.log.position, link_leave_nonce(&x->link));
			pipeline_cache_save(&x->pipelines);
			shader_check_save(&x->shaders);
			for (;;)
				pause(); /* the process ends with the channel */
		}
		if (got < 0)
			link_lost(&x->link, RESULT_WORKLOAD_FAULT, "the log is damaged");
		if (got > 0) {
			executor_apply(x, &record);
		} else {
			pipeline_cache_save(&x->pipelines);
			shader_check_save(&x->shaders);
		}
	}
}

/* Drivers and layers print what they like to stdout: only descriptions may go where those belong. */
static int probe(unsigned patience_s)
{
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	if (out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
		log_error("no output: %s", strerror(errno));
		return 1;
	}
	return probe_devices(out, patience_s * 1000) ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct executor executor;
	const struct rlimit none = { 0, 0 };
	struct options options;
	int error;

	if (!parse_options(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	log_init("exec", options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	/* Vulkan programs below tbmesh run are the other side of this. */
	unsetenv(IPC_ENV_SESSION);
	/* A GPU's memory is no use in a core file, and writing it would keep the GPU busy after a crash. */
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (options.probe)
		return probe(options.patience_s);
	if (options.drivers && !drivers_restrict(options.drivers)) {
		log_error("the list of drivers is too long");
		return 1;
	}
	pipeline_cache_prepare(options.cache);
	error = open_link(&options, &executor.link);
	if (error) {
		log_error("%s: %s", options.socket ? options.socket : "the listening socket", strerror(-error));
		return 1;
	}
	serve(&executor, &options);
}
