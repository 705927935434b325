/* The joined view of what is plugged in, and what is told of its changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "node/device/record.h"

struct device_model *device_model_create(const struct device_observer *observer, void *ctx)
{
	struct device_model *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->observer = observer;
	m->ctx = ctx;
	list_init(&m->records);
	list_init(&m->gpus);
	return m;
}

void device_model_destroy(struct device_model *m)
{
	if (!m)
		return;
	list_for_each_safe(g, &m->gpus, struct gpu, link)
		free(g);
	list_for_each_safe(r, &m->records, struct record, link)
		free(r);
	free(m);
}

static struct record *find_record(const struct device_model *m, const char *path)
{
	list_for_each(r, &m->records, struct record, link)
		if (strcmp(r->path, path) == 0)
			return r;
	return NULL;
}

static struct gpu *find_gpu(const struct device_model *m, const char *path)
{
	list_for_each(g, &m->gpus, struct gpu, link)
		if (strcmp(g->public.path, path) == 0)
			return g;
	return NULL;
}

const struct device_gpu *device_model_gpu(const struct device_model *m, size_t index)
{
	list_for_each(g, &m->gpus, struct gpu, link)
		if (index-- == 0)
			return &g->public;
	return NULL;
}

const struct device_gpu *device_model_find_gpu(const struct device_model *m, const char *pci_address)
{
	list_for_each(g, &m->gpus, struct gpu, link)
		if (strcmp(g->public.pci_address, pci_address) == 0)
			return &g->public;
	return NULL;
}

/* Joins again and tells what differs. */
static void settle(struct device_model *m)
{
	size_t count = 0;
	list_for_each(g, &m->gpus, struct gpu, link)
		count++;
	struct device_gpu *before = calloc(count + 1, sizeof *before);
	if (!before)
		return; /* the next change or sweep settles it */
	size_t i = 0;
	list_for_each(g, &m->gpus, struct gpu, link)
		before[i++] = g->public;
	join_gpus(m);
	i = 0;
	list_for_each(g, &m->gpus, struct gpu, link) {
		struct device_gpu *b = &before[i++];
		const struct device_gpu *a = &g->public;
		b->memory_free_bytes = a->memory_free_bytes; /* moves all the time */
		if (a->gone || memcmp(a, b, sizeof *a) == 0)
			continue;
		if (a->power != b->power && a->power != DEVICE_POWER_UNKNOWN && b->power != DEVICE_POWER_UNKNOWN)
			m->observer->power_changed(m->ctx, a, b->power);
		if (a->tb_link[0] && b->tb_link[0] && strcmp(a->tb_link, b->tb_link) != 0 &&
			strcmp(a->enclosure_path, b->enclosure_path) == 0)
			m->observer->link_speed_changed(m->ctx, a, b->tb_link);
		m->observer->gpu_changed(m->ctx, a);
	}
	free(before);
	list_for_each(r, &m->records, struct record, link) {
		if (r->subsystem != RECORD_NET || r->announced || !join_is_thunderbolt_net(m, r))
			continue;
		join_netdev(m, r);
		r->announced = true;
		m->observer->netdev_added(m->ctx, &r->netdev);
	}
}

/* ---- changes ---- */

static struct gpu *gpu_create(struct device_model *m, struct record *r)
{
	struct gpu *g = calloc(1, sizeof *g);
	if (!g)
		return NULL;
	g->record = r;
	snprintf(g->public.path, sizeof g->public.path, "%s", r->path);
	snprintf(g->public.pci_address, sizeof g->public.pci_address, "%.15s", r->name);
	list_append(&m->gpus, &g->link);
	return g;
}

static void connect_gpu(struct device_model *m, struct gpu *g, uint64_t now_ns)
{
	g->public.gone = false;
	g->public.gone_at_ns = 0;
	g->connected_ns = now_ns;
	g->arrived = false;
	join_gpus(m);
	m->observer->gpu_connected(m->ctx, &g->public);
}

static void disconnect_gpu(struct device_model *m, struct gpu *g, uint64_t now_ns, const char *sign)
{
	if (g->public.gone)
		return;
	g->public.gone = true;
	g->public.gone_at_ns = now_ns;
	g->arrived = false;
	m->observer->gpu_disconnected(m->ctx, &g->public, now_ns, sign);
}

/* What has arrived anew is there once the router is that it comes through; the two may be told of in any order. */
static void welcome_back(struct device_model *m, uint64_t now_ns)
{
	list_for_each(g, &m->gpus, struct gpu, link)
		if (g->public.gone && g->arrived && (!g->fence_path[0] || find_record(m, g->fence_path)))
			connect_gpu(m, g, now_ns);
}

void device_model_update(struct device_model *m, const struct device_input *in, bool arrival, uint64_t now_ns)
{
	enum record_subsystem subsystem;
	char name[sizeof((struct record *)0)->name];
	if (!record_subsystem_from_text(in->subsystem, &subsystem) || !device_parse_text(in->name, name, sizeof name) ||
		!in->path || strlen(in->path) >= DEVICE_PATH_MAX)
		return;
	struct record *r = find_record(m, in->path), *fresh = NULL;
	if (!r) {
		fresh = r = calloc(1, sizeof *r);
		if (!r)
			return;
		r->subsystem = subsystem;
		r->since_ns = now_ns;
		memcpy(r->path, in->path, strlen(in->path) + 1);
		memcpy(r->name, name, sizeof r->name);
	}
	r->seen = true;
	struct record before = *r;
	if (!record_read(r, in) && fresh) {
		free(fresh);
		return;
	}
	/* Most looks tell nothing new. (An arrival is news in itself.) */
	if (!fresh && !arrival && memcmp(&before, r, sizeof before) == 0)
		return;
	if (fresh)
		list_append(&m->records, &r->link);
	if (record_is_display(r)) {
		struct gpu *g = find_gpu(m, r->path);
		bool is_new = !g;
		if (is_new)
			g = gpu_create(m, r);
		if (is_new && g)
			connect_gpu(m, g, now_ns);
		else if (g && arrival && g->public.gone)
			g->arrived = true;
	}
	welcome_back(m, now_ns);
	settle(m);
}

static void drop_record(struct device_model *m, struct record *r, uint64_t now_ns, const char *sign)
{
	struct gpu *g = find_gpu(m, r->path);
	if (g) {
		disconnect_gpu(m, g, now_ns, sign);
		list_remove(&g->link);
		free(g);
	}
	if (r->announced)
		m->observer->netdev_removed(m->ctx, &r->netdev);
	list_remove(&r->link);
	free(r);
}

/* The router of an enclosure leaves first; the kernel tells of its PCI functions up to seconds later. */
static void leave_enclosure(struct device_model *m, const char *router_path, uint64_t now_ns, const char *sign)
{
	list_for_each(g, &m->gpus, struct gpu, link)
		if (strcmp(g->fence_path, router_path) == 0)
			disconnect_gpu(m, g, now_ns, sign);
}

void device_model_remove(struct device_model *m, const char *removed, uint64_t now_ns)
{
	char path[DEVICE_PATH_MAX]; /* it may be a record's own */
	if (snprintf(path, sizeof path, "%s", removed) >= (int)sizeof path)
		return;
	const struct record *named = find_record(m, path);
	const char *sign = named ? record_subsystem_name(named->subsystem) : "pci";
	list_for_each(r, &m->records, struct record, link)
		if (r->kind == THUNDERBOLT_ROUTER && (strcmp(r->path, path) == 0 || path_below(r->path, path)))
			leave_enclosure(m, r->path, now_ns, sign);
	list_for_each_safe(r, &m->records, struct record, link)
		if (strcmp(r->path, path) == 0 || path_below(r->path, path))
			drop_record(m, r, now_ns, sign);
	settle(m);
}

void device_model_wedged(struct device_model *m, const char *path, const char *how)
{
	char text[32];
	list_for_each(g, &m->gpus, struct gpu, link)
		if (!g->public.gone && path_below(path, g->public.path) && device_parse_text(how, text, sizeof text))
			m->observer->gpu_wedged(m->ctx, &g->public, text);
}

void device_model_refresh(struct device_model *m, const char *path, const struct device_vitals *v)
{
	struct gpu *g = find_gpu(m, path);
	if (!g || g->public.gone)
		return;
	g->record->power = v->power;
	g->record->memory_total_bytes = v->memory_total_bytes;
	g->record->memory_free_bytes = v->memory_free_bytes;
	settle(m);
}

void device_model_sweep_begin(struct device_model *m)
{
	list_for_each(r, &m->records, struct record, link)
		r->seen = false;
}

void device_model_sweep_end(struct device_model *m, uint64_t now_ns)
{
	list_for_each(r, &m->records, struct record, link)
		if (r->kind == THUNDERBOLT_ROUTER && !r->seen)
			leave_enclosure(m, r->path, now_ns, "thunderbolt");
	list_for_each_safe(r, &m->records, struct record, link)
		if (!r->seen)
			drop_record(m, r, now_ns, record_subsystem_name(r->subsystem));
	list_for_each(g, &m->gpus, struct gpu, link) {
		const struct record *router = find_record(m, g->fence_path);
		if (g->public.gone && router && router->authorized == DEVICE_YES &&
			now_ns - router->since_ns >= DEVICE_RETURN_NS && now_ns - g->public.gone_at_ns >= DEVICE_RETURN_NS)
			connect_gpu(m, g, now_ns);
	}
	settle(m);
}
