/* tbmesh: the command line of a node. */
#include "node/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

static const struct command *const commands[] = { &command_init, &command_join, &command_status, &command_peers,
	&command_links, &command_topo, &command_ping, &command_bench, &command_gpus, &command_gpu, &command_thunderbolt,
	&command_best, &command_events, &command_run, &command_ps, &command_wait, &command_doctor, &command_eject,
	&command_plug, &command_version };

static void show_usage(FILE *out)
{
	fputs("Usage: tbmesh [--root DIR] [--json] COMMAND [ARGUMENT]…\n"
	      "A Vulkan GPU anywhere on your Thunderbolt mesh.\n"
	      "\n"
	      "Commands:\n",
		out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-11s  %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n"
	      "Options:\n"
	      "  --root DIR  the node's directory (default: $TBMESH_ROOT, else the installed system's)\n"
	      "  --json      one JSON document on stdout, tagged with its schema\n"
	      "  --help      this text; `tbmesh COMMAND --help` tells more\n"
	      "\n"
	      "Exit codes: 0 ok, 1 error, 2 usage, 3 no node runs, 4 not found, 5 timed out, 6 degraded, 7 unauthorized.\n"
	      "NO_COLOR in the environment turns colors off.\n",
		out);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

/* Takes the global options out of argv, before and behind the command's name. -1: go on, else the exit code. */
static int take_options(struct cli *c, int *argc, char **argv, const char **ret_root, bool *ret_help)
{
	const struct command *command = NULL;
	int kept = 1;
	for (int i = 1; i < *argc; i++) {
		bool ours = !(command && command->takes_program);
		if (strcmp(argv[i], "--") == 0)
			ours = false;
		if (ours && strcmp(argv[i], "--json") == 0) {
			c->json = true;
		} else if (ours && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
			*ret_help = true;
		} else if (ours && strncmp(argv[i], "--root=", 7) == 0) {
			*ret_root = argv[i] + 7;
		} else if (ours && strcmp(argv[i], "--root") == 0) {
			if (i + 1 == *argc)
				return cli_fail(c, EXIT_USAGE, "--root needs a directory");
			*ret_root = argv[++i];
		} else {
			if (!command && argv[i][0] != '-')
				command = find_command(argv[i]);
			argv[kept++] = argv[i];
		}
	}
	*argc = kept;
	argv[kept] = NULL;
	return -1;
}

/* A descriptor that the caller closed would else become some socket's, and take our output. */
static void hold_standard_files(void)
{
	while (true) {
		int fd = open("/dev/null", O_RDONLY);
		if (fd > STDERR_FILENO) {
			close(fd);
			return;
		}
		if (fd < 0)
			return;
	}
}

/* All is well only when all was written. Silent where the reader wanted no more. */
static int finish_output(int code)
{
	bool failed = ferror(stdout);
	errno = 0;
	failed |= fflush(stdout) != 0;
	if (!failed || (code != EXIT_OK && code != EXIT_DEGRADED))
		return code;
	if (errno != EPIPE)
		fprintf(stderr, "tbmesh: the output could not be written%s%s\n", errno ? ": " : "",
			errno ? strerror(errno) : "");
	return EXIT_ERROR;
}

int main(int argc, char **argv)
{
	hold_standard_files();
	struct cli c = { 0 };
	const char *root = NULL;
	bool help = false;
	const char *no_color = getenv("NO_COLOR");
	c.color = isatty(STDOUT_FILENO) && !(no_color && no_color[0]);
	log_init("tbmesh", LOG_LEVEL_WARN);
	int r = take_options(&c, &argc, argv, &root, &help);
	if (r >= 0)
		return r;
	if (argc < 2) {
		show_usage(help ? stdout : stderr);
		return help ? EXIT_OK : EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0)
		argv[1] = (char *)command_version.name;
	const struct command *command = find_command(argv[1]);
	if (!command)
		return cli_fail(&c, EXIT_USAGE, "%s \"%s\"; see `tbmesh --help`",
			argv[1][0] == '-' ? "unknown option" : "unknown command", argv[1]);
	if (help) {
		fputs(command->usage, stdout);
		return EXIT_OK;
	}
	r = node_paths_init(&c.paths, root);
	if (r < 0)
		return cli_fail(&c, EXIT_USAGE, "root \"%s\" cannot be used: %s", root ? root : "", strerror(-r));
	r = command->run(&c, argc - 1, argv + 1);
	client_close(c.client);
	return finish_output(r);
}
