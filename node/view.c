#include "node/view.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "node/arena.h"
#include "node/health_watch.h"
#include "node/node.h"
#include "node/peer.h"
#include "node/workload.h"
#include "proto/messages.h"

#define EVENTS_AT_ONCE 256

/* A pointer to each element of an array, as protobuf-c wants its repeated messages. */
static void *pointers(struct arena *a, void *elements, size_t size, size_t count)
{
	void **list = arena_alloc(a, (count + 1) * sizeof *list);
	for (size_t i = 0; list && i < count; i++)
		list[i] = (char *)elements + i * size;
	return list;
}

static Tbmesh__Rtt *fill_rtt(const struct mesh_rtt *r, struct arena *a)
{
	Tbmesh__Rtt *m = r->samples > 0 ? arena_alloc(a, sizeof *m) : NULL;
	if (!m)
		return NULL;
	tbmesh__rtt__init(m);
	m->min_us = r->min_us;
	m->p50_us = r->p50_us;
	m->p99_us = r->p99_us;
	m->jitter_us = r->jitter_us;
	m->loss = r->loss;
	m->samples = r->samples;
	m->age_ms = r->age_ms;
	return m;
}

static Tbmesh__Bandwidth *fill_bandwidth(const struct mesh_bandwidth *b, struct arena *a)
{
	Tbmesh__Bandwidth *m = b->bps > 0 ? arena_alloc(a, sizeof *m) : NULL;
	if (!m)
		return NULL;
	tbmesh__bandwidth__init(m);
	m->bps = b->bps;
	m->age_ms = b->age_ms;
	m->source = arena_text(a, mesh_bandwidth_source_name(b->source));
	return m;
}

static struct mesh_peer_info *get_peers(struct node *n, struct arena *a, size_t *ret_count)
{
	size_t max = mesh_peers(n->mesh, NULL, 0);
	struct mesh_peer_info *peers = arena_alloc(a, (max + 1) * sizeof *peers);
	*ret_count = peers ? mesh_peers(n->mesh, peers, max) : 0;
	if (*ret_count > max)
		*ret_count = max;
	return peers;
}

static void clash_warnings(
	struct node *n, const struct mesh_peer_info *peers, size_t count, Tbmesh__NodeStatus *m, struct arena *a)
{
	for (size_t i = 0; i < count && m->n_warnings < NODE_WARNINGS + 8; i++)
		if (peers[i].state == MESH_PEER_UP && strcmp(peers[i].name, n->config.name) == 0)
			m->warnings[m->n_warnings++] =
				arena_printf(a, "peer %s is called \"%s\" like this node; set `name` in one of them",
					peers[i].id, peers[i].name);
}

static void path_warnings(struct node *n, struct mesh_peer_info *peers, size_t count, Tbmesh__NodeStatus *m, struct arena *a)
{
	struct mesh_ring ring;
	if (mesh_rings(n->mesh, &ring, 1) > 0)
		m->warnings[m->n_warnings++] = arena_printf(a,
			"what is sent on %s comes back on %s: a ring of bridges through %s; see `tbmesh doctor`",
			ring.sent_on, ring.heard_on, ring.hosts[0] ? ring.hosts : "others");
	for (size_t i = 0; i < count && m->n_warnings < NODE_WARNINGS + 8; i++)
		if (peers[i].note[0])
			m->warnings[m->n_warnings++] = peers[i].note;
}

Tbmesh__NodeStatus *view_status(struct node *n, struct arena *a)
{
	Tbmesh__NodeStatus *m = arena_alloc(a, sizeof *m);
	struct mesh_totals totals;
	size_t peer_count;
	struct mesh_peer_info *peers = get_peers(n, a, &peer_count);
	if (!m || !peers)
		return NULL;
	mesh_totals(n->mesh, &totals);
	tbmesh__node_status__init(m);
	m->node_id = n->identity.id;
	m->name = n->config.name;
	m->version = (char *)TBMESH_VERSION;
	m->incarnation = n->incarnation;
	m->uptime_ms = (time_monotonic_ns() - n->started_ns) / 1000000;
	m->peers_up = totals.peers_up;
	m->links_up = totals.links_up;
	for (size_t i = 0; i < peer_count; i++)
		m->gpus += inventory_active(n->inventory, peers[i].id, true);
	m->gpus += inventory_active(n->inventory, "", true);
	m->workloads = (uint32_t)workloads_count(n->workloads);
	m->mesh_up_bps = totals.up_bps;
	m->mesh_down_bps = totals.down_bps;
	m->best_peer = arena_text(a, totals.best_peer);
	m->warnings = arena_alloc(a, (NODE_WARNINGS + 16) * sizeof *m->warnings);
	if (!m->warnings)
		return NULL;
	for (size_t i = 0; i < n->warning_count; i++)
		m->warnings[m->n_warnings++] = n->warnings[i];
	if (n->probe_error[0])
		m->warnings[m->n_warnings++] = n->probe_error;
	if (totals.refused > 0)
		m->warnings[m->n_warnings++] = arena_printf(a, "%u connections by strangers were refused", totals.refused);
	path_warnings(n, peers, peer_count, m, a);
	clash_warnings(n, peers, peer_count, m, a);
	return m;
}

Tbmesh__PeerList *view_peers(struct node *n, struct arena *a)
{
	size_t count;
	struct mesh_peer_info *peers = get_peers(n, a, &count);
	Tbmesh__PeerList *list = arena_alloc(a, sizeof *list);
	Tbmesh__Peer *out = arena_alloc(a, (count + 1) * sizeof *out);
	if (!peers || !list || !out)
		return NULL;
	tbmesh__peer_list__init(list);
	for (size_t i = 0; i < count; i++) {
		const struct mesh_peer_info *p = &peers[i];
		Tbmesh__Peer *m = &out[i];
		tbmesh__peer__init(m);
		m->node_id = (char *)p->id;
		m->name = (char *)p->name;
		m->state = (char *)mesh_peer_state_name(p->state);
		m->incarnation = p->incarnation;
		m->links_up = p->links_up;
		m->rtt = fill_rtt(&p->rtt, a);
		m->best_link = (char *)p->best_link;
		m->aggregate_up = fill_bandwidth(&p->aggregate_up, a);
		m->aggregate_down = fill_bandwidth(&p->aggregate_down, a);
		m->gpus = inventory_active(n->inventory, p->id, true);
		m->version = (char *)peers_version(n->peers, p->id);
		m->note = (char *)p->note;
		m->route = arena_alloc(a, MESH_ROUTE_HOPS * sizeof *m->route);
		for (size_t h = 0; m->route && h < p->route_count; h++)
			m->route[m->n_route++] = (char *)p->route[h];
	}
	list->peers = pointers(a, out, sizeof *out, count);
	list->n_peers = count;
	return list;
}

Tbmesh__LinkList *view_links(struct node *n, struct arena *a)
{
	size_t max = mesh_links(n->mesh, NULL, 0);
	struct mesh_link_info *links = arena_alloc(a, (max + 1) * sizeof *links);
	Tbmesh__LinkList *list = arena_alloc(a, sizeof *list);
	Tbmesh__Link *out = arena_alloc(a, (max + 1) * sizeof *out);
	if (!links || !list || !out)
		return NULL;
	tbmesh__link_list__init(list);
	size_t count = mesh_links(n->mesh, links, max);
	if (count > max)
		count = max;
	for (size_t i = 0; i < count; i++) {
		const struct mesh_link_info *l = &links[i];
		Tbmesh__Link *m = &out[i];
		tbmesh__link__init(m);
		m->id = (char *)l->id;
		m->peer_id = (char *)l->peer_id;
		m->peer_name = (char *)l->peer_name;
		m->interface = (char *)l->interface;
		m->ifindex = l->ifindex;
		m->local_address = (char *)l->local_address;
		m->peer_address = (char *)l->peer_address;
		m->domain = (char *)l->domain;
		m->xdomain = (char *)l->xdomain;
		m->state = (char *)mesh_link_state_name(l->state);
		m->negotiated_rx_bps = l->negotiated_rx_bps;
		m->negotiated_tx_bps = l->negotiated_tx_bps;
		m->rtt = fill_rtt(&l->rtt, a);
		m->rtt_loaded = fill_rtt(&l->rtt_loaded, a);
		m->use_up_bps = l->use_up_bps;
		m->use_down_bps = l->use_down_bps;
		m->up = fill_bandwidth(&l->up, a);
		m->down = fill_bandwidth(&l->down, a);
	}
	list->links = pointers(a, out, sizeof *out, count);
	list->n_links = count;
	return list;
}

static Tbmesh__TopologyLink **topology_links(const struct mesh_graph_node *n, struct arena *a)
{
	Tbmesh__TopologyLink *out = arena_alloc(a, (n->link_count + 1) * sizeof *out);
	for (size_t i = 0; out && i < n->link_count; i++) {
		const struct mesh_graph_link *l = &n->links[i];
		tbmesh__topology_link__init(&out[i]);
		out[i].neighbour = arena_text(a, l->neighbour);
		out[i].interface = arena_text(a, l->interface);
		out[i].state = (char *)mesh_link_state_name(l->state);
		out[i].p50_us = l->p50_us;
		out[i].p99_us = l->p99_us;
		out[i].up_bps = l->up_bps;
		out[i].down_bps = l->down_bps;
		out[i].up_source = (char *)mesh_bandwidth_source_name(l->up_source);
		out[i].down_source = (char *)mesh_bandwidth_source_name(l->down_source);
		out[i].confirmed = l->confirmed;
	}
	return out ? pointers(a, out, sizeof *out, n->link_count) : NULL;
}

Tbmesh__Topology *view_topology(struct node *n, struct arena *a)
{
	size_t max = mesh_graph(n->mesh, NULL, 0);
	Tbmesh__Topology *list = arena_alloc(a, sizeof *list);
	Tbmesh__TopologyNode *out = arena_alloc(a, (max + 1) * sizeof *out);
	struct mesh_graph_node *nodes = arena_alloc(a, (max + 1) * sizeof *nodes);
	if (!list || !out || !nodes)
		return NULL;
	size_t count = mesh_graph(n->mesh, nodes, max);
	tbmesh__topology__init(list);
	for (size_t i = 0; i < count; i++) {
		Tbmesh__TopologyNode *m = &out[i];
		const struct mesh_graph_node *g = &nodes[i];
		tbmesh__topology_node__init(m);
		m->node_id = (char *)g->id;
		m->name = (char *)g->name;
		m->incarnation = g->incarnation;
		m->seq = g->seq;
		m->age_ms = g->age_ms;
		m->reached = g->hops != MESH_UNREACHABLE;
		m->hops = m->reached ? g->hops : 0;
		m->path_us = g->path_us;
		m->via = (char *)g->via;
		m->gpus = g->gpus;
		m->cpu_load_percent = g->cpu_load_percent;
		m->memory_free_bytes = g->memory_free_bytes;
		m->links = topology_links(g, a);
		m->n_links = m->links ? g->link_count : 0;
	}
	list->nodes = pointers(a, out, sizeof *out, count);
	list->n_nodes = list->nodes ? count : 0;
	return list;
}

static Tbmesh__Gpu **gpus_of(struct node *n, const char *peer, size_t *ret_count, struct arena *a)
{
	size_t count = 0;
	const struct inventory_gpu *g;
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++)
		count += strcmp(g->peer, peer) == 0;
	Tbmesh__Gpu **list = arena_alloc(a, (count + 1) * sizeof *list), *out = arena_alloc(a, (count + 1) * sizeof *out);
	*ret_count = 0;
	if (!list || !out)
		return NULL;
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++) {
		if (strcmp(g->peer, peer) != 0)
			continue;
		inventory_fill(g, peer[0] ? g->load : executors_load(n->executors, g->id), &out[*ret_count], a);
		if (!peer[0] && out[*ret_count].health)
			health_watch_fill(n->health, g->pci_address, out[*ret_count].health, a);
		list[*ret_count] = &out[*ret_count];
		(*ret_count)++;
	}
	return list;
}

Tbmesh__GpuList *view_gpus(struct node *n, struct arena *a)
{
	size_t count;
	struct mesh_peer_info *peers = get_peers(n, a, &count);
	Tbmesh__GpuList *list = arena_alloc(a, sizeof *list);
	Tbmesh__HostGpus *hosts = arena_alloc(a, (count + 1) * sizeof *hosts);
	if (!peers || !list || !hosts)
		return NULL;
	tbmesh__gpu_list__init(list);
	list->gpus = gpus_of(n, "", &list->n_gpus, a);
	size_t filled = 0;
	for (size_t i = 0; i < count; i++) {
		Tbmesh__HostGpus *h = &hosts[filled];
		tbmesh__host_gpus__init(h);
		h->host = peers[i].name;
		h->node_id = peers[i].id;
		h->gpus = gpus_of(n, peers[i].id, &h->n_gpus, a);
		filled += h->n_gpus > 0;
	}
	list->hosts = pointers(a, hosts, sizeof *hosts, filled);
	list->n_hosts = filled;
	return list;
}

static char *yes_no(enum device_tristate t, struct arena *a)
{
	return arena_text(a, t == DEVICE_YES ? "yes" : t == DEVICE_NO ? "no" : "");
}

static void fill_thunderbolt(const struct device_thunderbolt *t, Tbmesh__ThunderboltNode *m, struct arena *a)
{
	static const char *const kinds[] = { [DEVICE_DOMAIN] = "domain",
		[DEVICE_HOST] = "host",
		[DEVICE_ROUTER] = "router",
		[DEVICE_RETIMER] = "retimer",
		[DEVICE_XDOMAIN] = "xdomain" };
	tbmesh__thunderbolt_node__init(m);
	m->kind = arena_text(a, kinds[t->kind]);
	m->name = arena_text(a, t->name);
	m->above = arena_text(a, t->above);
	m->vendor = arena_text(a, t->vendor);
	m->device = arena_text(a, t->device);
	m->unique_id = arena_text(a, t->unique_id);
	m->controller = arena_text(a, t->controller);
	m->security = arena_text(a, t->security);
	m->iommu_protection = yes_no(t->iommu_protection, a);
	m->authorized = yes_no(t->authorized, a);
	m->generation = t->generation;
	m->version = arena_text(a, t->version);
	m->link = arena_text(a, t->link);
	m->link_version = arena_text(a, t->link_version);
	m->port = arena_text(a, t->port);
	m->firmware = arena_text(a, t->firmware);
	m->interfaces = arena_alloc(a, DEVICE_INTERFACES_MAX * sizeof *m->interfaces);
	for (unsigned i = 0; i < t->interface_count && m->interfaces; i++)
		m->interfaces[m->n_interfaces++] = arena_text(a, t->interfaces[i]);
	m->gpus = arena_alloc(a, DEVICE_INTERFACES_MAX * sizeof *m->gpus);
	for (unsigned i = 0; i < t->gpu_count && m->gpus; i++)
		m->gpus[m->n_gpus++] = arena_text(a, t->gpus[i]);
}

Tbmesh__ThunderboltList *view_thunderbolt(struct node *n, struct arena *a)
{
	struct device_thunderbolt t;
	size_t count = 0;
	while (device_model_thunderbolt(n->devices.model, count, &t))
		count++;
	Tbmesh__ThunderboltList *list = arena_alloc(a, sizeof *list);
	Tbmesh__ThunderboltNode *nodes = arena_alloc(a, (count + 1) * sizeof *nodes);
	if (!list || !nodes)
		return NULL;
	tbmesh__thunderbolt_list__init(list);
	for (size_t i = 0; i < count && device_model_thunderbolt(n->devices.model, i, &t); i++)
		fill_thunderbolt(&t, &nodes[i], a);
	list->nodes = pointers(a, nodes, sizeof *nodes, count);
	list->n_nodes = count;
	return list;
}

Tbmesh__BestReply *view_best(struct node *n, const Tbmesh__BestRequest *r, struct arena *a)
{
	struct mesh_query q = { .width = r->width,
		.height = r->height,
		.fps = r->fps,
		.bits_per_pixel = r->bits_per_pixel,
		.facts = peer_facts,
		.facts_ctx = n };
	if (mesh_criterion_parse(r->criterion, &q.criterion) < 0)
		return NULL;
	struct mesh_candidate *found = arena_alloc(a, MESH_MAX_PEERS * sizeof *found);
	Tbmesh__BestReply *reply = arena_alloc(a, sizeof *reply);
	if (!found || !reply)
		return NULL;
	tbmesh__best_reply__init(reply);
	size_t count = mesh_best(n->mesh, &q, found, MESH_MAX_PEERS);
	count = count > MESH_MAX_PEERS ? MESH_MAX_PEERS : count;
	Tbmesh__BestCandidate *out = arena_alloc(a, (count + 1) * sizeof *out);
	Tbmesh__ScoreTerm *terms = arena_alloc(a, (count * MESH_MAX_TERMS + 1) * sizeof *terms);
	if (!out || !terms)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct mesh_candidate *c = &found[i];
		tbmesh__best_candidate__init(&out[i]);
		out[i].peer = c->peer;
		out[i].score = c->score;
		out[i].viable = c->viable;
		out[i].reason = c->reason;
		for (size_t t = 0; t < c->term_count; t++) {
			Tbmesh__ScoreTerm *m = &terms[i * MESH_MAX_TERMS + t];
			tbmesh__score_term__init(m);
			m->name = (char *)c->terms[t].name;
			m->value = c->terms[t].value;
			m->unit = (char *)c->terms[t].unit;
			m->weight = c->terms[t].weight;
			m->points = c->terms[t].points;
		}
		out[i].terms = pointers(a, &terms[i * MESH_MAX_TERMS], sizeof *terms, c->term_count);
		out[i].n_terms = c->term_count;
	}
	reply->criterion = (char *)mesh_criterion_name(q.criterion);
	reply->candidates = pointers(a, out, sizeof *out, count);
	reply->n_candidates = count;
	return reply;
}

Tbmesh__Event *view_event(const struct node *n, const struct node_event *e, struct arena *a)
{
	Tbmesh__Event *m = arena_alloc(a, sizeof *m);
	Tbmesh__Field *fields = arena_alloc(a, EVENT_FIELDS * sizeof *fields);
	if (!m || !fields)
		return NULL;
	tbmesh__event__init(m);
	m->number = e->number;
	m->type = arena_text(a, e->type);
	m->realtime_us = e->realtime_us;
	m->monotonic_ns = e->monotonic_ns;
	m->node = (char *)n->config.name;
	m->node_id = (char *)n->identity.id;
	m->incarnation = n->incarnation;
	m->subject = arena_text(a, e->subject);
	for (size_t i = 0; i < e->field_count; i++) {
		tbmesh__field__init(&fields[i]);
		fields[i].name = arena_text(a, e->fields[i].name);
		fields[i].value = arena_text(a, e->fields[i].value);
	}
	m->fields = pointers(a, fields, sizeof *fields, e->field_count);
	m->n_fields = e->field_count;
	return m;
}

Tbmesh__EventList *view_events(const struct node *n, const Tbmesh__EventsRequest *r, struct arena *a)
{
	uint32_t max = r->max == 0 || r->max > EVENTS_AT_ONCE ? EVENTS_AT_ONCE : r->max;
	Tbmesh__EventList *list = arena_alloc(a, sizeof *list);
	Tbmesh__Event **events = arena_alloc(a, ((size_t)max + 1) * sizeof *events);
	if (!list || !events)
		return NULL;
	tbmesh__event_list__init(list);
	list->events = events;
	list->newest = event_log_last(n->events);
	list->first = event_log_first(n->events);
	list->incarnation = n->incarnation;
	uint64_t since = r->since > list->newest ? 0 : r->since; /* larger than all there are: numbers began anew */
	list->lost = event_log_lost(n->events, since);
	list->last = since;
	const struct node_event *e;
	for (uint64_t at = since; list->n_events < max && (e = event_log_next(n->events, at)) != NULL; at = e->number) {
		if (event_matches(e, r->types, r->n_types, r->about))
			list->events[list->n_events++] = view_event(n, e, a);
		list->last = e->number;
	}
	if (list->n_events == 0)
		list->last = list->newest;
	return list;
}
