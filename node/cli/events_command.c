/* events: what happened, on this host and on others. */
#include "node/cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "node/cli/document.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define TYPES_MAX 32
#define SINCE_MAX 64
#define FOLLOW_TIMEOUT_MS 25000 /* the node answers earlier, if only with nothing */

static const char *const types[] = { "Connected", "Disconnected", "LinkSpeedChanged", "PowerStateChanged", "HealthChanged",
	"Ejected", "Plugged", "PeerUp", "PeerSuspect", "PeerDown", "LinkUp", "LinkDown", "PathDegraded", "PathRestored",
	"BridgeRing", "MigrationStarted", "MigrationCompleted", "MigrationFailed", "CheckpointTaken", "Diverged",
	"TargetsLost", "TargetFound", "WorkloadLost" };

struct query {
	Tbmesh__EventsRequest body;
	bool follow;
	char *types[TYPES_MAX];
	/* --since HOST:N */
	Tbmesh__EventsAt at[SINCE_MAX], *at_list[SINCE_MAX];
	char names[SINCE_MAX][64];
	bool since; /* --since N */
	json_t *document;
	Tbmesh__Reply *previous; /* `at` of the next question lies in it */
};

/* ---- arguments ---- */

static int take_type(struct cli *c, struct query *q, char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcasecmp(value, types[i]) == 0) {
			if (q->body.n_types == TYPES_MAX)
				return cli_usage(c, &command_events, "--type may be given %d times at most", TYPES_MAX);
			q->types[q->body.n_types++] = value;
			return EXIT_OK;
		}
	return cli_usage(c, &command_events, "there is no type \"%s\" of events", value);
}

static int take_since(struct cli *c, struct query *q, const char *value)
{
	const char *colon = strrchr(value, ':');
	size_t length = colon ? (size_t)(colon - value) : 0;
	uint64_t number;
	if (!cli_number(colon ? colon + 1 : value, UINT64_MAX, &number) ||
		(colon && (!length || length >= sizeof q->names[0])))
		return cli_usage(
			c, &command_events, "--since needs the number of an event, or HOST:NUMBER, not \"%s\"", value);
	if (!colon) {
		q->body.since = number;
		q->since = true;
		return EXIT_OK;
	}
	if (q->body.n_at == SINCE_MAX)
		return cli_usage(c, &command_events, "--since may be given for %d hosts at most", SINCE_MAX);
	size_t i = q->body.n_at++;
	snprintf(q->names[i], sizeof q->names[i], "%.*s", (int)length, value);
	tbmesh__events_at__init(&q->at[i]);
	q->at[i].name = q->names[i];
	q->at[i].number = number;
	q->at_list[i] = &q->at[i];
	return EXIT_OK;
}

static int parse(struct cli *c, struct query *q, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		int r = EXIT_OK;
		if (strcmp(option, "--follow") == 0 || strcmp(option, "-f") == 0) {
			q->follow = true;
			continue;
		}
		if (strcmp(option, "--all-hosts") == 0) {
			q->body.all = true;
			continue;
		}
		bool known = strcmp(option, "--type") == 0 || strcmp(option, "--gpu") == 0 ||
			strcmp(option, "--about") == 0 || strcmp(option, "--host") == 0 || strcmp(option, "--since") == 0;
		if (!known)
			return cli_usage(c, &command_events, "unknown option \"%s\"", option);
		if (!value || !value[0])
			return cli_usage(c, &command_events, "%s needs a value", option);
		i++;
		if (strcmp(option, "--type") == 0)
			r = take_type(c, q, value);
		else if (strcmp(option, "--host") == 0)
			q->body.host = value;
		else if (strcmp(option, "--since") == 0)
			r = take_since(c, q, value);
		else
			q->body.about = value;
		if (r != EXIT_OK)
			return r;
	}
	if (q->body.all && q->body.host[0])
		return cli_usage(c, &command_events, "--host and --all-hosts do not go together");
	if (q->body.all ? q->since : q->body.n_at > 0)
		return cli_usage(c, &command_events,
			q->body.all ? "numbers are each host's own: --since HOST:NUMBER with --all-hosts"
				    : "--since HOST:NUMBER goes with --all-hosts");
	return EXIT_OK;
}

/* ---- output ---- */

static int tell_gap(const struct cli *c, const struct query *q, const Tbmesh__EventsAt *at, bool back)
{
	if (c->json)
		return q->follow ? cli_print_json(document_events_gap(at)) : EXIT_OK; /* it is in the document */
	if (at->anew)
		fprintf(stderr, "tbmesh: the numbers of %s have not come so far: they began anew, here are all\n", at->name);
	else if (at->restarted)
		fprintf(stderr,
			"tbmesh: %s was started anew; what it had seen before (at most %llu events) is no longer kept\n",
			at->name, (unsigned long long)at->lost);
	else if (at->lost > 0)
		fprintf(stderr, "tbmesh: %llu events of %s in between are no longer kept\n", (unsigned long long)at->lost,
			at->name);
	if (at->note[0])
		fprintf(stderr, "tbmesh: %s\n", at->note);
	else if (back)
		fprintf(stderr, "tbmesh: %s is reached again\n", at->name);
	return EXIT_OK;
}

static const Tbmesh__EventsAt *find_before(const struct query *q, const char *id)
{
	const Tbmesh__EventList *l = q->previous ? q->previous->events : NULL;
	for (size_t i = 0; l && i < l->n_at; i++)
		if (strcmp(l->at[i]->node_id, id) == 0)
			return l->at[i];
	return NULL;
}

/* What is missing in front of these events, and who has come or gone since the last answer. */
static int tell_gaps(const struct cli *c, const struct query *q, const Tbmesh__EventList *list)
{
	int r = EXIT_OK;
	if (list->n_at == 0 && q->body.since > 0) {
		Tbmesh__EventsAt own = TBMESH__EVENTS_AT__INIT;
		own.name = list->n_events ? list->events[0]->node : (char *)"this host";
		own.node_id = list->n_events ? list->events[0]->node_id : (char *)"";
		own.number = list->last;
		own.lost = list->lost;
		own.restarted = list->lost > 0 && q->body.since + 1 < list->first;
		own.anew = list->incarnation && q->body.since > list->newest;
		return own.lost || own.anew ? tell_gap(c, q, &own, false) : EXIT_OK;
	}
	for (size_t i = 0; i < list->n_at && r == EXIT_OK; i++) {
		const Tbmesh__EventsAt *at = list->at[i], *before = find_before(q, at->node_id);
		if (at->lost || at->restarted || at->anew || strcmp(at->note, before ? before->note : "") != 0)
			r = tell_gap(c, q, at, before && before->unreached && !at->unreached);
	}
	return r;
}

static int print_events(struct cli *c, struct query *q, const Tbmesh__EventList *list)
{
	int r = tell_gaps(c, q, list);
	if (c->json && !q->follow) {
		if (q->document)
			document_events_add(q->document, list);
		else
			q->document = document_events(list);
		return r;
	}
	for (size_t i = 0; i < list->n_events && r == EXIT_OK; i++) {
		if (c->json)
			r = cli_print_json(document_event(list->events[i]));
		else
			show_event(list->events[i], q->body.all, stdout);
	}
	return fflush(stdout) == 0 ? r : EXIT_ERROR;
}

/* A node that was restarted meanwhile has forgotten the question, not the numbers: it is asked again. */
static int follow_ask(struct cli *c, Tbmesh__Request *request, Tbmesh__Reply **ret)
{
	int r = client_ask_quietly(c, request, FOLLOW_TIMEOUT_MS, ret);
	if (r == -ETIMEDOUT) {
		client_close(c->client);
		c->client = NULL;
		return client_ask(c, request, FOLLOW_TIMEOUT_MS, ret);
	}
	if (r < 0)
		return client_explain(c, r);
	if ((*ret)->code == 0)
		return EXIT_OK;
	r = (*ret)->code <= EXIT_UNAUTHORIZED ? (int)(*ret)->code : EXIT_ERROR;
	cli_fail(c, r, "%s", (*ret)->message);
	message_free_reply(*ret);
	*ret = NULL;
	return r;
}

/* `tbmesh events --follow | head` ends though nothing happens any more. */
static bool reader_gone(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO };
	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLNVAL));
}

/* Is there more to ask for? */
static bool goes_on(struct query *q, const Tbmesh__EventList *list)
{
	bool several = q->body.all || q->body.host[0];
	q->body.since = list->n_at || !several ? list->last : q->body.since;
	q->body.follow = q->follow;
	if (!list->n_at)
		return q->follow || (list->n_events > 0 && list->last != list->newest);
	q->body.at = list->at;
	q->body.n_at = list->n_at;
	q->body.token = list->token;
	return q->follow || list->token;
}

static int run_events(struct cli *c, int argc, char **argv)
{
	struct query q = { .body = TBMESH__EVENTS_REQUEST__INIT };
	q.body.types = q.types;
	q.body.at = q.at_list;
	int r = parse(c, &q, argc, argv);
	bool more = r == EXIT_OK;
	q.body.follow = q.follow && (q.body.all || q.body.host[0]);
	while (more) {
		Tbmesh__Request request = TBMESH__REQUEST__INIT;
		Tbmesh__Reply *reply;
		request.body_case = TBMESH__REQUEST__BODY_EVENTS;
		request.events = &q.body;
		r = q.follow ? follow_ask(c, &request, &reply) : client_ask(c, &request, CLIENT_TIMEOUT_MS, &reply);
		if (r != EXIT_OK)
			break;
		if (reply->body_case != TBMESH__REPLY__BODY_EVENTS || !reply->events) {
			message_free_reply(reply);
			r = cli_fail(c, EXIT_ERROR, "the node answered something else");
			break;
		}
		r = print_events(c, &q, reply->events);
		more = r == EXIT_OK && goes_on(&q, reply->events) && !reader_gone();
		message_free_reply(q.previous);
		q.previous = reply;
	}
	message_free_reply(q.previous);
	if (q.document && r == EXIT_OK)
		r = cli_print_json(q.document);
	else
		json_decref(q.document);
	return r;
}

const struct command command_events = {
	.name = "events",
	.summary = "what happened, numbered",
	.run = run_events,
	.usage = "Usage: tbmesh events [--since N] [--type TYPE]… [--gpu GPU] [--host NODE | --all-hosts] [--follow]\n"
		 "Shows what happened on this host, or on others, with numbers larger than N (default: all that is kept).\n"
		 "\n"
		 "  --type TYPE  only these; may be given several times: Connected, Disconnected, LinkSpeedChanged, "
		 "PowerStateChanged,\n"
		 "               HealthChanged, Ejected, Plugged, PeerUp, PeerSuspect, PeerDown, LinkUp, LinkDown, "
		 "PathDegraded,\n"
		 "               PathRestored, BridgeRing, MigrationStarted, MigrationCompleted, MigrationFailed, "
		 "CheckpointTaken,\n"
		 "               Diverged, TargetsLost, TargetFound, WorkloadLost\n"
		 "  --gpu GPU    only what is about that GPU (id or NODE/ID); --about THING: peer, link or workload, too\n"
		 "  --host NODE  what happened on that peer, with its numbers\n"
		 "  --all-hosts  this host and all its peers, by time, each line with its host\n"
		 "  --since N    behind that number; with --all-hosts HOST:N, once for each host\n"
		 "  --follow     go on as they come; with --json one document a line\n"
		 "\n"
		 "A node keeps its last 4096. When some in between are gone (too old, or the node was started anew), that "
		 "is said.\n",
};
