/* Where a node keeps its things: DIR/etc, DIR/var, DIR/run below --root, or the places of an installed system. Shared by
 * tbmeshd and the CLI. */
#ifndef TBMESH_NODE_PATHS_H
#define TBMESH_NODE_PATHS_H

#define NODE_PATH_MAX 512
#define NODE_ENV_ROOT "TBMESH_ROOT"

struct node_paths {
	char etc[NODE_PATH_MAX], var[NODE_PATH_MAX], run[NODE_PATH_MAX];
	char config[NODE_PATH_MAX], config_directory[NODE_PATH_MAX]; /* tbmesh.conf, conf.d */
	char mesh_key[NODE_PATH_MAX], node_key[NODE_PATH_MAX];
	char incarnation[NODE_PATH_MAX], event_number[NODE_PATH_MAX], ejected[NODE_PATH_MAX];
	char lock[NODE_PATH_MAX];
	char control[NODE_PATH_MAX];          /* path of the control socket */
	char control_endpoint[NODE_PATH_MAX]; /* ipc://… */
	char events[NODE_PATH_MAX];           /* path of the socket on which events are published */
	char events_endpoint[NODE_PATH_MAX];  /* ipc://… */
	char exec[NODE_PATH_MAX];             /* executors' sockets and pid files */
	char sessions[NODE_PATH_MAX];         /* sockets of the sessions that `tbmesh run` starts */
	char bin[NODE_PATH_MAX];              /* where tbmesh-exec and tbmesh-session are */
	char manifest[NODE_PATH_MAX];         /* of the Vulkan driver that programs get */
};

/* root: NULL or "" for TBMESH_ROOT, else the installed places. 0, -ENAMETOOLONG (Unix sockets have room for 107 bytes)
 * or -errno. */
int node_paths_init(struct node_paths *p, const char *root);

#endif
