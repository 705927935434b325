#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/list.h"
#include "base/platform.h"
#include "base/util.h"

struct post {
	void (*call)(void *ctx);
	void *ctx;
	struct post *next;
};

struct loop_signal {
	struct list link; /* loop.signals */
	struct event *event;
	void (*fired)(void *ctx, int signal_number);
	void *ctx;
};

struct loop {
	/* set at creation */
	struct event_base *base;
	struct event *post_event;
	int post_fd, post_write_fd; /* the same on Linux */
	/* the loop's thread */
	struct list signals;
	bool stopped;
	/* under post_mutex */
	pthread_mutex_t post_mutex;
	struct post *first_post;
	struct post **last_post;
};

struct loop_io {
	struct loop *loop;
	struct event *event;
	int fd;
	void (*ready)(void *ctx, unsigned events);
	void *ctx;
};

struct loop_timer {
	struct event *event;
	uint64_t next_ns;
	uint64_t period_ns;
	void (*fired)(void *ctx);
	void *ctx;
};

static void post_dispatch(evutil_socket_t fd, short events, void *ctx)
{
	struct loop *l = ctx;
	uint64_t count;
	(void)events;
	ssize_t size = read(fd, &count, sizeof(count));
	(void)size;

	/* What is posted from here on has its turn after the other sources. */
	pthread_mutex_lock(&l->post_mutex);
	struct post *p = l->first_post;
	l->first_post = NULL;
	l->last_post = &l->first_post;
	pthread_mutex_unlock(&l->post_mutex);
	while (p) {
		struct post *next = p->next;
		p->call(p->ctx);
		free(p);
		p = next;
	}
}

struct loop *loop_create(void)
{
	struct loop *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	list_init(&l->signals);
	l->last_post = &l->first_post;
	pthread_mutex_init(&l->post_mutex, NULL);

	struct event_config *config = event_config_new();
	if (config) {
		/* Timers count from now, not from when the last wait ended: a callback may take long. */
		event_config_set_flag(
			config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_NO_CACHE_TIME | EVENT_BASE_FLAG_PRECISE_TIMER);
		l->base = event_base_new_with_config(config);
		event_config_free(config);
	}
	l->post_fd = l->post_write_fd = -1;
	if (l->base && platform_wake_create(&l->post_fd, &l->post_write_fd) == 0)
		l->post_event = event_new(l->base, l->post_fd, EV_READ | EV_PERSIST, post_dispatch, l);
	if (!l->post_event || event_add(l->post_event, NULL) < 0) {
		loop_destroy(l);
		return NULL;
	}
	return l;
}

void loop_destroy(struct loop *l)
{
	if (!l)
		return;
	list_for_each_safe(s, &l->signals, struct loop_signal, link) {
		event_free(s->event);
		free(s);
	}
	while (l->first_post) {
		struct post *next = l->first_post->next;
		free(l->first_post);
		l->first_post = next;
	}
	if (l->post_event)
		event_free(l->post_event);
	if (l->post_fd >= 0)
		close(l->post_fd);
	if (l->post_write_fd >= 0 && l->post_write_fd != l->post_fd)
		close(l->post_write_fd);
	if (l->base)
		event_base_free(l->base);
	pthread_mutex_destroy(&l->post_mutex);
	free(l);
}

int loop_run(struct loop *l)
{
	int r = 0;
	while (!l->stopped && r == 0) {
		if (event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
			r = -EIO;
	}
	l->stopped = false;
	return r;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
	event_base_loopbreak(l->base);
}

static void io_dispatch(evutil_socket_t fd, short events, void *ctx)
{
	struct loop_io *io = ctx;
	(void)fd;
	/* Last touch of io: the callback may destroy it. */
	io->ready(io->ctx, (events & EV_READ ? LOOP_READ : 0) | (events & EV_WRITE ? LOOP_WRITE : 0));
}

static short io_flags(unsigned events)
{
	return (short)(EV_PERSIST | (events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0));
}

struct loop_io *loop_io_create(struct loop *l, int fd, unsigned events, void (*ready)(void *ctx, unsigned events), void *ctx)
{
	struct loop_io *io = calloc(1, sizeof(*io));
	if (!io)
		return NULL;
	*io = (struct loop_io){ .loop = l, .fd = fd, .ready = ready, .ctx = ctx };
	io->event = event_new(l->base, fd, io_flags(events), io_dispatch, io);
	if (!io->event || (events && event_add(io->event, NULL) < 0)) {
		loop_io_destroy(io);
		return NULL;
	}
	return io;
}

void loop_io_set(struct loop_io *io, unsigned events)
{
	event_del(io->event);
	event_assign(io->event, io->loop->base, io->fd, io_flags(events), io_dispatch, io);
	if (events)
		event_add(io->event, NULL);
}

void loop_io_destroy(struct loop_io *io)
{
	if (!io)
		return;
	if (io->event)
		event_free(io->event);
	free(io);
}

static void timer_arm(struct loop_timer *t, uint64_t delay_ns)
{
	uint64_t delay_us = (delay_ns + 999) / 1000;
	event_add(t->event,
		&(struct timeval){ .tv_sec = (time_t)(delay_us / 1000000), .tv_usec = (suseconds_t)(delay_us % 1000000) });
}

static void timer_dispatch(evutil_socket_t fd, short events, void *ctx)
{
	struct loop_timer *t = ctx;
	(void)fd;
	(void)events;
	if (t->period_ns) {
		uint64_t now = time_monotonic_ns();
		t->next_ns += t->period_ns;
		if (t->next_ns < now)
			t->next_ns = now; /* late by a period or more: what was missed is not made up for */
		timer_arm(t, t->next_ns - now);
	}
	/* Last touch of t: the callback may stop or destroy it. */
	t->fired(t->ctx);
}

struct loop_timer *loop_timer_create(struct loop *l, void (*fired)(void *ctx), void *ctx)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	*t = (struct loop_timer){ .fired = fired, .ctx = ctx };
	t->event = event_new(l->base, -1, 0, timer_dispatch, t);
	if (!t->event) {
		free(t);
		return NULL;
	}
	return t;
}

void loop_timer_start(struct loop_timer *t, uint64_t delay_ms, uint64_t period_ms)
{
	t->period_ns = period_ms * 1000000;
	t->next_ns = time_monotonic_ns() + delay_ms * 1000000;
	timer_arm(t, delay_ms * 1000000);
}

void loop_timer_stop(struct loop_timer *t)
{
	t->period_ns = 0;
	event_del(t->event);
}

void loop_timer_destroy(struct loop_timer *t)
{
	if (!t)
		return;
	event_free(t->event);
	free(t);
}

int loop_post(struct loop *l, void (*call)(void *ctx), void *ctx)
{
	struct post *p = malloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct post){ .call = call, .ctx = ctx };
	pthread_mutex_lock(&l->post_mutex);
	*l->last_post = p;
	l->last_post = &p->next;
	/* Under the mutex, so that the loop can't be gone yet when its thread has already run this call. */
	ssize_t size = write(l->post_write_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	pthread_mutex_unlock(&l->post_mutex);
	(void)size; /* fails only when the counter is full, and then the loop is awake */
	return 0;
}

static void signal_dispatch(evutil_socket_t signal_number, short events, void *ctx)
{
	struct loop_signal *s = ctx;
	(void)events;
	s->fired(s->ctx, (int)signal_number);
}

int loop_signal(struct loop *l, int signal_number, void (*fired)(void *ctx, int signal_number), void *ctx)
{
	struct loop_signal *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct loop_signal){ .fired = fired, .ctx = ctx };
	s->event = evsignal_new(l->base, signal_number, signal_dispatch, s);
	if (!s->event || event_add(s->event, NULL) < 0) {
		if (s->event)
			event_free(s->event);
		free(s);
		return -ENOMEM;
	}
	list_append(&l->signals, &s->link);
	return 0;
}
