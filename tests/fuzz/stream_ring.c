/* A hostile executor's result ring. Input: its head and tail (8 bytes each), then the bytes at its start. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migrate/stream/channel.h"
#include "migrate/stream/ring.h"

#define SIZE (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ring feed, result, evil;
	uint64_t words[2];
	int sockets[2];
	if (size < sizeof(words))
		return 0;
	memcpy(words, data, sizeof(words));
	data += sizeof(words);
	size -= sizeof(words);
	if (ring_create(&feed, "feed", SIZE) < 0 || ring_create_result(&result, "result", SIZE) < 0 ||
		ring_attach(&evil, dup(result.fd), SIZE, true) < 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		abort();
	memcpy(ring_at(&evil, 0), data, size < SIZE ? size : SIZE);
	ring_publish(&evil, words[0]);
	ring_release(&evil, words[1]);
	struct channel *c = channel_create_local(&feed, &result, sockets[0]);
	if (!c)
		abort();
	close(sockets[1]); /* ends the channel behind the last frame */

	struct frame_header header;
	const void *payload;
	unsigned sum = 0;
	while (channel_recv(c, &header, &payload) == 0) {
		for (uint32_t i = 0; i < header.size; i++)
			sum += ((const unsigned char *)payload)[i];
	}
	char block[1000] = { (char)sum };
	struct iovec iov = { block, sizeof(block) };
	for (int i = 0; i < 80; i++) {
		if (channel_send(c, &(struct frame_header){ .size = sizeof(block) }, &iov, 1) < 0)
			break;
	}
	channel_destroy(c);
	ring_finish(&evil);
	return 0;
}
