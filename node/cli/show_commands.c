/* status, peers, links, ps, best: what the node knows. */
#include "node/cli/cli.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "node/cli/document.h"
#include "proto/messages.h"
#include "proto/validate.h"

static int run_status(struct cli *c, int argc, char **argv)
{
	bool check = argc == 2 && strcmp(argv[1], "--check") == 0;
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__StatusRequest body = TBMESH__STATUS_REQUEST__INIT;
	Tbmesh__Reply *reply;
	int r = check ? -1 : cli_no_arguments(c, &command_status, argc, argv);
	if (r >= 0)
		return r;
	request.body_case = TBMESH__REQUEST__BODY_STATUS;
	request.status = &body;
	r = client_ask(c, &request, CLIENT_TIMEOUT_MS, &reply);
	if (r != EXIT_OK)
		return r;
	if (reply->body_case != TBMESH__REPLY__BODY_STATUS)
		r = cli_fail(c, EXIT_ERROR, "the node answered something else");
	else if (c->json)
		r = cli_print_json(document_status(reply->status));
	else
		show_status(reply->status, stdout);
	if (r == EXIT_OK && check && reply->status->n_warnings > 0)
		r = EXIT_DEGRADED;
	message_free_reply(reply);
	return r;
}

int cli_ask_list(
	struct cli *c, const struct command *command, int argc, char **argv, int which, int expected, Tbmesh__Reply **ret)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__ListRequest body = TBMESH__LIST_REQUEST__INIT;
	int r = cli_no_arguments(c, command, argc, argv);
	if (r >= 0)
		return r;
	request.body_case = (Tbmesh__Request__BodyCase)which;
	request.peers = &body; /* all lists are asked for by the same message */
	r = client_ask(c, &request, CLIENT_TIMEOUT_MS, ret);
	if (r == EXIT_OK && (int)(*ret)->body_case != expected) {
		message_free_reply(*ret);
		r = cli_fail(c, EXIT_ERROR, "the node answered something else");
	}
	return r;
}

static int run_peers(struct cli *c, int argc, char **argv)
{
	Tbmesh__Reply *reply;
	int r = cli_ask_list(c, &command_peers, argc, argv, TBMESH__REQUEST__BODY_PEERS, TBMESH__REPLY__BODY_PEERS, &reply);
	if (r != EXIT_OK)
		return r;
	if (c->json)
		r = cli_print_json(document_peers(reply->peers));
	else
		show_peers(reply->peers, stdout, c->color);
	message_free_reply(reply);
	return r;
}

static int run_links(struct cli *c, int argc, char **argv)
{
	Tbmesh__Reply *reply;
	bool watch = argc > 1 && strcmp(argv[1], "--watch") == 0, screen = isatty(STDOUT_FILENO);
	for (;;) {
		int r = cli_ask_list(c, &command_links, watch ? argc - 1 : argc, watch ? argv + 1 : argv,
			TBMESH__REQUEST__BODY_LINKS, TBMESH__REPLY__BODY_LINKS, &reply);
		if (r != EXIT_OK)
			return r;
		if (watch && screen && !c->json)
			fputs("\033[H\033[J", stdout); /* home, clear: ECMA-48 */
		if (c->json)
			r = cli_print_json(document_links(reply->links));
		else
			show_links(reply->links, stdout, c->color);
		message_free_reply(reply);
		if (!watch || r != EXIT_OK || fflush(stdout) != 0)
			return r;
		if (!screen && !c->json)
			fputc('\n', stdout);
		sleep(1);
	}
}

static int run_ps(struct cli *c, int argc, char **argv)
{
	Tbmesh__Reply *reply;
	int r = cli_ask_list(
		c, &command_ps, argc, argv, TBMESH__REQUEST__BODY_WORKLOADS, TBMESH__REPLY__BODY_WORKLOADS, &reply);
	if (r != EXIT_OK)
		return r;
	if (c->json)
		r = cli_print_json(document_workloads(reply->workloads));
	else
		show_workloads(reply->workloads, stdout, c->color);
	message_free_reply(reply);
	return r;
}

/* ---- best ---- */

static bool parse_size(const char *text, uint32_t *ret_width, uint32_t *ret_height)
{
	char width[16];
	uint64_t w, h;
	const char *x = strchr(text, 'x');
	if (!x || (size_t)(x - text) >= sizeof width)
		return false;
	memcpy(width, text, (size_t)(x - text));
	width[x - text] = '\0';
	if (!cli_number(width, 65536, &w) || !cli_number(x + 1, 65536, &h) || w == 0 || h == 0)
		return false;
	*ret_width = (uint32_t)w;
	*ret_height = (uint32_t)h;
	return true;
}

/* Bits a pixel, of the layouts that raw frames have. */
static bool parse_format(const char *text, uint32_t *ret_bits)
{
	static const struct {
		const char *name;
		uint32_t bits;
	} formats[] = { { "rgba8", 32 }, { "rgb8", 24 }, { "rgba16f", 64 }, { "p010", 24 }, { "nv12", 12 }, { "yuv420", 12 },
		{ "yuv422", 16 }, { "yuv444", 24 } };
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		if (strcmp(text, formats[i].name) == 0) {
			*ret_bits = formats[i].bits;
			return true;
		}
	return false;
}

static int parse_best(struct cli *c, int argc, char **argv, Tbmesh__BestRequest *body, bool *ret_explain)
{
	const char *criterion = NULL, *of_frames = NULL;
	for (int i = 1; i < argc; i++) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		uint64_t number;
		if (strcmp(option, "--explain") == 0) {
			*ret_explain = true;
			continue;
		}
		if (option[0] != '-') {
			if (criterion)
				return cli_usage(c, &command_best, "one criterion at a time, not \"%s\" and \"%s\"",
					criterion, option);
			criterion = option;
			continue;
		}
		bool known = strcmp(option, "--for") == 0 || strcmp(option, "--size") == 0 || strcmp(option, "--fps") == 0 ||
			strcmp(option, "--format") == 0;
		if (!known || !value)
			return cli_usage(c, &command_best, known ? "%s needs a value" : "unknown option \"%s\"", option);
		i++;
		if (strcmp(option, "--for") == 0) {
			criterion = value;
			continue;
		}
		of_frames = option;
		if (strcmp(option, "--size") == 0) {
			if (!parse_size(value, &body->width, &body->height))
				return cli_usage(c, &command_best, "--size must be like 3840x2160, not \"%s\"", value);
		} else if (strcmp(option, "--fps") == 0) {
			if (!cli_number(value, 1000, &number) || number == 0)
				return cli_usage(
					c, &command_best, "--fps must be a whole number from 1 to 1000, not \"%s\"", value);
			body->fps = (uint32_t)number;
		} else if (!parse_format(value, &body->bits_per_pixel)) {
			return cli_usage(c, &command_best,
				"--format must be rgba8, rgb8, rgba16f, p010, nv12, yuv420, yuv422 or yuv444, not \"%s\"",
				value);
		}
	}
	if (of_frames && criterion && strcmp(criterion, "frames") != 0)
		return cli_usage(c, &command_best, "%s is of frames, not of %s", of_frames, criterion);
	body->criterion = (char *)(criterion ? criterion : of_frames ? "frames" : "latency");
	return EXIT_OK;
}

static int run_best(struct cli *c, int argc, char **argv)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__BestRequest body = TBMESH__BEST_REQUEST__INIT;
	Tbmesh__Reply *reply;
	bool explain = false;
	int r = parse_best(c, argc, argv, &body, &explain);
	if (r != EXIT_OK)
		return r;
	request.body_case = TBMESH__REQUEST__BODY_BEST;
	request.best = &body;
	r = client_ask(c, &request, CLIENT_TIMEOUT_MS, &reply);
	if (r != EXIT_OK)
		return r;
	bool any = false;
	if (reply->body_case != TBMESH__REPLY__BODY_BEST) {
		r = cli_fail(c, EXIT_ERROR, "the node answered something else");
	} else {
		for (size_t i = 0; i < reply->best->n_candidates; i++)
			any |= reply->best->candidates[i]->viable;
		if (c->json)
			r = cli_print_json(document_best(reply->best));
		else
			show_best(reply->best, explain, stdout, c->color);
	}
	if (r == EXIT_OK && !any)
		r = EXIT_NOT_FOUND;
	message_free_reply(reply);
	return r;
}

const struct command command_status = {
	.name = "status",
	.summary = "this node and its mesh at a glance",
	.run = run_status,
	.usage = "Usage: tbmesh status [--check]\n"
		 "Shows this node, its mesh and warnings.\n"
		 "\n"
		 "  --check  exit code 6 when there are warnings\n",
};
const struct command command_peers = {
	.name = "peers",
	.summary = "the other nodes, how far and how wide",
	.run = run_peers,
	.usage = "Usage: tbmesh peers\n"
		 "Lists peers: best link, round trip, and bandwidth each way measured on all links at the same time.\n",
};
const struct command command_links = {
	.name = "links",
	.summary = "every cable with its measurements",
	.run = run_links,
	.usage = "Usage: tbmesh links [--watch]\n"
		 "Lists links: one local interface to one peer address. UP is what this host sends. Round trips are told "
		 "apart: while "
		 "the\n"
		 "link was idle, and while it carried traffic (LOADED). MEASURED says by what and when: a probe of its own, "
		 "or the "
		 "traffic\n"
		 "that ran anyway. IN USE is what flows now, both ways.\n"
		 "\n"
		 "  --watch  each second anew, until ctrl-c; with --json one document a line\n",
};
const struct command command_ps = {
	.name = "ps",
	.summary = "running programs and who could take them",
	.run = run_ps,
	.usage = "Usage: tbmesh ps\n"
		 "Lists the workloads of this host, where they run, which GPUs could take them now and why others can't.\n",
};
const struct command command_best = {
	.name = "best",
	.summary = "which peer is best for what, and why",
	.run = run_best,
	.usage = "Usage: tbmesh best [CRITERION] [--size WxH] [--fps N] [--format F] [--explain]\n"
		 "Ranks the peers. Exit code 4 when none is good enough.\n"
		 "\n"
		 "  CRITERION        latency (default), frames, offload or checkpoint; --for CRITERION is the same\n"
		 "  --size, --fps    of frames that are sent to the peer (default 3840x2160 at 60)\n"
		 "  --format F       of frames: rgba8 (default), rgb8, rgba16f, p010, nv12, yuv420, yuv422, yuv444\n"
		 "  --explain        show every term of the score\n",
};
