/* The event loop of a process: libevent behind five nouns. One loop a thread; all calls from that thread except loop_post. */
#ifndef TBMESH_BASE_LOOP_H
#define TBMESH_BASE_LOOP_H

#include <stdint.h>

struct loop;
struct loop_io;
struct loop_timer;

struct loop *loop_create(void); /* NULL when out of memory */
void loop_destroy(struct loop *l);
int loop_run(struct loop *l); /* until loop_stop; 0 or -errno */
void loop_stop(struct loop *l);

#define LOOP_READ 1u
#define LOOP_WRITE 2u
/* Level-triggered. The fd stays the caller's. Safe to destroy any io or timer from inside any callback. */
struct loop_io *loop_io_create(
	struct loop *l, int fd, unsigned events, void (*ready)(void *ctx, unsigned events), void *ctx);
void loop_io_set(struct loop_io *io, unsigned events);
void loop_io_destroy(struct loop_io *io);

/* A timer is created unarmed. period_ms 0: one shot. */
struct loop_timer *loop_timer_create(struct loop *l, void (*fired)(void *ctx), void *ctx);
void loop_timer_start(struct loop_timer *t, uint64_t delay_ms, uint64_t period_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_destroy(struct loop_timer *t);

/* From any thread: run call(ctx) on the loop's thread soon, in order of posting. 0 or -ENOMEM. */
int loop_post(struct loop *l, void (*call)(void *ctx), void *ctx);
/* SIGINT/SIGTERM/SIGCHLD … on the loop. */
int loop_signal(struct loop *l, int signal_number, void (*fired)(void *ctx, int signal_number), void *ctx);

#endif
