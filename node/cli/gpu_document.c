#include "node/cli/document.h"

#include "node/cli/document_fields.h"
#include "proto/messages.h"

static void set_displays(json_t *o, const Tbmesh__Gpu *g)
{
	json_t *list = json_array();
	for (size_t i = 0; i < g->n_displays; i++) {
		json_t *d = json_object();
		set_text(d, "connector", g->displays[i]->connector);
		json_object_set_new(d, "connected", json_boolean(g->displays[i]->connected));
		json_array_append_new(list, d);
	}
	json_object_set_new(o, "displays", list);
}

static void set_health(json_t *o, const Tbmesh__GpuHealth *h)
{
	json_t *m = h ? json_object() : json_null();
	if (h) {
		set_number(m, "score", h->score);
		json_object_set_new(m, "trend_per_minute", json_integer(h->trend));
		set_texts(m, "reasons", h->reasons, h->n_reasons);
		set_number(m, "latency_us", h->latency_us);
		set_number(m, "latency_p99_us", h->latency_p99_us);
		set_number(m, "usual_latency_us", h->usual_latency_us);
		set_number(m, "waiting", h->waiting);
	}
	json_object_set_new(o, "health", m);
}

/* Of one GPU, not of the list: it is long. */
static void set_history(json_t *o, const Tbmesh__GpuHealth *h)
{
	json_t *m = json_object_get(o, "health"), *changes = json_array(), *scores = json_array();
	for (size_t i = 0; i < h->n_changes; i++) {
		json_t *c = json_object();
		set_number(c, "realtime_us", h->changes[i]->realtime_us);
		set_number(c, "score", h->changes[i]->score);
		set_text(c, "level", h->changes[i]->level);
		set_text(c, "reason", h->changes[i]->reason);
		json_array_append_new(changes, c);
	}
	for (size_t i = 0; i < h->n_history; i++)
		json_array_append_new(scores, h->history[i] > 100 ? json_null() : json_integer(h->history[i]));
	json_object_set_new(m, "changes", changes);
	json_object_set_new(m, "history", scores);
	set_number(m, "history_step_s", h->history_step_s);
}

static void fill_gpu(json_t *m, const Tbmesh__Gpu *g, const char *host, bool local)
{
	char text[320];
	snprintf(text, sizeof text, "%s/%s", host, g->id);
	set_text(m, "key", text);
	set_text(m, "host", host);
	json_object_set_new(m, "local", json_boolean(local));
	set_text(m, "id", g->id);
	set_text(m, "name", g->name);
	set_text(m, "state", g->ejected ? "ejected" : g->probing ? "probing" : g->state);
	set_text(m, "type", g->type);
	set_text(m, "driver", g->driver);
	set_text(m, "driver_info", g->driver_info);
	snprintf(text, sizeof text, "%u.%u.%u", g->api_version >> 22 & 0x7f, g->api_version >> 12 & 0x3ff,
		g->api_version & 0xfff);
	set_text(m, "api_version", text);
	set_number(m, "vendor_id", g->vendor_id);
	set_number(m, "device_id", g->device_id);
	set_number(m, "memory_bytes", g->memory_bytes);
	set_text(m, "pci_address", g->pci_address);
	json_object_set_new(m, "egpu", json_boolean(g->is_egpu));
	set_text(m, "egpu_reason", g->egpu_reason);
	set_text(m, "enclosure", g->enclosure);
	set_text(m, "enclosure_uuid", g->enclosure_uuid);
	set_text(m, "tb_version", g->tb_version);
	set_text(m, "tb_link", g->tb_link);
	set_number(m, "load", g->load);
	set_texts(m, "drm_nodes", g->drm_nodes, g->n_drm_nodes);
	set_text(m, "vendor", g->vendor);
	set_number(m, "memory_free_bytes", g->memory_free_bytes);
	set_text(m, "memory_source", g->memory_source);
	json_object_set_new(
		m, "memory_age_ms", g->memory_free_bytes ? json_integer((json_int_t)g->memory_age_ms) : json_null());
	set_text(m, "kernel_driver", g->kernel_driver);
	set_text(m, "enclosure_vendor", g->enclosure_vendor);
	set_text(m, "enclosure_name", g->enclosure_name);
	set_number(m, "enclosure_watts", g->enclosure_watts);
	set_number(m, "power_delivery_mw", g->power_delivery_mw);
	set_text(m, "tb_port", g->tb_port);
	set_text(m, "tb_link_version", g->tb_link_version);
	set_number(m, "expected_bytes_per_s", g->expected_bytes_per_s);
	set_text(m, "power_state", g->power_state);
	set_displays(m, g);
	set_health(m, g->health);
}

static void append_gpus(json_t *list, Tbmesh__Gpu *const *gpus, size_t count, const char *host, bool local)
{
	for (size_t i = 0; i < count; i++) {
		json_t *m = json_object();
		fill_gpu(m, gpus[i], host, local);
		json_array_append_new(list, m);
	}
}

json_t *document_gpus(const Tbmesh__GpuList *l, const char *host)
{
	json_t *o = document_create("tbmesh.gpus/1"), *list = json_array();
	append_gpus(list, l->gpus, l->n_gpus, host, true);
	for (size_t i = 0; i < l->n_hosts; i++)
		append_gpus(list, l->hosts[i]->gpus, l->hosts[i]->n_gpus, l->hosts[i]->host, false);
	json_object_set_new(o, "gpus", list);
	return o;
}

json_t *document_gpu(const Tbmesh__Gpu *g, const char *host, bool local)
{
	json_t *o = document_create("tbmesh.gpu/1");
	fill_gpu(o, g, host, local);
	if (g->health)
		set_history(o, g->health);
	return o;
}

json_t *document_thunderbolt(const Tbmesh__ThunderboltList *l)
{
	json_t *o = document_create("tbmesh.thunderbolt/1"), *list = json_array();
	for (size_t i = 0; i < l->n_nodes; i++) {
		const Tbmesh__ThunderboltNode *n = l->nodes[i];
		json_t *m = json_object();
		set_text(m, "kind", n->kind);
		set_text(m, "name", n->name);
		set_text(m, "above", n->above);
		set_text(m, "vendor", n->vendor);
		set_text(m, "device", n->device);
		set_text(m, "unique_id", n->unique_id);
		set_text(m, "controller", n->controller);
		set_text(m, "security", n->security);
		set_text(m, "iommu_protection", n->iommu_protection);
		set_text(m, "authorized", n->authorized);
		set_number(m, "generation", n->generation);
		set_text(m, "version", n->version);
		set_text(m, "link", n->link);
		set_text(m, "link_version", n->link_version);
		set_text(m, "port", n->port);
		set_text(m, "firmware", n->firmware);
		set_texts(m, "interfaces", n->interfaces, n->n_interfaces);
		set_texts(m, "gpus", n->gpus, n->n_gpus);
		json_array_append_new(list, m);
	}
	json_object_set_new(o, "nodes", list);
	return o;
}
