/* Many mesh cores, cables between them and one virtual clock. Whatever goes wrong on a real mesh goes wrong here, by a
 * seed: the same seed is the same run. */
#ifndef TBMESH_TESTS_SIM_MESH_WORLD_H
#define TBMESH_TESTS_SIM_MESH_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mesh/core.h"

#define WORLD_MAX_PORTS 32u /* MESH_MAX_INTERFACES */
#define WORLD_RECORDED 256u /* datagrams that somebody on the wire remembers */
#define WORLD_MAX_HOPS 64u
#define WORLD_MAX_ROUTED (CORE_MAX_ROUTED + 1) /* nodes, where hosts route: each knows all others */
#define WORLD_INBOX 64u                        /* datagrams that wait in the sockets of a stopped process */

enum topology { TOPOLOGY_RING, TOPOLOGY_GRID, TOPOLOGY_RANDOM, TOPOLOGY_LINE, TOPOLOGY_FULL };

struct world_options {
	size_t nodes;
	enum topology topology;
	uint64_t seed;
	uint64_t trouble_ns; /* how long things go wrong */
	uint64_t steady_ns;  /* how long nothing happens at the end, for the cost */
	bool routed;         /* hosts route for each other */
	bool verbose;
};

struct world_result {
	char failure[512];    /* "" none */
	uint64_t repaired_ns; /* from the last repair until all views are right */
	uint64_t told_ns;     /* from a pulled cable until all views are right */
	double steady_bytes;  /* sent a node a second, payloads of UDP */
	double steady_packets;
	uint64_t packets, events;
};

struct world_way { /* one direction of a cable */
	bool cut;
	uint32_t loss_ppm, twice_ppm;
	uint64_t delay_ns, jitter_ns; /* jitter: datagrams overtake one another */
};
struct world_end {
	size_t node;
	unsigned port, plugs;
	unsigned ifindex; /* a new one each time that it is plugged in */
	struct in6_addr ip;
};
struct world_cable {
	struct world_end ends[2];
	struct world_way ways[2]; /* from ends[i] */
	bool plugged, carrier;
	uint64_t rate_bps[2];
	uint64_t good_ns;   /* both ways carry nearly all since then; 0: no */
	uint64_t clean_ns;  /* … all, soon, in order enough */
	uint64_t broken_ns; /* at least one way carries nothing since then; 0: no */
};
struct world_route {        /* between two hosts, over others */
	uint64_t good_ns;   /* they share no cable, and routing carries all, soon, since then; 0: no */
	uint64_t broken_ns; /* at least one way leads nowhere since then; 0: no */
};
struct world_packet {
	struct world_packet *next;
	size_t node;
	unsigned ifindex;
	struct mesh_core_address from;
	size_t size;
	uint8_t data[];
};
struct world_node {
	struct world *world;
	size_t index;
	struct mesh_core *core; /* NULL: not running */
	struct mesh_identity identity;
	uint64_t incarnation;
	uint64_t base_ns;    /* its monotonic clock less the world's */
	int64_t realtime_ns; /* its CLOCK_REALTIME less the world's */
	bool stopped;        /* SIGSTOP */
	bool route_due;      /* its routing has yet to notice what has changed */
	uint64_t ran_ns;     /* runs since then */
	uint64_t gone_ns;    /* does not run since then; 0: it does */
	size_t cables[WORLD_MAX_PORTS];
	unsigned port_count;
	uint64_t tick_order; /* of its valid tick in the heap */
	uint64_t tick_ns;
	struct world_packet *inbox; /* while stopped */
	size_t inbox_count;
	uint64_t second_ns; /* message rate: this second */
	uint64_t second_packets;
	uint64_t packets, bytes;
};
enum world_event_kind { EVENT_TICK, EVENT_PACKET, EVENT_PROBE, EVENT_ROUTE };
struct world_event {
	uint64_t at_ns, order;
	enum world_event_kind kind;
	size_t node;
	union {
		struct world_packet *packet;
		size_t other; /* probe */
	};
};
struct world {
	struct world_options options;
	struct world_result result;
	uint64_t now_ns;
	uint64_t random;
	struct mesh_key key;
	struct world_node *nodes;
	size_t node_count;
	struct world_cable *cables;
	size_t cable_count;
	struct world_event *heap;
	size_t heap_count, heap_size;
	uint64_t next_order;
	uint32_t *hops;             /* [from][to]: the cable that routing takes; NULL without routing */
	struct world_route *routes; /* [a][b], a < b */
	struct world_packet *recorded[WORLD_RECORDED];
	size_t next_recorded;
};

/* world.c */
void world_create(struct world *w, const struct world_options *options);
void world_destroy(struct world *w);
void world_run(struct world *w, uint64_t until_ns); /* or until something failed */
void world_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_say(const struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3))); /* when verbose */
uint64_t world_random(struct world *w);
size_t world_choose(struct world *w, size_t below);
void world_judge_cable(struct world *w, struct world_cable *c); /* after any change of it */
void world_plug(struct world *w, struct world_cable *c);
void world_pull(struct world *w, struct world_cable *c);
void world_carrier(struct world *w, struct world_cable *c, bool on);
void world_start(struct world *w, struct world_node *n);
void world_kill(struct world *w, struct world_node *n, bool goodbye);
void world_stop(struct world *w, struct world_node *n);
void world_continue(struct world *w, struct world_node *n);
void world_wake(struct world *w, struct world_node *n); /* its core wants a tick now */
void world_inject(
	struct world *w, size_t node, unsigned ifindex, const struct mesh_core_address *from, const void *data, size_t size);
struct mesh_core_peer *world_peer(struct world_node *n, size_t other);
uint64_t world_time(const struct world *w, const struct world_node *n); /* its monotonic clock */

void world_route_schedule(struct world *w, size_t node, uint64_t at_ns);

/* route.c */
void world_route_create(struct world *w);
void world_route_destroy(struct world *w);
void world_route_changed(struct world *w); /* of a cable or a node: it is noticed later */
void world_route_converge(struct world *w, struct world_node *n);
bool world_route_carry(struct world *w, size_t from, size_t to, uint64_t *ret_delay_ns); /* false: it is lost on the way */
struct world_route *world_route(const struct world *w, size_t a, size_t b);

/* trouble.c */
void world_trouble(struct world *w);
void world_repair(struct world *w);

/* check.c */
void world_check(struct world *w);       /* what holds at any moment */
bool world_views_right(struct world *w); /* every running node has the whole graph as it is */
void world_check_event(struct world *w, struct world_node *n, const struct mesh_event *e);
void world_check_rate(struct world *w, struct world_node *n);

/* play.c */
void world_play(const struct world_options *options, struct world_result *ret);

#endif
