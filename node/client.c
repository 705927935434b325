#include "node/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/util.h"
#include "base/zsock.h"
#include "node/paths.h"
#include "proto/limits.h"
#include "proto/messages.h"
#include "proto/validate.h"

struct client {
	struct loop *loop;
	struct loop_timer *timer;
	struct zctx *zmq;
	struct zsock *socket;
	uint64_t id; /* of the request that waits */
	Tbmesh__Reply *reply;
};

static void received(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	struct client *c = ctx;
	Tbmesh__Reply *reply;
	(void)peer;
	if (count != 1 || message_unpack_reply(parts[0].data, parts[0].size, &reply) < 0)
		return;
	if (reply->id != c->id || c->reply) { /* late, or a notice */
		message_free_reply(reply);
		return;
	}
	c->reply = reply;
	loop_stop(c->loop);
}

static void late(void *ctx)
{
	struct client *c = ctx;
	loop_stop(c->loop);
}

void client_close(struct client *client)
{
	if (!client)
		return;
	zsock_destroy(client->socket);
	loop_timer_destroy(client->timer);
	if (client->zmq)
		zctx_destroy(client->zmq);
	if (client->loop)
		loop_destroy(client->loop);
	free(client);
}

/* ZeroMQ connects in the background and says nothing: see first whether somebody listens. */
static int knock(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	__attribute__((cleanup(close_fd))) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	return connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
}

int client_open(const struct node_paths *paths, struct client **ret)
{
	int r = knock(paths->control);
	if (r < 0)
		return r;
	struct client *client = calloc(1, sizeof *client);
	if (!client)
		return -ENOMEM;
	struct zsock_options o = { .max_message_bytes = MESSAGE_MAX_BYTES };
	client->loop = loop_create();
	client->zmq = zctx_create();
	client->timer = client->loop ? loop_timer_create(client->loop, late, client) : NULL;
	client->socket = client->timer && client->zmq
		? zsock_create(client->zmq, client->loop, ZSOCK_DEALER, &o, received, client)
		: NULL;
	r = client->socket ? zsock_connect(client->socket, paths->control_endpoint) : -ENOMEM;
	if (r < 0) {
		client_close(client);
		return r;
	}
	*ret = client;
	return 0;
}

int client_request(struct client *client, Tbmesh__Request *request, uint64_t timeout_ms, Tbmesh__Reply **ret)
{
	struct buf packed = { 0 };
	*ret = NULL;
	request->id = ++client->id;
	int r = message_pack(&request->base, &packed);
	if (r == 0) {
		const struct zpart part = { packed.data, packed.size };
		r = zsock_send(client->socket, &part, 1);
	}
	buf_finish(&packed);
	if (r < 0)
		return r;
	client->reply = NULL;
	loop_timer_start(client->timer, timeout_ms, 0);
	r = loop_run(client->loop);
	loop_timer_stop(client->timer);
	if (r < 0)
		return r;
	*ret = client->reply;
	client->reply = NULL;
	return *ret ? 0 : -ETIMEDOUT;
}

void client_interrupt(struct client *client)
{
	loop_post(client->loop, late, client);
}
