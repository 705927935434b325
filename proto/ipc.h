/* How the pieces on one host meet: ICD ↔ session and session ↔ local executor. Contract: proto/README.md §1.1.
 * Unix SEQPACKET sockets carry these fixed messages once, with descriptors (SCM_RIGHTS); after that the rings speak and the
 * socket only tells, by its end, that the other side is gone. */
#ifndef TBMESH_PROTO_IPC_H
#define TBMESH_PROTO_IPC_H

#include <stdint.h>

#define IPC_VERSION 4u
#define IPC_ENV_SESSION "TBMESH_SESSION" /* path of the session's socket, in the program's environment */

#define RING_LOG_BYTES (128ull << 20)
#define RING_DELIVERY_BYTES (64ull << 20)
#define RING_FEED_BYTES (16ull << 20)
#define RING_RESULT_BYTES (64ull << 20)

enum ipc_kind {
	IPC_QUERY = 1, /* ICD → session server: which GPU is offered? */
	IPC_OFFER = 2, /* answer: error, text; descriptor 0: memfd, sealed, a GPU description (gpu/description.h) */
	IPC_OPEN = 3,  /* ICD → session: vkCreateDevice; descriptor 0: the log ring (made by the ICD) */
	IPC_OPENED =
		4, /* answer once an executor is READY: error, text; descriptors: the delivery ring, the progress page (both read-only) */
	IPC_ATTACH = 5, /* session → local executor: descriptors: log (read-only), feed (read-only), result, progress page */
};

#define IPC_RELAXED 1u /* the workload runs in relaxed mode */
struct ipc_message {
	uint32_t version;
	uint32_t kind;  /* enum ipc_kind */
	int32_t error;  /* 0 or negative errno */
	uint32_t flags; /* IPC_OPENED: IPC_RELAXED or 0 */
	uint64_t epoch; /* IPC_ATTACH */
	uint64_t workload;
	char text[232]; /* NUL-terminated message to a person */
};

#endif
