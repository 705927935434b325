/* Caps on what a protobuf message may hold. Contract: proto/README.md §3. */
#ifndef TBMESH_PROTO_LIMITS_H
#define TBMESH_PROTO_LIMITS_H

#define MESSAGE_MAX_BYTES (1u << 20)      /* one ZeroMQ frame */
#define MESSAGE_MAX_PUBLISHED (64u << 10) /* what a node publishes: one event */
#define MESSAGE_MEMORY_BYTES (8u << 20)   /* all that unpacking one message may allocate */

#define MESSAGE_MAX_NAME 256u   /* bytes of any string but the texts */
#define MESSAGE_MAX_TEXT 4096u  /* bytes of strings that are sentences (validate.c names them) */
#define MESSAGE_MAX_ITEMS 1024u /* elements of any repeated field but the next ones */
#define MESSAGE_MAX_EVENTS 4096u
#define MESSAGE_MAX_NEEDS 4096u
#define MESSAGE_MAX_NODES 2048u       /* of a topology */
#define MESSAGE_MAX_PATHS 16u         /* of a bandwidth probe */
#define MESSAGE_MAX_BLOB (512u << 10) /* bytes of a GPU description (gpu/description.h) */
#define MESSAGE_MAX_BYTES_FIELD 64u   /* bytes of any other bytes field: uuids */

#define MESSAGE_SECRET_BYTES 32u /* secrets and tokens are so long, or not there */

#endif
