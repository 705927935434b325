#include "node/cli/document.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "node/cli/cli.h"
#include "proto/messages.h"

static uint64_t bps_of(const Tbmesh__Bandwidth *b)
{
	return b ? b->bps : 0;
}

static void finish(struct table *t, FILE *out, bool color)
{
	table_print(t, out, color);
	table_destroy(t);
}

static void rtt_cells(struct table *t, const Tbmesh__Rtt *r)
{
	char text[FORMAT_SIZE];
	bool known = r && r->samples > 0;
	table_cell(t, "%s", known ? format_us(r->p50_us, text) : "-");
	table_cell(t, "%s", known ? format_us(r->p99_us, text) : "-");
}

void show_status(const Tbmesh__NodeStatus *s, FILE *out)
{
	char up[FORMAT_SIZE], down[FORMAT_SIZE], age[FORMAT_SIZE];
	fprintf(out, "Node       %s (%s), tbmesh %s, up for %s\n", s->name, s->node_id, s->version,
		format_age(s->uptime_ms, age));
	fprintf(out, "Mesh       %" PRIu32 " peer%s over %" PRIu32 " link%s", s->peers_up, s->peers_up == 1 ? "" : "s",
		s->links_up, s->links_up == 1 ? "" : "s");
	if (s->mesh_up_bps || s->mesh_down_bps)
		fprintf(out, ", %s up, %s down", format_bps(s->mesh_up_bps, up), format_bps(s->mesh_down_bps, down));
	fputc('\n', out);
	if (s->best_peer[0])
		fprintf(out, "Best peer  %s\n", s->best_peer);
	fprintf(out, "GPUs       %" PRIu32 " in the mesh\n", s->gpus);
	fprintf(out, "Workloads  %" PRIu32 " of this host\n", s->workloads);
	for (size_t i = 0; i < s->n_warnings; i++)
		fprintf(out, "Warning    %s\n", s->warnings[i]);
}

void show_peers(const Tbmesh__PeerList *l, FILE *out, bool color)
{
	static const char *const headers[] = { "PEER", "STATE", ">LINKS", "BEST LINK", ">RTT p50", ">p99", ">AGGREGATE UP",
		">DOWN", ">GPUS", "NODE" };
	char text[FORMAT_SIZE];
	if (l->n_peers == 0) {
		fputs("No peers. `tbmesh links` shows the cables, `tbmesh status` warnings.\n", out);
		return;
	}
	struct table *t = table_create(headers, ARRAY_SIZE(headers));
	for (size_t i = 0; i < l->n_peers; i++) {
		const Tbmesh__Peer *p = l->peers[i];
		table_cell(t, "%s", p->name);
		table_cell(t, "%s", p->state);
		table_cell(t, "%" PRIu32, p->links_up);
		char way[256];
		size_t at = (size_t)snprintf(way, sizeof way, "%s", p->best_link);
		for (size_t h = 0; h < p->n_route && at < sizeof way; h++)
			at += (size_t)snprintf(way + at, sizeof way - at, "%s%s", h ? ", " : " via ", p->route[h]);
		table_cell(t, "%s", way);
		rtt_cells(t, p->rtt);
		table_cell(t, "%s", format_bps(bps_of(p->aggregate_up), text));
		table_cell(t, "%s", format_bps(bps_of(p->aggregate_down), text));
		table_cell(t, "%" PRIu32, p->gpus);
		table_cell(t, "%s", p->node_id);
	}
	finish(t, out, color);
	for (size_t i = 0; i < l->n_peers; i++) {
		if (l->peers[i]->note[0])
			fprintf(out, "! %s\n", l->peers[i]->note);
	}
}

void show_links(const Tbmesh__LinkList *l, FILE *out, bool color)
{
	static const char *const headers[] = { "LINK", "STATE", "INTERFACE", "CONTROLLER", ">NEGOTIATED", ">RTT p50", ">p99",
		">LOADED p50", ">UP", ">DOWN", "MEASURED", ">IN USE" };
	char text[FORMAT_SIZE];
	if (l->n_links == 0) {
		fputs("No links: no peer was found on a Thunderbolt interface.\n", out);
		return;
	}
	struct table *t = table_create(headers, ARRAY_SIZE(headers));
	for (size_t i = 0; i < l->n_links; i++) {
		const Tbmesh__Link *k = l->links[i];
		table_cell(t, "%s", k->id);
		table_cell(t, "%s", k->state);
		table_cell(t, "%s", k->interface);
		table_cell(t, "%s", k->domain);
		table_cell(t, "%s", format_bps(k->negotiated_tx_bps, text));
		rtt_cells(t, k->rtt);
		table_cell(t, "%s", k->rtt_loaded && k->rtt_loaded->samples ? format_us(k->rtt_loaded->p50_us, text) : "-");
		table_cell(t, "%s", format_bps(bps_of(k->up), text));
		table_cell(t, "%s", format_bps(bps_of(k->down), text));
		if (k->up && k->up->bps)
			table_cell(t, "%s, %s ago", k->up->source, format_age(k->up->age_ms, text));
		else
			table_cell(t, "not yet");
		table_cell(t, "%s", format_bps(k->use_up_bps + k->use_down_bps, text));
	}
	finish(t, out, color);
}

void show_best(const Tbmesh__BestReply *r, bool explain, FILE *out, bool color)
{
	static const char *const headers[] = { "PEER", ">SCORE", "USABLE", "WHY" };
	static const char *const term_headers[] = { "  TERM", ">VALUE", "UNIT", ">WEIGHT", ">POINTS" };
	if (r->n_candidates == 0) {
		fputs("No peers.\n", out);
		return;
	}
	struct table *t = table_create(headers, ARRAY_SIZE(headers));
	for (size_t i = 0; i < r->n_candidates; i++) {
		const Tbmesh__BestCandidate *c = r->candidates[i];
		table_cell(t, "%s", c->peer);
		table_cell(t, "%.1f", c->score);
		table_cell(t, "%s", c->viable ? "yes" : "no");
		table_cell(t, "%s", c->reason);
	}
	finish(t, out, color);
	for (size_t i = 0; explain && i < r->n_candidates; i++) {
		if (r->candidates[i]->n_terms == 0)
			continue;
		const Tbmesh__BestCandidate *c = r->candidates[i];
		fprintf(out, "\n%s for %s: %.1f of 100\n", c->peer, r->criterion, c->score);
		t = table_create(term_headers, ARRAY_SIZE(term_headers));
		for (size_t n = 0; n < c->n_terms; n++) {
			table_cell(t, "  %s", c->terms[n]->name);
			table_cell(t, "%.3g", c->terms[n]->value);
			table_cell(t, "%s", c->terms[n]->unit);
			table_cell(t, "%.2f", c->terms[n]->weight);
			table_cell(t, "%.1f", c->terms[n]->points);
		}
		finish(t, out, color);
	}
}

void show_event(const Tbmesh__Event *e, bool host, FILE *out)
{
	time_t seconds = (time_t)(e->realtime_us / 1000000);
	struct tm local;
	char text[32] = "?";
	if (localtime_r(&seconds, &local))
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
	if (host)
		fprintf(out, "%-10s ", e->node);
	fprintf(out, "%6" PRIu64 "  %s.%03u  %-18s %s", e->number, text, (unsigned)(e->realtime_us / 1000 % 1000), e->type,
		e->subject);
	for (size_t i = 0; i < e->n_fields; i++) {
		const char *value = e->fields[i]->value;
		fprintf(out, strchr(value, ' ') ? "  %s=\"%s\"" : "  %s=%s", e->fields[i]->name, value);
	}
	fputc('\n', out);
}

void show_workloads(const Tbmesh__WorkloadList *l, FILE *out, bool color)
{
	static const char *const headers[] = { "WORKLOAD", "PROGRAM", ">PID", "STATE", "MODE", "GPU", "NAME", ">EPOCH",
		">DONE", ">SAVED", ">MEMORY", ">MOVES", "COULD TAKE IT" };
	char text[FORMAT_SIZE];
	if (l->n_workloads == 0) {
		fputs("No workloads. `tbmesh run -- PROGRAM` starts one.\n", out);
		return;
	}
	struct table *t = table_create(headers, ARRAY_SIZE(headers));
	for (size_t i = 0; i < l->n_workloads; i++) {
		const Tbmesh__Workload *w = l->workloads[i];
		char takers[400] = "";
		size_t length = 0;
		for (size_t n = 0; n < w->n_could_take && length < sizeof takers; n++)
			length += (size_t)snprintf(
				takers + length, sizeof takers - length, "%s%s", n ? ", " : "", w->could_take[n]);
		table_cell(t, "%s", w->id);
		table_cell(t, "%s", w->program);
		table_cell(t, "%" PRIu32, w->pid);
		table_cell(t, "%s", w->state);
		table_cell(t, w->diverged ? "%s, diverged" : "%s", w->mode);
		table_cell(t, "%s", w->gpu);
		table_cell(t, "%s", w->gpu_name);
		table_cell(t, "%" PRIu64, w->epoch);
		table_cell(t, "%" PRIu64, w->completed_seq);
		table_cell(t, "%" PRIu64, w->committed_seq);
		table_cell(t, "%s", format_bytes(w->state_bytes, text));
		table_cell(t, "%" PRIu32, w->moves);
		table_cell(t, "%s", takers);
	}
	finish(t, out, color);
	for (size_t i = 0; i < l->n_workloads; i++)
		for (size_t n = 0; n < l->workloads[i]->n_refusals; n++)
			fprintf(out, "%s can't go to %s\n", l->workloads[i]->id, l->workloads[i]->refusals[n]);
}

void show_doctor(const Tbmesh__DoctorReply *d, FILE *out, bool color)
{
	for (size_t i = 0; i < d->n_checks; i++) {
		const Tbmesh__DoctorCheck *c = d->checks[i];
		const char *paint = !color    ? ""
			: c->result[0] == 'o' ? "\033[32m"
			: c->result[0] == 'w' ? "\033[33m"
					      : "\033[31m";
		bool said = strncmp(c->what, c->subject, strlen(c->subject)) == 0;
		fprintf(out, "%s%-4s%s  %-18s  %s%s%s\n", paint, c->result, color ? "\033[0m" : "", c->id,
			said ? "" : c->subject, said ? "" : ": ", c->what);
		if (c->fix[0])
			fprintf(out, "      %-18s  fix: %s\n", "", c->fix);
	}
}
