/* The server of one program: tells its driver which GPU is offered, and starts a workload process for each VkDevice. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"
#include "gpu/description.h"
#include "migrate/session/node_link.h"
#include "migrate/session/options.h"
#include "proto/ipc.h"
#include "proto/messages.h"

#define ASK_MS 500 /* between two questions to a node that does not answer */
#define OFFER_TIMEOUT_MS 25000
#define MAX_CONNECTIONS 64
#define FIRST_FD 3 /* a workload's connection; its log is the next one */
#define HIGH_FD 64 /* out of the way while descriptors are put in their places */

struct server {
	const struct session_options *options;
	struct loop *loop;
	struct node_link *node;
	struct loop_timer *timer; /* until the offer is there */
	struct loop_io *listen_io, *program_io;
	int listen_fd, program_fd;
	int offer_fd;  /* sealed memfd with the description, -1 */
	char gpu[256]; /* key of the offered one */
	uint64_t deadline_ns;
	struct list connections;
	unsigned connection_count, workloads;
	bool program_gone;
	int exit_code;
};

struct connection {
	struct list link;
	struct server *server;
	struct loop_io *io;
	int fd;
	pid_t pid; /* of the program */
};

static void say(const struct server *s, const char *text)
{
	if (s->options->ready_fd < 0)
		return;
	if (write(s->options->ready_fd, text, strlen(text)) < 0)
		log_debug("nobody waits for this session to be ready");
	close(s->options->ready_fd);
}

static void end_if_done(struct server *s)
{
	if (s->program_gone && s->workloads == 0)
		loop_stop(s->loop);
}

static void fail(struct server *s, const char *text)
{
	char line[600];

	snprintf(line, sizeof(line), "%s\n", text);
	say(s, line);
	log_error("%s", text);
	s->exit_code = 1;
	loop_stop(s->loop);
}

/* --- the driver's side --- */

static void connection_destroy(struct connection *c)
{
	loop_io_destroy(c->io);
	close_fd(&c->fd);
	list_remove(&c->link);
	c->server->connection_count--;
	free(c);
}

static void answer(struct connection *c, enum ipc_kind kind, int error, const char *text, int fd)
{
	struct ipc_message message = { .version = IPC_VERSION, .kind = kind, .error = error };

	snprintf(message.text, sizeof(message.text), "%s", text);
	error = unix_send(c->fd, &message, sizeof(message), &fd, fd >= 0 ? 1 : 0);
	if (error < 0)
		log_debug("a driver did not take its answer: %s", strerror(-error));
}

/* The workload outlives this process if need be. */
static int start_workload(struct server *s, const struct connection *c, int log_fd)
{
	char path[PATH_MAX], pid_text[16], timeouts[2][16];
	const struct session_options *o = s->options;
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int error, high[2] = { fcntl(c->fd, F_DUPFD_CLOEXEC, HIGH_FD), fcntl(log_fd, F_DUPFD_CLOEXEC, HIGH_FD) };

	snprintf(path, sizeof(path), "%s/tbmesh-session", o->bin);
	snprintf(pid_text, sizeof(pid_text), "%d", c->pid);
	snprintf(timeouts[0], sizeof(timeouts[0]), "%u", o->migration_timeout_s);
	snprintf(timeouts[1], sizeof(timeouts[1]), "%u", o->submit_timeout_s);
	const char *argv[] = { path, "--workload-fd", "3", "--log-fd", "4", "--control", o->control, "--program", o->program,
		"--program-pid", pid_text, "--gpu", s->gpu, "--migration-timeout", timeouts[0], "--submit-timeout",
		timeouts[1], "--mode", o->relaxed ? "relaxed" : "strict", o->verbose ? "--verbose" : NULL, NULL };

	posix_spawn_file_actions_init(&actions);
	error = high[0] < 0 || high[1] < 0 ? EMFILE : 0;
	for (int i = 0; i < 2 && !error; i++)
		error = posix_spawn_file_actions_adddup2(&actions, high[i], FIRST_FD + i);
	if (!error)
		error = posix_spawn(&pid, path, &actions, NULL, (char **)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i < 2; i++)
		close_fd(&high[i]);
	if (!error)
		s->workloads++;
	return -error;
}

static void handle_message(struct connection *c, const struct ipc_message *message, int fd)
{
	struct server *s = c->server;
	char text[200];
	int error;

	switch (message->kind) {
	case IPC_QUERY:
		answer(c, IPC_OFFER, 0, "", s->offer_fd);
		return;
	case IPC_OPEN:
		error = fd < 0 ? -EBADMSG : start_workload(s, c, fd);
		if (error == 0) {
			connection_destroy(c); /* the workload's now */
			return;
		}
		snprintf(text, sizeof(text), "the session cannot start a workload: %s", strerror(-error));
		log_error("%s", text);
		answer(c, IPC_OPENED, error, text, -1);
		return;
	}
	log_warn("a driver sent a message of kind %u that has no place here", message->kind);
	connection_destroy(c);
}

static void connection_ready(void *ctx, unsigned events)
{
	struct connection *c = ctx;
	struct ipc_message message;
	int fd = -1;
	size_t size, fd_count;
	int error = unix_recv(c->fd, &message, sizeof(message), &size, &fd, 1, &fd_count);

	(void)events;
	if (error == 0 && (size != sizeof(message) || message.version != IPC_VERSION)) {
		log_warn("a driver of another version asks");
		error = -EPROTO;
	}
	if (error < 0)
		connection_destroy(c);
	else
		handle_message(c, &message, fd);
	close_fd(&fd);
}

static void accept_ready(void *ctx, unsigned events)
{
	struct server *s = ctx;
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct connection *c;
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c || s->connection_count >= MAX_CONNECTIONS || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
		peer.uid != geteuid()) {
		log_warn("a connection was refused");
		close(fd);
		free(c);
		return;
	}
	c->server = s;
	c->fd = fd;
	c->pid = peer.pid;
	c->io = loop_io_create(s->loop, fd, LOOP_READ, connection_ready, c);
	list_append(&s->connections, &c->link);
	s->connection_count++;
	if (!c->io)
		connection_destroy(c);
}

/* --- the node's side --- */

static void ask(void *ctx)
{
	struct server *s = ctx;
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__OfferRequest offer = TBMESH__OFFER_REQUEST__INIT;

	if (time_monotonic_ns() > s->deadline_ns) {
		fail(s, "the node does not answer");
		return;
	}
	offer.gpu = (char *)s->options->gpu;
	offer.portable = s->options->portable;
	request.body_case = TBMESH__REQUEST__BODY_OFFER;
	request.offer = &offer;
	node_link_ask(s->node, &request);
}

/* Puts one text more into the description that is in bytes. */
static int add_text(struct buf *bytes, enum description_text tag, const char *text)
{
	struct buf more = { 0 };
	int error = description_with_text(&more, bytes->data, bytes->size, tag, text);

	buf_finish(bytes);
	*bytes = more;
	return error;
}

/* The driver also learns where the GPU is: its host is the first part of its key. */
static int keep_offer(struct server *s, const Tbmesh__OfferReply *offer)
{
	char host[sizeof(s->gpu)], number[16];
	struct buf bytes = { 0 };
	int error, fd;

	snprintf(host, sizeof(host), "%.*s", (int)strcspn(offer->gpu, "/"), offer->gpu);
	snprintf(number, sizeof(number), "%u", offer->stands_for);
	error = description_with_text(&bytes, offer->description.data, offer->description.len, DESCRIPTION_TEXT_HOST, host);
	if (error == 0)
		error = add_text(&bytes, DESCRIPTION_TEXT_NODE, offer->node_id);
	if (error == 0 && offer->stands_for)
		error = add_text(&bytes, DESCRIPTION_TEXT_PORTABLE, number);
	fd = error == 0 ? memfd_create("tbmesh-gpu", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
	if (fd < 0) {
		buf_finish(&bytes);
		return error < 0 ? error : -errno;
	}
	if (write(fd, bytes.data, bytes.size) != (ssize_t)bytes.size ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		error = -EIO;
	buf_finish(&bytes);
	if (error < 0) {
		close(fd);
		return error;
	}
	s->offer_fd = fd;
	snprintf(s->gpu, sizeof(s->gpu), "%s", offer->gpu);
	return 0;
}

static void replied(void *ctx, const Tbmesh__Reply *reply)
{
	struct server *s = ctx;
	int error;

	if (s->offer_fd >= 0 || reply->id == 0)
		return;
	if (reply->code || reply->body_case != TBMESH__REPLY__BODY_OFFER) {
		fail(s, reply->message[0] ? reply->message : "the node offers no GPU");
		return;
	}
	error = keep_offer(s, reply->offer);
	if (error == 0) {
		loop_timer_stop(s->timer);
		s->listen_fd = unix_listen(s->options->socket, 0600);
		error = s->listen_fd < 0 ? s->listen_fd : 0;
	}
	if (error == 0) {
		s->listen_io = loop_io_create(s->loop, s->listen_fd, LOOP_READ, accept_ready, s);
		error = s->listen_io ? 0 : -ENOMEM;
	}
	if (error < 0) {
		char text[400];

		snprintf(text, sizeof(text), "the session's socket %s cannot be made: %s", s->options->socket,
			strerror(-error));
		fail(s, text);
		return;
	}
	say(s, "ready\n");
}

static void program_ended(void *ctx, unsigned events)
{
	struct server *s = ctx;

	(void)events;
	loop_io_destroy(s->program_io);
	s->program_io = NULL;
	s->program_gone = true;
	end_if_done(s);
}

static void child_ended(void *ctx, int signal_number)
{
	struct server *s = ctx;

	(void)signal_number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		s->workloads--;
	end_if_done(s);
}

static void told_to_end(void *ctx, int signal_number)
{
	struct server *s = ctx;

	(void)signal_number;
	loop_stop(s->loop);
}

static bool server_init(struct server *s)
{
	s->loop = loop_create();
	if (!s->loop)
		return false;
	s->node = node_link_create(s->loop, s->options->control, replied, s);
	s->timer = loop_timer_create(s->loop, ask, s);
	s->program_fd = (int)syscall(SYS_pidfd_open, s->options->program_pid, 0);
	if (s->program_fd < 0) {
		log_error("process %d is not there: %s", s->options->program_pid, strerror(errno));
		return false;
	}
	s->program_io = loop_io_create(s->loop, s->program_fd, LOOP_READ, program_ended, s);
	return s->node && s->timer && s->program_io && loop_signal(s->loop, SIGCHLD, child_ended, s) == 0 &&
		loop_signal(s->loop, SIGTERM, told_to_end, s) == 0;
}

int server_run(const struct session_options *o)
{
	struct server s = { .options = o, .listen_fd = -1, .program_fd = -1, .offer_fd = -1 };

	list_init(&s.connections);
	s.deadline_ns = time_monotonic_ns() + OFFER_TIMEOUT_MS * 1000000ull;
	if (server_init(&s)) {
		loop_timer_start(s.timer, 0, ASK_MS);
		loop_run(s.loop);
	} else {
		s.exit_code = 1;
		say(&s, "the session could not be set up\n");
	}
	list_for_each_safe(c, &s.connections, struct connection, link)
		connection_destroy(c);
	if (s.listen_io)
		unlink(o->socket);
	loop_io_destroy(s.listen_io);
	loop_io_destroy(s.program_io);
	loop_timer_destroy(s.timer);
	node_link_destroy(s.node);
	close_fd(&s.listen_fd);
	close_fd(&s.program_fd);
	close_fd(&s.offer_fd);
	loop_destroy(s.loop);
	return s.exit_code;
}
