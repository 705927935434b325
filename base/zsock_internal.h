/* What zsock.c and zap.c share. */
#ifndef TBMESH_BASE_ZSOCK_INTERNAL_H
#define TBMESH_BASE_ZSOCK_INTERNAL_H

#include "base/zsock.h"

#define ZSOCK_ZAP_DOMAIN "tbmesh"
#define ZSOCK_ZAP_PARTS 7

struct zctx {
	void *context;
	unsigned sockets;       /* open ones */
	unsigned curve_servers; /* of these; without a ZAP handler they would admit any key */
	bool zap_running;
};

/* As zsock_create, for messages of more parts than ZSOCK_MAX_PARTS. */
struct zsock *zsock_create_parts(struct zctx *z, struct loop *l, enum zsock_type type, const struct zsock_options *o,
	size_t max_parts, zsock_fn *received, void *ctx);

#endif
