/* Control messages between nodes: state, descriptions, executors. */
#ifndef TBMESH_NODE_PEER_H
#define TBMESH_NODE_PEER_H

#include <stdbool.h>
#include <stdint.h>

struct node;
struct peers; /* what the peers said of themselves */
struct Tbmesh__PeerMessage;
struct mesh_facts;

struct peers *peers_create(void);
void peers_destroy(struct peers *p);
const char *peers_version(const struct peers *p, const char *id); /* "" unknown */
uint16_t peers_events_port(
	const struct peers *p, const char *id); /* where it publishes its events; 0 unknown, or it does not */
void peers_forget(struct peers *p, const char *id);

void peer_message(struct node *n, const char *peer, const struct Tbmesh__PeerMessage *m);
void peer_send_state(struct node *n, const char *peer); /* NULL: all */
void peer_want_description(struct node *n, const char *peer, const char *gpu);
bool peer_facts(void *node, const char *peer, struct mesh_facts *ret); /* for mesh_query */

#endif
