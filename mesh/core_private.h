/* Shared by the files of the core alone. */
#ifndef TBMESH_MESH_CORE_PRIVATE_H
#define TBMESH_MESH_CORE_PRIVATE_H

#include "mesh/core.h"
#include "mesh/statement.h"

#define GRAPH_BUCKETS 512u
#define CORE_OWN_BEACONS 256u

/* What one node said last. */
struct mesh_core_statement {
	struct list link;                 /* all, newest first */
	struct mesh_core_statement *next; /* in its bucket */
	uint8_t id8[8];
	char name[MESH_NAME_SIZE];
	uint64_t incarnation, seq;
	uint64_t said_ns; /* this node's time at which its origin said so */
	uint64_t shape;
	uint64_t wanted[CORE_SLOT_WORDS]; /* peers, by slot, that have not acknowledged it */
	size_t size;
	uint8_t bytes[];
};

struct mesh_core_graph {
	struct list all;
	size_t count;
	struct mesh_core_statement *buckets[GRAPH_BUCKETS];
	uint64_t seq;                     /* of the latest own one */
	struct mesh_statement *told;      /* own, as it was said last; owned */
	uint64_t changed_ns;              /* own facts may differ from told since then; 0: no */
	uint64_t look_ns;                 /* when to look at the latest */
	uint64_t told_ns;                 /* 0: never */
	uint64_t credit_ns, credit_at_ns; /* for saying that links have changed */
	uint64_t expire_ns;
	unsigned gpus, cpu_load_percent;
	uint64_t memory_free_bytes;
};

struct mesh_core {
	struct mesh_core_config config;
	struct mesh_packet_keys keys;
	uint8_t id8[8];
	const struct mesh_core_ops *ops;
	void *ctx;
	uint64_t now_ns;
	uint64_t last_tick_ns;
	uint64_t next_heartbeat_ns;
	uint64_t beacon_seq;
	struct list interfaces;
	size_t interface_count;
	struct list peers;
	size_t peer_count;
	struct mesh_core_address statics[CORE_MAX_STATIC];
	size_t static_count;
	uint64_t next_static_ns;
	/* One link at a time sends its burst: two would keep each other's CPUs awake, and look faster than they are. */
	struct mesh_core_link *burster; /* NULL: nobody */
	bool dirty;                     /* something that mesh_core_tick follows up */
	bool twin_told;
	unsigned beacons_sent[CORE_OWN_BEACONS]; /* on which interface, by their number; 0: to one address alone */
	/* Bandwidth probes: one at a time, paid from a credit of 1 % of the time. */
	struct mesh_core_peer *probing; /* NULL: none under way */
	uint64_t probe_end_ns;          /* given up then */
	int64_t probe_credit_ns;
	uint64_t probe_credit_at_ns;
	struct mesh_core_graph graph;
	uint8_t routed_prefix[8];
	struct in6_addr routed_self;
	uint64_t routed_greet_ns;
	size_t routed_turn;
};

/* core.c */
void mesh_core_event(struct mesh_core *c, enum mesh_event_type type, const struct mesh_core_peer *p, const char *subject,
	const struct mesh_field *fields, size_t count);
int mesh_core_send_beacon(
	struct mesh_core *c, unsigned ifindex, const struct in6_addr *local, const struct mesh_core_address *to);
void mesh_core_peer_evaluate(
	struct mesh_core *c, struct mesh_core_peer *p); /* after any change of its links: state, best link, events */

/* The peer that sealed a datagram, judged by its unauthenticated sender; NULL none. */
struct mesh_core_peer *mesh_core_sender(struct mesh_core *c, const void *data, size_t size);
int mesh_core_send_to_peer(struct mesh_core *c, const struct mesh_core_peer *p, const void *data, size_t size);

/* core_graph.c */
int mesh_core_graph_init(struct mesh_core *c);
void mesh_core_graph_finish(struct mesh_core *c);
void mesh_core_graph_state(struct mesh_core *c, struct mesh_core_peer *p, const struct mesh_packet_state *s);
void mesh_core_graph_acknowledged(struct mesh_core *c, struct mesh_core_peer *p, const struct mesh_packet_note *n);
void mesh_core_graph_peer_up(struct mesh_core *c, struct mesh_core_peer *p);   /* it knows nothing yet */
void mesh_core_graph_peer_gone(struct mesh_core *c, struct mesh_core_peer *p); /* its slot is free again */
void mesh_core_graph_changed(struct mesh_core *c);                             /* own links or their measurements */
void mesh_core_graph_tick(struct mesh_core *c);
uint64_t mesh_core_graph_next(const struct mesh_core *c);
bool mesh_core_graph_adjacent(const struct mesh_core *c, const uint8_t id8[8], const uint8_t neighbour[8]);

/* core_routed.c */
void mesh_core_routed_init(struct mesh_core *c);
bool mesh_core_routed_welcome(const struct mesh_core *c, const struct in6_addr *from, const uint8_t public_key[32]);
void mesh_core_routed_cable_up(struct mesh_core *c, struct mesh_core_peer *p); /* the other way has no more use */
void mesh_core_routed_hurry(struct mesh_core *c);                              /* a cable is gone */
void mesh_core_routed_tick(struct mesh_core *c);
uint64_t mesh_core_routed_next(const struct mesh_core *c);

/* core_path.c */
void mesh_core_path_check(struct mesh_core *c, struct mesh_core_peer *p);

/* core_indirect.c */
void mesh_core_indirect_ask(struct mesh_core *c, struct mesh_core_peer *p); /* do others hear it? */
void mesh_core_indirect_note(struct mesh_core *c, struct mesh_core_peer *from, const struct mesh_packet_note *n);

/* mesh_core_link.c */
struct mesh_core_link *mesh_core_link_find(struct mesh_core_peer *p, unsigned ifindex, const struct in6_addr *ip);
struct mesh_core_link *mesh_core_link_add(struct mesh_core *c, struct mesh_core_peer *p, struct mesh_core_interface *i,
	const struct mesh_core_address *address); /* NULL: full */
void mesh_core_link_remove(struct mesh_core *c, struct mesh_core_link *l);
void mesh_core_link_name(struct mesh_core_link *l);
void mesh_core_link_down(struct mesh_core *c, struct mesh_core_link *l, const char *why); /* does not evaluate the peer */
/* The round trips that what happens on the link now belongs to. */
struct mesh_rtt_window *mesh_core_link_window(const struct mesh_core *c, struct mesh_core_link *l);
void mesh_core_link_busy(struct mesh_core *c, struct mesh_core_link *l); /* it carries traffic */
void mesh_core_link_ask(struct mesh_core *c, struct mesh_core_link *l, bool burst);
void mesh_core_link_goodbye(struct mesh_core *c, struct mesh_core_link *l);
void mesh_core_link_tick(struct mesh_core *c, struct mesh_core_link *l, bool heartbeat);
uint64_t mesh_core_link_next(const struct mesh_core *c, const struct mesh_core_link *l);
void mesh_core_echo(struct mesh_core *c, struct mesh_core_peer *p, unsigned ifindex, const struct mesh_core_address *from,
	const struct mesh_packet_echo *e, int64_t received_ns);

/* core_probe.c */
void mesh_core_probe_want(struct mesh_core *c, struct mesh_core_peer *p, uint64_t delay_ns);
void mesh_core_probe_tick(struct mesh_core *c);
void mesh_core_probe_forget(struct mesh_core *c, const struct mesh_core_peer *p);
uint64_t mesh_core_probe_next(const struct mesh_core *c);

#endif
