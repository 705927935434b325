/* Asks the node on this host, one question at a time. For the command line and the library. */
#ifndef TBMESH_NODE_CLIENT_H
#define TBMESH_NODE_CLIENT_H

#include <stdint.h>

struct client;
struct node_paths;
struct Tbmesh__Reply;
struct Tbmesh__Request;

/* -ENOENT or -ECONNREFUSED: no node runs there; -EACCES: this user may not use it. */
int client_open(const struct node_paths *paths, struct client **ret);
void client_close(struct client *client); /* NULL is fine */
/* Gives the request its number. *ret is NULL unless a reply came, whatever its code; free it with message_free_reply. 0,
 * -ETIMEDOUT, -errno */
int client_request(struct client *client, struct Tbmesh__Request *request, uint64_t timeout_ms, struct Tbmesh__Reply **ret);
void client_interrupt(struct client *client); /* any thread: client_request returns -ETIMEDOUT soon */

#endif
