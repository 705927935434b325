/* tbmesh.conf and the .conf files of conf.d/: lines of `key = value`, # comments. Strict: an unknown key or a bad value
 * is an error that names file and line. Later files win; `interface` and `peer` add up. */
#ifndef TBMESH_NODE_CONFIG_H
#define TBMESH_NODE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_LIST_MAX 32
#define CONFIG_TEXT_MAX 128

struct node_config {
	char name[64];                        /* of this node; default: host name */
	uint16_t port;                        /* UDP beacons; 0: the mesh's default */
	uint16_t control_port;                /* TCP between nodes; 0: any */
	uint16_t events_port;                 /* TCP, of what is published to peers; 0: any */
	char interfaces[CONFIG_LIST_MAX][16]; /* beside the Thunderbolt ones */
	size_t interface_count;
	char peers[CONFIG_LIST_MAX][CONFIG_TEXT_MAX]; /* static */
	size_t peer_count;
	bool manage_links; /* set interfaces up, raise the MTU, add an own fe80 address */
	bool probe_bandwidth;
	uint32_t migration_timeout_s; /* from a loss until another GPU has the workload */
	bool relaxed;                 /* mode of programs whose user does not say */
	uint32_t submit_timeout_s;    /* a submission that takes longer counts as a hang, without other signs */
	bool prefer_cpu_fallback;
	uint32_t max_executors; /* a GPU, and for each peer */
	char group[32];         /* that may use the control socket; "" only the node's own */
	char devices[256];      /* backend: linux | null | scripted:FOLDER */
};

void config_defaults(struct node_config *c);
/* One file's text. 0, or -EINVAL with "FILE:LINE: what" in error. */
int config_parse(struct node_config *c, const char *file, const char *text, char *error, size_t error_size);
/* The main file (fine if it is not there and not required), then the directory's *.conf in the order of their names. 0
 * or -errno. */
int config_load(
	struct node_config *c, const char *file, bool required, const char *directory, char *error, size_t error_size);
/* Letters, digits, '-', '_' and '.', at most 63, starting with a letter or digit. */
bool config_name_valid(const char *name);

#endif
