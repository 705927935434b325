/* Round trip times of one link. Samples come in bursts; a burst counts as a whole or not at all. Pure. */
#ifndef TBMESH_MESH_RTT_H
#define TBMESH_MESH_RTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mesh/mesh.h"

#define RTT_WINDOW 96u /* samples that the numbers are made of */
#define RTT_BURST_MAX 32u
#define RTT_BURST_WARMUP 4u      /* the first replies of a burst wake sleeping cores and are not counted */
#define RTT_CLOCK_STEP_NS 200000 /* more than slewing (500 ppm) does in a burst: somebody set the clock */

struct mesh_rtt_burst {
	uint32_t samples_ns[RTT_BURST_MAX];
	size_t count, seen;
	int64_t own_offset_ns, peer_offset_ns; /* REALTIME - MONOTONIC_RAW at the first reply */
	bool spoilt;
};
struct mesh_rtt_window {
	uint32_t samples_ns[RTT_WINDOW];
	size_t count, next;
	double step_us[RTT_WINDOW]; /* |difference to the sample before it in its burst|; < 0: first of a burst */
	uint64_t updated_ns;        /* 0: never */
	bool answered[RTT_WINDOW];  /* the last echoes of any kind */
	size_t echoes, next_echo;
	uint64_t dropped_bursts;
};

void mesh_rtt_burst_start(struct mesh_rtt_burst *b);
/* Offsets: this host's at the reply's arrival, the peer's when it answered. A round trip outside of 0 … 10 s spoils the
 * burst. */
void mesh_rtt_burst_add(struct mesh_rtt_burst *b, int64_t rtt_ns, int64_t own_offset_ns, int64_t peer_offset_ns);
void mesh_rtt_burst_commit(struct mesh_rtt_burst *b, struct mesh_rtt_window *w, uint64_t now_ns);
void mesh_rtt_echo_done(struct mesh_rtt_window *w, bool answered);
void mesh_rtt_read(const struct mesh_rtt_window *w, uint64_t now_ns, struct mesh_rtt *ret);

#endif
