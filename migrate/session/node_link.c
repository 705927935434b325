#include "migrate/session/node_link.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/zsock.h"
#include "proto/limits.h"
#include "proto/messages.h"
#include "proto/validate.h"

struct node_link {
	struct zctx *zctx;
	struct zsock *socket;
	node_reply_fn *reply;
	void *ctx;
	uint64_t last_id;
};

static void received(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	struct node_link *n = ctx;
	Tbmesh__Reply *reply;
	int error;

	(void)peer;
	if (count != 1)
		return;
	error = message_unpack_reply(parts[0].data, parts[0].size, &reply);
	if (error < 0) {
		log_warn("the node sent a reply that is none: %s", strerror(-error));
		return;
	}
	n->reply(n->ctx, reply);
	message_free_reply(reply);
}

struct node_link *node_link_create(struct loop *l, const char *endpoint, node_reply_fn *reply, void *ctx)
{
	struct zsock_options options = { .max_message_bytes = MESSAGE_MAX_BYTES };
	struct node_link *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->reply = reply;
	n->ctx = ctx;
	n->zctx = zctx_create();
	if (n->zctx)
		n->socket = zsock_create(n->zctx, l, ZSOCK_DEALER, &options, received, n);
	if (n->socket && zsock_connect(n->socket, endpoint) == 0)
		return n;
	node_link_destroy(n);
	return NULL;
}

void node_link_destroy(struct node_link *n)
{
	if (!n)
		return;
	if (n->socket)
		zsock_destroy(n->socket);
	if (n->zctx)
		zctx_destroy(n->zctx);
	free(n);
}

uint64_t node_link_ask(struct node_link *n, Tbmesh__Request *request)
{
	struct buf packed = { 0 };
	struct zpart part;
	int error;

	request->id = n->last_id + 1;
	error = message_pack(&request->base, &packed);
	part = (struct zpart){ packed.data, packed.size };
	if (error == 0)
		error = zsock_send(n->socket, &part, 1);
	buf_finish(&packed);
	if (error < 0) {
		log_debug("a message to the node was not sent: %s", strerror(-error));
		return 0;
	}
	return ++n->last_id;
}
