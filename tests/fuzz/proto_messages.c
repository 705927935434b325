/* Control messages of strangers: what is admitted must be packable again. The first byte says which message it is. */
#include <stdlib.h>

#include "proto/messages.h"
#include "proto/validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pack_again(const struct ProtobufCMessage *m)
{
	struct buf out = { 0 };
	int r = message_pack(m, &out);
	/* Unknown fields and other encodings of the same numbers may make it larger; refused it can't be. */
	if (r < 0 && out.size == 0 && protobuf_c_message_get_packed_size(m) <= 1u << 20)
		abort();
	buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct Tbmesh__Request *request;
	struct Tbmesh__Reply *reply;
	struct Tbmesh__PeerMessage *peer;
	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		if (message_unpack_request(data + 1, size - 1, &request) == 0) {
			pack_again(&request->base);
			message_free_request(request);
		}
		break;
	case 1:
		if (message_unpack_reply(data + 1, size - 1, &reply) == 0) {
			pack_again(&reply->base);
			message_free_reply(reply);
		}
		break;
	case 2:
		if (message_unpack_peer(data + 1, size - 1, &peer) == 0) {
			pack_again(&peer->base);
			message_free_peer(peer);
		}
		break;
	}
	return 0;
}
