/* eject, plug: takes a GPU of this host out of use before it is unplugged, and brings it back. */
#include <string.h>

#include "node/cli/cli.h"
#include "node/cli/document.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define STANDARD_TIMEOUT_MS 3700000 /* the node ends it earlier, and tells why */

static json_t *document_eject(const Tbmesh__EjectReply *r, bool ejected)
{
	json_t *o = document_create(ejected ? "tbmesh.eject/1" : "tbmesh.plug/1");
	json_object_set_new(o, "gpu", json_string(r->gpu));
	json_object_set_new(o, "already", json_boolean(r->was));
	if (ejected) {
		json_object_set_new(o, "moved", json_integer(r->moved));
		json_object_set_new(o, "killed", json_integer(r->killed));
		json_object_set_new(o, "took_ms", json_integer((json_int_t)r->took_ms));
	}
	return o;
}

static void show(const Tbmesh__EjectReply *r, bool ejected)
{
	if (!ejected) {
		printf("%s %s\n", r->gpu, r->was ? "was in use already." : "may be used again.");
		return;
	}
	if (r->moved > 0)
		printf("%u program%s moved off it.\n", r->moved, r->moved == 1 ? "" : "s");
	if (r->killed > 0)
		printf("%u program%s lost it.\n", r->killed, r->killed == 1 ? "" : "s");
	printf("%s is not in use any more: safe to unplug. `tbmesh plug` brings it back.\n", r->gpu);
}

static int ask(struct cli *c, Tbmesh__EjectRequest *body)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__Reply *reply;
	request.body_case = TBMESH__REQUEST__BODY_EJECT;
	request.eject = body;
	int r = client_ask(c, &request, STANDARD_TIMEOUT_MS, &reply);
	if (r != EXIT_OK)
		return r;
	if (reply->body_case != TBMESH__REPLY__BODY_EJECT)
		r = cli_fail(c, EXIT_ERROR, "the node answered something else");
	else if (c->json)
		r = cli_print_json(document_eject(reply->eject, !body->plug));
	else
		show(reply->eject, !body->plug);
	message_free_reply(reply);
	return r;
}

static int run_eject(struct cli *c, int argc, char **argv)
{
	Tbmesh__EjectRequest body = TBMESH__EJECT_REQUEST__INIT;
	const char *gpu = NULL;
	uint64_t seconds;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--force") == 0)
			body.force = true;
		else if (strcmp(argv[i], "--timeout") == 0) {
			if (++i == argc || !cli_number(argv[i], 3600, &seconds) || seconds == 0)
				return cli_usage(c, &command_eject, "--timeout needs seconds, from 1 to 3600");
			body.timeout_ms = (uint32_t)seconds * 1000;
		} else if (argv[i][0] == '-' || gpu)
			return cli_usage(c, &command_eject, "\"%s\" is not expected here", argv[i]);
		else
			gpu = argv[i];
	}
	if (!gpu)
		return cli_usage(c, &command_eject, "expected a GPU");
	body.gpu = (char *)gpu;
	return ask(c, &body);
}

static int run_plug(struct cli *c, int argc, char **argv)
{
	Tbmesh__EjectRequest body = TBMESH__EJECT_REQUEST__INIT;
	if (argc != 2 || argv[1][0] == '-')
		return cli_usage(c, &command_plug, "expected one GPU");
	body.gpu = argv[1];
	body.plug = true;
	return ask(c, &body);
}

const struct command command_eject = {
	.name = "eject",
	.summary = "take a GPU of this host out of use, to unplug it",
	.run = run_eject,
	.usage = "Usage: tbmesh eject [--force] [--timeout S] GPU\n"
		 "Moves all programs, of this host and of peers, off a GPU of this host, waits until nothing runs on it, "
		 "and says\n"
		 "that it is safe to unplug. The programs go on elsewhere and notice nothing but a pause. When one can't go "
		 "anywhere\n"
		 "else, nothing is ejected. The node does all that: interrupting this command stops nothing, `tbmesh plug` "
		 "calls it "
		 "off.\n"
		 "GPU is an id, or (part of) a name, as `tbmesh gpus` shows them.\n"
		 "\n"
		 "  --force      programs that can't go lose the GPU; they get another if one comes within "
		 "migration_timeout\n"
		 "  --timeout S  how long programs may take to leave (default: twice migration_timeout)\n",
};
const struct command command_plug = {
	.name = "plug",
	.summary = "bring an ejected GPU back into use",
	.run = run_plug,
	.usage = "Usage: tbmesh plug GPU\n"
		 "Ends an eject, or calls off one that is under way: programs may be placed on the GPU again. One that was "
		 "unplugged and comes back needs no "
		 "plug.\n",
};
