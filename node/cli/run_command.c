/* run: starts a session, then becomes the program. Exit code, signals and terminal are the program's own. */
#include "node/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "node/config.h"
#include "node/process.h"
#include "proto/ipc.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define OFFER_TIMEOUT_MS 25000 /* a node that just started asks its drivers first */
#define SESSION_TIMEOUT_MS 30000
#define EXIT_NOT_EXECUTABLE 126 /* as env(1) and shells say */
#define EXIT_NO_PROGRAM 127
#define READY_TEXT_MAX 1024

/* As execvp would find it; a wrong name is told before a session is started. */
static int check_program(const char *program)
{
	if (strchr(program, '/'))
		return access(program, X_OK) == 0 ? 0 : -errno;
	const char *path = getenv("PATH");
	__attribute__((cleanup(free_pointer))) char *copy = strdup(path ? path : "/bin:/usr/bin");
	if (!copy)
		return -ENOMEM;
	int error = -ENOENT;
	for (char *rest = copy, *directory; (directory = strsep(&rest, ":")) != NULL;) {
		char full[4096];
		snprintf(full, sizeof full, "%s/%s", directory[0] ? directory : ".", program);
		if (access(full, X_OK) == 0)
			return 0;
		if (errno == EACCES)
			error = -EACCES;
	}
	return error;
}

/* Is there such a GPU, and a node? Says so in the node's words, with its exit code. */
static int check_offer(struct cli *c, const char *gpu, bool portable)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__OfferRequest body = TBMESH__OFFER_REQUEST__INIT;
	Tbmesh__Reply *reply;
	body.gpu = (char *)gpu;
	body.portable = portable;
	request.body_case = TBMESH__REQUEST__BODY_OFFER;
	request.offer = &body;
	int r = client_ask(c, &request, OFFER_TIMEOUT_MS, &reply);
	if (r == EXIT_OK)
		message_free_reply(reply);
	return r;
}

/* Not this terminal: the session lives a moment longer than the program, and whoever reads our output waits for its end. */
static int open_log(const struct cli *c)
{
	char path[NODE_PATH_MAX + 32];
	if (getenv("TBMESH_LOG"))
		return dup(STDERR_FILENO);
	snprintf(path, sizeof path, "%s/%d.log", c->paths.sessions, (int)getpid());
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd >= 0 ? fd : open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static int wait_until_ready(struct cli *c, int fd)
{
	char text[READY_TEXT_MAX];
	size_t size = 0;
	uint64_t end_ns = time_monotonic_ns() + SESSION_TIMEOUT_MS * 1000000ull;
	for (;;) {
		uint64_t now_ns = time_monotonic_ns();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int r = now_ns >= end_ns ? 0 : poll(&p, 1, (int)((end_ns - now_ns) / 1000000) + 1);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return cli_fail(c, EXIT_TIMED_OUT, "the session did not get ready in time");
		ssize_t n = read(fd, text + size, sizeof text - 1 - size);
		if (n < 0 && errno == EINTR)
			continue;
		size += n > 0 ? (size_t)n : 0;
		text[size] = '\0';
		if (strncmp(text, "ready\n", 6) == 0)
			return EXIT_OK;
		if (n <= 0 || size == sizeof text - 1) {
			text[strcspn(text, "\n")] = '\0';
			return cli_fail(c, EXIT_ERROR, "the session could not start: %s",
				text[0] ? text : "it ended without a word");
		}
	}
}

/* The program takes over this process with its children, and must not find one that it does not know. */
static int spawn_orphan(struct cli *c, const struct process_options *o)
{
	client_close(c->client); /* its threads do not survive fork */
	c->client = NULL;
	pid_t middle = fork();
	if (middle < 0)
		return -errno;
	if (middle == 0) {
		struct process session;
		_exit(-process_spawn(o, &session));
	}
	int status;
	while (waitpid(middle, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

/* The time limits of the host's configuration. Its errors are tbmeshd's to tell; a user may not be able to read it. */
static void load_config(const struct cli *c, struct node_config *ret)
{
	char error[512];
	config_defaults(ret);
	if (config_load(ret, c->paths.config, false, c->paths.config_directory, error, sizeof error) < 0)
		config_defaults(ret);
}

static int start_session(
	struct cli *c, const char *gpu, const char *mode, bool portable, const char *program, const char *socket)
{
	char path[NODE_PATH_MAX + 32], pid[16], migration_timeout[16], submit_timeout[16];
	snprintf(path, sizeof path, "%s/tbmesh-session", c->paths.bin);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	struct node_config config;
	load_config(c, &config);
	snprintf(migration_timeout, sizeof migration_timeout, "%u", config.migration_timeout_s);
	snprintf(submit_timeout, sizeof submit_timeout, "%u", config.submit_timeout_s);
	if (!mode[0])
		mode = config.relaxed ? "relaxed" : "strict";
	const char *base = strrchr(program, '/');
	const char *argv[] = { path, "--control", c->paths.control_endpoint, "--socket", socket, "--program-pid", pid,
		"--program", base ? base + 1 : program, "--ready-fd", "3", "--bin", c->paths.bin, "--migration-timeout",
		migration_timeout, "--submit-timeout", submit_timeout, "--mode", mode, NULL, NULL, NULL, NULL };
	size_t count = ARRAY_SIZE(argv) - 4; /* options that may be there */
	if (portable)
		argv[count++] = "--portable";
	if (gpu[0]) {
		argv[count++] = "--gpu";
		argv[count] = gpu;
	}
	__attribute__((cleanup(close_fd))) int log = open_log(c), ready = -1, theirs = -1;
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return cli_fail(c, EXIT_ERROR, "cannot make a pipe: %s", strerror(errno));
	ready = fds[0];
	theirs = fds[1];
	struct process_options o = {
		.path = path, .argv = argv, .fds = &theirs, .fd_count = 1, .output = -1, .errors = log, .new_session = true
	};
	int r = spawn_orphan(c, &o);
	if (r < 0)
		return cli_fail(c, EXIT_ERROR, "cannot start %s: %s", path, strerror(-r));
	close_fd(&theirs);
	theirs = -1;
	return wait_until_ready(c, ready); /* if that fails, this process ends, and with it the session */
}

static int become(struct cli *c, char **argv, const char *socket)
{
	if (setenv(IPC_ENV_SESSION, socket, 1) < 0 || setenv("VK_DRIVER_FILES", c->paths.manifest, 1) < 0 ||
		setenv("VK_ICD_FILENAMES", c->paths.manifest, 1) < 0 || setenv("NODEVICE_SELECT", "1", 1) < 0)
		return cli_fail(c, EXIT_ERROR, "cannot set the environment: %s", strerror(errno));
	fflush(NULL);
	execvp(argv[0], argv);
	int error = errno;
	cli_fail(c, EXIT_ERROR, "cannot run %s: %s", argv[0], strerror(error));
	return error == ENOENT ? EXIT_NO_PROGRAM : EXIT_NOT_EXECUTABLE;
}

static int run_run(struct cli *c, int argc, char **argv)
{
	const char *gpu = "", *mode = "";
	bool portable = false;
	char socket[NODE_PATH_MAX + 32];
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(command_run.usage, stdout);
			return EXIT_OK;
		}
		if (strcmp(argv[i], "--mode") == 0) {
			mode = ++i < argc ? argv[i] : "";
			if (strcmp(mode, "strict") != 0 && strcmp(mode, "relaxed") != 0)
				return cli_usage(c, &command_run, "--mode must be strict or relaxed");
			continue;
		}
		if (strcmp(argv[i], "--portable") == 0) {
			portable = true;
			continue;
		}
		if (strcmp(argv[i], "--gpu") != 0)
			return cli_usage(c, &command_run, "unknown option \"%s\"", argv[i]);
		if (++i == argc || argv[i][0] == '\0')
			return cli_usage(c, &command_run, "--gpu needs the name of a GPU");
		gpu = argv[i];
	}
	if (i >= argc)
		return cli_usage(c, &command_run, "which PROGRAM?");
	int r = check_program(argv[i]);
	if (r < 0) {
		cli_fail(c, EXIT_ERROR, "cannot run %s: %s", argv[i], strerror(-r));
		return r == -ENOENT ? EXIT_NO_PROGRAM : EXIT_NOT_EXECUTABLE;
	}
	if (access(c->paths.manifest, R_OK) < 0)
		return cli_fail(
			c, EXIT_ERROR, "the driver's manifest %s is missing; is the installation whole?", c->paths.manifest);
	r = check_offer(c, gpu, portable);
	if (r != EXIT_OK)
		return r;
	snprintf(socket, sizeof socket, "%s/%d.sock", c->paths.sessions, (int)getpid());
	r = start_session(c, gpu, mode, portable, argv[i], socket);
	return r == EXIT_OK ? become(c, argv + i, socket) : r;
}

const struct command command_run = {
	.name = "run",
	.summary = "run a Vulkan program on the mesh",
	.run = run_run,
	.takes_program = true,
	.usage = "Usage: tbmesh run [--gpu GPU] [--mode MODE] [--portable] [--] PROGRAM [ARGUMENT]…\n"
		 "Runs a Vulkan compute program on the best GPU of the mesh. When that GPU goes away it carries on on "
		 "another.\n"
		 "Exit code, signals and terminal are the program's.\n"
		 "\n"
		 "  --gpu GPU    start on that one: an id, HOST/ID, or part of its name (`tbmesh gpus`)\n"
		 "  --mode MODE  strict (default): what the program has read back is inside a checkpoint, so a loss never "
		 "contradicts it;\n"
		 "               relaxed: it reads back at once; should a loss contradict it, `tbmesh events` says "
		 "Diverged\n"
		 "  --portable   offer the program only what all GPUs of the mesh share, so that any of them can take it\n",
};
