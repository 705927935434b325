#include "node/cli/document.h"

#include <inttypes.h>
#include <string.h>

#include "node/cli/document_fields.h"
#include "proto/messages.h"

json_t *document_create(const char *schema)
{
	json_t *o = json_object();
	set_text(o, "schema", schema);
	return o;
}

static void set_rtt(json_t *o, const char *key, const Tbmesh__Rtt *r)
{
	if (!r || r->samples == 0) {
		json_object_set_new(o, key, json_null());
		return;
	}
	json_t *m = json_object();
	set_real(m, "min_us", r->min_us);
	set_real(m, "p50_us", r->p50_us);
	set_real(m, "p99_us", r->p99_us);
	set_real(m, "jitter_us", r->jitter_us);
	set_real(m, "loss", r->loss);
	set_number(m, "samples", r->samples);
	set_number(m, "age_ms", r->age_ms);
	json_object_set_new(o, key, m);
}

static void set_bandwidth(json_t *o, const char *key, const Tbmesh__Bandwidth *b)
{
	if (!b || b->bps == 0) {
		json_object_set_new(o, key, json_null());
		return;
	}
	json_t *m = json_object();
	set_number(m, "bps", b->bps);
	set_number(m, "age_ms", b->age_ms);
	set_text(m, "source", b->source);
	json_object_set_new(o, key, m);
}

json_t *document_status(const Tbmesh__NodeStatus *s)
{
	json_t *o = document_create("tbmesh.status/1");
	set_text(o, "node_id", s->node_id);
	set_text(o, "name", s->name);
	set_text(o, "version", s->version);
	set_number(o, "incarnation", s->incarnation);
	set_number(o, "uptime_ms", s->uptime_ms);
	set_number(o, "peers_up", s->peers_up);
	set_number(o, "links_up", s->links_up);
	set_number(o, "gpus", s->gpus);
	set_number(o, "workloads", s->workloads);
	set_number(o, "mesh_up_bps", s->mesh_up_bps);
	set_number(o, "mesh_down_bps", s->mesh_down_bps);
	set_text(o, "best_peer", s->best_peer);
	set_texts(o, "warnings", s->warnings, s->n_warnings);
	return o;
}

json_t *document_peers(const Tbmesh__PeerList *l)
{
	json_t *o = document_create("tbmesh.peers/1"), *list = json_array();
	for (size_t i = 0; i < l->n_peers; i++) {
		const Tbmesh__Peer *p = l->peers[i];
		json_t *m = json_object();
		set_text(m, "node_id", p->node_id);
		set_text(m, "name", p->name);
		set_text(m, "state", p->state);
		set_number(m, "incarnation", p->incarnation);
		set_number(m, "links_up", p->links_up);
		set_rtt(m, "rtt", p->rtt);
		set_text(m, "best_link", p->best_link);
		set_bandwidth(m, "aggregate_up", p->aggregate_up);
		set_bandwidth(m, "aggregate_down", p->aggregate_down);
		set_number(m, "gpus", p->gpus);
		set_text(m, "version", p->version);
		set_text(m, "note", p->note);
		json_t *route = json_array();
		for (size_t h = 0; h < p->n_route; h++)
			json_array_append_new(route, json_string(p->route[h]));
		json_object_set_new(m, "route", route);
		json_array_append_new(list, m);
	}
	json_object_set_new(o, "peers", list);
	return o;
}

json_t *document_links(const Tbmesh__LinkList *l)
{
	json_t *o = document_create("tbmesh.links/1"), *list = json_array();
	for (size_t i = 0; i < l->n_links; i++) {
		const Tbmesh__Link *k = l->links[i];
		json_t *m = json_object();
		set_text(m, "id", k->id);
		set_text(m, "peer_id", k->peer_id);
		set_text(m, "peer_name", k->peer_name);
		set_text(m, "interface", k->interface);
		set_number(m, "ifindex", k->ifindex);
		set_text(m, "local_address", k->local_address);
		set_text(m, "peer_address", k->peer_address);
		set_text(m, "domain", k->domain);
		set_text(m, "xdomain", k->xdomain);
		set_text(m, "state", k->state);
		set_number(m, "negotiated_rx_bps", k->negotiated_rx_bps);
		set_number(m, "negotiated_tx_bps", k->negotiated_tx_bps);
		set_rtt(m, "rtt", k->rtt);
		set_rtt(m, "rtt_loaded", k->rtt_loaded);
		set_number(m, "use_up_bps", k->use_up_bps);
		set_number(m, "use_down_bps", k->use_down_bps);
		set_bandwidth(m, "up", k->up);
		set_bandwidth(m, "down", k->down);
		json_array_append_new(list, m);
	}
	json_object_set_new(o, "links", list);
	return o;
}

json_t *document_topology(const Tbmesh__Topology *t)
{
	json_t *o = document_create("tbmesh.topo/1"), *list = json_array();
	for (size_t i = 0; i < t->n_nodes; i++) {
		const Tbmesh__TopologyNode *n = t->nodes[i];
		json_t *m = json_object(), *links = json_array();
		set_text(m, "node_id", n->node_id);
		set_text(m, "name", n->name);
		set_number(m, "incarnation", n->incarnation);
		set_number(m, "seq", n->seq);
		set_number(m, "age_ms", n->age_ms);
		json_object_set_new(m, "reached", json_boolean(n->reached));
		set_number(m, "hops", n->hops);
		set_real(m, "path_us", n->path_us);
		set_text(m, "via", n->via);
		set_number(m, "gpus", n->gpus);
		set_number(m, "cpu_load_percent", n->cpu_load_percent);
		set_number(m, "memory_free_bytes", n->memory_free_bytes);
		for (size_t k = 0; k < n->n_links; k++) {
			const Tbmesh__TopologyLink *l = n->links[k];
			json_t *e = json_object();
			set_text(e, "neighbour", l->neighbour);
			set_text(e, "interface", l->interface);
			set_text(e, "state", l->state);
			set_real(e, "p50_us", l->p50_us);
			set_real(e, "p99_us", l->p99_us);
			set_number(e, "up_bps", l->up_bps);
			set_number(e, "down_bps", l->down_bps);
			set_text(e, "up_source", l->up_source);
			set_text(e, "down_source", l->down_source);
			json_object_set_new(e, "confirmed", json_boolean(l->confirmed));
			json_array_append_new(links, e);
		}
		json_object_set_new(m, "links", links);
		json_array_append_new(list, m);
	}
	json_object_set_new(o, "nodes", list);
	return o;
}

json_t *document_best(const Tbmesh__BestReply *r)
{
	json_t *o = document_create("tbmesh.best/1"), *list = json_array();
	set_text(o, "criterion", r->criterion);
	for (size_t i = 0; i < r->n_candidates; i++) {
		const Tbmesh__BestCandidate *c = r->candidates[i];
		json_t *m = json_object(), *terms = json_array();
		set_text(m, "peer", c->peer);
		set_real(m, "score", c->score);
		json_object_set_new(m, "viable", json_boolean(c->viable));
		set_text(m, "reason", c->reason);
		for (size_t t = 0; t < c->n_terms; t++) {
			json_t *term = json_object();
			set_text(term, "name", c->terms[t]->name);
			set_real(term, "value", c->terms[t]->value);
			set_text(term, "unit", c->terms[t]->unit);
			set_real(term, "weight", c->terms[t]->weight);
			set_real(term, "points", c->terms[t]->points);
			json_array_append_new(terms, term);
		}
		json_object_set_new(m, "terms", terms);
		json_array_append_new(list, m);
	}
	json_object_set_new(o, "candidates", list);
	return o;
}

static void fill_event(json_t *m, const Tbmesh__Event *e)
{
	json_t *fields = json_object();
	set_number(m, "number", e->number);
	set_text(m, "type", e->type);
	set_number(m, "realtime_us", e->realtime_us);
	set_number(m, "monotonic_ns", e->monotonic_ns);
	set_text(m, "node", e->node);
	set_text(m, "node_id", e->node_id);
	set_number(m, "incarnation", e->incarnation);
	set_text(m, "subject", e->subject);
	for (size_t i = 0; i < e->n_fields; i++)
		set_text(fields, e->fields[i]->name, e->fields[i]->value);
	json_object_set_new(m, "fields", fields);
}

json_t *document_event(const Tbmesh__Event *e)
{
	json_t *o = document_create("tbmesh.event/1");
	fill_event(o, e);
	return o;
}

static void fill_at(json_t *m, const Tbmesh__EventsAt *at)
{
	set_text(m, "node", at->name);
	set_text(m, "node_id", at->node_id);
	set_number(m, "last", at->number);
	set_number(m, "lost", at->lost);
	json_object_set_new(m, "restarted", json_boolean(at->restarted));
	json_object_set_new(m, "anew", json_boolean(at->anew));
	json_object_set_new(m, "unreached", json_boolean(at->unreached));
	set_text(m, "note", at->note);
}

/* lost and restarted add up over the answers that make one document. */
static void add_hosts(json_t *o, const Tbmesh__EventList *l)
{
	json_t *before = json_incref(json_object_get(o, "hosts")), *list = json_array();
	for (size_t i = 0; i < l->n_at; i++) {
		json_t *m = json_object();
		fill_at(m, l->at[i]);
		for (size_t k = 0; k < json_array_size(before); k++) {
			const json_t *one = json_array_get(before, k);
			if (strcmp(json_string_value(json_object_get(one, "node_id")), l->at[i]->node_id) != 0)
				continue;
			set_number(m, "lost", l->at[i]->lost + (uint64_t)json_integer_value(json_object_get(one, "lost")));
			if (json_is_true(json_object_get(one, "restarted")))
				json_object_set_new(m, "restarted", json_true());
			if (json_is_true(json_object_get(one, "anew")))
				json_object_set_new(m, "anew", json_true());
		}
		json_array_append_new(list, m);
	}
	json_object_set_new(o, "hosts", list);
	json_decref(before);
}

json_t *document_events(const Tbmesh__EventList *l)
{
	json_t *o = document_create("tbmesh.events/1");
	set_number(o, "last", l->last);
	set_number(o, "lost", l->lost);
	set_number(o, "first", l->first);
	set_number(o, "incarnation", l->incarnation);
	json_object_set_new(o, "events", json_array());
	json_object_set_new(o, "hosts", json_array());
	document_events_add(o, l);
	return o;
}

void document_events_add(json_t *o, const Tbmesh__EventList *l)
{
	json_t *list = json_object_get(o, "events");
	set_number(o, "last", l->last);
	for (size_t i = 0; i < l->n_events; i++) {
		json_t *m = json_object();
		fill_event(m, l->events[i]);
		json_array_append_new(list, m);
	}
	add_hosts(o, l);
}

json_t *document_events_gap(const Tbmesh__EventsAt *at)
{
	json_t *o = document_create("tbmesh.events_gap/1");
	fill_at(o, at);
	return o;
}

json_t *document_workloads(const Tbmesh__WorkloadList *l)
{
	json_t *o = document_create("tbmesh.workloads/1"), *list = json_array();
	for (size_t i = 0; i < l->n_workloads; i++) {
		const Tbmesh__Workload *w = l->workloads[i];
		json_t *m = json_object();
		set_text(m, "id", w->id);
		set_text(m, "program", w->program);
		set_number(m, "pid", w->pid);
		set_number(m, "session_pid", w->session_pid);
		set_number(m, "executor_pid", w->executor_pid);
		set_text(m, "state", w->state);
		set_text(m, "mode", w->mode);
		set_number(m, "diverged", w->diverged);
		set_text(m, "gpu", w->gpu);
		set_text(m, "gpu_name", w->gpu_name);
		set_number(m, "epoch", w->epoch);
		set_number(m, "completed_seq", w->completed_seq);
		set_number(m, "committed_seq", w->committed_seq);
		set_number(m, "state_bytes", w->state_bytes);
		set_number(m, "moves", w->moves);
		set_texts(m, "could_take", w->could_take, w->n_could_take);
		set_texts(m, "refusals", w->refusals, w->n_refusals);
		json_array_append_new(list, m);
	}
	json_object_set_new(o, "workloads", list);
	return o;
}

json_t *document_doctor(const Tbmesh__DoctorReply *d)
{
	static const char *const results[] = { "ok", "warn", "fail" };
	json_t *o = document_create("tbmesh.doctor/1"), *list = json_array();
	uint64_t counts[3] = { 0 };
	for (size_t i = 0; i < d->n_checks; i++) {
		const Tbmesh__DoctorCheck *c = d->checks[i];
		json_t *m = json_object();
		set_text(m, "id", c->id);
		set_text(m, "result", c->result);
		set_text(m, "subject", c->subject);
		set_text(m, "what", c->what);
		set_text(m, "fix", c->fix);
		json_array_append_new(list, m);
		for (size_t k = 0; k < 3; k++)
			counts[k] += strcmp(c->result, results[k]) == 0;
	}
	for (size_t k = 0; k < 3; k++)
		set_number(o, results[k], counts[k]);
	json_object_set_new(o, "checks", list);
	return o;
}
