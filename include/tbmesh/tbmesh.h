/* libtbmesh: what the node of this host knows of its mesh, as plain structs, and its events on your loop.
 *
 * Link with -ltbmesh (pkg-config tbmesh, or find_package(tbmesh) and tbmesh::tbmesh). All functions return 0 or a negative
 * errno unless they say otherwise; outputs are untouched on failure. A connection is used by one thread at a time.
 * Times are in the unit that the name tells, rates in bits a second, sizes in bytes; 0 is unknown. `up` is what this host
 * sends. */
#ifndef TBMESH_TBMESH_H
#define TBMESH_TBMESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TBMESH_API __attribute__((visibility("default")))
#define TBMESH_TEXT 128 /* bytes of a name, with its NUL; longer ones are cut */
#define TBMESH_MAX_TERMS 12

struct tbmesh;

struct tbmesh_rtt { /* samples 0: nothing measured */
	double min_us, p50_us, p99_us, jitter_us;
	double loss; /* 0 … 1 */
	uint64_t samples, age_ms;
};
struct tbmesh_bandwidth { /* bps 0: nothing known */
	uint64_t bps, age_ms;
	char source[16]; /* probe | traffic | negotiated */
};
struct tbmesh_status {
	char node_id[TBMESH_TEXT], name[TBMESH_TEXT], version[TBMESH_TEXT];
	uint64_t uptime_ms;
	unsigned peers_up, links_up, gpus, workloads, warnings;
	uint64_t mesh_up_bps, mesh_down_bps; /* sum over peers of what was measured on all links of each at once */
	char best_peer[TBMESH_TEXT];         /* nearest; "" none */
};
struct tbmesh_peer {
	char node_id[TBMESH_TEXT], name[TBMESH_TEXT], version[TBMESH_TEXT];
	char state[16]; /* up | suspect | dead */
	unsigned links_up, gpus;
	char best_link[TBMESH_TEXT];
	struct tbmesh_rtt rtt;                                /* of its best link, idle */
	struct tbmesh_bandwidth aggregate_up, aggregate_down; /* on all its links at the same time */
	char note[4 * TBMESH_TEXT]; /* it is not reached by its best measured link: which, and why; "" all is well */
};
struct tbmesh_link {
	char id[TBMESH_TEXT], peer[TBMESH_TEXT], interface[TBMESH_TEXT];
	char domain[TBMESH_TEXT]; /* controller: PCI address */
	char state[16];           /* up | suspect | down */
	uint64_t negotiated_tx_bps, negotiated_rx_bps;
	struct tbmesh_rtt rtt, rtt_loaded; /* while the link was idle; while it carried traffic */
	struct tbmesh_bandwidth up, down;
	uint64_t use_up_bps, use_down_bps; /* what flows now */
};
enum tbmesh_criterion { TBMESH_FOR_LATENCY, TBMESH_FOR_FRAMES, TBMESH_FOR_OFFLOAD, TBMESH_FOR_CHECKPOINT };
struct tbmesh_query {
	enum tbmesh_criterion criterion;
	uint32_t width, height, fps, bits_per_pixel; /* frames; 0: 3840, 2160, 60, 32 */
};
struct tbmesh_term {
	char name[32], unit[16];
	double value, weight, points;
};
struct tbmesh_candidate {
	char peer[TBMESH_TEXT];
	double score; /* sum of points, 0 … 100 */
	bool viable;
	char reason[TBMESH_TEXT]; /* why not, or what decided */
	size_t term_count;
	struct tbmesh_term terms[TBMESH_MAX_TERMS];
};
struct tbmesh_field {
	const char *name, *value;
};
/* Strings and fields live during the callback. Later versions may put members behind these. `type`: PeerUp, Disconnected, … as
 * `tbmesh events --help` lists them. node_id and number are the event's own name in the mesh. */
struct tbmesh_event {
	const char *type;
	const char *subject;  /* the GPU, peer, link or workload that it is about */
	const char *host;     /* name of the node that saw it */
	const char *node_id;  /* of that node */
	uint64_t number;      /* grows by one an event of that node, also over its restarts */
	uint64_t incarnation; /* of that node: another one after each start */
	uint64_t realtime_us;
	size_t field_count;
	const struct tbmesh_field *fields;
	uint64_t lost;  /* so many events of that node in front of this one are no longer kept; at most, when: */
	bool restarted; /* … the node was started anew in between, and what it had seen before is gone with it */
};
struct tbmesh_position {
	const char *node_id; /* of tbmesh_event */
	uint64_t number;     /* events of that node with a larger one */
};
/* {.size = sizeof(struct tbmesh_filter)}: all events of this host. Later versions may put members behind these; size says which
 * there are. about: only what is about that GPU (with or without its host, "NODE/"), peer, link or workload. */
struct tbmesh_filter {
	size_t size;
	const char *const *types; /* only these */
	size_t type_count;        /* 0: all */
	const char *about;        /* NULL: anything */
	const char *host;         /* NULL: this host, else a peer (name or id), numbered there */
	bool all_hosts;           /* this host and all its peers, those that come later, too */
	uint64_t since;           /* of one host: only larger numbers; 0: all that are kept */
	/* The same with all_hosts. Of who is not in it: all that are kept. */
	const struct tbmesh_position *positions;
	size_t position_count;
};

/* root: the node's directory, NULL: $TBMESH_ROOT or the installed system's. -ECONNREFUSED or -ENOENT: no node runs there,
 * -EACCES: this user may not ask it. */
TBMESH_API int tbmesh_connect(const char *root, struct tbmesh **ret);
TBMESH_API void tbmesh_close(struct tbmesh *t); /* NULL is fine; not from inside a callback */

/* Each asks the node and waits for its answer, 10 s at most (-ETIMEDOUT). Lists are the caller's: tbmesh_free. A node that
 * was restarted meanwhile costs one -ETIMEDOUT; the next call finds the new one. */
TBMESH_API int tbmesh_status(struct tbmesh *t, struct tbmesh_status *ret);
TBMESH_API int tbmesh_peers(struct tbmesh *t, struct tbmesh_peer **ret, size_t *ret_count);
TBMESH_API int tbmesh_links(struct tbmesh *t, struct tbmesh_link **ret, size_t *ret_count);
/* Best first, viable ones in front. */
TBMESH_API int tbmesh_best(struct tbmesh *t, const struct tbmesh_query *q, struct tbmesh_candidate **ret, size_t *ret_count);
TBMESH_API void tbmesh_free(void *list);

/* For who wants no more: what the mesh carries in all, how many peers are up, who is best (-ENOENT: nobody is viable). */
TBMESH_API int tbmesh_total(struct tbmesh *t, uint64_t *ret_up_bps, uint64_t *ret_down_bps);
TBMESH_API int tbmesh_active_peers(struct tbmesh *t, unsigned *ret);
TBMESH_API int tbmesh_best_peer(struct tbmesh *t, const struct tbmesh_query *q, char ret[TBMESH_TEXT]);

/* Events that the filter (NULL: all of this host) lets through are handed to the callback by tbmesh_dispatch: each once, those
 * of one host in order, those of peers as they come (nothing polls; what is lost on the way is asked for). While a peer is not
 * reached its events wait there. To go on later, or in another process: since, or positions, of the last ones seen. The
 * callback may ask the node. -EALREADY: there is a watch; -ENOENT: no such peer; -EINVAL: not a filter; else as tbmesh_status. */
typedef void tbmesh_event_fn(void *ctx, const struct tbmesh_event *e);
TBMESH_API int tbmesh_watch(struct tbmesh *t, const struct tbmesh_filter *f, tbmesh_event_fn *seen, void *ctx);
/* Readable when tbmesh_dispatch has something to do: for poll, epoll or any loop, level-triggered. -EINVAL before
 * tbmesh_watch. */
TBMESH_API int tbmesh_fd(const struct tbmesh *t);
TBMESH_API int tbmesh_dispatch(struct tbmesh *t); /* never waits; how many events it handed out */

#ifdef __cplusplus
}
#endif

#endif
