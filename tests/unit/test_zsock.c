#include "base/zsock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/test.h"

struct fixture {
	struct zctx *context;
	struct loop *loop;
	struct loop_timer *timer;
	struct zap *zap;
	struct zsock *server, *client;
	unsigned received, replies, wanted;
	size_t last_count;
	char text[64], peer[64];
	char public_key[ZSOCK_KEY_SIZE], secret_key[ZSOCK_KEY_SIZE];
	char client_public[ZSOCK_KEY_SIZE], client_secret[ZSOCK_KEY_SIZE];
};

static void stop(void *ctx)
{
	struct fixture *f = ctx;
	loop_stop(f->loop);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->context = zctx_create();
	f->loop = loop_create();
	f->timer = loop_timer_create(f->loop, stop, f);
	*state = f;
	return zsock_keypair(f->public_key, f->secret_key) || zsock_keypair(f->client_public, f->client_secret);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	zsock_destroy(f->server);
	zsock_destroy(f->client);
	zap_destroy(f->zap);
	zctx_destroy(f->context);
	loop_timer_destroy(f->timer);
	loop_destroy(f->loop);
	free(f);
	return 0;
}

/* Runs until f->wanted messages came or the time is over. */
static void run(struct fixture *f, unsigned ms)
{
	loop_timer_start(f->timer, ms, 0);
	assert_int_equal(loop_run(f->loop), 0);
	loop_timer_stop(f->timer);
}

static void keep(char *out, size_t size, const void *data, size_t data_size)
{
	snprintf(out, size, "%.*s", (int)data_size, (const char *)data);
}

static void server_received(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	struct fixture *f = ctx;
	f->received++;
	f->last_count = count;
	keep(f->text, sizeof(f->text), parts[count - 1].data, parts[count - 1].size);
	keep(f->peer, sizeof(f->peer), peer, strlen(peer));
	struct zpart answer[] = { parts[0], { "answer", 6 } };
	zsock_send(f->server, answer, 2);
	if (f->received == f->wanted)
		loop_stop(f->loop);
}

static void client_received(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	struct fixture *f = ctx;
	assert_int_equal(count, 1);
	assert_string_equal(peer, "");
	assert_memory_equal(parts[0].data, "answer", 6);
	if (++f->replies == f->wanted)
		loop_stop(f->loop);
}

static struct zsock_options plain_options(void)
{
	return (struct zsock_options){ .max_message_bytes = 1000 };
}

static void make_pair(struct fixture *f, const struct zsock_options *server, const struct zsock_options *client)
{
	char endpoint[128];
	f->server = zsock_create(f->context, f->loop, ZSOCK_ROUTER, server, server_received, f);
	f->client = zsock_create(f->context, f->loop, ZSOCK_DEALER, client, client_received, f);
	assert_non_null(f->server);
	assert_non_null(f->client);
	assert_int_equal(zsock_bind(f->server, "tcp://[::1]:*", endpoint, sizeof(endpoint)), 0);
	assert_int_equal(zsock_connect(f->client, endpoint), 0);
}

static int send_text(struct zsock *s, const char *text)
{
	return zsock_send(s, &(struct zpart){ text, strlen(text) }, 1);
}

/* Bursts in both directions with sends inside and outside of callbacks: no edge may be lost. */
static void test_bursts(void **state)
{
	struct fixture *f = *state;
	struct zsock_options options = plain_options();
	make_pair(f, &options, &options);
	unsigned sent = 0;
	for (int burst = 0; burst < 40; burst++) {
		for (int i = 0; i < 200; i++)
			sent += send_text(f->client, "question") == 0;
		f->wanted = sent;
		run(f, 5000);
		while (f->replies < sent) {
			unsigned before = f->replies;
			run(f, 1000);
			assert_true(f->replies > before);
		}
	}
	assert_int_equal(sent, 8000);
	assert_int_equal(f->received, sent);
	assert_int_equal(f->replies, sent);
}

static void test_never_blocks(void **state)
{
	struct fixture *f = *state;
	struct zsock_options options = plain_options();
	f->client = zsock_create(f->context, f->loop, ZSOCK_DEALER, &options, client_received, f);
	assert_int_equal(zsock_connect(f->client, "ipc:///tmp/tbmesh-test-nobody-listens-here"), 0);
	int r = 0;
	unsigned sent = 0;
	while ((r = send_text(f->client, "x")) == 0 && sent < 5000)
		sent++;
	assert_int_equal(r, -EAGAIN);
	assert_in_range(sent, 100, 4999);
	assert_true(zsock_connect(f->client, "nonsense") < 0);
	assert_true(zsock_bind(f->client, "tcp://nonsense", NULL, 0) < 0);
}

static void test_caps(void **state)
{
	struct fixture *f = *state;
	struct zsock_options options = plain_options();
	make_pair(f, &options, &options);
	struct zpart many[] = { { "a", 1 }, { "b", 1 }, { "c", 1 }, { "d", 1 }, { "e", 1 }, { "f", 1 } };
	assert_int_equal(zsock_send(f->client, many, 6), 0);
	assert_int_equal(zsock_send(f->client, many, 3), 0);
	f->wanted = 1;
	run(f, 3000);
	assert_int_equal(f->received, 1);
	assert_int_equal(f->last_count, 4);
	assert_string_equal(f->text, "c");

	char large[1001];
	memset(large, 'l', sizeof(large));
	assert_int_equal(zsock_send(f->client, &(struct zpart){ large, sizeof(large) }, 1), 0);
	run(f, 200);
	assert_int_equal(f->received, 1);
}

static void test_routing(void **state)
{
	struct fixture *f = *state;
	struct zsock_options server = plain_options(), client = plain_options();
	server.mandatory = true;
	client.routing_id = "me";
	make_pair(f, &server, &client);
	struct zpart to_me[] = { { "me", 2 }, { "answer", 6 } }, to_other[] = { { "other", 5 }, { "answer", 6 } };
	assert_int_equal(send_text(f->client, "hello"), 0);
	f->wanted = 1;
	run(f, 3000);
	assert_int_equal(f->received, 1);
	assert_int_equal(zsock_send(f->server, to_other, 2), -EHOSTUNREACH);
	assert_int_equal(zsock_send(f->server, to_me, 2), 0);
	f->wanted = 2;
	run(f, 3000);
	assert_int_equal(f->replies, 2);
}

static void destroy_itself(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	struct fixture *f = ctx;
	(void)peer;
	f->received++;
	zsock_destroy(f->server);
	f->server = NULL;
	assert_memory_equal(parts[count - 1].data, "hello", 5); /* still there during the call */
	loop_stop(f->loop);
}

static void test_destroy_inside_callback(void **state)
{
	struct fixture *f = *state;
	struct zsock_options options = plain_options();
	char endpoint[128];
	f->server = zsock_create(f->context, f->loop, ZSOCK_ROUTER, &options, destroy_itself, f);
	f->client = zsock_create(f->context, f->loop, ZSOCK_DEALER, &options, client_received, f);
	assert_int_equal(zsock_bind(f->server, "tcp://[::1]:*", endpoint, sizeof(endpoint)), 0);
	assert_int_equal(zsock_connect(f->client, endpoint), 0);
	send_text(f->client, "hello");
	send_text(f->client, "hello");
	run(f, 3000);
	assert_int_equal(f->received, 1);
}

static void curve_pair(struct fixture *f, bool with_keys)
{
	struct zsock_options server = plain_options(), client = plain_options();
	server.curve_server = true;
	server.secret_key = f->secret_key;
	if (with_keys) {
		client.public_key = f->client_public;
		client.secret_key = f->client_secret;
		client.server_key = f->public_key;
	}
	f->zap = zap_create(f->context, f->loop);
	assert_non_null(f->zap);
	make_pair(f, &server, &client);
}

static void test_curve_admits_known_keys(void **state)
{
	struct fixture *f = *state;
	curve_pair(f, true);
	assert_int_equal(zap_allow(f->zap, "short", "x"), -EINVAL);
	assert_int_equal(zap_allow(f->zap, f->client_public, "old name"), 0);
	assert_int_equal(zap_allow(f->zap, f->client_public, "node-1"), 0);
	send_text(f->client, "hello");
	f->wanted = 1;
	run(f, 3000);
	assert_int_equal(f->received, 1);
	assert_string_equal(f->peer, "node-1");
	assert_int_equal(zap_refused(f->zap), 0);
}

static void test_curve_refuses_others(void **state)
{
	struct fixture *f = *state;
	curve_pair(f, true);
	assert_int_equal(zap_allow(f->zap, f->public_key, "somebody else"), 0);
	assert_int_equal(zap_allow(f->zap, f->client_public, "revoked"), 0);
	zap_deny(f->zap, f->client_public);
	send_text(f->client, "hello");
	run(f, 500);
	assert_int_equal(f->received, 0);
	assert_true(zap_refused(f->zap) > 0);
}

static void test_curve_refuses_plain(void **state)
{
	struct fixture *f = *state;
	curve_pair(f, false);
	send_text(f->client, "hello");
	run(f, 300);
	assert_int_equal(f->received, 0);
}

static void test_malformed_key(void **state)
{
	struct fixture *f = *state;
	struct zsock_options options = plain_options();
	options.public_key = "not a key";
	assert_null(zsock_create(f->context, f->loop, ZSOCK_DEALER, &options, client_received, f));
}

static void test_keys_from_secret(void **state)
{
	(void)state;
	/* RFC 7748, 6.1: Alice's key pair. */
	static const unsigned char secret[32] = {
		0x77,
		0x07,
		0x6d,
		0x0a,
		0x73,
		0x18,
		0xa5,
		0x7d,
		0x3c,
		0x16,
		0xc1,
		0x72,
		0x51,
		0xb2,
		0x66,
		0x45,
		0xdf,
		0x4c,
		0x2f,
		0x87,
		0xeb,
		0xc0,
		0x99,
		0x2a,
		0xb1,
		0x77,
		0xfb,
		0xa5,
		0x1d,
		0xb9,
		0x2c,
		0x2a,
	};
	char public_key[ZSOCK_KEY_SIZE], secret_key[ZSOCK_KEY_SIZE];
	assert_int_equal(zsock_keys_from_secret(secret, public_key, secret_key), 0);
	assert_string_equal(secret_key, "Cl.%(A#p:4jqL+Nql<!5?+kXU(+F]rV3l8w9L0ZJ");
	assert_string_equal(public_key, "G=]<>I7>&bBC>O5V{aj/4zK}kco8}o(.HIuS*=:#");
}

/* A stranger who announces a frame of 8 GiB, noise, and silence. */
static void test_garbage_before_the_handshake(void **state)
{
	struct fixture *f = *state;
	char endpoint[128];
	curve_pair(f, true);
	assert_int_equal(zap_allow(f->zap, f->client_public, "node-1"), 0);
	assert_int_equal(zsock_bind(f->server, "tcp://127.0.0.1:*", endpoint, sizeof(endpoint)), 0);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	address.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
	for (int kind = 0; kind < 3; kind++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		static const unsigned char old_header[] = { 0xff, 0, 0, 0, 2, 0, 0, 0, 0, 0x7e };
		unsigned char noise[512];
		random_bytes(noise, sizeof(noise));
		if (kind == 0)
			assert_true(send(fd, old_header, sizeof(old_header), MSG_NOSIGNAL) > 0);
		if (kind <= 1)
			assert_true(send(fd, noise, sizeof(noise), MSG_NOSIGNAL) > 0);
		run(f, 50);
		close(fd);
	}
	assert_int_equal(f->received, 0);

	/* And it still serves. */
	send_text(f->client, "hello");
	f->wanted = 1;
	run(f, 3000);
	assert_int_equal(f->received, 1);
}

/* The server is an XPUB here: it answers a topic that begins with '@'. */
static void subscription(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	struct fixture *f = ctx;
	(void)peer;
	assert_int_equal(count, 1);
	const char *text = parts[0].data;
	f->received++;
	if (parts[0].size < 2 || text[0] != 1 || text[1] != '@')
		return;
	struct zpart answer[] = { { text + 1, parts[0].size - 1 }, { "answer", 6 } };
	zsock_send(f->server, answer, 2);
}

static void publication(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	struct fixture *f = ctx;
	(void)peer;
	assert_int_equal(count, 2);
	keep(f->text, sizeof(f->text), parts[0].data, parts[0].size);
	if (++f->replies == f->wanted)
		loop_stop(f->loop);
}

/* Who subscribes and is answered misses nothing that is published behind the answer; a stranger hears nothing. */
static void test_subscriptions(void **state)
{
	struct fixture *f = *state;
	char endpoint[128];
	struct zsock_options server = plain_options(), client = plain_options();
	server.curve_server = true;
	server.secret_key = f->secret_key;
	client.public_key = f->client_public;
	client.secret_key = f->client_secret;
	client.server_key = f->public_key;
	f->zap = zap_create(f->context, f->loop);
	f->server = zsock_create(f->context, f->loop, ZSOCK_XPUB, &server, subscription, f);
	f->client = zsock_create(f->context, f->loop, ZSOCK_SUB, &client, publication, f);
	assert_int_equal(zsock_subscribe(f->client, "@client"), 0);
	assert_int_equal(zsock_bind(f->server, "tcp://[::1]:*", endpoint, sizeof(endpoint)), 0);
	assert_int_equal(zsock_connect(f->client, endpoint), 0);
	f->wanted = 1;
	loop_timer_start(f->timer, 500, 0);
	loop_run(f->loop); /* its key is not admitted */
	assert_int_equal(f->received + f->replies, 0);
	assert_true(zap_refused(f->zap) > 0);
	assert_int_equal(zap_allow(f->zap, f->client_public, "node-1"), 0);
	zsock_destroy(f->client);
	f->client = zsock_create(f->context, f->loop, ZSOCK_SUB, &client, publication, f);
	assert_int_equal(zsock_subscribe(f->client, "@client"), 0);
	assert_int_equal(zsock_connect(f->client, endpoint), 0);
	run(f, 10000);
	assert_string_equal(f->text, "@client");
	struct zpart event[] = { { "PeerUp", 6 }, { "x", 1 } };
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(zsock_send(f->server, event, 2), 0);
	f->wanted = 101;
	run(f, 10000);
	assert_int_equal(f->replies, 101);
	assert_string_equal(f->text, "PeerUp");
}

#define ZSOCK_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZSOCK_TEST(test_bursts),
		ZSOCK_TEST(test_never_blocks),
		ZSOCK_TEST(test_caps),
		ZSOCK_TEST(test_routing),
		ZSOCK_TEST(test_destroy_inside_callback),
		ZSOCK_TEST(test_curve_admits_known_keys),
		ZSOCK_TEST(test_curve_refuses_others),
		ZSOCK_TEST(test_curve_refuses_plain),
		ZSOCK_TEST(test_malformed_key),
		ZSOCK_TEST(test_subscriptions),
		ZSOCK_TEST(test_keys_from_secret),
		ZSOCK_TEST(test_garbage_before_the_handshake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
