/* A node without anything but a mesh: for tests in network namespaces. Takes the interfaces that it is told of for
 * cables, looks for them by name, and prints one JSON object a line: events as they come, its state twice a second. */
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"
#include "base/zsock.h"
#include "mesh/mesh.h"
#include "proto/messages.h"

#define MAX_CABLES 8

struct node {
	struct loop *loop;
	struct mesh *mesh;
	const char *cables[MAX_CABLES];
	unsigned ifindexes[MAX_CABLES];
	size_t cable_count;
	unsigned messages_sent;
	uint64_t start_ns;
};

static double seconds(const struct node *n, uint64_t at_ns)
{
	return (double)(at_ns - n->start_ns) / 1e9;
}

static void on_event(void *ctx, const struct mesh_event *e)
{
	const struct node *n = ctx;
	printf("{\"event\":\"%s\",\"subject\":\"%s\",\"at\":%.3f,\"monotonic_ns\":%llu", e->type_name, e->subject,
		seconds(n, e->monotonic_ns), (unsigned long long)e->monotonic_ns);
	for (size_t i = 0; i < e->field_count; i++)
		printf(",\"%s\":\"%s\"", e->fields[i].name, e->fields[i].value);
	printf("}\n");
}

static void on_message(void *ctx, const char *peer_id, const Tbmesh__PeerMessage *m)
{
	(void)ctx;
	if (m->body_case == TBMESH__PEER_MESSAGE__BODY_DESCRIPTION_REQUEST)
		printf("{\"message\":%llu,\"from\":\"%s\"}\n", (unsigned long long)m->description_request->request, peer_id);
}

static void on_warning(void *ctx, const char *subject, const char *text)
{
	(void)ctx;
	printf("{\"warning\":\"%s\",\"text\":\"%s\"}\n", subject, text);
}

/* As udev would: devices come and go under the same name with another index. */
static void look_for_cables(struct node *n)
{
	for (size_t i = 0; i < n->cable_count; i++) {
		unsigned ifindex = if_nametoindex(n->cables[i]);
		if (ifindex == n->ifindexes[i])
			continue;
		if (n->ifindexes[i])
			mesh_interface_remove(n->mesh, n->ifindexes[i]);
		n->ifindexes[i] = ifindex;
		if (!ifindex)
			continue;
		char domain[32];
		snprintf(domain, sizeof domain, "0000:0%zu:00.0", i);
		struct mesh_interface cable = {
			.ifindex = ifindex, .name = n->cables[i], .domain = domain, .xdomain = "0-1"
		};
		int r = mesh_interface_add(n->mesh, &cable);
		if (r < 0)
			fprintf(stderr, "mesh_node: %s: %s\n", n->cables[i], strerror(-r));
	}
}

static void print_state(struct node *n)
{
	struct mesh_peer_info peers[8];
	struct mesh_link_info links[16];
	struct mesh_candidate candidates[8];
	struct mesh_totals totals;
	size_t peer_count = mesh_peers(n->mesh, peers, 8), link_count = mesh_links(n->mesh, links, 16);
	struct mesh_query q = { .criterion = MESH_FOR_LATENCY };
	size_t candidate_count = mesh_best(n->mesh, &q, candidates, 8);
	mesh_totals(n->mesh, &totals);
	printf("{\"state\":%.3f,\"refused\":%u,\"mesh_up_bps\":%llu,\"best\":\"%s\",\"peers\":[",
		seconds(n, time_monotonic_ns()), totals.refused, (unsigned long long)totals.up_bps,
		candidate_count && candidates[0].viable ? candidates[0].peer : "");
	for (size_t i = 0; i < peer_count && i < 8; i++)
		printf("%s{\"name\":\"%s\",\"state\":\"%s\",\"links_up\":%u,\"p50\":%.1f,\"p99\":%.1f,\"aggregate_up\":%llu,"
		       "\"aggregate_down\":%llu}",
			i ? "," : "", peers[i].name, mesh_peer_state_name(peers[i].state), peers[i].links_up,
			peers[i].rtt.p50_us, peers[i].rtt.p99_us, (unsigned long long)peers[i].aggregate_up.bps,
			(unsigned long long)peers[i].aggregate_down.bps);
	printf("],\"links\":[");
	for (size_t i = 0; i < link_count && i < 16; i++)
		printf("%s{\"id\":\"%s\",\"state\":\"%s\",\"samples\":%llu,\"min\":%.1f,\"p50\":%.1f,\"p99\":%.1f,"
		       "\"jitter\":%.1f,\"loss\":%.4f,"
		       "\"up\":%llu,\"down\":%llu,\"source\":\"%s\"}",
			i ? "," : "", links[i].id, mesh_link_state_name(links[i].state),
			(unsigned long long)links[i].rtt.samples, links[i].rtt.min_us, links[i].rtt.p50_us,
			links[i].rtt.p99_us, links[i].rtt.jitter_us, links[i].rtt.loss, (unsigned long long)links[i].up.bps,
			(unsigned long long)links[i].down.bps, mesh_bandwidth_source_name(links[i].up.source));
	printf("]}\n");
}

static void on_tick(void *ctx)
{
	struct node *n = ctx;
	static unsigned ticks;
	look_for_cables(n);
	if (++ticks % 5)
		return;
	Tbmesh__DescriptionRequest request = TBMESH__DESCRIPTION_REQUEST__INIT;
	Tbmesh__PeerMessage m = TBMESH__PEER_MESSAGE__INIT;
	struct mesh_totals totals;
	mesh_totals(n->mesh, &totals);
	if (totals.peers_up) {
		request.request = ++n->messages_sent;
		request.gpu = (char *)"x";
		m.body_case = TBMESH__PEER_MESSAGE__BODY_DESCRIPTION_REQUEST;
		m.description_request = &request;
		mesh_send(n->mesh, NULL, &m);
	}
	print_state(n);
}

static void on_signal(void *ctx, int number)
{
	(void)number;
	loop_stop(((struct node *)ctx)->loop);
}

/* SIGUSR1: measure again, as `tbmesh bench` does. */
static void on_measure(void *ctx, int number)
{
	struct node *n = ctx;
	struct mesh_peer_info peer;
	(void)number;
	if (mesh_peers(n->mesh, &peer, 1) > 0)
		(void)!mesh_bench(n->mesh, peer.id, &(struct mesh_bench_options){ 0 }, 1);
}

int main(int argc, char **argv)
{
	struct node n = { .start_ns = time_monotonic_ns() };
	struct mesh_identity identity;
	struct mesh_key key;
	struct mesh_config config = { .identity = &identity, .key = &key, .name = "node", .manage_links = true };
	const char *key_text = NULL, *identity_path = NULL, *address = NULL;
	char error[256] = "no memory";
	int option;
	while ((option = getopt(argc, argv, "n:k:i:c:s:up:")) != -1) {
		if (option == 'n')
			config.name = optarg;
		else if (option == 'k')
			key_text = optarg;
		else if (option == 'i')
			identity_path = optarg;
		else if (option == 'c' && n.cable_count < MAX_CABLES)
			n.cables[n.cable_count++] = optarg;
		else if (option == 's')
			address = optarg;
		else if (option == 'u')
			config.no_probes = true;
		else if (option == 'p')
			config.control_port = (uint16_t)atoi(optarg);
		else
			return 2;
	}
	if (!key_text || !identity_path) {
		fprintf(stderr,
			"usage: mesh_node -n NAME -k MESHKEY -i KEYFILE [-p PORT] [-u] [-s ADDRESS] -c INTERFACE …\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_init("mesh_node", LOG_LEVEL_WARN);
	config.incarnation = time_realtime_us();
	if (mesh_key_parse(key_text, &key, error, sizeof error) < 0 ||
		mesh_identity_load(identity_path, &identity, error, sizeof error) < 0) {
		fprintf(stderr, "mesh_node: %s\n", error);
		return 1;
	}
	struct mesh_callbacks callbacks = { .event = on_event, .message = on_message, .warning = on_warning };
	struct zctx *z = zctx_create();
	n.loop = loop_create();
	struct loop_timer *timer = n.loop ? loop_timer_create(n.loop, on_tick, &n) : NULL;
	int r = z && timer ? mesh_create(n.loop, z, &config, &callbacks, &n, &n.mesh) : -ENOMEM;
	if (r < 0) {
		fprintf(stderr, "mesh_node: %s\n", strerror(-r));
		return 1;
	}
	if (address && mesh_static_peer_add(n.mesh, address) < 0)
		fprintf(stderr, "mesh_node: %s is no address of a peer\n", address);
	loop_signal(n.loop, SIGTERM, on_signal, &n);
	loop_signal(n.loop, SIGUSR1, on_measure, &n);
	loop_timer_start(timer, 0, 100);
	printf("{\"id\":\"%s\",\"curve\":\"%s\"}\n", identity.id, identity.curve_public);
	r = loop_run(n.loop);
	mesh_destroy(n.mesh);
	loop_timer_destroy(timer);
	loop_destroy(n.loop);
	zctx_destroy(z);
	return r < 0;
}
