#include "node/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME_MAX 40 /* below exec and sessions */

static bool join(char out[NODE_PATH_MAX], const char *directory, const char *name)
{
	return snprintf(out, NODE_PATH_MAX, "%s/%s", directory, name) < NODE_PATH_MAX;
}

/* Beside this program, as in a build tree, or where an installation has them relative to it. */
static int find_programs(struct node_paths *p)
{
	char self[NODE_PATH_MAX - 64], probe[NODE_PATH_MAX + 32];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (length < 0)
		return -errno;
	self[length] = '\0';
	char *slash = strrchr(self, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	snprintf(p->bin, sizeof p->bin, "%s", self);
	snprintf(probe, sizeof probe, "%s/tbmesh-exec", p->bin);
	bool built = access(probe, X_OK) == 0;
	if (!built)
		snprintf(p->bin, sizeof p->bin, "%s/../libexec/tbmesh", self);
	snprintf(p->manifest, sizeof p->manifest, built ? "%s/../lib/tbmesh_icd.json" : "%s/../share/tbmesh/tbmesh_icd.json",
		self);
	return 0;
}

int node_paths_init(struct node_paths *p, const char *root)
{
	memset(p, 0, sizeof *p);
	if (!root || !root[0])
		root = getenv(NODE_ENV_ROOT);
	bool fits = true;
	if (root && root[0]) {
		char absolute[PATH_MAX], here[PATH_MAX];
		if (root[0] == '/')
			fits = snprintf(absolute, sizeof absolute, "%s", root) < NODE_PATH_MAX;
		else if (!getcwd(here, sizeof here))
			return -errno;
		else
			fits = snprintf(absolute, sizeof absolute, "%.*s/%s", NODE_PATH_MAX, here, root) < NODE_PATH_MAX;
		fits = fits && join(p->etc, absolute, "etc") && join(p->var, absolute, "var") &&
			join(p->run, absolute, "run");
	} else {
		strcpy(p->etc, "/etc/tbmesh");
		strcpy(p->var, "/var/lib/tbmesh");
		strcpy(p->run, "/run/tbmesh");
	}
	fits = fits && join(p->config, p->etc, "tbmesh.conf") && join(p->config_directory, p->etc, "conf.d") &&
		join(p->mesh_key, p->etc, "mesh.key") && join(p->node_key, p->var, "node.key") &&
		join(p->incarnation, p->var, "incarnation") && join(p->event_number, p->var, "event-number") &&
		join(p->ejected, p->var, "ejected") && join(p->lock, p->run, "lock") &&
		join(p->control, p->run, "control") && join(p->events, p->run, "events") && join(p->exec, p->run, "exec") &&
		join(p->sessions, p->run, "sessions");
	fits = fits && snprintf(p->control_endpoint, sizeof p->control_endpoint, "ipc://%s", p->control) < NODE_PATH_MAX &&
		snprintf(p->events_endpoint, sizeof p->events_endpoint, "ipc://%s", p->events) < NODE_PATH_MAX;
	if (!fits || strlen(p->sessions) + SOCKET_NAME_MAX >= sizeof((struct sockaddr_un *)0)->sun_path)
		return -ENAMETOOLONG;
	return find_programs(p);
}
