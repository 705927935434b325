/* Shared by the files of the core alone. */
#ifndef TBMESH_MESH_CORE_PRIVATE_H
#define TBMESH_MESH_CORE_PRIVATE_H

#include "mesh/core.h"

struct core {
	struct core_config config;
	struct packet_keys keys;
	uint8_t id8[8];
	const struct core_ops *ops;
	void *ctx;
	uint64_t now_ns;
	uint64_t last_tick_ns;
	uint64_t next_heartbeat_ns;
	uint64_t beacon_seq;
	struct list interfaces;
	size_t interface_count;
	struct list peers;
	size_t peer_count;
	struct core_address statics[CORE_MAX_STATIC];
	size_t static_count;
	uint64_t next_static_ns;
	/* One link at a time sends its burst: two would keep each other's CPUs awake, and look faster than they are. */
	struct core_link *burster; /* NULL: nobody */
	bool dirty;                /* something that core_tick follows up */
	bool twin_told;
	/* Bandwidth probes: one at a time, paid from a credit of 1 % of the time. */
	struct core_peer *probing; /* NULL: none under way */
	uint64_t probe_end_ns;     /* given up then */
	int64_t probe_credit_ns;
	uint64_t probe_credit_at_ns;
};

/* core.c */
void core_event(struct core *c, enum mesh_event_type type, const struct core_peer *p, const char *subject, const struct mesh_field *fields,
	size_t count);
int core_send_beacon(struct core *c, unsigned ifindex, const struct in6_addr *local, const struct core_address *to);
void core_peer_evaluate(struct core *c, struct core_peer *p); /* after any change of its links: state, best link, events */

/* core_link.c */
struct core_link *core_link_find(struct core_peer *p, unsigned ifindex, const struct in6_addr *ip);
struct core_link *core_link_add(struct core *c, struct core_peer *p, struct core_interface *i, const struct core_address *address); /* NULL: full */
void core_link_remove(struct core *c, struct core_link *l);
void core_link_name(struct core_link *l);
void core_link_down(struct core *c, struct core_link *l, const char *why); /* does not evaluate the peer */
void core_link_ask(struct core *c, struct core_link *l, bool burst);
void core_link_goodbye(struct core *c, struct core_link *l);
void core_link_tick(struct core *c, struct core_link *l, bool heartbeat);
uint64_t core_link_next(const struct core *c, const struct core_link *l);
void core_echo(struct core *c, unsigned ifindex, const struct core_address *from, const void *data, size_t size, int64_t received_ns);

/* core_probe.c */
void core_probe_want(struct core *c, struct core_peer *p, uint64_t delay_ns);
void core_probe_tick(struct core *c);
void core_probe_forget(struct core *c, const struct core_peer *p);
uint64_t core_probe_next(const struct core *c);

#endif
