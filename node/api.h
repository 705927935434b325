/* The control socket: ROUTER on ipc://RUN/control, mode 0660, for the configured group: whoever may open it may use it. One handler a request.
 * Beside it, for the same users, PUB on ipc://RUN/events: each event as it comes (proto/README.md §3). */
#ifndef TBMESH_NODE_API_H
#define TBMESH_NODE_API_H

#include <stddef.h>
#include <stdint.h>

#define API_ROUTE_MAX 255

struct api;
struct node;
struct node_event;
struct Tbmesh__Reply;

struct api_route { /* whom to answer */
	unsigned char bytes[API_ROUTE_MAX];
	size_t size;
};

/* 0 or -errno. */
int api_create(struct node *n, struct api **ret);
void api_destroy(struct api *c);
/* Packs and sends; a client that is gone or does not read loses its reply. */
void api_reply(struct api *c, const struct api_route *to, struct Tbmesh__Reply *reply);
void api_fail(struct api *c, const struct api_route *to, uint64_t request, uint32_t code, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void api_event_added(struct api *c, const struct node_event *e); /* published; answers those who follow */

#endif
