/* A stranger on a sealed stream. The first byte: even, the bytes go on the wire as they are; odd, each 32-byte header and its payload
 * are sealed with the right key, and the last frame is then cut or bent at the place that the second byte says. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migrate/stream/channel.h"
#include "proto/seal.h"

#define MAX_INPUT (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const unsigned char secret[SEAL_SECRET_BYTES];

/* Returns the bytes of the sealed frames. wire has room for 3 times the input. */
static size_t seal_all(const uint8_t *data, size_t size, uint8_t bend, unsigned char *wire)
{
	struct seal *s = seal_create(secret, "0<");
	size_t used = 0, last = 0;
	if (!s)
		abort();
	while (size >= sizeof(struct frame_header)) {
		struct frame_header header;
		memcpy(&header, data, sizeof(header));
		data += sizeof(header);
		size -= sizeof(header);
		header.size = header.size % 1000 < size ? header.size % 1000 : (uint32_t)size;
		struct iovec iov = { (void *)data, header.size };
		if (seal_frame(s, &header, &iov, 1, wire + used) < 0)
			abort();
		last = used;
		used += sizeof(header) + header.size + SEAL_TAG_BYTES;
		data += header.size;
		size -= header.size;
	}
	seal_destroy(s);
	if (bend && used > last)
		wire[last + bend % (used - last)] ^= bend;
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char wire[3 * MAX_INPUT];
	int sockets[2];
	if (size < 2 || size > MAX_INPUT)
		return 0;
	size_t used = size - 2;
	if (data[0] % 2)
		used = seal_all(data + 2, size - 2, data[1], wire);
	else
		memcpy(wire, data + 2, used);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		abort();
	struct channel *c = channel_create_sealed(sockets[0], secret, 1);
	/* What does not fit into the socket's buffer is not sent: nobody reads yet. */
	if (!c || send(sockets[1], wire, used, MSG_DONTWAIT | MSG_NOSIGNAL) < (ssize_t)(used ? -1 : 0))
		abort();
	close(sockets[1]);

	struct frame_header header;
	const void *payload;
	unsigned frames = 0;
	while (channel_recv(c, &header, &payload) == 0)
		frames++;
	if (frames && data[0] % 2 == 0)
		abort(); /* a stranger's frame was believed */
	channel_destroy(c);
	return 0;
}
