/* The mesh's core: membership, links, liveness, measurements, as a state machine. Events and time go in, packets and
 * effects go out through `ops`; no socket, clock or random number inside. All times: monotonic ns, never going backwards.
 * Not thread-safe. */
#ifndef TBMESH_MESH_CORE_H
#define TBMESH_MESH_CORE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "mesh/mesh.h"
#include "mesh/packet.h"
#include "mesh/rtt.h"

#define CORE_MS UINT64_C(1000000)
#define CORE_SECOND (1000 * CORE_MS)
#define CORE_HEARTBEAT (150 * CORE_MS)
#define CORE_SUSPECT (500 * CORE_MS) /* no answer for so long */
#define CORE_DEAD (1600 * CORE_MS)
#define CORE_STALL (400 * CORE_MS) /* this node itself was stopped: nobody is blamed for that time */
#define CORE_PENDING 64u           /* echoes under way on a link */
#define CORE_MAX_STATIC 32u
#define CORE_MAX_ROUTED 32u                 /* peers without a cable */
#define CORE_SUSPECT_ASK (50 * CORE_MS)     /* a suspect link is asked so often */
#define CORE_VOUCHED_MAX (10 * CORE_SECOND) /* so long others' word keeps a peer that no own link reaches */
#define CORE_SLOT_WORDS ((MESH_MAX_PEERS + 63) / 64)

struct mesh_core;
struct mesh_core_peer;
struct mesh_core_statement;

void mesh_address_text(const struct in6_addr *ip, char ret[MESH_ADDRESS_SIZE]); /* IPv4 as such */

struct mesh_core_address {
	struct in6_addr ip;
	uint16_t port;
};

struct mesh_core_interface {
	struct list link;
	unsigned ifindex;
	char name[MESH_NAME_SIZE], domain[MESH_NAME_SIZE], xdomain[MESH_NAME_SIZE];
	uint64_t negotiated_rx_bps, negotiated_tx_bps;
	bool running; /* up, with carrier and a usable address */
	struct in6_addr address;
	uint64_t next_beacon_ns;
	unsigned burst_left;
	/* What this node sent on that interface comes back on this one: a ring of bridges. */
	unsigned ring_from;
	uint64_t ring_ns; /* heard last; 0 never */
};

struct mesh_core_bandwidth {
	uint64_t bps;     /* 0: not measured */
	uint64_t top_bps; /* what traffic must come near to, to be taken for a measurement */
	uint64_t at_ns;
	enum mesh_bandwidth_source source;
};

struct mesh_core_pending {
	uint64_t nonce; /* 0: free */
	uint64_t sent_ns;
	bool burst;
	uint64_t ping; /* somebody waits for it: mesh_core_ping; 0 nobody */
};

struct mesh_core_link {
	struct list link; /* in its peer */
	struct mesh_core_peer *peer;
	struct mesh_core_interface *interface; /* NULL: static, by routing; or the interface is gone (then DOWN) */
	unsigned ifindex;                      /* 0: static */
	char id[MESH_LINK_ID_SIZE];
	char name[MESH_NAME_SIZE], domain[MESH_NAME_SIZE],
		xdomain[MESH_NAME_SIZE];  /* of the interface, also when it is gone */
	struct mesh_core_address address; /* the peer's */
	struct in6_addr local;
	enum mesh_link_state state;
	bool ever_up;
	uint64_t heard_ns;    /* last answer; 0 never; later when this node itself was stopped */
	uint64_t answered_ns; /* last answer, in truth: what others are told */
	uint64_t hint_ns;     /* last sign that asking is worth while: a beacon, an answer */
	uint64_t down_ns;
	uint64_t greeted_ns; /* last beacon sent to this address alone */
	struct mesh_core_pending pending[CORE_PENDING];
	size_t next_pending;
	uint64_t asked_ns; /* last echo that was no part of a burst */
	unsigned burst_left;
	bool bursting;
	uint64_t next_burst_ns; /* next echo of the burst under way, or start of the next one */
	struct mesh_rtt_burst burst;
	struct mesh_rtt_window rtt, rtt_loaded;
	double p50_us; /* of rtt, when it changed last; 0: not measured */
	uint64_t up_ns;
	uint64_t burst_ns; /* start of the burst under way */
	/* What the kernel counts on its interface. */
	uint64_t use_up_bps, use_down_bps, use_ns; /* use_ns: when that was; 0 never */
	uint64_t busy_ns;                          /* last time that it was more than LOADED_BPS */
	struct mesh_core_bandwidth up, down;
};

/* The best link to a peer that was ever measured, up or not. */
struct mesh_core_top {
	char link[MESH_LINK_ID_SIZE]; /* "" none */
	double p50_us;
	uint64_t bps, seen_ns;
};

struct mesh_core_peer {
	struct list link;
	uint8_t public_key[32], id8[8], pair_key[32];
	char id[MESH_ID_SIZE], curve[MESH_Z85_SIZE], name[MESH_NAME_SIZE];
	uint64_t incarnation;
	uint64_t beacon_seq, beacon_window; /* sliding window against replays: bit i = seq - i was seen */
	uint16_t control_port;
	bool introduced; /* has been up once: listed */
	enum mesh_peer_state state;
	uint64_t heard_ns, state_ns, created_ns;
	uint64_t downs_ns[4]; /* latest deaths; against flapping */
	size_t next_down;
	uint64_t damped_until_ns;
	struct list links;
	size_t link_count;
	struct mesh_core_link *best; /* that control messages take; NULL none is up */
	struct mesh_core_bandwidth aggregate_up, aggregate_down;
	size_t aggregate_links;                  /* up when it was measured */
	uint64_t probe_due_ns;                   /* 0: not due */
	unsigned probe_failures, probe_unsteady; /* in a row */
	uint64_t probe_end_ns;                   /* of the last one: what it sent is nobody's traffic */
	/* core_path.c */
	struct mesh_core_top nearest, fastest;
	char path_missed[MESH_LINK_ID_SIZE], path_note[MESH_NOTE_SIZE];
	/* Indirect check: questions to others under way, and who answered last. */
	uint64_t ask_nonces[4];
	size_t next_ask;
	char vouched_by[MESH_NAME_SIZE];
	/* Flooding: its bit in each statement's `wanted`, and how many have it set. */
	unsigned slot;
	size_t flood_count;
	size_t flood_under_way;
	uint64_t flood_ns; /* next time to send what it still lacks */
};

struct mesh_core_ops {
	uint64_t (*random)(void *ctx);
	/* CLOCK_REALTIME and its distance to CLOCK_MONOTONIC_RAW. */
	void (*clock)(void *ctx, int64_t *ret_realtime_ns, int64_t *ret_offset_ns);
	/* to NULL: the multicast group on that interface. 0 or -errno (-EADDRNOTAVAIL and the like are tried again). */
	int (*send)(void *ctx, unsigned ifindex, const struct in6_addr *local, const struct mesh_core_address *to,
		const void *data, size_t size);
	void (*admit)(void *ctx, const struct mesh_core_peer *p); /* its CURVE key may connect */
	void (*expel)(void *ctx, const struct mesh_core_peer *p); /* and no longer; the peer is freed after this */
	void (*restarted)(
		void *ctx, const struct mesh_core_peer *p); /* a new incarnation: what was queued for the old one is void */
	void (*route)(void *ctx, const struct mesh_core_peer *p); /* p->best or its address changed */
	void (*probe)(void *ctx,
		const struct mesh_core_peer *p); /* measure its up links; ends with mesh_core_probe_done or _failed */
	void (*recheck)(void *ctx);              /* each heartbeat: read the carriers again */
	void (*pinged)(void *ctx, uint64_t token, int64_t rtt_ns); /* < 0: no answer; calls nothing here */
	void (*event)(void *ctx, const struct mesh_event *e);      /* calls nothing here */
	void (*warning)(void *ctx, const char *subject, const char *text);
};
struct mesh_core_config {
	struct mesh_identity identity;
	struct mesh_key key;
	char name[MESH_NAME_SIZE];
	uint64_t incarnation;
	uint16_t control_port;
	uint16_t beacon_port; /* where peers without a cable hear */
	bool no_probes;
};

struct mesh_core *mesh_core_create(const struct mesh_core_config *config, const struct mesh_core_ops *ops, void *ctx,
	uint64_t now_ns);                    /* NULL: no memory */
void mesh_core_destroy(struct mesh_core *c); /* calls no op */

int mesh_core_interface_set(
	struct mesh_core *c, uint64_t now_ns, const struct mesh_interface *i); /* add or update; -ENOSPC, -EINVAL */
/* address NULL: not running (why: for people). */
void mesh_core_interface_running(
	struct mesh_core *c, uint64_t now_ns, unsigned ifindex, const struct in6_addr *address, const char *why);
void mesh_core_interface_renamed(struct mesh_core *c, uint64_t now_ns, unsigned ifindex, const char *name);
void mesh_core_interface_remove(struct mesh_core *c, uint64_t now_ns, unsigned ifindex, const char *why);
/* The address that routing leads to; whether one is of this mesh's kind. */
struct in6_addr mesh_core_routed_address(const struct mesh_core *c, const uint8_t id8[8]);
bool mesh_core_routed_is(const struct mesh_core *c, const struct in6_addr *ip);

int mesh_core_static_add(struct mesh_core *c, uint64_t now_ns, const struct mesh_core_address *address);
bool mesh_core_static_known(const struct mesh_core *c, const struct in6_addr *ip);
int mesh_core_static_read(const struct mesh_core *c, size_t i, struct mesh_core_address *ret, bool *ret_up); /* -ENOENT */

/* true: mesh_core_tick wants to run at once. A datagram; received_ns: kernel's receive stamp, CLOCK_REALTIME. ifindex 0:
 * not on a mesh interface. Hostile. */
bool mesh_core_packet(struct mesh_core *c, uint64_t now_ns, unsigned ifindex, const struct mesh_core_address *from,
	const void *data, size_t size, int64_t received_ns);
/* Bytes that passed over an interface, as the kernel counts them, for rates seen in real traffic. */
void mesh_core_traffic(struct mesh_core *c, uint64_t now_ns, unsigned ifindex, uint64_t up_bps, uint64_t down_bps);
uint64_t mesh_core_tick(
	struct mesh_core *c, uint64_t now_ns); /* does what is due; returns when to call again at the latest */

/* A control message proved this incarnation of the peer. false: it is an old one, drop the message. */
bool mesh_core_peer_incarnation(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p, uint64_t incarnation);
void mesh_core_leave(struct mesh_core *c, uint64_t now_ns); /* says goodbye to all peers */
void mesh_core_goodbye(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p, const char *reason);

struct mesh_core_probe_rate {
	struct in6_addr local, remote;
	uint64_t up_bps, down_bps;
}; /* up: this node sends; 0 not measured */
void mesh_core_probe_done(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p,
	const struct mesh_core_probe_rate *rates, size_t count, uint64_t aggregate_up_bps, uint64_t aggregate_down_bps,
	uint64_t duration_ns, bool unsteady);
void mesh_core_probe_failed(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p);
/* The peer asks: is this node free for a probe now? If so it counts as busy until mesh_core_probe_done, _failed or 5 s. */
bool mesh_core_probe_accept(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p);

/* A bandwidth probe now, because somebody asked for it: -EBUSY one is under way, -EHOSTUNREACH the peer is not up. */
int mesh_core_bench(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p);
/* One echo at once; `pinged` tells of it within a second or so. link_id NULL: the best one. -ENOENT no such link,
 * -EHOSTUNREACH none is up. */
int mesh_core_ping(struct mesh_core *c, uint64_t now_ns, struct mesh_core_peer *p, const char *link_id, uint64_t token,
	const struct mesh_core_link **ret_link);

size_t mesh_core_rings(const struct mesh_core *c, uint64_t now_ns, struct mesh_ring *ret, size_t max);

/* What this node tells the whole mesh of its host. */
void mesh_core_describe(
	struct mesh_core *c, uint64_t now_ns, unsigned gpus, unsigned cpu_load_percent, uint64_t memory_free_bytes);
size_t mesh_core_graph(const struct mesh_core *c, uint64_t now_ns, struct mesh_graph_node *ret, size_t max);
/* For whoever compares views: how many statements are kept, and what one origin said last of its links. */
size_t mesh_core_graph_size(const struct mesh_core *c);
const char *mesh_core_graph_name(const struct mesh_core *c, const uint8_t id8[8]); /* NULL: not heard of */
const struct mesh_core_statement *mesh_core_graph_find(const struct mesh_core *c, const uint8_t id8[8]);
uint64_t mesh_core_statement_shape(const struct mesh_core_statement *s); /* same links, same number, in any order */

struct mesh_core_peer *mesh_core_peer_find(const struct mesh_core *c, const char *id);
struct list *mesh_core_peers(const struct mesh_core *c); /* of struct mesh_core_peer */
size_t mesh_core_links_up(const struct mesh_core_peer *p);
void mesh_core_peer_read(uint64_t now_ns, const struct mesh_core_peer *p, struct mesh_peer_info *ret);
void mesh_core_link_read(uint64_t now_ns, const struct mesh_core_link *l, struct mesh_link_info *ret);
/* Whether a is the better way to the peer. */
bool mesh_core_link_better(const struct mesh_core_link *a, const struct mesh_core_link *b);

#endif
