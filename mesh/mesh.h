/* The mesh as one node sees it: finds peers on the interfaces that it is given, watches and measures every link, carries
 * control messages, and says which peer is best for what. Pure core (core.h) inside an I/O shell.
 * All calls and all callbacks on the loop's thread. Callbacks may call anything here but mesh_destroy. */
#ifndef TBMESH_MESH_MESH_H
#define TBMESH_MESH_MESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/zsock.h"
#include "mesh/identity.h"

struct mesh;
struct Tbmesh__PeerMessage; /* proto/peer.proto */

#define MESH_MAX_PEERS 256
#define MESH_MAX_INTERFACES 32
#define MESH_MAX_PEER_LINKS 16
#define MESH_NAME_SIZE 64
#define MESH_ADDRESS_SIZE 46 /* INET6_ADDRSTRLEN, without the scope */
#define MESH_LINK_ID_SIZE 96
#define MESH_MTU 65520u /* what thunderbolt-net takes at most, less two bytes that people leave */
#define MESH_ROUTE_HOPS 8
#define MESH_ROUTED "routed" /* stands for the interface of a link that routing leads over cables */
#define MESH_NOTE_SIZE 512
#define MESH_DEFAULT_PORT 21847   /* UDP, beacons; multicast group ff02::7462:6d65 */
#define MESH_BURST_INTERVAL_MS 10 /* pacing of RTT bursts: compare with `ping -i 0.01` */
#define MESH_MAX_TERMS 12
#define MESH_MAX_FIELDS 6
#define MESH_SHORT_NAME_SIZE 16 /* IFNAMSIZ */
#define MESH_GRAPH_LINKS 48     /* that a node tells the mesh of */
#define MESH_MAX_GRAPH 2048     /* nodes, not only direct peers */
#define MESH_UNREACHABLE UINT32_MAX

enum mesh_peer_state { MESH_PEER_UP, MESH_PEER_SUSPECT, MESH_PEER_DEAD };
enum mesh_link_state { MESH_LINK_UP, MESH_LINK_SUSPECT, MESH_LINK_DOWN };
enum mesh_bandwidth_source { MESH_SOURCE_NONE, MESH_SOURCE_PROBE, MESH_SOURCE_TRAFFIC, MESH_SOURCE_NEGOTIATED };
const char *mesh_peer_state_name(enum mesh_peer_state s); /* as common.proto wants them */
const char *mesh_link_state_name(enum mesh_link_state s);
const char *mesh_bandwidth_source_name(enum mesh_bandwidth_source s);

/* A Thunderbolt network device, as the node found it with udev. Strings are copied; "" or NULL: unknown. */
struct mesh_interface {
	unsigned ifindex; /* > 0; identifies the interface */
	const char *name;
	const char *domain;         /* PCI address of its controller (NHI) */
	const char *xdomain;        /* sysfs name of the peer behind it, "0-1" */
	uint64_t negotiated_rx_bps; /* 0: unknown */
	uint64_t negotiated_tx_bps;
};

struct mesh_rtt {
	double min_us, p50_us, p99_us, jitter_us; /* samples 0: all are 0 and mean nothing */
	double loss;                              /* 0 … 1 */
	uint64_t samples;
	uint64_t age_ms;
};
struct mesh_bandwidth {
	uint64_t bps; /* 0: unknown */
	uint64_t age_ms;
	enum mesh_bandwidth_source source;
};
struct mesh_link_info {
	char id[MESH_LINK_ID_SIZE]; /* PEERNAME:IFNAME */
	char peer_id[MESH_ID_SIZE];
	char peer_name[MESH_NAME_SIZE];
	char interface[MESH_NAME_SIZE]; /* "" for a static peer reached by routing */
	unsigned ifindex;
	char local_address[MESH_ADDRESS_SIZE];
	char peer_address[MESH_ADDRESS_SIZE];
	char domain[MESH_NAME_SIZE];
	char xdomain[MESH_NAME_SIZE];
	enum mesh_link_state state;
	uint64_t negotiated_rx_bps, negotiated_tx_bps;
	struct mesh_rtt rtt;               /* while the link is idle */
	struct mesh_rtt rtt_loaded;        /* while it carries traffic */
	struct mesh_bandwidth up, down;    /* up: this node sends */
	uint64_t use_up_bps, use_down_bps; /* what flows now, as the kernel counts it */
};
struct mesh_peer_info {
	char id[MESH_ID_SIZE];
	char name[MESH_NAME_SIZE];
	enum mesh_peer_state state;
	uint64_t incarnation;
	unsigned links_up;
	struct mesh_rtt rtt; /* of its best link */
	char best_link[MESH_LINK_ID_SIZE];
	struct mesh_bandwidth aggregate_up, aggregate_down; /* measured on all its links at the same time */
	size_t route_count; /* hosts on the way that packets take, when routing leads there; 0: a cable, or not known yet */
	char route[MESH_ROUTE_HOPS][MESH_NAME_SIZE];
	char note[MESH_NOTE_SIZE]; /* it is not reached by its best measured link: which, and why; "" all is well */
};
struct mesh_endpoint { /* where a peer's TCP listener on [::] is reached over one link */
	char address[MESH_ADDRESS_SIZE];
	unsigned scope_id; /* ifindex for link-local addresses, else 0 */
	char link[MESH_LINK_ID_SIZE];
	uint64_t goodput_bps; /* this node sends; 0 unknown */
};
struct mesh_ring { /* what this node sends on one interface comes back on another, or on the same */
	char sent_on[MESH_NAME_SIZE], heard_on[MESH_NAME_SIZE];
	char hosts[128]; /* who is there */
};
struct mesh_port_info { /* an interface that the node gave us, whether it works or not */
	char name[MESH_NAME_SIZE];
	bool thunderbolt; /* else the configuration named it */
	bool present, up, carrier, has_address;
	bool running; /* for so long that somebody should have answered */
	uint32_t mtu;
	unsigned peers; /* that answer on it */
};
struct mesh_totals {
	unsigned peers_up, links_up;
	uint64_t up_bps, down_bps;      /* sum of the measured aggregates over peers that are not behind others */
	char best_peer[MESH_NAME_SIZE]; /* name; criterion latency; "" none */
	unsigned refused;               /* strangers at the control port since start */
};

/* The whole mesh as its nodes describe themselves, not only the direct peers. */
struct mesh_graph_link {
	char neighbour[MESH_ID_SIZE];
	char interface[MESH_SHORT_NAME_SIZE]; /* "" a static peer's; MESH_ROUTED */
	enum mesh_link_state state;
	double p50_us, p99_us;     /* 0: not measured */
	uint64_t up_bps, down_bps; /* 0: not measured; up: this node sends */
	enum mesh_bandwidth_source up_source, down_source;
	bool confirmed; /* the neighbour says so, too */
};
struct mesh_graph_node {
	char id[MESH_ID_SIZE];
	char name[MESH_NAME_SIZE];
	uint64_t incarnation, seq;
	uint64_t age_ms;        /* since it said so */
	uint32_t hops;          /* from this node over confirmed links, the quickest way; 0: this node; MESH_UNREACHABLE */
	double path_us;         /* sum of the round trips on that way; links without one count 1 ms */
	char via[MESH_ID_SIZE]; /* the one before it on that way; "" */
	unsigned gpus, cpu_load_percent;
	uint64_t memory_free_bytes;
	size_t link_count;
	struct mesh_graph_link links[MESH_GRAPH_LINKS];
};

enum mesh_event_type {
	MESH_EVENT_PEER_UP,
	MESH_EVENT_PEER_SUSPECT,
	MESH_EVENT_PEER_DOWN,
	MESH_EVENT_LINK_UP,
	MESH_EVENT_LINK_DOWN,
	MESH_EVENT_LINK_SPEED_CHANGED,
	MESH_EVENT_PATH_DEGRADED, /* a peer is reached, but not by the best link to it that was measured */
	MESH_EVENT_PATH_RESTORED,
	MESH_EVENT_BRIDGE_RING, /* what this node sends on one interface comes back on another */
};
struct mesh_field {
	const char *name;
	char value[96];
};
struct mesh_event { /* valid during the callback */
	enum mesh_event_type type;
	const char *type_name; /* "PeerUp" …: DESIGN §7 */
	const char *peer_id;
	const char *subject;   /* peer name, or link id */
	uint64_t monotonic_ns; /* when it was noticed */
	struct mesh_field fields[MESH_MAX_FIELDS];
	size_t field_count;
};

enum mesh_bench_ways { MESH_BENCH_BOTH, MESH_BENCH_UP, MESH_BENCH_DOWN };
#define MESH_BENCH_STREAMS 16u
struct mesh_bench_options {
	enum mesh_bench_ways ways;
	unsigned streams; /* connections on each link at the same time, at most MESH_BENCH_STREAMS; 0: one */
};
struct mesh_bench { /* one run over all up links of a peer; 0: not measured */
	size_t count;
	struct {
		char link[MESH_LINK_ID_SIZE];
		uint64_t up_bps, down_bps; /* alone */
	} links[MESH_MAX_PEER_LINKS];
	uint64_t aggregate_up_bps, aggregate_down_bps; /* all at the same time */
	bool unsteady;                                 /* something disturbed it */
};

struct mesh_callbacks { /* each may be NULL */
	void (*event)(void *ctx, const struct mesh_event *e);
	/* A validated message whose body is not mesh's own (probes and goodbyes are). peer_id: proved by its CURVE key.
	 * The message is mesh's and lives during the call. Each message is handed over once, in the sender's order. */
	void (*message)(void *ctx, const char *peer_id, const struct Tbmesh__PeerMessage *m);
	/* What a peer published, of mesh_subscribe; and: all that it publishes from now on is on its way here (mesh/feed.h). */
	void (*published)(void *ctx, const char *peer_id, const struct Tbmesh__PeerMessage *m);
	void (*subscribed)(void *ctx, const char *peer_id);
	/* Something that a person should know of (no IPv6 on an interface, MTU refused …), once each. */
	void (*warning)(void *ctx, const char *subject, const char *text);      /* text "": what was said of it is over */
	void (*benched)(void *ctx, uint64_t token, const struct mesh_bench *b); /* of mesh_bench; NULL: it failed */
	void (*pinged)(void *ctx, uint64_t token, double rtt_us); /* of mesh_ping; < 0: no answer. Calls nothing here */
};
struct mesh_config { /* copied */
	const struct mesh_identity *identity;
	const struct mesh_key *key;
	const char *name;      /* this host, in the peers' lists */
	uint64_t incarnation;  /* grows with each start of the node: mesh_incarnation_next() */
	uint16_t beacon_port;  /* UDP; 0: MESH_DEFAULT_PORT; the same in the whole mesh */
	uint16_t control_port; /* TCP; 0: any, it travels in the beacon */
	uint16_t events_port;  /* TCP, of what is published to peers; 0: any */
	bool manage_links;     /* set interfaces up, add an own fe80 address, raise the MTU */
	bool no_probes;        /* never measure bandwidth actively */
};

/* z: the process's ZeroMQ context; mesh runs the ZAP handler in it. Errors: -EADDRINUSE, -EAFNOSUPPORT (no IPv6), -ENOMEM
 * … */
int mesh_create(struct loop *l, struct zctx *z, const struct mesh_config *config, const struct mesh_callbacks *callbacks,
	void *ctx, struct mesh **ret);
void mesh_destroy(struct mesh *m); /* says goodbye to peers first; NULL is fine */

/* The number kept in `path` plus one, or the clock in µs when that is more; written back. 0 on failure. */
uint64_t mesh_incarnation_next(const char *path);

/* Adding an ifindex that is there updates it: a rename, a new speed (LinkSpeedChanged). mesh follows carrier, addresses
 * and DELLINK by itself; remove is for what only udev knows: the xdomain behind it has gone. Its links are down at once.
 * -ENOSPC: too many. */
int mesh_interface_add(struct mesh *m, const struct mesh_interface *i);
void mesh_interface_remove(struct mesh *m, unsigned ifindex);
/* A peer beyond the links: numeric address, "[…]:port" or without port. It must name this host, too: who is not expected meets
 * silence. -EINVAL. */
int mesh_static_peer_add(struct mesh *m, const char *address);
/* The i-th of them, and whether somebody of this mesh answers there. -ENOENT: there are no more. */
int mesh_static_peer(const struct mesh *m, size_t i, char ret_address[MESH_ADDRESS_SIZE], bool *ret_up);

/* One echo at once over one link, NULL: the best; `pinged` tells of it within about a second, unless the peer is forgotten
 * before. ret: the link that it took. -ENOENT: no such peer or link, -EHOSTUNREACH: it is down. */
int mesh_ping(struct mesh *m, const char *peer, const char *link_id, uint64_t token, struct mesh_link_info *ret);

/* One bandwidth probe at once; `benched` tells how it went, after some seconds at most. -ENOENT no such peer, -EHOSTUNREACH it
 * is not up, -EBUSY another probe is under way: try again soon, -EINVAL. */
int mesh_bench(struct mesh *m, const char *peer, const struct mesh_bench_options *options, uint64_t token);

/* Each fills at most max entries and returns how many there are. Peers sorted by name, links by id. */
size_t mesh_peers(const struct mesh *m, struct mesh_peer_info *ret, size_t max);
size_t mesh_links(const struct mesh *m, struct mesh_link_info *ret, size_t max);
int mesh_peer(const struct mesh *m, const char *id_or_name, struct mesh_peer_info *ret); /* -ENOENT */
size_t mesh_ports(const struct mesh *m, struct mesh_port_info *ret, size_t max);
size_t mesh_rings(const struct mesh *m, struct mesh_ring *ret, size_t max);
/* Up links of a peer, best first. */
size_t mesh_endpoints(const struct mesh *m, const char *peer_id, struct mesh_endpoint *ret, size_t max);
void mesh_totals(const struct mesh *m, struct mesh_totals *ret);

/* Nodes sorted by hops, then name; those that nobody reaches any more come last and are forgotten after minutes. Returns how
 * many there are; ret is filled only if all fit. */
size_t mesh_graph(const struct mesh *m, struct mesh_graph_node *ret, size_t max);
/* What the whole mesh shall know of this host. */
void mesh_describe(struct mesh *m, unsigned gpus, unsigned cpu_load_percent, uint64_t memory_free_bytes);

/* Queues a control message: only the body of `message` is looked at. NULL peer: all peers that are up. Delivered once and
 * in order while neither side restarts, over whatever link is left. -ENOENT no such peer, -EHOSTUNREACH it is dead,
 * -ENOBUFS it is far behind, -EMSGSIZE. */
int mesh_send(struct mesh *m, const char *peer_id, struct Tbmesh__PeerMessage *message);

/* To all peers that have subscribed; who is slow loses it, and a receiver must see that by what is in the message. */
int mesh_publish(struct mesh *m, const char *topic, struct Tbmesh__PeerMessage *message);
uint16_t mesh_publish_port(const struct mesh *m); /* tell it the peers */
/* port: what the peer told. Holds, over cables that come and go, until mesh_unsubscribe or until the peer is forgotten; again: another
 * port, or nothing. -ENOENT, -ENOMEM. */
int mesh_subscribe(struct mesh *m, const char *peer_id, uint16_t port);
void mesh_unsubscribe(struct mesh *m, const char *peer_id);

/* Which peer is best. Every term of the score is told. */
enum mesh_criterion { MESH_FOR_LATENCY, MESH_FOR_FRAMES, MESH_FOR_OFFLOAD, MESH_FOR_CHECKPOINT };
const char *mesh_criterion_name(enum mesh_criterion c);
int mesh_criterion_parse(const char *name, enum mesh_criterion *ret); /* -EINVAL */
struct mesh_facts {        /* what the caller knows of a peer from its NodeState */
	unsigned gpus;     /* real ones, CPU drivers not counted */
	double gpu_fit;    /* 0 … 1: how well its best GPU suits; < 0 unknown */
	unsigned gpu_load; /* executors on that GPU */
	uint32_t cpu_load_percent;
	uint64_t memory_free_bytes; /* host memory; 0 unknown */
};
struct mesh_query {
	enum mesh_criterion criterion;
	uint32_t width, height, fps, bits_per_pixel; /* frames; 0: 3840, 2160, 60, 32 */
	uint64_t checkpoint_bytes;                   /* checkpoint: needs room for it; 0: none asked */
	bool (*facts)(void *ctx, const char *peer_id, struct mesh_facts *ret); /* false: nothing known; may be NULL */
	void *facts_ctx;
};
struct mesh_term {
	const char *name;
	double value;
	const char *unit;
	double weight;
	double points;
};
struct mesh_candidate {
	char peer_id[MESH_ID_SIZE];
	char peer[MESH_NAME_SIZE];
	double score; /* sum of points, 0 … 100 */
	bool viable;
	char reason[128]; /* why not viable, or what decided */
	struct mesh_term terms[MESH_MAX_TERMS];
	size_t term_count;
};
/* Best first, viable ones in front. The former best keeps its place against one that is less than 20 % better, or that
 * has been better for less than 3 s. Returns how many there are. */
size_t mesh_best(struct mesh *m, const struct mesh_query *q, struct mesh_candidate *ret, size_t max);

#endif
