/* An example of libtbmesh: shows the peers and the best one for 4K60 frames, then what happens on all hosts of the
 * mesh, as it comes, for some seconds.
 *   cc example.c $(pkg-config --cflags --libs tbmesh) && ./a.out [SECONDS [HOST [TYPE]]] */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tbmesh/tbmesh.h>

static void seen(void *ctx, const struct tbmesh_event *e)
{
	(void)ctx;
	if (e->lost)
		printf("%s: %s%llu events are missing\n", e->host, e->restarted ? "started anew; at most " : "",
			(unsigned long long)e->lost);
	printf("event %s %llu %s %s", e->host, (unsigned long long)e->number, e->type, e->subject);
	for (size_t i = 0; i < e->field_count; i++)
		printf(" %s=%s", e->fields[i].name, e->fields[i].value);
	putchar('\n');
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 10;
	struct tbmesh *t;
	struct tbmesh_status status;
	struct tbmesh_peer *peers;
	struct tbmesh_candidate *best;
	size_t count;
	int r = tbmesh_connect(NULL, &t);
	if (r < 0) {
		fprintf(stderr, "no node to ask: %s\n", strerror(-r));
		return 3;
	}
	if (tbmesh_status(t, &status) == 0)
		printf("node %s: %u peers, %u links, %u GPUs\n", status.name, status.peers_up, status.links_up, status.gpus);
	if (tbmesh_peers(t, &peers, &count) == 0) {
		for (size_t i = 0; i < count; i++)
			printf("peer %s: %s, %.0f us, %.2f Gb/s up\n", peers[i].name, peers[i].state, peers[i].rtt.p50_us,
				(double)peers[i].aggregate_up.bps / 1e9);
		tbmesh_free(peers);
	}
	if (tbmesh_best(t, &(struct tbmesh_query){ .criterion = TBMESH_FOR_FRAMES }, &best, &count) == 0) {
		for (size_t i = 0; i < count; i++)
			printf("4K60 to %s: %s (%s)\n", best[i].peer, best[i].viable ? "yes" : "no", best[i].reason);
		tbmesh_free(best);
	}
	char name[TBMESH_TEXT];
	uint64_t up_bps, down_bps;
	unsigned peers_up;
	if (tbmesh_total(t, &up_bps, &down_bps) == 0 && tbmesh_active_peers(t, &peers_up) == 0 &&
		tbmesh_best_peer(t, &(struct tbmesh_query){ .criterion = TBMESH_FOR_LATENCY }, name) == 0)
		printf("in all %.2f Gb/s up, %.2f down, %u active; nearest: %s\n", (double)up_bps / 1e9,
			(double)down_bps / 1e9, peers_up, name);
	const char *type = argc > 3 ? argv[3] : NULL;
	struct tbmesh_filter wanted = {
		.size = sizeof wanted, .all_hosts = argc < 3, .types = &type, .type_count = type != NULL
	};
	if (argc > 2)
		wanted.host = argv[2];
	r = tbmesh_watch(t, &wanted, seen, NULL);
	if (r < 0)
		fprintf(stderr, "no events of %s: %s\n", argc > 2 ? argv[2] : "the mesh", strerror(-r));
	for (struct pollfd p = { .fd = tbmesh_fd(t), .events = POLLIN }; r == 0 && poll(&p, 1, seconds * 1000) > 0;)
		tbmesh_dispatch(t);
	tbmesh_close(t);
	return r < 0;
}
