#include "node/executor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "node/process.h"
#include "node/vitals.h"

#define READY_TEXT_MAX 512
#define LOG_MAX_BYTES (1 << 20)
/* A stopped executor is lost to its session after a second or two, and cannot see that its session is over. */
#define STOPPED_NS 10000000000ull

enum executor_state { STARTING, SERVING };

struct executor {
	struct list link;
	struct executors *owner;
	uint64_t ticket;
	enum executor_state state;
	struct process process;
	struct loop_io *exit_io;
	char gpu[96], workload[96], peer[64];
	uid_t uid;
	uint64_t stopped_ns;                                         /* since when it is seen stopped, 0 not */
	char socket[NODE_PATH_MAX + 64], record[NODE_PATH_MAX + 64]; /* "" none */
	struct vitals_reader vitals;
	struct vitals_latency recent; /* since it was taken last */
	/* while STARTING */
	int ready_fd;
	struct loop_io *ready_io;
	struct loop_timer *ready_timer;
	char text[READY_TEXT_MAX];
	size_t text_size;
	executor_ready_fn *ready;
	void *ctx;
};

struct executors {
	struct loop *loop;
	const struct node_paths *paths;
	uint32_t limit;
	void (*changed)(void *ctx);
	void *ctx;
	struct list list;
	uint64_t next_ticket;
	int log_fd;
};

static void stop_waiting(struct executor *e)
{
	loop_io_destroy(e->ready_io);
	loop_timer_destroy(e->ready_timer);
	e->ready_io = NULL;
	e->ready_timer = NULL;
	close_fd(&e->ready_fd);
	e->ready_fd = -1;
}

static void executor_free(struct executor *e)
{
	stop_waiting(e);
	loop_io_destroy(e->exit_io);
	process_release(&e->process);
	vitals_reader_finish(&e->vitals);
	list_remove(&e->link);
	free(e);
}

static void vitals_path(const struct executor *e, char *out, size_t size)
{
	snprintf(out, size, "%s/%" PRIu64 ".vitals", e->owner->paths->exec, e->ticket);
}

/* Tells the one who waits, once. */
static void answer(struct executor *e, int error, const char *text, uint16_t port)
{
	executor_ready_fn *ready = e->ready;
	struct executor_ready r = { .error = error, .text = text, .socket = e->socket, .port = port, .pid = e->process.pid };
	e->ready = NULL;
	stop_waiting(e);
	if (ready)
		ready(e->ctx, &r);
}

static void unlink_vitals(const struct executor *e)
{
	char path[NODE_PATH_MAX + 64];
	vitals_path(e, path, sizeof path);
	unlink(path);
}

static void forget(struct executor *e)
{
	struct executors *x = e->owner;
	unlink_vitals(e);
	if (e->record[0])
		unlink(e->record);
	if (e->socket[0])
		unlink(e->socket);
	executor_free(e);
	x->changed(x->ctx);
}

static void ready_late(void *ctx)
{
	struct executor *e = ctx;
	process_kill(&e->process);
	answer(e, -ETIMEDOUT, "the executor did not get ready in time", 0);
}

/* "ready\n", "port P\n", or a text that says why not. */
static void ready_readable(void *ctx, unsigned events)
{
	struct executor *e = ctx;
	(void)events;
	ssize_t n = read(e->ready_fd, e->text + e->text_size, sizeof e->text - 1 - e->text_size);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		e->text_size += (size_t)n;
	e->text[e->text_size] = '\0';
	char *end = strchr(e->text, '\n');
	if (!end && n > 0 && e->text_size < sizeof e->text - 1)
		return;
	if (end)
		*end = '\0';
	unsigned port = 0;
	if (end && !e->peer[0] && strcmp(e->text, "ready") == 0) {
		e->state = SERVING;
		/* Whoever claims another's uid gives the executor to that one. Fails without privilege, where all is one user's. */
		if (e->uid != geteuid() && chown(e->socket, e->uid, (gid_t)-1) < 0)
			log_debug("%s stays this user's: %s", e->socket, strerror(errno));
		answer(e, 0, NULL, 0);
	} else if (end && e->peer[0] && sscanf(e->text, "port %u", &port) == 1 && port > 0 && port <= 65535) {
		e->state = SERVING;
		answer(e, 0, NULL, (uint16_t)port);
	} else if (end || n > 0) {
		process_kill(&e->process);
		answer(e, -EIO, e->text, 0);
	} else {
		loop_io_destroy(e->ready_io); /* closed without a word: its end tells more */
		e->ready_io = NULL;
	}
}

static void ended(void *ctx, unsigned events)
{
	struct executor *e = ctx;
	(void)events;
	int status = process_reap(&e->process);
	log_debug("executor %" PRIu64 " on %s ended, status %#x", e->ticket, e->gpu, (unsigned)status);
	if (e->ready_io)
		ready_readable(e, LOOP_READ); /* its last words may still lie in the pipe */
	if (e->ready) {
		char text[READY_TEXT_MAX + 64];
		if (e->text_size > 0)
			snprintf(text, sizeof text, "%s", e->text);
		else
			snprintf(text, sizeof text, "the executor on %s ended before it was ready (status %#x)", e->gpu,
				(unsigned)status);
		answer(e, -EIO, text, 0);
	}
	forget(e);
}

static struct executor *executor_new(struct executors *x)
{
	struct executor *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->owner = x;
	e->ticket = x->next_ticket++;
	e->process.fd = e->ready_fd = e->vitals.fd = -1;
	list_append(&x->list, &e->link);
	return e;
}

static int watch(struct executor *e)
{
	e->exit_io = loop_io_create(e->owner->loop, e->process.fd, LOOP_READ, ended, e);
	return e->exit_io ? 0 : -ENOMEM;
}

/* ---- records, for the next incarnation of this node ---- */

static void write_record(struct executor *e)
{
	char text[512];
	int length = snprintf(text, sizeof text, "%d %" PRIu64 "\n%s\n%s\n%s\n%s\n", (int)e->process.pid,
		process_start_time(e->process.pid), e->gpu, e->workload, e->peer,
		strrchr(e->socket, '/') ? strrchr(e->socket, '/') + 1 : "");
	snprintf(e->record, sizeof e->record, "%s/%" PRIu64 ".pid", e->owner->paths->exec, e->ticket);
	if (length >= (int)sizeof text || file_write_atomic(e->record, text, (size_t)length, 0600) < 0)
		e->record[0] = '\0';
}

static char *next_line(char **text)
{
	char *line = *text, *end = line ? strchr(line, '\n') : NULL;
	if (!end)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return line;
}

static int adopt(struct executors *x, const char *name)
{
	char path[NODE_PATH_MAX + 300], *end;
	__attribute__((cleanup(free_pointer))) char *text = NULL;
	size_t size;
	snprintf(path, sizeof path, "%s/%s", x->paths->exec, name);
	uint64_t ticket = strtoull(name, &end, 10);
	if (ticket == 0 || strcmp(end, ".pid") != 0)
		return -EINVAL;
	if (ticket >= x->next_ticket)
		x->next_ticket = ticket + 1;
	int pid, r = file_read(path, 2048, &text, &size);
	uint64_t start;
	char *rest = text, *head = r < 0 ? NULL : next_line(&rest), *gpu = next_line(&rest), *workload = next_line(&rest),
	     *peer = next_line(&rest), *socket = next_line(&rest);
	struct process process;
	if (r == 0 && (!socket || sscanf(head, "%d %" SCNu64, &pid, &start) != 2))
		r = -EBADMSG;
	if (r == 0)
		r = process_adopt(pid, start, &process);
	if (r < 0) {
		unlink(path);
		snprintf(path, sizeof path, "%s/%" PRIu64 ".vitals", x->paths->exec, ticket);
		unlink(path);
		return r;
	}
	struct executor *e = executor_new(x);
	if (!e) {
		process_release(&process);
		return -ENOMEM;
	}
	e->ticket = ticket;
	e->state = SERVING;
	e->process = process;
	snprintf(e->gpu, sizeof e->gpu, "%s", gpu);
	snprintf(e->workload, sizeof e->workload, "%s", workload);
	snprintf(e->peer, sizeof e->peer, "%s", peer);
	snprintf(e->record, sizeof e->record, "%s/%" PRIu64 ".pid", x->paths->exec, ticket);
	if (socket[0] && !strchr(socket, '/'))
		snprintf(e->socket, sizeof e->socket, "%s/%.60s", x->paths->exec, socket);
	vitals_path(e, path, sizeof path);
	vitals_reader_init(&e->vitals, open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
	/* What it had counted before was another node's to see. */
	(void)vitals_reader_look(&e->vitals, &e->recent);
	e->recent = (struct vitals_latency){ 0 };
	r = watch(e);
	if (r < 0)
		executor_free(e);
	else
		log_info("executor %d on %s goes on (workload %s)", pid, gpu, workload);
	return r;
}

static void adopt_all(struct executors *x)
{
	DIR *d = opendir(x->paths->exec);
	if (!d)
		return;
	for (struct dirent *entry; (entry = readdir(d)) != NULL;)
		(void)adopt(x, entry->d_name);
	closedir(d);
}

/* ---- from outside ---- */

struct executors *executors_create(
	struct loop *l, const struct node_paths *paths, uint32_t limit, void (*changed)(void *ctx), void *ctx)
{
	struct executors *x = calloc(1, sizeof *x);
	if (!x)
		return NULL;
	*x = (struct executors){
		.loop = l, .paths = paths, .limit = limit, .changed = changed, .ctx = ctx, .next_ticket = 1
	};
	list_init(&x->list);
	/* Not this process's stderr: that may be a pipe that dies with us, and executors outlive us. */
	char log_path[NODE_PATH_MAX + 32];
	snprintf(log_path, sizeof log_path, "%s/log", paths->exec);
	x->log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (x->log_fd >= 0 && lseek(x->log_fd, 0, SEEK_END) > LOG_MAX_BYTES && ftruncate(x->log_fd, 0) < 0)
		log_debug("cannot empty %s: %s", log_path, strerror(errno));
	adopt_all(x);
	return x;
}

void executors_destroy(struct executors *x)
{
	if (!x)
		return;
	list_for_each_safe(e, &x->list, struct executor, link) {
		if (e->state == STARTING)
			process_kill(&e->process);
		executor_free(e);
	}
	close_fd(&x->log_fd);
	free(x);
}

/* Without it nothing is known of the GPU's pace; no reason not to start. The name outlives this node, for the next. */
static int open_vitals(struct executor *e)
{
	char path[NODE_PATH_MAX + 64];
	vitals_path(e, path, sizeof path);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		log_debug("cannot make %s: %s", path, strerror(errno));
	return fd;
}

static int spawn(struct executor *e, const char *drivers, int secret_fd, int ready_fd)
{
	const struct node_paths *p = e->owner->paths;
	char path[NODE_PATH_MAX + 32], cache[NODE_PATH_MAX + 32];
	snprintf(path, sizeof path, "%s/tbmesh-exec", p->bin);
	snprintf(cache, sizeof cache, "%s/cache", p->var);
	int fds[3] = { ready_fd, secret_fd };
	bool local = secret_fd < 0;
	size_t fd_count = local ? 1 : 2, count;
	char vitals[8];
	const char *argv[20] = { path, "--gpu", e->gpu, "--ready-fd", "3", "--cache", cache };
	count = 7;
	if (local) {
		argv[count++] = "--socket";
		argv[count++] = e->socket;
	} else {
		argv[count++] = "--listen";
		argv[count++] = "--secret-fd";
		argv[count++] = "4";
	}
	if (e->vitals.fd >= 0) {
		snprintf(vitals, sizeof vitals, "%zu", 3 + fd_count);
		fds[fd_count++] = e->vitals.fd;
		argv[count++] = "--vitals-fd";
		argv[count++] = vitals;
	}
	if (drivers) {
		argv[count++] = "--drivers";
		argv[count++] = drivers;
	}
	struct process_options o = { .path = path,
		.argv = argv,
		.fds = fds,
		.fd_count = fd_count,
		.output = -1,
		.errors = e->owner->log_fd,
		.new_session = true };
	/* A CPU driver takes the GPU's memory from malloc; large pages halve what filling it costs. */
	setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 0);
	return process_spawn(&o, &e->process);
}

static int secret_pipe(const unsigned char *secret, int *ret_fd)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	ssize_t n = write(fds[1], secret, EXECUTOR_SECRET_BYTES);
	close(fds[1]);
	if (n != EXECUTOR_SECRET_BYTES) {
		close(fds[0]);
		return -EIO;
	}
	*ret_fd = fds[0];
	return 0;
}

static bool over_limit(const struct executors *x, const struct executor_request *r)
{
	uint32_t of_peer = 0;
	list_for_each(e, &x->list, struct executor, link)
		of_peer += r->peer[0] && strcmp(e->peer, r->peer) == 0;
	return executors_load(x, r->gpu) >= x->limit || of_peer >= x->limit;
}

int executors_start(struct executors *x, const struct executor_request *request, executor_ready_fn *ready, void *ctx,
	uint64_t *ret_ticket)
{
	if (over_limit(x, request))
		return -EDQUOT;
	struct executor *e = executor_new(x);
	if (!e)
		return -ENOMEM;
	snprintf(e->gpu, sizeof e->gpu, "%s", request->gpu);
	snprintf(e->workload, sizeof e->workload, "%s", request->workload);
	snprintf(e->peer, sizeof e->peer, "%s", request->peer);
	e->uid = request->uid;
	if (!request->secret)
		snprintf(e->socket, sizeof e->socket, "%s/%" PRIu64 ".sock", x->paths->exec, e->ticket);
	__attribute__((cleanup(close_fd))) int secret_fd = -1, ready_fd = -1;
	int fds[2], r = request->secret ? secret_pipe(request->secret, &secret_fd) : 0;
	if (r == 0 && pipe2(fds, O_CLOEXEC) < 0)
		r = -errno;
	if (r < 0)
		goto fail;
	e->ready_fd = fds[0];
	ready_fd = fds[1];
	vitals_reader_init(&e->vitals, open_vitals(e));
	r = fcntl(e->ready_fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : spawn(e, request->drivers, secret_fd, ready_fd);
	if (r < 0)
		goto fail;
	e->ready_io = loop_io_create(x->loop, e->ready_fd, LOOP_READ, ready_readable, e);
	e->ready_timer = loop_timer_create(x->loop, ready_late, e);
	r = e->ready_io && e->ready_timer ? watch(e) : -ENOMEM;
	if (r < 0) {
		process_kill(&e->process);
		(void)process_reap(&e->process);
		goto fail;
	}
	loop_timer_start(e->ready_timer, EXECUTOR_READY_MS, 0);
	e->ready = ready;
	e->ctx = ctx;
	write_record(e);
	*ret_ticket = e->ticket;
	log_debug("executor %" PRIu64 " (pid %d) starts on %s for %s", e->ticket, (int)e->process.pid, e->gpu, e->workload);
	x->changed(x->ctx);
	return 0;
fail:
	unlink_vitals(e);
	executor_free(e);
	return r;
}

void executors_cancel(struct executors *x, uint64_t ticket)
{
	list_for_each(e, &x->list, struct executor, link)
		if (e->ticket == ticket && e->ready) {
			e->ready = NULL;
			stop_waiting(e);
			process_kill(&e->process);
			return;
		}
}

void executors_kill_gpu(struct executors *x, const char *gpu)
{
	list_for_each(e, &x->list, struct executor, link)
		if (strcmp(e->gpu, gpu) == 0)
			process_kill(&e->process);
	/* Answers may start other executors: the list is walked anew after each. */
	for (bool again = true; again;) {
		again = false;
		list_for_each(e, &x->list, struct executor, link)
			if (strcmp(e->gpu, gpu) == 0 && e->ready) {
				answer(e, -ENODEV, "the GPU is gone", 0);
				again = true;
				break;
			}
	}
}

void executors_kill_workload(struct executors *x, const char *workload)
{
	list_for_each(e, &x->list, struct executor, link)
		if (!e->peer[0] && strcmp(e->workload, workload) == 0) {
			log_warn(
				"executor %d on %s outlived its workload %s: killed", (int)e->process.pid, e->gpu, workload);
			process_kill(&e->process);
		}
}

void executors_tick(struct executors *x)
{
	uint64_t now_ns = time_monotonic_ns();
	list_for_each(e, &x->list, struct executor, link) {
		(void)vitals_reader_look(&e->vitals, &e->recent);
		if (!process_stopped(e->process.pid)) {
			e->stopped_ns = 0;
		} else if (!e->stopped_ns) {
			e->stopped_ns = now_ns;
		} else if (now_ns - e->stopped_ns > STOPPED_NS) {
			log_warn("executor %d on %s (workload %s) was stopped for %llu s: killed", (int)e->process.pid,
				e->gpu, e->workload, (unsigned long long)(STOPPED_NS / 1000000000u));
			process_kill(&e->process);
		}
	}
}

uint32_t executors_load(const struct executors *x, const char *gpu)
{
	uint32_t load = 0;
	list_for_each(e, &x->list, struct executor, link)
		load += strcmp(e->gpu, gpu) == 0;
	return load;
}

void executors_pace(struct executors *x, const char *gpu, struct executors_pace *sum)
{
	list_for_each(e, &x->list, struct executor, link) {
		if (strcmp(e->gpu, gpu) != 0)
			continue;
		sum->recent.completed += e->recent.completed;
		for (unsigned i = 0; i < VITALS_BUCKETS; i++)
			sum->recent.latency[i] += e->recent.latency[i];
		e->recent = (struct vitals_latency){ 0 };
		sum->waiting += vitals_waiting(&e->vitals);
		sum->programs = sum->programs * 0x100000001b3ull + e->ticket;
	}
}

bool executors_memory(const struct executors *x, const char *gpu, uint64_t *ret_free_bytes, uint64_t *ret_at_ns)
{
	uint64_t at_ns = 0;
	list_for_each(e, &x->list, struct executor, link) {
		const struct vitals_page *v = &e->vitals.last;
		if (strcmp(e->gpu, gpu) != 0 || v->memory_free_bytes == 0 || v->memory_at_ns <= at_ns)
			continue;
		at_ns = *ret_at_ns = v->memory_at_ns;
		*ret_free_bytes = v->memory_free_bytes;
	}
	return at_ns > 0;
}

bool executors_of_peer(const struct executors *x, const char *gpu, const char *peer)
{
	list_for_each(e, &x->list, struct executor, link)
		if (strcmp(e->gpu, gpu) == 0 && strcmp(e->peer, peer) == 0)
			return true;
	return false;
}

size_t executors_count(const struct executors *x)
{
	size_t count = 0;
	list_for_each(e, &x->list, struct executor, link)
		count++;
	return count;
}
