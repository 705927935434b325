/* Shared by the files of the core alone. */
#ifndef TBMESH_MESH_CORE_PRIVATE_H
#define TBMESH_MESH_CORE_PRIVATE_H

#include "mesh/core.h"

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
	/* Bandwidth probes: one at a time, paid from a credit of 1 % of the time. */
	struct mesh_core_peer *probing; /* NULL: none under way */
	uint64_t probe_end_ns;          /* given up then */
	int64_t probe_credit_ns;
	uint64_t probe_credit_at_ns;
};

/* core.c */
void mesh_core_event(struct mesh_core *c, enum mesh_event_type type, const struct mesh_core_peer *p, const char *subject,
	const struct mesh_field *fields, size_t count);
int mesh_core_send_beacon(
	struct mesh_core *c, unsigned ifindex, const struct in6_addr *local, const struct mesh_core_address *to);
void mesh_core_peer_evaluate(
	struct mesh_core *c, struct mesh_core_peer *p); /* after any change of its links: state, best link, events */

/* mesh_core_link.c */
struct mesh_core_link *mesh_core_link_find(struct mesh_core_peer *p, unsigned ifindex, const struct in6_addr *ip);
struct mesh_core_link *mesh_core_link_add(struct mesh_core *c, struct mesh_core_peer *p, struct mesh_core_interface *i,
	const struct mesh_core_address *address); /* NULL: full */
void mesh_core_link_remove(struct mesh_core *c, struct mesh_core_link *l);
void mesh_core_link_name(struct mesh_core_link *l);
void mesh_core_link_down(struct mesh_core *c, struct mesh_core_link *l, const char *why); /* does not evaluate the peer */
void mesh_core_link_ask(struct mesh_core *c, struct mesh_core_link *l, bool burst);
void mesh_core_link_goodbye(struct mesh_core *c, struct mesh_core_link *l);
void mesh_core_link_tick(struct mesh_core *c, struct mesh_core_link *l, bool heartbeat);
uint64_t mesh_core_link_next(const struct mesh_core *c, const struct mesh_core_link *l);
void mesh_core_echo(struct mesh_core *c, unsigned ifindex, const struct mesh_core_address *from, const void *data,
	size_t size, int64_t received_ns);

/* core_probe.c */
void mesh_core_probe_want(struct mesh_core *c, struct mesh_core_peer *p, uint64_t delay_ns);
void mesh_core_probe_tick(struct mesh_core *c);
void mesh_core_probe_forget(struct mesh_core *c, const struct mesh_core_peer *p);
uint64_t mesh_core_probe_next(const struct mesh_core *c);

#endif
