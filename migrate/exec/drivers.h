/* The Vulkan drivers of this host, as the loader finds them, and whether each can be asked for its devices at all: one that hangs or crashes
 * then would take all others along, since the loader asks all of them in one process. */
#ifndef TBMESH_MIGRATE_EXEC_DRIVERS_H
#define TBMESH_MIGRATE_EXEC_DRIVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define DRIVERS_MAX 64

enum driver_state { DRIVER_ASKED, DRIVER_GOOD, DRIVER_CRASHES, DRIVER_HANGS };
struct driver {
	char manifest[1024];
	enum driver_state state;
	int signal; /* that it died of */
	pid_t child;
	int fd;
};
struct drivers {
	struct driver at[DRIVERS_MAX];
	size_t count, bad;
	bool slow; /* one did not answer in time */
};

/* Finds the manifests: those that the environment names, else those in the loader's folders (Vulkan-Loader docs/LoaderDriverInterface.md). */
void drivers_find(struct drivers *d);
/* Asks each in a process of its own, all at once; returns when all have answered or the time is over. 0 or -errno. */
int drivers_try(struct drivers *d, unsigned patience_ms);
/* Only these from here on: sets the loader's environment, ':' between them. False: the list is too long. */
bool drivers_restrict(const char *manifests);
/* The good ones as drivers_restrict takes them. False: no room. */
bool drivers_list_good(const struct drivers *d, char *out, size_t size);

#endif
