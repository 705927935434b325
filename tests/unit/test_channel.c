#include "migrate/stream/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "migrate/stream/ring.h"
#include "tests/unit/test.h"

#define FEED_SIZE (2u << 20)
#define RESULT_SIZE (4u << 20)
#define SOON_NS 300000000u

static const unsigned char secret[32] = "0123456789abcdef0123456789abcde";

/* a is the session's side, b the executor's. */
struct pair {
	struct channel *a, *b;
	/* local: what a hostile b can do to its own ring and socket */
	struct ring evil;
	int evil_socket;
};

static void pair_local(struct pair *p)
{
	struct ring feed, result, feed_reader, result_writer;
	int sockets[2];
	assert_int_equal(ring_create(&feed, "feed", FEED_SIZE), 0);
	assert_int_equal(ring_create_result(&result, "result", RESULT_SIZE), 0);
	assert_int_equal(ring_attach(&feed_reader, ring_reopen_read_only(&feed), FEED_SIZE, false), 0);
	assert_int_equal(ring_attach(&result_writer, dup(result.fd), RESULT_SIZE, true), 0);
	assert_int_equal(ring_attach(&p->evil, dup(result.fd), RESULT_SIZE, true), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	p->evil_socket = dup(sockets[1]);
	p->a = channel_create_local(&feed, &result, sockets[0]);
	p->b = channel_create_local(&result_writer, &feed_reader, sockets[1]);
	assert_non_null(p->a);
	assert_non_null(p->b);
	assert_null(feed.page);
}

static void tcp_pair(int fds[2])
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	fds[0] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&address, size), 0);
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fds[1] >= 0);
	close(listener);
}

static void pair_sealed(struct pair *p)
{
	int fds[2];
	tcp_pair(fds);
	p->evil = (struct ring){ .fd = -1 };
	p->evil_socket = dup(fds[1]);
	p->a = channel_create_sealed(fds[0], secret, 1);
	p->b = channel_create_sealed(fds[1], secret, 0);
	assert_non_null(p->a);
	assert_non_null(p->b);
}

static void pair_finish(struct pair *p)
{
	channel_destroy(p->a);
	channel_destroy(p->b);
	ring_finish(&p->evil);
	close_fd(&p->evil_socket);
}

/* The state of each test says which kind it is about. */
static void pair_make(void **state, struct pair *p)
{
	(strcmp(*state, "local") == 0 ? pair_local : pair_sealed)(p);
}

static unsigned char pattern(uint64_t frame, size_t at)
{
	return (unsigned char)(frame * 31 + at + (at >> 8));
}

#define FRAMES 60u

static void *send_frames(void *ctx)
{
	static unsigned char payload[FRAME_MAX_PAYLOAD];
	for (uint64_t i = 0; i < FRAMES; i++) {
		size_t size = i % 4 == 3 ? FRAME_MAX_PAYLOAD : i * 1001 % 5000;
		for (size_t k = 0; k < size; k++)
			payload[k] = pattern(i, k);
		struct iovec iov[] = { { payload, size / 3 }, { payload + size / 3, size - size / 3 } };
		struct frame_header header = {
			.size = (uint32_t)size, .kind = FRAME_RESULT, .a = i, .b = 5, .c = UINT64_MAX
		};
		if (channel_send(ctx, &header, iov, 2) < 0)
			abort();
	}
	return NULL;
}

static void receive_frames(struct channel *c)
{
	for (uint64_t i = 0; i < FRAMES; i++) {
		struct frame_header header;
		const void *payload;
		assert_int_equal(channel_recv(c, &header, &payload), 0);
		assert_int_equal(header.a, i);
		assert_int_equal(header.size, i % 4 == 3 ? FRAME_MAX_PAYLOAD : i * 1001 % 5000);
		assert_int_equal((uintptr_t)payload % 8, 0);
		const unsigned char *bytes = payload;
		for (size_t k = 0; k < header.size; k++) {
			if (bytes[k] != pattern(i, k))
				fail_msg("frame %lu byte %zu", (unsigned long)i, k);
		}
	}
}

static void test_frames_both_ways(void **state)
{
	struct pair p;
	pair_make(state, &p);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, send_frames, p.b), 0);
	receive_frames(p.a);
	pthread_join(thread, NULL);
	assert_true(channel_bytes_sent(p.b) > FRAMES / 4 * FRAME_MAX_PAYLOAD);
	assert_int_equal(pthread_create(&thread, NULL, send_frames, p.a), 0);
	receive_frames(p.b);
	pthread_join(thread, NULL);
	pair_finish(&p);
}

static void test_sizes_are_checked_at_home(void **state)
{
	struct pair p;
	pair_make(state, &p);
	struct iovec iov = { (void *)"abc", 3 };
	assert_int_equal(channel_send(p.a, &(struct frame_header){ .size = 4 }, &iov, 1), -EINVAL);
	pair_finish(&p);
}

struct call {
	struct channel *channel;
	bool sends;
	int result;
	uint64_t end_ns;
};

static void *call_until_end(void *ctx)
{
	struct call *call = ctx;
	static unsigned char payload[FRAME_MAX_PAYLOAD];
	struct iovec iov = { payload, sizeof(payload) };
	do {
		struct frame_header header = { .size = sizeof(payload), .kind = FRAME_MEMORY };
		const void *received;
		call->result = call->sends ? channel_send(call->channel, &header, &iov, 1)
					   : channel_recv(call->channel, &header, &received);
	} while (call->result == 0);
	call->end_ns = time_monotonic_ns();
	return NULL;
}

static void test_shutdown_wakes_both_threads(void **state)
{
	struct pair p;
	pair_make(state, &p);
	struct call receiver = { .channel = p.a }, sender = { .channel = p.a, .sends = true };
	pthread_t threads[2];
	pthread_create(&threads[0], NULL, call_until_end, &receiver);
	pthread_create(&threads[1], NULL, call_until_end, &sender);
	usleep(100000); /* the sender has filled all buffers by now */
	uint64_t start = time_monotonic_ns();
	channel_shutdown(p.a);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(receiver.result, -ESHUTDOWN);
	assert_int_equal(sender.result, -ESHUTDOWN);
	assert_true(receiver.end_ns - start < SOON_NS && sender.end_ns - start < SOON_NS);
	assert_int_equal(channel_send(p.a, &(struct frame_header){ 0 }, NULL, 0), -ESHUTDOWN);
	pair_finish(&p);
}

/* The executor is killed: its last words still count, then the end is seen at once by both threads. */
static void test_kill_of_the_other_side(void **state)
{
	struct pair p;
	pair_make(state, &p);
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	pid_t child = fork();
	if (child == 0) {
		for (uint64_t i = 0; i < 5; i++)
			channel_send(p.b, &(struct frame_header){ .size = 3, .kind = FRAME_DONE, .a = i },
				&(struct iovec){ (void *)"abc", 3 }, 1);
		close(pipes[0]);
		close(pipes[1]);
		for (;;)
			pause();
	}
	close(pipes[1]);
	char byte;
	assert_int_equal(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	channel_destroy(p.b);
	p.b = NULL;
	close_fd(&p.evil_socket);

	struct call sender = { .channel = p.a, .sends = true }, receiver = { .channel = p.a };
	pthread_t threads[2];
	pthread_create(&threads[0], NULL, call_until_end, &sender);
	usleep(50000);
	uint64_t start = time_monotonic_ns();
	kill(child, SIGKILL);
	struct frame_header header;
	const void *payload;
	for (uint64_t i = 0; i < 5; i++) {
		assert_int_equal(channel_recv(p.a, &header, &payload), 0);
		assert_int_equal(header.a, i);
		assert_memory_equal(payload, "abc", 3);
	}
	pthread_create(&threads[1], NULL, call_until_end, &receiver);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(receiver.result, -EPIPE);
	assert_int_equal(sender.result, -EPIPE);
	assert_true(receiver.end_ns - start < SOON_NS && sender.end_ns - start < SOON_NS);
	waitpid(child, NULL, 0);
	pair_finish(&p);
}

static int receive_from(struct pair *p)
{
	struct frame_header header;
	const void *payload;
	return channel_recv(p->a, &header, &payload);
}

static void test_lies_in_a_ring(void **state)
{
	(void)state;
	const uint64_t heads[] = { 8, 24, 33, RESULT_SIZE + 8, UINT64_MAX - 7 };
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct pair p;
		pair_local(&p);
		ring_publish(&p.evil, heads[i]);
		assert_int_equal(receive_from(&p), -EBADMSG);
		pair_finish(&p);
	}
	const uint32_t sizes[] = { 1, FRAME_MAX_PAYLOAD + 1, UINT32_MAX, UINT32_MAX - 40 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct pair p;
		pair_local(&p);
		struct frame_header header = { .size = sizes[i] };
		memcpy(ring_at(&p.evil, 0), &header, sizeof(header));
		ring_publish(&p.evil, sizeof(header));
		assert_int_equal(receive_from(&p), -EBADMSG);
		pair_finish(&p);
	}
	/* A tail in front of the head: the sender notices as soon as it needs room. */
	const uint64_t tails[] = { UINT64_MAX - 7, 8 * (uint64_t)FEED_SIZE };
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		struct pair p;
		pair_local(&p);
		ring_release(&p.evil, tails[i]);
		struct call sender = { .channel = p.a, .sends = true };
		call_until_end(&sender);
		assert_int_equal(sender.result, -EBADMSG);
		pair_finish(&p);
	}
	/* Cut by its own writer while the receiver sleeps on it. */
	struct pair p;
	pair_local(&p);
	struct call receiver = { .channel = p.a };
	pthread_t thread;
	pthread_create(&thread, NULL, call_until_end, &receiver);
	usleep(20000);
	assert_int_equal(ftruncate(p.evil.fd, 0), 0);
	pthread_join(thread, NULL);
	assert_int_equal(receiver.result, -EPIPE);
	channel_shutdown(p.b); /* its rings are gone: only to be freed */
	pair_finish(&p);
}

static void test_garbage_on_tcp(void **state)
{
	(void)state;
	struct pair p;
	pair_sealed(&p);
	struct frame_header header = { .size = 16, .kind = FRAME_DONE };
	unsigned char rest[32] = { 0 };
	assert_int_equal(send(p.evil_socket, &header, sizeof(header), 0), sizeof(header));
	assert_int_equal(send(p.evil_socket, rest, sizeof(rest), 0), sizeof(rest));
	assert_int_equal(receive_from(&p), -EBADMSG);
	pair_finish(&p);

	pair_sealed(&p);
	header.size = FRAME_MAX_PAYLOAD + 1;
	assert_int_equal(send(p.evil_socket, &header, sizeof(header), 0), sizeof(header));
	assert_int_equal(receive_from(&p), -EBADMSG);
	pair_finish(&p);

	/* Cut off in the middle of a header. */
	pair_sealed(&p);
	assert_int_equal(send(p.evil_socket, &header, 7, 0), 7);
	shutdown(p.evil_socket, SHUT_RDWR);
	assert_int_equal(receive_from(&p), -EPIPE);
	pair_finish(&p);
}

int main(void)
{
	char local[] = "local", sealed[] = "sealed";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_frames_both_ways, local),
		cmocka_unit_test_prestate(test_frames_both_ways, sealed),
		cmocka_unit_test_prestate(test_sizes_are_checked_at_home, local),
		cmocka_unit_test_prestate(test_sizes_are_checked_at_home, sealed),
		cmocka_unit_test_prestate(test_shutdown_wakes_both_threads, local),
		cmocka_unit_test_prestate(test_shutdown_wakes_both_threads, sealed),
		cmocka_unit_test_prestate(test_kill_of_the_other_side, local),
		cmocka_unit_test_prestate(test_kill_of_the_other_side, sealed),
		cmocka_unit_test(test_lies_in_a_ring),
		cmocka_unit_test(test_garbage_on_tcp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
