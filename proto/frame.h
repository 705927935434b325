/* Frames of the channel between a session and an executor. Contract: proto/README.md §2. */
#ifndef TBMESH_PROTO_FRAME_H
#define TBMESH_PROTO_FRAME_H

#include <stdint.h>

#define FRAME_MAX_PAYLOAD (1u << 20)
#define FRAME_HEARTBEAT_MS 250

enum frame_kind {
	/* session → executor */
	FRAME_HELLO = 1, /* payload struct frame_hello */
	FRAME_RECORDS =
		2, /* payload: whole records (proto/record.h), never split; a larger record is a FRAME_RECORD_PART series */
	FRAME_MEMORY = 3, /* a = memory id, b = offset; payload: checkpoint bytes, whole words; unsent bytes are zero */
	FRAME_START = 4,  /* a = log position, b = seq of the checkpoint */
	FRAME_LOG = 5,    /* a = log position of the first byte; payload: log bytes (records may be split); remote only */
	FRAME_BYE = 6,
	FRAME_RECORD_PART = 7, /* a = size of the whole record, b = offset of this part */
	FRAME_KNOWN =
		8, /* a = memory id, b = offset; payload: 64-bit hashes of the checkpoint's blocks from there, 0 not known */
	FRAME_LEAVE = 9, /* a = nonce: take no more records, return all that may have been written; while it runs the log */
	/* executor → session */
	FRAME_READY = 16,     /* VkDevice is there; payload: GPU name */
	FRAME_STARTED = 17,   /* seed applied; a = bytes of memory received */
	FRAME_RESULT = 18,    /* a = seq, b = memory id, c = offset; payload: bytes read back (of the window that follows) */
	FRAME_WINDOW = 19,    /* a = seq, b = nonce, c = hash hi << 32 | lo; payload struct frame_window */
	FRAME_DONE = 20,      /* a = seq, b = nonce as the GPU wrote it */
	FRAME_ALLOCATED = 21, /* a = memory id, b = VkResult as uint32 */
	FRAME_LOST = 22,      /* a = VkResult as uint32; payload: text */
	FRAME_HASHES =
		24, /* a = seq, b = memory id, c = offset; payload: 64-bit hashes of blocks (of the window that follows) */
	FRAME_LEAVING =
		25, /* a = log position up to which it has taken records, b = seq of the last SUBMIT in front of it, done */
	FRAME_HEARTBEAT = 23, /* a = counter, b = seq that the GPU works on (0: idle) */
};

/* Of the VkResults in LOST two say more: the workload is to blame (no other executor would do better), and this GPU can't hold it. */
#define FRAME_LOST_WORKLOAD (-1000011001) /* VK_ERROR_VALIDATION_FAILED_EXT */
#define FRAME_LOST_UNFIT (-8)             /* VK_ERROR_FEATURE_NOT_PRESENT */

/* The seq of RESULT, HASHES, WINDOW and DONE frames behind a LEAVING. */
#define FRAME_LEAVE_SEQ UINT64_MAX

/* The 24 bytes a, b, c and the kind and size travel as one 32-byte header. */
struct frame_header {
	uint32_t size; /* payload bytes */
	uint32_t kind; /* enum frame_kind */
	uint64_t a, b, c;
};

struct frame_window {
	uint32_t index;      /* 0, 1, 2 … within the commit */
	uint32_t word_count; /* 32-bit words hashed: the RESULT bytes since the last WINDOW, in order of arrival */
};

#define FRAME_PROTOCOL_VERSION 5u
struct frame_hello {
	uint32_t version;
	uint32_t local; /* 1: descriptors came with the socket message, the log is read from its ring */
	uint64_t epoch;
	uint64_t workload; /* random id, for messages to people */
};

#endif
