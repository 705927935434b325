#include "node/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/util.h"
#include "gpu/summary.h"
#include "node/gpu_probe.h"
#include "proto/messages.h"

struct entry {
	struct list link;
	struct inventory_gpu gpu;
	bool seen;
};

struct inventory {
	char host[64];
	const struct inventory_callbacks *callbacks;
	void *ctx;
	struct list gpus;
};

static const char *const state_names[] = {
	[GPU_ACTIVE] = "active", [GPU_GONE] = "gone", [GPU_WITHOUT_DRIVER] = "no driver"
};

const char *inventory_state_name(enum inventory_state s)
{
	return state_names[s];
}

static const char *const source_names[] = {
	[MEMORY_UNKNOWN] = "", [MEMORY_SYSFS] = "sysfs", [MEMORY_BUDGET] = "budget", [MEMORY_PROBE] = "probe"
};

static uint64_t hash_bytes(const unsigned char *data, size_t size) /* FNV-1a; never 0, which is "none" */
{
	uint64_t hash = 0xcbf29ce484222325ull;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ data[i]) * 0x100000001b3ull;
	return hash ? hash : 1;
}

struct inventory *inventory_create(const char *host, const struct inventory_callbacks *callbacks, void *ctx)
{
	struct inventory *i = calloc(1, sizeof *i);
	if (!i)
		return NULL;
	snprintf(i->host, sizeof i->host, "%s", host);
	i->callbacks = callbacks;
	i->ctx = ctx;
	list_init(&i->gpus);
	return i;
}

static void entry_free(struct entry *e)
{
	if (e->gpu.described)
		description_finish(&e->gpu.description);
	list_remove(&e->link);
	free(e);
}

void inventory_destroy(struct inventory *i)
{
	if (!i)
		return;
	list_for_each_safe(e, &i->gpus, struct entry, link)
		entry_free(e);
	free(i);
}

static void changed(struct inventory *i)
{
	i->callbacks->changed(i->ctx);
}

const struct inventory_gpu *inventory_at(const struct inventory *i, size_t index)
{
	list_for_each(e, &i->gpus, struct entry, link)
		if (index-- == 0)
			return &e->gpu;
	return NULL;
}

const struct inventory_gpu *inventory_find(const struct inventory *i, const char *key)
{
	list_for_each(e, &i->gpus, struct entry, link)
		if (strcmp(e->gpu.key, key) == 0)
			return &e->gpu;
	return NULL;
}

static struct entry *find(const struct inventory *i, const char *peer, const char *id)
{
	list_for_each(e, &i->gpus, struct entry, link)
		if (strcmp(e->gpu.peer, peer) == 0 && strcmp(e->gpu.id, id) == 0)
			return e;
	return NULL;
}

const struct inventory_gpu *inventory_find_local(const struct inventory *i, const char *id)
{
	struct entry *e = find(i, "", id);
	return e ? &e->gpu : NULL;
}

unsigned inventory_active(const struct inventory *i, const char *peer, bool with_cpu_drivers)
{
	unsigned count = 0;
	list_for_each(e, &i->gpus, struct entry, link)
		count += strcmp(e->gpu.peer, peer) == 0 && e->gpu.state == GPU_ACTIVE &&
			(with_cpu_drivers || strcmp(e->gpu.type, "cpu") != 0);
	return count;
}

bool inventory_incomplete(const struct inventory *i)
{
	list_for_each(e, &i->gpus, struct entry, link)
		if (e->gpu.state == GPU_ACTIVE && !e->gpu.described)
			return true;
	return false;
}

static struct entry *entry_new(struct inventory *i, const char *peer, const char *host, const char *id)
{
	struct entry *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	snprintf(e->gpu.peer, sizeof e->gpu.peer, "%s", peer);
	snprintf(e->gpu.host, sizeof e->gpu.host, "%s", host);
	snprintf(e->gpu.id, sizeof e->gpu.id, "%s", id);
	snprintf(e->gpu.key, sizeof e->gpu.key, "%s/%s", e->gpu.host, e->gpu.id);
	if (peer[0] || list_empty(&i->gpus)) {
		list_append(&i->gpus, &e->link);
		return e;
	}
	struct list *after = &i->gpus; /* this host's come first */
	list_for_each(other, &i->gpus, struct entry, link)
		if (!other->gpu.peer[0])
			after = &other->link;
	list_insert(after, &e->link);
	return e;
}

/* ---- this host ---- */

static bool same_device(const struct inventory_gpu *g, const struct device_gpu *d)
{
	if (g->peer[0])
		return false;
	if (g->pci_address[0])
		return strcmp(g->pci_address, d->pci_address) == 0;
	for (unsigned n = 0; n < g->drm_count; n++)
		for (unsigned m = 0; m < d->drm_count; m++)
			if (strcmp(g->drm_nodes[n], d->drm_nodes[m]) == 0)
				return true;
	return false;
}

/* Numbers of the PCI-SIG, and of Khronos for those without a card. */
static const char *vendor_name(uint32_t id)
{
	static const struct {
		uint32_t id;
		const char *name;
	} names[] = { { 0x10de, "NVIDIA" }, { 0x1002, "AMD" }, { 0x1022, "AMD" }, { 0x8086, "Intel" }, { 0x106b, "Apple" },
		{ 0x1a03, "ASPEED" }, { 0x1af4, "Red Hat" }, { 0x1b36, "Red Hat" }, { 0x1ed5, "Moore Threads" },
		{ 0x1234, "QEMU" }, { 0x15ad, "VMware" }, { 0x102b, "Matrox" }, { 0x10005, "Mesa" }, { 0x1ae0, "Google" } };
	for (size_t n = 0; n < ARRAY_SIZE(names); n++)
		if (names[n].id == id)
			return names[n].name;
	return "";
}

static void take_memory(struct inventory_gpu *g, uint64_t free_bytes, enum inventory_memory_source source, uint64_t at_ns)
{
	if (free_bytes == 0)
		return;
	g->memory_free_bytes = free_bytes;
	g->memory_source = source;
	g->memory_at_ns = at_ns;
}

/* What is gone has no memory. */
static void mark_gone(struct inventory_gpu *g)
{
	g->state = GPU_GONE;
	g->probing = false;
	g->memory_free_bytes = g->memory_at_ns = 0;
	g->memory_source = MEMORY_UNKNOWN;
}

static void take_vitals(struct inventory_gpu *g, const struct device_gpu *d)
{
	g->device_power = d->power;
	take_memory(g, d->memory_free_bytes, MEMORY_SYSFS, time_monotonic_ns());
}

static void join_device(struct inventory_gpu *g, const struct device_gpu *d)
{
	take_vitals(g, d);
	if (vendor_name(d->vendor_id)[0])
		snprintf(g->vendor, sizeof g->vendor, "%s", vendor_name(d->vendor_id));
	if (g->memory_bytes == 0)
		g->memory_bytes = d->memory_total_bytes;
	memcpy(g->kernel_driver, d->kernel_driver, sizeof g->kernel_driver);
	memcpy(g->enclosure_vendor, d->enclosure_vendor, sizeof g->enclosure_vendor);
	memcpy(g->enclosure_name, d->enclosure_name, sizeof g->enclosure_name);
	memcpy(g->tb_port, d->tb_port, sizeof g->tb_port);
	memcpy(g->tb_link_version, d->tb_link_version, sizeof g->tb_link_version);
	g->enclosure_watts = d->enclosure_watts;
	g->power_delivery_mw = d->power_delivery_mw;
	g->expected_bytes_per_s = d->expected_bytes_per_s;
	memcpy(g->displays, d->displays, sizeof g->displays);
	g->display_count = d->display_count;
	memcpy(g->pci_address, d->pci_address, sizeof g->pci_address);
	g->is_egpu = d->is_egpu;
	memcpy(g->egpu_reason, d->egpu_reason, sizeof g->egpu_reason);
	memcpy(g->enclosure, d->enclosure, sizeof g->enclosure);
	memcpy(g->enclosure_uuid, d->enclosure_uuid, sizeof g->enclosure_uuid);
	memcpy(g->tb_version, d->tb_version, sizeof g->tb_version);
	memcpy(g->tb_link, d->tb_link, sizeof g->tb_link);
	memcpy(g->drm_nodes, d->drm_nodes, sizeof g->drm_nodes);
	g->drm_count = d->drm_count;
}

static const struct device_gpu *find_device(const struct inventory_gpu *g, const struct device_model *devices)
{
	const struct device_gpu *d;
	for (size_t n = 0; devices && (d = device_model_gpu(devices, n)) != NULL; n++)
		if (same_device(g, d))
			return d;
	return NULL;
}

static void take_summary(struct inventory_gpu *g, const struct gpu_summary *s)
{
	memcpy(g->name, s->name, sizeof g->name);
	snprintf(g->driver, sizeof g->driver, "%s", s->driver);
	snprintf(g->driver_info, sizeof g->driver_info, "%s", s->driver_info);
	snprintf(g->type, sizeof g->type, "%s", s->type);
	g->driver_id = s->driver_id;
	g->api_version = s->api_version;
	g->vendor_id = s->vendor_id;
	g->device_id = s->device_id;
	snprintf(g->vendor, sizeof g->vendor, "%s", vendor_name(s->vendor_id));
	g->memory_bytes = s->memory_bytes;
	memcpy(g->pci_address, s->pci_address, sizeof g->pci_address);
	memcpy(g->device_uuid, s->device_uuid, sizeof g->device_uuid);
	/* By what it says now; sysfs says more if it knows that device. */
	g->drm_count = 0;
	if (s->primary_node[0])
		memcpy(g->drm_nodes[g->drm_count++], s->primary_node, sizeof s->primary_node);
	if (s->render_node[0])
		memcpy(g->drm_nodes[g->drm_count++], s->render_node, sizeof s->render_node);
}

static void ask_whether_ejected(const struct inventory *i, struct inventory_gpu *g)
{
	if (i->callbacks->ejected)
		g->ejected = i->callbacks->ejected(i->ctx, g);
}

static int take_description(struct inventory *i, const unsigned char *data, const struct gpu_probe_device *told,
	const struct device_model *devices)
{
	size_t size = told->size;
	struct description d;
	struct gpu_summary summary;
	int r = description_parse(&d, data, size);
	if (r < 0)
		return r;
	r = gpu_summarize(&d, &summary);
	if (r == 0 && !summary.id[0])
		r = -EBADMSG;
	struct entry *e = r < 0 ? NULL : find(i, "", summary.id);
	bool is_new = !e;
	if (r == 0 && !e && !(e = entry_new(i, "", i->host, summary.id)))
		r = -ENOMEM;
	if (r < 0) {
		description_finish(&d);
		return r;
	}
	struct inventory_gpu *g = &e->gpu;
	if (g->described)
		description_finish(&g->description);
	g->description = d;
	g->described = true;
	g->hash = hash_bytes(data, size);
	e->seen = true;
	bool was_pulled = g->state == GPU_GONE && g->is_egpu;
	take_summary(g, &summary);
	const struct device_gpu *device = find_device(g, devices);
	if (device)
		join_device(g, device);
	/* A driver may still list what has been pulled out. A PCI function that sysfs never had is the driver's word
	 * alone. */
	bool left = device ? device->gone : was_pulled;
	g->state = GPU_ACTIVE;
	g->probing = false;
	if (left)
		mark_gone(g);
	else if (!device || device->memory_free_bytes == 0)
		take_memory(g, told->memory_free_bytes, MEMORY_PROBE, time_monotonic_ns());
	if (is_new)
		ask_whether_ejected(i, g);
	return 0;
}

/* Lists what sysfs alone knows of. */
static void list_device(struct inventory *i, const struct device_gpu *d, bool probing)
{
	char id[32];
	snprintf(id, sizeof id, "pci-%s", d->pci_address);
	struct entry *e = find(i, "", id);
	bool is_new = !e;
	if (!e && !(e = entry_new(i, "", i->host, id)))
		return;
	e->seen = true;
	e->gpu.state = GPU_WITHOUT_DRIVER;
	e->gpu.probing = probing;
	e->gpu.vendor_id = d->vendor_id;
	e->gpu.device_id = d->device_id;
	if (!e->gpu.described)
		snprintf(e->gpu.type, sizeof e->gpu.type, "other");
	if (!e->gpu.name[0])
		snprintf(e->gpu.name, sizeof e->gpu.name, "PCI %04x:%04x", d->vendor_id, d->device_id);
	join_device(&e->gpu, d);
	if (is_new)
		ask_whether_ejected(i, &e->gpu);
}

void inventory_device_found(struct inventory *i, const struct device_gpu *d)
{
	bool any = false;
	list_for_each(e, &i->gpus, struct entry, link)
		any |= e->gpu.state != GPU_GONE && same_device(&e->gpu, d);
	if (any)
		return;
	list_device(i, d, true);
	changed(i);
}

void inventory_probe_failed(struct inventory *i)
{
	list_for_each(e, &i->gpus, struct entry, link)
		if (!e->gpu.peer[0])
			e->gpu.probing = false;
	changed(i);
}

static void list_without_driver(struct inventory *i, const struct device_model *devices)
{
	const struct device_gpu *d;
	for (size_t n = 0; devices && (d = device_model_gpu(devices, n)) != NULL; n++) {
		bool match = false;
		list_for_each(e, &i->gpus, struct entry, link)
			match |= e->seen && same_device(&e->gpu, d);
		if (!match && !d->gone)
			list_device(i, d, false);
		/* It was listed under its address until a driver knew it by another name. */
		list_for_each_safe(e, &i->gpus, struct entry, link)
			if (match && !e->seen && !e->gpu.described && same_device(&e->gpu, d))
				entry_free(e);
	}
}

size_t inventory_probed(struct inventory *i, const unsigned char *data, size_t size, const struct device_model *devices)
{
	size_t useless = 0;
	list_for_each(e, &i->gpus, struct entry, link)
		e->seen = false;
	while (size > 0) {
		struct gpu_probe_device told;
		if (size < sizeof told) {
			useless++;
			break;
		}
		memcpy(&told, data, sizeof told);
		data += sizeof told;
		size -= sizeof told;
		if (told.size > size || told.size > DESCRIPTION_MAX_BYTES) {
			useless++;
			break;
		}
		useless += take_description(i, data, &told, devices) < 0;
		data += told.size;
		size -= told.size;
	}
	list_without_driver(i, devices);
	list_for_each(e, &i->gpus, struct entry, link)
		if (!e->gpu.peer[0] && !e->seen)
			mark_gone(&e->gpu);
	changed(i);
	return useless;
}

bool inventory_device_changed(struct inventory *i, const struct device_gpu *d)
{
	bool any = false, news = d->drm_count > 0;
	list_for_each(e, &i->gpus, struct entry, link)
		if (same_device(&e->gpu, d)) {
			news &= d->drm_count > e->gpu.drm_count;
			join_device(&e->gpu, d);
			any = true;
		}
	if (any)
		changed(i);
	return news;
}

void inventory_device_gone(
	struct inventory *i, const struct device_gpu *d, void (*gone)(void *ctx, const struct inventory_gpu *gpu), void *ctx)
{
	bool any = false;
	list_for_each(e, &i->gpus, struct entry, link)
		if (e->gpu.state != GPU_GONE && same_device(&e->gpu, d)) {
			mark_gone(&e->gpu);
			gone(ctx, &e->gpu);
			any = true;
		}
	if (any)
		changed(i);
}

void inventory_device_vitals(struct inventory *i, const struct device_gpu *d)
{
	list_for_each(e, &i->gpus, struct entry, link)
		if (same_device(&e->gpu, d))
			take_vitals(&e->gpu, d);
}

void inventory_budget(struct inventory *i, const char *id, uint64_t free_bytes, uint64_t at_ns)
{
	struct entry *e = find(i, "", id);
	/* Where sysfs tells, it tells of all programs, now. */
	if (e && e->gpu.state == GPU_ACTIVE && e->gpu.memory_source != MEMORY_SYSFS && at_ns > e->gpu.memory_at_ns)
		take_memory(&e->gpu, free_bytes, MEMORY_BUDGET, at_ns);
}

void inventory_set_health(struct inventory *i, const char *pci_address, const struct inventory_health *h)
{
	list_for_each(e, &i->gpus, struct entry, link)
		if (!e->gpu.peer[0] && strcmp(e->gpu.pci_address, pci_address) == 0)
			e->gpu.health = *h;
}

int inventory_set_ejected(struct inventory *i, const char *id, bool ejected)
{
	const struct entry *named = find(i, "", id);
	if (!named)
		return -ENOENT;
	list_for_each(e, &i->gpus, struct entry, link)
		if (e == named ||
			(!e->gpu.peer[0] && named->gpu.pci_address[0] &&
				strcmp(e->gpu.pci_address, named->gpu.pci_address) == 0))
			e->gpu.ejected = ejected;
	changed(i);
	return 0;
}

void inventory_device_arrived(struct inventory *i, const struct device_gpu *d)
{
	list_for_each(e, &i->gpus, struct entry, link)
		if (same_device(&e->gpu, d))
			e->gpu.ejected = false;
}

bool inventory_device_ejected(const struct inventory *i, const struct device_gpu *d)
{
	list_for_each(e, &i->gpus, struct entry, link)
		if (e->gpu.ejected && same_device(&e->gpu, d))
			return true;
	return false;
}

bool inventory_lacks_driver(const struct inventory *i)
{
	list_for_each(e, &i->gpus, struct entry, link)
		if (!e->gpu.peer[0] && e->gpu.state == GPU_WITHOUT_DRIVER)
			return true;
	return false;
}

/* ---- peers ---- */

static void copy(char *out, size_t size, const char *in)
{
	snprintf(out, size, "%s", in);
}

static bool type_known(const char *type)
{
	static const char *const types[] = { "discrete", "integrated", "virtual", "cpu", "other" };
	for (size_t n = 0; n < ARRAY_SIZE(types); n++)
		if (strcmp(types[n], type) == 0)
			return true;
	return false;
}

static void take_peer_health(struct inventory_health *h, const Tbmesh__GpuHealth *m)
{
	*h = (struct inventory_health){ .known = m != NULL };
	if (!m)
		return;
	h->score = m->score;
	h->trend = m->trend;
	for (size_t n = 0; n < m->n_reasons && h->reason_count < INVENTORY_REASONS_MAX; n++)
		copy(h->reasons[h->reason_count++], sizeof h->reasons[0], m->reasons[n]);
	h->latency_us = m->latency_us;
	h->latency_p99_us = m->latency_p99_us;
	h->usual_latency_us = m->usual_latency_us;
	h->waiting = m->waiting;
}

static void take_peer_memory(struct inventory_gpu *g, const Tbmesh__Gpu *m)
{
	uint64_t now_ns = time_monotonic_ns(), age_ns = m->memory_age_ms * 1000000;
	g->memory_free_bytes = m->memory_free_bytes;
	g->memory_source = MEMORY_UNKNOWN;
	g->memory_at_ns = m->memory_age_ms < now_ns / 1000000 ? now_ns - age_ns : 1;
	for (size_t n = 0; n < ARRAY_SIZE(source_names); n++)
		if (strcmp(m->memory_source, source_names[n]) == 0)
			g->memory_source = (enum inventory_memory_source)n;
}

static void take_peer_gpu(struct inventory_gpu *g, const Tbmesh__Gpu *m)
{
	copy(g->name, sizeof g->name, m->name);
	copy(g->driver, sizeof g->driver, m->driver);
	copy(g->driver_info, sizeof g->driver_info, m->driver_info);
	copy(g->type, sizeof g->type, type_known(m->type) ? m->type : "other");
	g->driver_id = m->driver_id;
	g->api_version = m->api_version;
	g->vendor_id = m->vendor_id;
	g->device_id = m->device_id;
	g->memory_bytes = m->memory_bytes;
	copy(g->pci_address, sizeof g->pci_address, m->pci_address);
	g->is_egpu = m->is_egpu;
	copy(g->egpu_reason, sizeof g->egpu_reason, m->egpu_reason);
	copy(g->enclosure, sizeof g->enclosure, m->enclosure);
	copy(g->enclosure_uuid, sizeof g->enclosure_uuid, m->enclosure_uuid);
	copy(g->tb_version, sizeof g->tb_version, m->tb_version);
	copy(g->tb_link, sizeof g->tb_link, m->tb_link);
	copy(g->vendor, sizeof g->vendor, m->vendor);
	take_peer_memory(g, m);
	copy(g->kernel_driver, sizeof g->kernel_driver, m->kernel_driver);
	copy(g->enclosure_vendor, sizeof g->enclosure_vendor, m->enclosure_vendor);
	copy(g->enclosure_name, sizeof g->enclosure_name, m->enclosure_name);
	copy(g->tb_port, sizeof g->tb_port, m->tb_port);
	copy(g->tb_link_version, sizeof g->tb_link_version, m->tb_link_version);
	g->expected_bytes_per_s = m->expected_bytes_per_s;
	copy(g->power, sizeof g->power, m->power_state);
	g->enclosure_watts = m->enclosure_watts;
	g->power_delivery_mw = m->power_delivery_mw;
	g->display_count = 0;
	for (size_t n = 0; n < m->n_displays && g->display_count < DEVICE_DISPLAYS_MAX; n++) {
		struct device_display *d = &g->displays[g->display_count++];
		copy(d->connector, sizeof d->connector, m->displays[n]->connector);
		d->connected = m->displays[n]->connected;
	}
	take_peer_health(&g->health, m->health);
	g->drm_count = 0;
	for (size_t n = 0; n < m->n_drm_nodes && g->drm_count < DEVICE_DRM_MAX; n++)
		copy(g->drm_nodes[g->drm_count++], sizeof g->drm_nodes[0], m->drm_nodes[n]);
	memset(g->device_uuid, 0, sizeof g->device_uuid);
	if (m->device_uuid.len == sizeof g->device_uuid)
		memcpy(g->device_uuid, m->device_uuid.data, sizeof g->device_uuid);
	g->state = GPU_GONE;
	for (size_t n = 0; n < ARRAY_SIZE(state_names); n++)
		if (strcmp(m->state, state_names[n]) == 0)
			g->state = (enum inventory_state)n;
	g->load = m->load;
	g->probing = m->probing;
	g->ejected = m->ejected;
	if (g->hash != m->description_hash && g->described) {
		description_finish(&g->description);
		g->described = false;
	}
	g->hash = m->description_hash;
}

/* The key HOST/ID must be unambiguous. */
static bool id_acceptable(const char *id)
{
	return id[0] && strlen(id) < sizeof((struct inventory_gpu *)0)->id && !strchr(id, '/');
}

/* What moves all the time is no news to anybody. */
static void forget_pace(struct inventory_gpu *before, const struct inventory_gpu *now)
{
	before->memory_free_bytes = now->memory_free_bytes;
	before->memory_source = now->memory_source;
	before->memory_at_ns = now->memory_at_ns;
	before->health.latency_us = now->health.latency_us;
	before->health.latency_p99_us = now->health.latency_p99_us;
	before->health.usual_latency_us = now->health.usual_latency_us;
	before->health.waiting = now->health.waiting;
}

void inventory_peer_state(struct inventory *i, const char *peer, const char *host, const Tbmesh__NodeState *s)
{
	list_for_each(e, &i->gpus, struct entry, link)
		e->seen = false;
	bool differs = false;
	for (size_t n = 0; n < s->n_gpus && n < INVENTORY_MAX_PEER_GPUS; n++) {
		const Tbmesh__Gpu *m = s->gpus[n];
		if (!id_acceptable(m->id))
			continue;
		struct entry *e = find(i, peer, m->id);
		if (!e && !(e = entry_new(i, peer, host, m->id)))
			break;
		struct inventory_gpu before = e->gpu;
		take_peer_gpu(&e->gpu, m);
		e->seen = true;
		forget_pace(&before, &e->gpu);
		differs |= memcmp(&before, &e->gpu, sizeof before) != 0;
		if (!e->gpu.described && e->gpu.hash != 0)
			i->callbacks->wanted(i->ctx, peer, e->gpu.id);
	}
	list_for_each_safe(e, &i->gpus, struct entry, link)
		if (strcmp(e->gpu.peer, peer) == 0 && !e->seen) {
			entry_free(e);
			differs = true;
		}
	if (differs)
		changed(i);
}

int inventory_peer_description(struct inventory *i, const char *peer, const char *gpu_id, const void *data, size_t size)
{
	struct entry *e = find(i, peer, gpu_id);
	if (!e)
		return -ENOENT;
	if (e->gpu.described)
		return 0;
	if (hash_bytes(data, size) != e->gpu.hash)
		return -EBADMSG;
	int r = description_parse(&e->gpu.description, data, size);
	if (r < 0)
		return r;
	e->gpu.described = true;
	changed(i);
	return 0;
}

void inventory_peer_gone(struct inventory *i, const char *peer)
{
	bool any = false;
	list_for_each_safe(e, &i->gpus, struct entry, link)
		if (strcmp(e->gpu.peer, peer) == 0) {
			entry_free(e);
			any = true;
		}
	if (any)
		changed(i);
}

static const char *power_state(const struct inventory_gpu *g, uint32_t load)
{
	if (g->peer[0])
		return g->power;
	if (g->state == GPU_GONE)
		return "disconnected";
	switch (g->device_power) {
	case DEVICE_POWER_AWAKE:
		return load > 0 ? "active" : "idle";
	case DEVICE_POWER_SUSPENDED:
		return "suspended";
	case DEVICE_POWER_UNKNOWN:
		break;
	}
	return load > 0 ? "active" : g->pci_address[0] ? "" : "idle"; /* CPU drivers do not sleep */
}

static void fill_displays(const struct inventory_gpu *g, Tbmesh__Gpu *out, struct arena *a)
{
	Tbmesh__Display *displays = arena_alloc(a, (g->display_count + 1) * sizeof *displays);
	out->displays = arena_alloc(a, (g->display_count + 1) * sizeof *out->displays);
	for (unsigned n = 0; n < g->display_count && displays && out->displays; n++) {
		tbmesh__display__init(&displays[n]);
		displays[n].connector = arena_text(a, g->displays[n].connector);
		displays[n].connected = g->displays[n].connected;
		out->displays[out->n_displays++] = &displays[n];
	}
}

static void fill_health(const struct inventory_gpu *g, Tbmesh__Gpu *out, struct arena *a)
{
	if (!g->health.known)
		return;
	out->health = arena_alloc(a, sizeof *out->health);
	if (!out->health)
		return;
	tbmesh__gpu_health__init(out->health);
	out->health->score = g->health.score;
	out->health->trend = g->health.trend;
	out->health->latency_us = g->health.latency_us;
	out->health->latency_p99_us = g->health.latency_p99_us;
	out->health->usual_latency_us = g->health.usual_latency_us;
	out->health->waiting = g->health.waiting;
	out->health->reasons = arena_alloc(a, INVENTORY_REASONS_MAX * sizeof *out->health->reasons);
	for (unsigned n = 0; n < g->health.reason_count && out->health->reasons; n++)
		out->health->reasons[out->health->n_reasons++] = arena_text(a, g->health.reasons[n]);
}

void inventory_fill(const struct inventory_gpu *g, uint32_t load, Tbmesh__Gpu *out, struct arena *a)
{
	tbmesh__gpu__init(out);
	out->id = arena_text(a, g->id);
	out->name = arena_text(a, g->name);
	out->driver = arena_text(a, g->driver);
	out->driver_info = arena_text(a, g->driver_info);
	out->driver_id = g->driver_id;
	out->api_version = g->api_version;
	out->vendor_id = g->vendor_id;
	out->device_id = g->device_id;
	out->type = arena_text(a, g->type);
	out->memory_bytes = g->memory_bytes;
	out->pci_address = arena_text(a, g->pci_address);
	out->is_egpu = g->is_egpu;
	out->egpu_reason = arena_text(a, g->egpu_reason);
	out->enclosure = arena_text(a, g->enclosure);
	out->enclosure_uuid = arena_text(a, g->enclosure_uuid);
	out->tb_version = arena_text(a, g->tb_version);
	out->tb_link = arena_text(a, g->tb_link);
	out->vendor = arena_text(a, g->vendor);
	out->memory_free_bytes = g->memory_free_bytes;
	out->memory_source = arena_text(a, g->memory_free_bytes ? source_names[g->memory_source] : "");
	out->memory_age_ms = g->memory_free_bytes ? (time_monotonic_ns() - g->memory_at_ns) / 1000000 : 0;
	out->probing = g->probing;
	out->kernel_driver = arena_text(a, g->kernel_driver);
	out->enclosure_vendor = arena_text(a, g->enclosure_vendor);
	out->enclosure_name = arena_text(a, g->enclosure_name);
	out->tb_port = arena_text(a, g->tb_port);
	out->tb_link_version = arena_text(a, g->tb_link_version);
	out->expected_bytes_per_s = g->expected_bytes_per_s;
	out->power_state = arena_text(a, power_state(g, load));
	out->enclosure_watts = g->enclosure_watts;
	out->power_delivery_mw = g->power_delivery_mw;
	fill_displays(g, out, a);
	fill_health(g, out, a);
	out->state = arena_text(a, inventory_state_name(g->state));
	out->load = load;
	out->ejected = g->ejected;
	out->drm_nodes = arena_alloc(a, sizeof *out->drm_nodes * DEVICE_DRM_MAX);
	for (unsigned n = 0; n < g->drm_count && out->drm_nodes; n++)
		out->drm_nodes[out->n_drm_nodes++] = arena_text(a, g->drm_nodes[n]);
	out->device_uuid.data = arena_alloc(a, sizeof g->device_uuid);
	if (out->device_uuid.data) {
		memcpy(out->device_uuid.data, g->device_uuid, sizeof g->device_uuid);
		out->device_uuid.len = sizeof g->device_uuid;
	}
	out->description_hash = g->described ? g->hash : 0;
}
