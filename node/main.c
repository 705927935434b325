/* tbmeshd: one host's node. Runs in the foreground. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "node/node.h"

static const char usage[] =
	"Usage: tbmeshd [OPTION]…\n"
	"Runs this host's node of the mesh, in the foreground, until SIGTERM.\n"
	"\n"
	"  --root DIR      keep everything in DIR/etc, DIR/var and DIR/run (default: $TBMESH_ROOT, else\n"
	"                  /etc/tbmesh, /var/lib/tbmesh and /run/tbmesh)\n"
	"  --name NAME     this node's name in the mesh (default: the host name)\n"
	"  --config FILE   read FILE instead of tbmesh.conf\n"
	"  --foreground    stay in the foreground; always so, accepted for service managers\n"
	"  --verbose       tell more on stderr; twice: everything\n"
	"  --version       show the version\n"
	"  --help          show this text\n";

enum { OPTION_ROOT = 256, OPTION_NAME, OPTION_CONFIG, OPTION_FOREGROUND, OPTION_VERSION };

static const struct option options[] = {
	{ "root", required_argument, NULL, OPTION_ROOT },
	{ "name", required_argument, NULL, OPTION_NAME },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "foreground", no_argument, NULL, OPTION_FOREGROUND },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

int main(int argc, char **argv)
{
	const char *root = NULL, *name = NULL, *config = NULL;
	enum log_level level = LOG_LEVEL_WARN;
	for (int option; (option = getopt_long(argc, argv, "vh", options, NULL)) != -1;) {
		switch (option) {
		case OPTION_ROOT:
			root = optarg;
			break;
		case OPTION_NAME:
			name = optarg;
			break;
		case OPTION_CONFIG:
			config = optarg;
			break;
		case OPTION_FOREGROUND:
			break;
		case 'v':
			level = level == LOG_LEVEL_WARN ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
			break;
		case OPTION_VERSION:
			printf("tbmeshd %s\n", TBMESH_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default: /* getopt's own message stands */
			fputs("Try `tbmeshd --help`.\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "tbmeshd: \"%s\" is not expected here\nTry `tbmeshd --help`.\n", argv[optind]);
		return 2;
	}
	log_init("tbmeshd", level);
	signal(SIGPIPE, SIG_IGN);
	struct node *n = malloc(sizeof *n);
	if (!n)
		return 1;
	int r = node_init(n, root, name, config);
	if (r == 0)
		r = node_run(n);
	node_finish(n);
	free(n);
	return r < 0 ? 1 : 0;
}
