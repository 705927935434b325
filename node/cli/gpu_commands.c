/* gpus, gpu, thunderbolt: the devices of the mesh, of one host and of a peer. */
#include "node/cli/cli.h"

#include <string.h>
#include <unistd.h>

#include "node/cli/document.h"
#include "proto/messages.h"
#include "proto/validate.h"

/* The GPUs, and what this host is called. */
static int ask_gpus(struct cli *c, const struct command *command, int argc, char **argv, Tbmesh__Reply **ret_gpus,
	Tbmesh__Reply **ret_status)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__StatusRequest body = TBMESH__STATUS_REQUEST__INIT;
	int r = cli_ask_list(c, command, argc, argv, TBMESH__REQUEST__BODY_GPUS, TBMESH__REPLY__BODY_GPUS, ret_gpus);
	if (r != EXIT_OK)
		return r;
	request.body_case = TBMESH__REQUEST__BODY_STATUS;
	request.status = &body;
	r = client_ask(c, &request, CLIENT_TIMEOUT_MS, ret_status);
	if (r == EXIT_OK && (*ret_status)->body_case != TBMESH__REPLY__BODY_STATUS) {
		message_free_reply(*ret_status);
		r = cli_fail(c, EXIT_ERROR, "the node answered something else");
	}
	if (r != EXIT_OK)
		message_free_reply(*ret_gpus);
	return r;
}

static int run_gpus(struct cli *c, int argc, char **argv)
{
	Tbmesh__Reply *gpus, *status;
	bool watch = argc > 1 && strcmp(argv[1], "--watch") == 0, screen = isatty(STDOUT_FILENO);
	for (;;) {
		int r = ask_gpus(c, &command_gpus, watch ? argc - 1 : argc, watch ? argv + 1 : argv, &gpus, &status);
		if (r != EXIT_OK)
			return r;
		if (watch && screen && !c->json)
			fputs("\033[H\033[J", stdout); /* home, clear: ECMA-48 */
		if (c->json)
			r = cli_print_json(document_gpus(gpus->gpus, status->status->name));
		else
			show_gpus(gpus->gpus, status->status->name, stdout, c->color);
		message_free_reply(status);
		message_free_reply(gpus);
		if (!watch || r != EXIT_OK || fflush(stdout) != 0)
			return r;
		if (!screen && !c->json)
			fputc('\n', stdout);
		sleep(1);
	}
}

/* ---- gpu ---- */

struct found {
	const char *wanted;
	const Tbmesh__Gpu *gpu;
	const char *host;
	bool local;
	unsigned rank;  /* of the best match: 3 by key, 2 by id on this host, 1 by id or name elsewhere */
	unsigned count; /* of that rank */
	char keys[512]; /* those */
};

static unsigned rank_of(const struct found *f, const Tbmesh__Gpu *g, const char *host, bool local)
{
	size_t length = strlen(host);
	if (strncmp(f->wanted, host, length) == 0 && f->wanted[length] == '/' && strcmp(f->wanted + length + 1, g->id) == 0)
		return 3;
	bool by_id = strcmp(f->wanted, g->id) == 0 || strcmp(f->wanted, g->pci_address) == 0;
	if (by_id && local)
		return 2;
	return by_id || strcmp(f->wanted, g->name) == 0 ? 1 : 0;
}

static void look_among(struct found *f, Tbmesh__Gpu *const *gpus, size_t count, const char *host, bool local)
{
	for (size_t i = 0; i < count; i++) {
		unsigned rank = rank_of(f, gpus[i], host, local);
		if (rank == 0 || rank < f->rank)
			continue;
		if (rank > f->rank) {
			f->count = 0;
			f->keys[0] = '\0';
		}
		size_t length = strlen(f->keys);
		snprintf(f->keys + length, sizeof f->keys - length, "%s%s/%s", length ? ", " : "", host, gpus[i]->id);
		if (f->count++ == 0) {
			f->gpu = gpus[i];
			f->host = host;
			f->local = local;
		}
		f->rank = rank;
	}
}

/* All that its own node knows, which is more than it tells the mesh. NULL: it does not say. */
static Tbmesh__Reply *ask_its_host(struct cli *c, const struct found *f)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__ListRequest body = TBMESH__LIST_REQUEST__INIT;
	Tbmesh__Reply *reply;
	body.host = (char *)f->host;
	request.body_case = TBMESH__REQUEST__BODY_GPUS;
	request.gpus = &body;
	if (client_ask_quietly(c, &request, CLIENT_TIMEOUT_MS, &reply) < 0)
		return NULL;
	if (reply->code == 0 && reply->body_case == TBMESH__REPLY__BODY_GPUS)
		return reply;
	message_free_reply(reply);
	return NULL;
}

static int show_found(struct cli *c, const struct found *f)
{
	if (f->count == 0)
		return cli_fail(c, EXIT_NOT_FOUND,
			"no GPU \"%s\"; `tbmesh gpus` lists them: give HOST/GPU, or GPU for one of this host", f->wanted);
	if (f->count > 1)
		return cli_fail(c, EXIT_NOT_FOUND, "\"%s\" is one of several GPUs; say which: %s", f->wanted, f->keys);
	const Tbmesh__Gpu *gpu = f->gpu;
	Tbmesh__Reply *told = f->local ? NULL : ask_its_host(c, f);
	for (size_t i = 0; told && i < told->gpus->n_gpus; i++)
		if (strcmp(told->gpus->gpus[i]->id, f->gpu->id) == 0)
			gpu = told->gpus->gpus[i];
	int r = EXIT_OK;
	if (c->json) {
		r = cli_print_json(document_gpu(gpu, f->host, f->local));
	} else {
		show_gpu(gpu, f->host, stdout);
		if (gpu == f->gpu && !f->local)
			fprintf(stderr, "tbmesh: %s does not answer; this is what it said before\n", f->host);
	}
	message_free_reply(told);
	return r;
}

static int run_gpu(struct cli *c, int argc, char **argv)
{
	Tbmesh__Reply *gpus, *status;
	if (argc != 2 || !argv[1][0])
		return cli_usage(c, &command_gpu, "which GPU? `tbmesh gpus` lists them");
	struct found f = { .wanted = argv[1] };
	int r = ask_gpus(c, &command_gpu, 1, argv, &gpus, &status);
	if (r != EXIT_OK)
		return r;
	look_among(&f, gpus->gpus->gpus, gpus->gpus->n_gpus, status->status->name, true);
	for (size_t i = 0; i < gpus->gpus->n_hosts; i++)
		look_among(&f, gpus->gpus->hosts[i]->gpus, gpus->gpus->hosts[i]->n_gpus, gpus->gpus->hosts[i]->host, false);
	r = show_found(c, &f);
	message_free_reply(status);
	message_free_reply(gpus);
	return r;
}

static int run_thunderbolt(struct cli *c, int argc, char **argv)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__ListRequest body = TBMESH__LIST_REQUEST__INIT;
	Tbmesh__Reply *reply;
	if (argc > 1 && strcmp(argv[1], "--host") == 0) {
		if (argc == 2 || !argv[2][0])
			return cli_usage(c, &command_thunderbolt, "--host needs a value");
		body.host = argv[2];
		argc -= 2;
		argv += 2;
	}
	int r = cli_no_arguments(c, &command_thunderbolt, argc, argv);
	if (r >= 0)
		return r;
	request.body_case = TBMESH__REQUEST__BODY_THUNDERBOLT;
	request.thunderbolt = &body;
	r = client_ask(c, &request, CLIENT_TIMEOUT_MS, &reply);
	if (r != EXIT_OK)
		return r;
	if (reply->body_case != TBMESH__REPLY__BODY_THUNDERBOLT)
		r = cli_fail(c, EXIT_ERROR, "the node answered something else");
	else if (c->json)
		r = cli_print_json(document_thunderbolt(reply->thunderbolt));
	else
		show_thunderbolt(reply->thunderbolt, stdout);
	message_free_reply(reply);
	return r;
}

const struct command command_gpus = {
	.name = "gpus",
	.summary = "the GPUs of all hosts",
	.run = run_gpus,
	.usage = "Usage: tbmesh gpus [--watch]\n"
		 "Lists the GPUs of this host and of its peers. STATE: active (a program runs on it), idle, suspended "
		 "(asleep),\n"
		 "ejected, gone, probing (its Vulkan drivers are being asked), or no driver. FREE: memory, as told last. TB "
		 "is what an\n"
		 "eGPU's enclosure is, LINK what its link is as fast as. `tbmesh gpu` tells all.\n"
		 "\n"
		 "  --watch  each second anew, until ctrl-c; with --json one document a line\n",
};
const struct command command_gpu = {
	.name = "gpu",
	.summary = "all that is known of one GPU",
	.run = run_gpu,
	.usage = "Usage: tbmesh gpu GPU\n"
		 "Shows one GPU: driver, memory, PCI and DRM places, enclosure, link, displays, health. GPU is an id of "
		 "this host's as\n"
		 "`tbmesh gpus` lists them, HOST/ID, a PCI address, or a name that only one GPU has. Exit code 4 when there "
		 "is none.\n",
};
const struct command command_thunderbolt = {
	.name = "thunderbolt",
	.summary = "what hangs on a host's Thunderbolt",
	.run = run_thunderbolt,
	.usage = "Usage: tbmesh thunderbolt [--host NODE]\n"
		 "Shows this host's, or a peer's, Thunderbolt and USB4 domains with their security, and below them routers "
		 "(enclosures, "
		 "docks, hubs),\n"
		 "retimers and other computers, each with its port and link.\n",
};
