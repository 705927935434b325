/* wait: until the mesh is as asked for. For scripts and tests. */
#include "node/cli/cli.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "node/cli/document.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define ASK_AGAIN_MS 100
#define DEFAULT_TIMEOUT_MS 30000

struct wanted {
	bool peers_set, links_set, gpus_set;
	uint64_t peers, links, gpus;
	bool measured;
	bool cpu;             /* CPU drivers count as GPUs */
	const char *workload; /* NULL: none */
	uint64_t timeout_ms;
};

static bool parse_seconds(const char *text, uint64_t *ret_ms)
{
	char whole[16];
	uint64_t seconds, tenths = 0;
	const char *dot = strchr(text, '.');
	size_t length = dot ? (size_t)(dot - text) : strlen(text);
	if (length >= sizeof whole || (dot && (strlen(dot) != 2 || !cli_number(dot + 1, 9, &tenths))))
		return false;
	memcpy(whole, text, length);
	whole[length] = '\0';
	if (!cli_number(whole, 1000000, &seconds))
		return false;
	*ret_ms = seconds * 1000 + tenths * 100;
	return true;
}

static int parse(struct cli *c, int argc, char **argv, struct wanted *w)
{
	*w = (struct wanted){ .timeout_ms = DEFAULT_TIMEOUT_MS };
	for (int i = 1; i < argc; i++) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
		struct {
			const char *name;
			bool *set;
			uint64_t *number;
		} numbers[] = { { "--peers", &w->peers_set, &w->peers }, { "--links", &w->links_set, &w->links },
			{ "--gpus", &w->gpus_set, &w->gpus } };
		bool done = false;
		for (size_t n = 0; n < ARRAY_SIZE(numbers); n++) {
			if (strcmp(option, numbers[n].name) != 0)
				continue;
			if (!cli_number(value, 100000, numbers[n].number))
				return cli_usage(c, &command_wait, "%s needs a number", option);
			*numbers[n].set = done = true;
			i++;
		}
		if (done)
			continue;
		if (strcmp(option, "--measured") == 0)
			w->measured = true;
		else if (strcmp(option, "--cpu") == 0)
			w->cpu = true;
		else if (strcmp(option, "--timeout") == 0) {
			if (!parse_seconds(value, &w->timeout_ms))
				return cli_usage(c, &command_wait, "--timeout needs seconds, like 30 or 0.5");
			i++;
		} else if (option[0] == '-' || w->workload)
			return cli_usage(c, &command_wait, "\"%s\" is not expected here", option);
		else
			w->workload = option;
	}
	if (!w->peers_set && !w->links_set && !w->gpus_set && !w->measured && !w->workload)
		return cli_usage(c, &command_wait, "wait for what?");
	return EXIT_OK;
}

/* One question. 0 and a reply of the right kind, or negative errno. */
static int ask(struct cli *c, Tbmesh__Request__BodyCase which, Tbmesh__Reply__BodyCase expected, Tbmesh__Reply **ret)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__ListRequest body = TBMESH__LIST_REQUEST__INIT;
	request.body_case = which;
	request.peers = &body;
	int r = client_ask_quietly(c, &request, CLIENT_TIMEOUT_MS, ret);
	if (r == 0 && ((*ret)->code != 0 || (*ret)->body_case != expected)) {
		message_free_reply(*ret);
		r = -EPROTO;
	}
	return r;
}

static uint64_t count_gpus(Tbmesh__Gpu *const *gpus, size_t count, bool cpu)
{
	uint64_t active = 0;
	for (size_t i = 0; i < count; i++)
		active += strcmp(gpus[i]->state, "active") == 0 && (cpu || strcmp(gpus[i]->type, "cpu") != 0);
	return active;
}

static bool known(const Tbmesh__Bandwidth *b)
{
	return b && b->bps > 0 && strcmp(b->source, "negotiated") != 0;
}

/* Each looks at one list: 1 as wanted, 0 not yet, or negative errno. */
static int look_at_peers(struct cli *c, const struct wanted *w)
{
	Tbmesh__Reply *reply;
	int r = ask(c, TBMESH__REQUEST__BODY_PEERS, TBMESH__REPLY__BODY_PEERS, &reply);
	if (r < 0)
		return r;
	uint64_t up = 0;
	bool measured = true;
	for (size_t i = 0; i < reply->peers->n_peers; i++) {
		const Tbmesh__Peer *p = reply->peers->peers[i];
		if (strcmp(p->state, "up") != 0)
			continue;
		up++;
		measured &= known(p->aggregate_up) && known(p->aggregate_down);
	}
	message_free_reply(reply);
	return (!w->peers_set || up >= w->peers) && (!w->measured || (measured && up > 0));
}

static int look_at_links(struct cli *c, const struct wanted *w)
{
	Tbmesh__Reply *reply;
	int r = ask(c, TBMESH__REQUEST__BODY_LINKS, TBMESH__REPLY__BODY_LINKS, &reply);
	if (r < 0)
		return r;
	uint64_t up = 0;
	bool measured = true;
	for (size_t i = 0; i < reply->links->n_links; i++) {
		const Tbmesh__Link *l = reply->links->links[i];
		if (strcmp(l->state, "up") != 0)
			continue;
		up++;
		measured &= l->rtt && l->rtt->samples > 0 && known(l->up) && known(l->down);
	}
	message_free_reply(reply);
	return (!w->links_set || up >= w->links) && (!w->measured || measured);
}

static int look_at_gpus(struct cli *c, const struct wanted *w)
{
	Tbmesh__Reply *reply;
	int r = ask(c, TBMESH__REQUEST__BODY_GPUS, TBMESH__REPLY__BODY_GPUS, &reply);
	if (r < 0)
		return r;
	uint64_t active = count_gpus(reply->gpus->gpus, reply->gpus->n_gpus, w->cpu);
	for (size_t i = 0; i < reply->gpus->n_hosts; i++)
		active += count_gpus(reply->gpus->hosts[i]->gpus, reply->gpus->hosts[i]->n_gpus, w->cpu);
	message_free_reply(reply);
	return active >= w->gpus;
}

/* -ENOENT: no such workload; -ECANCELED: it was lost. */
static int look_at_workload(struct cli *c, const struct wanted *w)
{
	Tbmesh__Reply *reply;
	int r = ask(c, TBMESH__REQUEST__BODY_WORKLOADS, TBMESH__REPLY__BODY_WORKLOADS, &reply);
	if (r < 0)
		return r;
	r = -ENOENT;
	for (size_t i = 0; i < reply->workloads->n_workloads; i++) {
		const Tbmesh__Workload *m = reply->workloads->workloads[i];
		if (strcmp(m->id, w->workload) == 0)
			r = strcmp(m->state, "finished") == 0 ? 1 : strcmp(m->state, "lost") == 0 ? -ECANCELED : 0;
	}
	message_free_reply(reply);
	return r;
}

static int look(struct cli *c, const struct wanted *w)
{
	int r = 1;
	if (w->peers_set || w->measured)
		r = look_at_peers(c, w);
	if (r == 1 && (w->links_set || w->measured))
		r = look_at_links(c, w);
	if (r == 1 && w->gpus_set)
		r = look_at_gpus(c, w);
	if (r == 1 && w->workload)
		r = look_at_workload(c, w);
	return r;
}

static int run_wait(struct cli *c, int argc, char **argv)
{
	struct wanted w;
	int r = parse(c, argc, argv, &w);
	if (r != EXIT_OK)
		return r;
	uint64_t start_ns = time_monotonic_ns();
	while ((r = look(c, &w)) != 1) {
		/* A node that is just starting counts as "not yet". */
		bool starting = r == -ENOENT || r == -ECONNREFUSED || r == -ETIMEDOUT;
		if (r == -ENOENT && w.workload && c->client)
			return cli_fail(
				c, EXIT_NOT_FOUND, "there is no workload \"%s\"; `tbmesh ps` lists them", w.workload);
		if (r == -ECANCELED)
			return cli_fail(c, EXIT_ERROR, "workload %s was lost", w.workload);
		if (r < 0 && !starting)
			return client_explain(c, r);
		if (time_monotonic_ns() - start_ns >= w.timeout_ms * 1000000ull)
			return starting ? client_explain(c, r)
					: cli_fail(c, EXIT_TIMED_OUT, "it did not come to that within %.1f s",
						  (double)w.timeout_ms / 1000);
		struct timespec pause = { .tv_nsec = ASK_AGAIN_MS * 1000000 };
		nanosleep(&pause, NULL);
	}
	if (!c->json)
		return EXIT_OK;
	json_t *o = document_create("tbmesh.wait/1");
	json_object_set_new(o, "waited_ms", json_integer((json_int_t)((time_monotonic_ns() - start_ns) / 1000000)));
	return cli_print_json(o);
}

const struct command command_wait = {
	.name = "wait",
	.summary = "wait until the mesh is as asked for",
	.run = run_wait,
	.usage = "Usage: tbmesh wait [--peers N] [--links N] [--gpus N [--cpu]] [--measured] [WORKLOAD] [--timeout S]\n"
		 "Waits until all that is asked for holds; exit code 5 when it does not within S seconds (default 30).\n"
		 "\n"
		 "  --peers N   at least N peers are up\n"
		 "  --links N   at least N links are up\n"
		 "  --gpus N    at least N GPUs of the mesh are active; CPU drivers count with --cpu alone\n"
		 "  --measured  every link that is up and every peer has round trip and bandwidth measured\n"
		 "  WORKLOAD    it has finished; exit code 1 when it was lost\n",
};
