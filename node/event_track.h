/* How far one is with the numbered events of another node. Pure. The node publishes each event as it comes, and anything published may
 * be lost; it also tells the number of its last one from time to time, and answers what is behind a number. From these each event is
 * handed on once and in order: a published one only when it is the very next, else the range is asked for. */
#ifndef TBMESH_NODE_EVENT_TRACK_H
#define TBMESH_NODE_EVENT_TRACK_H

#include <stdbool.h>
#include <stdint.h>

struct event_track {
	uint64_t have;        /* handed on, or lost for good, up to here */
	uint64_t known;       /* the highest number that the node is known to have given */
	uint64_t incarnation; /* of the node, the newest seen; 0 none yet */
	bool asking;          /* for what is behind `have`; what is published meanwhile is in the answer */
	bool stale;           /* more than `known` may have happened: it is asked for in any case */
};

void event_track_init(struct event_track *t, uint64_t since);
/* True: hand it on now. room: there is some; without, it is asked for later. */
bool event_track_published(struct event_track *t, uint64_t incarnation, uint64_t number, bool room);
void event_track_told(struct event_track *t, uint64_t incarnation, uint64_t last); /* its last number; 0: it does not say */
void event_track_connected(struct event_track *t); /* what was published before may be missing */
bool event_track_must_ask(const struct event_track *t);
void event_track_asked(struct event_track *t);
/* The answer holds all up to `last`; all of it is handed on. last < have: numbers began anew. */
void event_track_answered(struct event_track *t, uint64_t incarnation, uint64_t last, uint64_t newest);
void event_track_failed(struct event_track *t); /* no answer */
bool event_track_settled(const struct event_track *t);

#endif
