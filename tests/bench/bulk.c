/* tbmesh-bench-bulk: goodput of one sealed channel over TCP, in frames of 1 MiB, counted by the receiver.
 *
 *   tbmesh-bench-bulk listen PORT            says "listening", serves one sender, then exits
 *   tbmesh-bench-bulk send ADDRESS PORT S    sends for S seconds, prints the goodput in Gb/s
 */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "migrate/stream/channel.h"

/* The bench's own: nothing secret goes over this wire. */
static const unsigned char secret[32] = "tbmesh-bench-bulk, not a secret";

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int serve(struct channel *c)
{
	struct frame_header header;
	const void *payload;
	uint64_t bytes = 0, start_ns = 0;
	for (;;) {
		int r = channel_recv(c, &header, &payload);
		if (r < 0) {
			fprintf(stderr, "the stream ended early: %s\n", strerror(-r));
			return 1;
		}
		if (header.kind == FRAME_BYE)
			break;
		/* The first frame starts the clock, so it doesn't count. */
		if (start_ns)
			bytes += header.size;
		else
			start_ns = time_monotonic_ns();
	}
	struct frame_header result = { .kind = FRAME_STARTED, .a = bytes, .b = time_monotonic_ns() - start_ns };
	return channel_send(c, &result, NULL, 0) < 0;
}

static int feed(struct channel *c, double seconds)
{
	unsigned char *payload = malloc(FRAME_MAX_PAYLOAD);
	if (!payload)
		return fail("memory");
	random_bytes(payload, FRAME_MAX_PAYLOAD);
	struct frame_header header = { .size = FRAME_MAX_PAYLOAD, .kind = FRAME_MEMORY };
	uint64_t end_ns = time_monotonic_ns() + (uint64_t)(seconds * 1e9);
	int r = 0;
	while (r == 0 && time_monotonic_ns() < end_ns) {
		struct iovec iov = { payload, FRAME_MAX_PAYLOAD };
		r = channel_send(c, &header, &iov, 1);
		header.b += FRAME_MAX_PAYLOAD;
	}
	free(payload);
	if (r == 0)
		r = channel_send(c, &(struct frame_header){ .kind = FRAME_BYE }, NULL, 0);
	const void *nothing;
	if (r == 0)
		r = channel_recv(c, &header, &nothing);
	if (r < 0 || header.kind != FRAME_STARTED || header.b == 0) {
		fprintf(stderr, "the stream ended early: %s\n", strerror(-r));
		return 1;
	}
	printf("%.2f\n", (double)header.a * 8 / (double)header.b);
	return 0;
}

static int listen_on(const char *port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port)) };
	__attribute__((cleanup(close_fd))) int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 1) < 0)
		return -1;
	puts("listening");
	fflush(stdout);
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

static int connect_to(const char *host, const char *port)
{
	struct addrinfo *found, hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	if (getaddrinfo(host, port, &hints, &found))
		return -1;
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) < 0)
		close_fd(&fd);
	freeaddrinfo(found);
	return fd;
}

int main(int argc, char **argv)
{
	int sends = argc == 5 && strcmp(argv[1], "send") == 0;
	if (!sends && !(argc == 3 && strcmp(argv[1], "listen") == 0)) {
		fprintf(stderr, "usage: tbmesh-bench-bulk listen PORT | send ADDRESS PORT SECONDS\n");
		return 2;
	}
	int fd = sends ? connect_to(argv[2], argv[3]) : listen_on(argv[2]);
	if (fd < 0)
		return fail(sends ? "can't connect" : "can't listen");
	struct channel *c = channel_create_sealed(fd, secret, sends);
	if (!c)
		return fail("channel");
	int r = sends ? feed(c, atof(argv[4])) : serve(c);
	channel_destroy(c);
	return r;
}
