/* The wire edge of the control plane: bytes in, checked protobuf messages out. Contract: proto/README.md §3, caps: limits.h.
 * What these functions return is bounded in memory, its strings are UTF-8 without control characters, its doubles are finite, its
 * numbers that stand for enums are known, and it has a body. Thread-safe. */
#ifndef TBMESH_PROTO_VALIDATE_H
#define TBMESH_PROTO_VALIDATE_H

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

#endif
