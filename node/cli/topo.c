/* topo: the whole mesh as a tree of the quickest ways, as a graph for dot(1), or as a document. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/cli.h"
#include "node/cli/document.h"
#include "proto/messages.h"
#include "proto/validate.h"

static const Tbmesh__TopologyNode *find(const Tbmesh__Topology *t, const char *id)
{
	for (size_t i = 0; i < t->n_nodes; i++) {
		if (strcmp(t->nodes[i]->node_id, id) == 0)
			return t->nodes[i];
	}
	return NULL;
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* Led there by routing, over cables that are told of by themselves. */
static bool is_routed(const Tbmesh__TopologyLink *l)
{
	return strcmp(l->interface, "routed") == 0;
}

/* What is known of the cables from one node to another: the quickest, and how many more. */
static void describe_way(const Tbmesh__TopologyNode *from, const char *to, FILE *out)
{
	char text[FORMAT_SIZE];
	const Tbmesh__TopologyLink *best = NULL;
	size_t count = 0;
	for (size_t i = 0; i < from->n_links; i++) {
		const Tbmesh__TopologyLink *l = from->links[i];
		if (strcmp(l->neighbour, to) != 0 || is_routed(l))
			continue;
		count++;
		if (!best || (l->p50_us > 0 && (best->p50_us <= 0 || l->p50_us < best->p50_us)))
			best = l;
	}
	if (!best)
		return;
	fprintf(out, "  %s", best->interface[0] ? best->interface : "by address");
	if (count > 1)
		fprintf(out, " and %zu more", count - 1);
	if (best->p50_us > 0)
		fprintf(out, ", %s", format_us(best->p50_us, text));
	if (best->up_bps)
		fprintf(out, ", %s up", format_bps(best->up_bps, text));
	if (best->down_bps)
		fprintf(out, ", %s down", format_bps(best->down_bps, text));
	if (best->state[0] && strcmp(best->state, "up") != 0)
		fprintf(out, ", %s", best->state);
}

static void show_node(const Tbmesh__Topology *t, const Tbmesh__TopologyNode *n, FILE *out)
{
	const Tbmesh__TopologyNode *via = n->hops ? find(t, n->via) : NULL;
	char text[FORMAT_SIZE];
	fputs(n->name, out);
	if (n->gpus)
		fprintf(out, "  %" PRIu32 " GPU%s", n->gpus, plural(n->gpus));
	if (via)
		describe_way(via, n->node_id, out);
	if (n->hops > 1)
		fprintf(out, " (%" PRIu32 " hops, %s in all)", n->hops, format_us(n->path_us, text));
	fputc('\n', out);
}

/* Children of a node, in the list's order; depth first without recursion: a hostile graph may be deep. */
static void show_tree(const Tbmesh__Topology *t, FILE *out)
{
	size_t *next = calloc(t->n_nodes + 1, sizeof *next), *stack = calloc(t->n_nodes + 1, sizeof *stack), depth = 0;
	bool *last = calloc(t->n_nodes + 1, sizeof *last);
	if (!next || !stack || !last || !t->n_nodes)
		goto end;
	show_node(t, t->nodes[0], out);
	depth = 1; /* stack[0] is the root */
	while (depth) {
		const Tbmesh__TopologyNode *parent = t->nodes[stack[depth - 1]];
		size_t child = SIZE_MAX, after = SIZE_MAX;
		for (size_t i = next[depth - 1]; i < t->n_nodes && after == SIZE_MAX; i++) {
			if (!t->nodes[i]->reached || !t->nodes[i]->hops || strcmp(t->nodes[i]->via, parent->node_id) != 0)
				continue;
			if (child == SIZE_MAX)
				child = i;
			else
				after = i;
		}
		if (child == SIZE_MAX || depth > t->n_nodes - 1) {
			depth--;
			continue;
		}
		next[depth - 1] = child + 1;
		last[depth] = after == SIZE_MAX;
		for (size_t d = 1; d < depth; d++)
			fputs(last[d] ? "   " : "│  ", out);
		fputs(last[depth] ? "└─ " : "├─ ", out);
		show_node(t, t->nodes[child], out);
		stack[depth] = child;
		next[depth] = 0;
		depth++;
	}
end:
	free(next);
	free(stack);
	free(last);
}

/* Each cable once: by the end with the smaller id, or by the only one that tells of it. */
static bool first_end(const Tbmesh__TopologyNode *n, const Tbmesh__TopologyLink *l)
{
	return !l->confirmed || strcmp(n->node_id, l->neighbour) < 0;
}

static bool in_tree(const Tbmesh__TopologyNode *a, const Tbmesh__TopologyNode *b)
{
	return (a->hops && strcmp(a->via, b->node_id) == 0) || (b->hops && strcmp(b->via, a->node_id) == 0);
}

void show_topology(const Tbmesh__Topology *t, FILE *out)
{
	char text[FORMAT_SIZE];
	show_tree(t, out);
	bool any = false;
	for (size_t i = 0; i < t->n_nodes; i++) {
		const Tbmesh__TopologyNode *n = t->nodes[i];
		for (size_t k = 0; n->reached && k < n->n_links; k++) {
			const Tbmesh__TopologyLink *l = n->links[k];
			const Tbmesh__TopologyNode *other = find(t, l->neighbour);
			if (!other || !other->reached || !l->confirmed || !first_end(n, l) || in_tree(n, other) ||
				is_routed(l))
				continue;
			fprintf(out, "%s%s - %s  %s", any ? "" : "\nOther cables:\n", n->name, other->name,
				l->interface[0] ? l->interface : "by address");
			if (l->p50_us > 0)
				fprintf(out, ", %s", format_us(l->p50_us, text));
			if (l->up_bps)
				fprintf(out, ", %s", format_bps(l->up_bps, text));
			fputc('\n', out);
			any = true;
		}
	}
	any = false;
	for (size_t i = 0; i < t->n_nodes; i++) {
		const Tbmesh__TopologyNode *n = t->nodes[i];
		if (n->reached)
			continue;
		fprintf(out, "%s%s (%s), what it said last is of %s ago\n", any ? "" : "\nNot reached by any way:\n",
			n->name, n->node_id, format_age(n->age_ms, text));
		any = true;
	}
}

/* Inside quotes of the DOT language. */
static void put_quoted(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

void show_topology_dot(const Tbmesh__Topology *t, FILE *out)
{
	char rtt[FORMAT_SIZE], up[FORMAT_SIZE], down[FORMAT_SIZE];
	fputs("graph tbmesh {\n\tnode [shape=box];\n", out);
	for (size_t i = 0; i < t->n_nodes; i++) {
		const Tbmesh__TopologyNode *n = t->nodes[i];
		fprintf(out, "\t\"%s\" [label=\"%s\\n%" PRIu32 " GPU%s\"%s];\n", n->node_id, n->name, n->gpus,
			plural(n->gpus), n->reached ? "" : ", style=dotted");
	}
	for (size_t i = 0; i < t->n_nodes; i++) {
		const Tbmesh__TopologyNode *n = t->nodes[i];
		for (size_t k = 0; k < n->n_links; k++) {
			const Tbmesh__TopologyLink *l = n->links[k];
			if (!first_end(n, l) || is_routed(l) || !find(t, l->neighbour))
				continue;
			fprintf(out, "\t\"%s\" -- \"%s\" [label=\"", n->node_id, l->neighbour);
			put_quoted(l->interface, out);
			fprintf(out, "\\n%s\\n%s, %s\"%s];\n", l->p50_us > 0 ? format_us(l->p50_us, rtt) : "-",
				format_bps(l->up_bps, up), format_bps(l->down_bps, down),
				l->confirmed ? "" : ", style=dotted");
		}
	}
	fputs("}\n", out);
}

static int run_topo(struct cli *c, int argc, char **argv)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__ListRequest body = TBMESH__LIST_REQUEST__INIT;
	Tbmesh__Reply *reply;
	bool dot = argc == 2 && strcmp(argv[1], "--dot") == 0;
	int r = dot ? -1 : cli_no_arguments(c, &command_topo, argc, argv);
	if (r >= 0)
		return r;
	request.body_case = TBMESH__REQUEST__BODY_TOPOLOGY;
	request.topology = &body;
	r = client_ask(c, &request, CLIENT_TIMEOUT_MS, &reply);
	if (r != EXIT_OK)
		return r;
	if (reply->body_case != TBMESH__REPLY__BODY_TOPOLOGY)
		r = cli_fail(c, EXIT_ERROR, "the node answered something else");
	else if (c->json)
		r = cli_print_json(document_topology(reply->topology));
	else if (dot)
		show_topology_dot(reply->topology, stdout);
	else
		show_topology(reply->topology, stdout);
	message_free_reply(reply);
	return r;
}

const struct command command_topo = {
	.name = "topo",
	.summary = "the whole mesh: every node, every cable, the way to each",
	.run = run_topo,
	.usage = "Usage: tbmesh topo [--dot]\n"
		 "Shows the mesh as all its nodes describe themselves, not only the direct peers: a tree of the quickest "
		 "ways from "
		 "this\n"
		 "node, then the other cables, then who is not reached any more.\n"
		 "\n"
		 "  --dot  for Graphviz: tbmesh topo --dot | dot -Tsvg > mesh.svg\n",
};
