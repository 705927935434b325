/* Some mesh cores, cables between them and a clock that only moves when told to. */
#ifndef TBMESH_TESTS_UNIT_MESH_SIM_H
#define TBMESH_TESTS_UNIT_MESH_SIM_H

#include "mesh/core.h"

#define SIM_MAX_NODES 8
#define SIM_MAX_CABLES 16
#define SIM_MAX_FLYING 4096
#define SIM_MAX_EVENTS 256

struct sim_event {
	uint64_t at_ns;
	enum mesh_event_type type;
	char subject[MESH_LINK_ID_SIZE];
	char reason[96]; /* first field of PeerDown and PeerSuspect, second of LinkDown */
};
struct sim_node {
	struct sim *sim;
	struct mesh_core *core;
	struct mesh_identity identity;
	unsigned index;
	bool stopped;        /* neither ticks nor receives; what comes waits in its sockets */
	int64_t realtime_ns; /* its CLOCK_REALTIME minus the simulation's time */
	struct sim_event events[SIM_MAX_EVENTS];
	size_t event_count;
	unsigned admitted, expelled, restarted, routes, warnings;
	struct mesh_core_peer *probing;
	unsigned probes;
	uint64_t packets_sent;
	uint64_t next_ns;
};
struct sim_end {
	struct sim_node *node;
	unsigned ifindex;
	struct in6_addr ip;
};
struct sim_cable {
	struct sim_end ends[2];
	uint64_t delay_ns;
	bool cut;            /* silently: nobody is told */
	unsigned lose_every; /* every n-th packet; 0 none */
};
struct sim_packet {
	uint64_t at_ns;
	struct sim_end to;
	struct mesh_core_address from;
	uint8_t data[PACKET_MAX_SIZE];
	size_t size;
};
struct sim {
	uint64_t now_ns;
	uint64_t seed;
	uint64_t residence_ns; /* from a packet's arrival until its node looks at it */
	struct sim_node nodes[SIM_MAX_NODES];
	size_t node_count;
	struct sim_cable cables[SIM_MAX_CABLES];
	size_t cable_count;
	struct sim_packet flying[SIM_MAX_FLYING];
	size_t flying_count;
	uint64_t packets;
	bool routed[SIM_MAX_NODES][SIM_MAX_NODES]; /* some routing carries what [from] sends to the address of [to] */
};

void sim_init(struct sim *s, uint64_t seed);
void sim_finish(struct sim *s);
struct sim_node *sim_node(struct sim *s, const char *name, const struct mesh_key *key);
/* A new process on the same host: same identity, next incarnation. Its cables are plugged in again. */
void sim_restart(struct sim *s, struct sim_node *n, uint64_t incarnation);
struct sim_cable *sim_cable(struct sim *s, struct sim_node *a, struct sim_node *b);
void sim_plug(struct sim *s, struct sim_cable *c);             /* interface and carrier on both ends */
void sim_carrier(struct sim *s, struct sim_cable *c, bool on); /* both ends are told */
void sim_pull(struct sim *s, struct sim_cable *c);             /* both interfaces are removed */
void sim_run(struct sim *s, uint64_t duration_ns);
const struct sim_event *sim_event(
	const struct sim_node *n, enum mesh_event_type type, uint64_t since_ns); /* the first; NULL */
struct mesh_core_peer *sim_peer(struct sim_node *n, const struct sim_node *other);

#endif
