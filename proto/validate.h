/* The wire edge of the control plane: bytes in, checked protobuf messages out. Contract: proto/README.md §3, caps: limits.h.
 * What these functions return is bounded in memory, its strings are UTF-8 without control characters, its doubles are finite, numbers
 * and words that stand for enums are known ("" too), a request has its body, a peer's message its sender. Strings and bytes are
 * never NULL, sub-messages may be. Thread-safe. What was refused is logged at debug. */
#ifndef TBMESH_PROTO_VALIDATE_H
#define TBMESH_PROTO_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct Tbmesh__Request;
struct Tbmesh__Reply;
struct Tbmesh__PeerMessage;

/* 0, -EMSGSIZE (more than MESSAGE_MAX_BYTES), -EBADMSG (not such a message, or it breaks a cap; also if unpacking it takes more
 * than MESSAGE_MEMORY_BYTES). The caller frees *ret. */
int message_unpack_request(const void *data, size_t size, struct Tbmesh__Request **ret);
int message_unpack_reply(const void *data, size_t size, struct Tbmesh__Reply **ret);
int message_unpack_peer(const void *data, size_t size, struct Tbmesh__PeerMessage **ret);
void message_free_request(struct Tbmesh__Request *m); /* NULL is fine */
void message_free_reply(struct Tbmesh__Reply *m);
void message_free_peer(struct Tbmesh__PeerMessage *m);

/* Appends the packed message (any generated struct: pass &m->base) to out. 0, -EMSGSIZE if it is larger than a receiver takes,
 * -EBADMSG if a receiver would refuse it (a bug or a hostile string of this host, e.g. a device name), -ENOMEM. */
struct ProtobufCMessage;
int message_pack(const struct ProtobufCMessage *m, struct buf *out);

/* UTF-8 without control characters, at most max bytes. Caps: limits.h. */
bool message_text_good(const char *text, size_t max);
/* Makes it so in place, for texts of this host (device names, drivers' words): wrong bytes become '?', the rest is cut. */
void message_text_clean(char *text, size_t max);

#endif
