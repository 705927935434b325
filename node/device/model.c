#include "node/device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/util.h"

enum record_subsystem { RECORD_PCI, RECORD_THUNDERBOLT, RECORD_DRM, RECORD_NET, RECORD_DEVLINK };
static const char *const subsystem_names[] = { [RECORD_PCI] = "pci",
	[RECORD_THUNDERBOLT] = "thunderbolt",
	[RECORD_DRM] = "drm",
	[RECORD_NET] = "net",
	[RECORD_DEVLINK] = "devlink" };
enum thunderbolt_kind { THUNDERBOLT_OTHER, THUNDERBOLT_ROUTER, THUNDERBOLT_XDOMAIN, THUNDERBOLT_SERVICE };
enum tristate { UNKNOWN, NO, YES };

struct lanes {
	uint32_t count; /* 0 unknown */
	uint32_t mbps;  /* a lane; 0 unknown */
};

struct record {
	struct list link;
	enum record_subsystem subsystem;
	char path[DEVICE_PATH_MAX];
	char name[64];
	char driver[32];
	bool seen; /* in the running sweep */
	/* pci */
	uint32_t vendor, device, subsystem_device, class_code; /* 0 unknown; class_code: base and sub class, 0x0300 */
	bool removable;
	/* thunderbolt */
	enum thunderbolt_kind kind;
	bool below_host; /* a router that is not the host's own */
	enum tristate authorized;
	uint32_t generation; /* 0 unknown */
	struct lanes rx, tx;
	char device_name[DEVICE_TEXT_MAX], vendor_name[64], unique_id[64];
	uint64_t since_ns;
	/* drm */
	char node[32];
	/* net */
	char parent_driver[32];
	bool announced;
	struct device_netdev netdev;
	/* devlink: the PCI function of a controller and a port that it serves */
	char controller[16], port[16];
};

struct gpu {
	struct list link;
	struct record *record; /* of the same path; lives as long */
	struct device_gpu public;
	bool certain; /* the enclosure follows from more than being the only one */
};

struct device_model {
	const struct device_observer *observer;
	void *ctx;
	struct list records;
	struct list gpus;
};

#define INTEL 0x8086u

/* Bridges inside Thunderbolt controllers and the root ports of integrated ones (pci.ids; Linux
 * drivers/thunderbolt/nhi.h). A host puts nothing of its own below them, so what is there came through a cable. */
static const uint16_t thunderbolt_bridges[] = {
	0x1513, 0x151a, 0x151b, 0x1547, 0x1548, 0x1549, 0x1567, 0x1569, 0x156b, 0x156d, 0x157e, /* Thunderbolt 1 and 2 */
	0x1576, 0x1578, 0x15c0, 0x15d3, 0x15da, 0x15e7, 0x15ea, 0x15ef,                         /* Alpine, Titan Ridge */
	0x1133, 0x1136, 0x0b26,                                                                 /* Maple, Goshen Ridge */
	0x5780, 0x5783, 0x5786, 0x57a4,                                                         /* Barlow Ridge */
	0x8a1d, 0x8a1f, 0x8a21, 0x8a23, 0x9a23, 0x9a25, 0x9a27, 0x9a29, 0x9a2b, 0x9a2d, 0x9a2f, 0x9a31, /* Ice, Tiger Lake */
	0x466e, 0x463f, 0x462f, 0x461f, 0xa76e, 0xa73f, 0xa72f, 0xa71f, /* Alder, Raptor Lake */
	0x7eb4, 0x7eb5, 0x7eb6, 0x7eb7, 0x7ec4, 0x7ec5, 0x7ec6, 0x7ec7, /* Meteor, Arrow Lake */
	0xa84e, 0xa84f, 0xa860, 0xa861,                                 /* Lunar Lake */
};
/* Of those, the ones of a Thunderbolt 5 enclosure. */
static const uint16_t thunderbolt5_hubs[] = { 0x5786 };

static bool id_in(const uint16_t *ids, size_t count, const struct record *r)
{
	for (size_t i = 0; i < count && r->vendor == INTEL; i++)
		if (ids[i] == r->device)
			return true;
	return false;
}

static bool path_below(const char *path, const char *above)
{
	size_t length = strlen(above);
	return strncmp(path, above, length) == 0 && path[length] == '/';
}

static bool copy_text(char *out, size_t size, const char *in)
{
	out[0] = '\0';
	return device_parse_text(in, out, size);
}

static bool path_has_component(const char *path, const char *component)
{
	size_t length = strlen(component);
	for (const char *p = path; (p = strstr(p, component)) != NULL; p++)
		if (p > path && p[-1] == '/' && (p[length] == '/' || p[length] == '\0'))
			return true;
	return false;
}

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

/* ---- joining ---- */

struct thunderbolt_view { /* what the PCI side says of a GPU's way to the host */
	const struct record *bridge;
	const char *controller; /* NHI that serves the port, NULL unknown */
	bool removable;
	bool thunderbolt5;
};

static void look_up_the_tree(const struct device_model *m, const struct record *gpu, struct thunderbolt_view *v)
{
	*v = (struct thunderbolt_view){ .removable = gpu->removable };
	list_for_each(r, &m->records, struct record, link) {
		if (r->subsystem != RECORD_PCI || !path_below(gpu->path, r->path))
			continue;
		v->removable |= r->removable;
		if (id_in(thunderbolt_bridges, ARRAY_SIZE(thunderbolt_bridges), r))
			v->bridge = r;
		v->thunderbolt5 |= id_in(thunderbolt5_hubs, ARRAY_SIZE(thunderbolt5_hubs), r);
	}
	list_for_each(r, &m->records, struct record, link)
		if (r->subsystem == RECORD_DEVLINK && path_has_component(gpu->path, r->port))
			v->controller = r->controller;
}

/* The one router that this GPU can be in, or NULL: *ret_ambiguous says whether there were several. */
static const struct record *find_enclosure(const struct device_model *m, const struct record *gpu, const char *controller,
	bool *ret_ambiguous, bool *ret_certain)
{
	const struct record *only = NULL, *match = NULL;
	unsigned fits = 0, matches = 0;
	list_for_each(r, &m->records, struct record, link) {
		if (r->kind != THUNDERBOLT_ROUTER || !r->below_host || r->authorized == NO)
			continue;
		if (controller && !path_has_component(r->path, controller))
			continue;
		fits++;
		only = r;
		if (r->authorized == YES && r->device != 0 && r->device == gpu->subsystem_device) {
			matches++;
			match = r;
		}
	}
	*ret_ambiguous = false;
	*ret_certain = matches == 1 || (fits == 1 && controller);
	if (matches == 1)
		return match;
	if (fits == 1 && only->authorized == YES)
		return only;
	*ret_ambiguous = fits > 0;
	return NULL;
}

static void describe_link(const struct record *router, char *out, size_t size)
{
	const struct lanes *rx = &router->rx, *tx = &router->tx;
	out[0] = '\0';
	if (rx->count == 0 || rx->mbps == 0 || tx->count == 0 || tx->mbps == 0)
		return;
	if (rx->count == tx->count && rx->mbps == tx->mbps)
		snprintf(out, size, "%u x %u.%u Gb/s", rx->count, rx->mbps / 1000, rx->mbps % 1000 / 100);
	else
		snprintf(out, size, "rx %u x %u.%u, tx %u x %u.%u Gb/s", rx->count, rx->mbps / 1000, rx->mbps % 1000 / 100,
			tx->count, tx->mbps / 1000, tx->mbps % 1000 / 100);
}

/* sysfs says generation 4 for Thunderbolt 4 and 5 alike: a 40 Gb/s lane, a third lane or a Thunderbolt 5 hub tells them
 * apart. */
static const char *thunderbolt_version(const struct record *router, bool thunderbolt5)
{
	static const char *const names[] = { "", "TB1", "TB2", "TB3", "TB4", "TB5" };
	if (thunderbolt5 || router->rx.mbps >= 40000 || router->tx.mbps >= 40000 || router->rx.count >= 3 ||
		router->tx.count >= 3)
		return "TB5";
	return names[router->generation];
}

static void join_gpu(const struct device_model *m, struct gpu *g)
{
	struct device_gpu *p = &g->public;
	struct thunderbolt_view v;
	look_up_the_tree(m, g->record, &v);
	p->is_egpu = v.removable || v.bridge || v.controller;
	p->egpu_reason[0] = p->enclosure[0] = p->enclosure_uuid[0] = p->enclosure_path[0] = p->tb_version[0] =
		p->tb_link[0] = '\0';
	p->drm_count = 0;
	list_for_each(r, &m->records, struct record, link)
		if (r->subsystem == RECORD_DRM && p->drm_count < DEVICE_DRM_MAX && path_below(r->path, p->path) &&
			r->node[0])
			memcpy(p->drm_nodes[p->drm_count++], r->node, sizeof r->node);
	if (!p->is_egpu)
		return;
	if (v.removable)
		snprintf(p->egpu_reason, sizeof p->egpu_reason, "removable");
	else if (v.controller)
		snprintf(p->egpu_reason, sizeof p->egpu_reason, "behind Thunderbolt controller %s", v.controller);
	else
		snprintf(p->egpu_reason, sizeof p->egpu_reason, "below Thunderbolt bridge %s (%04x:%04x)", v.bridge->name,
			v.bridge->vendor, v.bridge->device);
	bool ambiguous;
	const struct record *router = find_enclosure(m, g->record, v.controller, &ambiguous, &g->certain);
	if (ambiguous)
		snprintf(p->enclosure, sizeof p->enclosure, "ambiguous");
	if (!router)
		return;
	snprintf(p->enclosure, sizeof p->enclosure, "%.60s%s%.60s", router->vendor_name,
		router->vendor_name[0] && router->device_name[0] ? " " : "", router->device_name);
	snprintf(p->enclosure_uuid, sizeof p->enclosure_uuid, "%s", router->unique_id);
	snprintf(p->enclosure_path, sizeof p->enclosure_path, "%s", router->path);
	snprintf(p->tb_version, sizeof p->tb_version, "%s", thunderbolt_version(router, v.thunderbolt5));
	describe_link(router, p->tb_link, sizeof p->tb_link);
}

/* Root port: the first PCI function of the path. Two of them never lead into one enclosure. */
static bool same_root_port(const char *a, const char *b)
{
	const char *start = strstr(a, "/pci");
	const char *root = start ? strchr(start + 1, '/') : NULL;
	const char *end = root ? strchr(root + 1, '/') : NULL;
	return end && strncmp(a, b, (size_t)(end - a) + 1) == 0;
}

static void make_ambiguous(struct device_gpu *p)
{
	snprintf(p->enclosure, sizeof p->enclosure, "ambiguous");
	p->enclosure_uuid[0] = p->enclosure_path[0] = p->tb_version[0] = p->tb_link[0] = '\0';
}

static void refuse_shared_enclosures(struct device_model *m)
{
	list_for_each(a, &m->gpus, struct gpu, link) {
		bool shared = false;
		if (a->public.gone || a->certain || !a->public.enclosure_path[0])
			continue;
		list_for_each(b, &m->gpus, struct gpu, link)
			shared |= b != a && b->public.is_egpu && !same_root_port(a->public.path, b->public.path);
		if (shared)
			make_ambiguous(&a->public);
	}
}

/* ".../0000:00:0d.2/domain0/0-0/0-1/0-1.0/net/IF" */
static void join_netdev(const struct device_model *m, struct record *r)
{
	struct device_netdev *n = &r->netdev;
	memset(n, 0, sizeof *n);
	snprintf(n->path, sizeof n->path, "%s", r->path);
	snprintf(n->interface, sizeof n->interface, "%.31s", r->name);
	const char *domain = strstr(r->path, "/domain");
	if (domain && domain - r->path >= 13) {
		char address[13];
		snprintf(address, sizeof address, "%.12s", domain - 12);
		if (domain[-13] == '/' && device_pci_address(address))
			memcpy(n->domain, address, sizeof address);
	}
	list_for_each(x, &m->records, struct record, link) {
		if (x->kind != THUNDERBOLT_XDOMAIN || !path_below(r->path, x->path))
			continue;
		snprintf(n->xdomain, sizeof n->xdomain, "%.31s", x->name);
		snprintf(n->peer_name, sizeof n->peer_name, "%s", x->device_name);
		n->rx_bps = (uint64_t)x->rx.count * x->rx.mbps * 1000000;
		n->tx_bps = (uint64_t)x->tx.count * x->tx.mbps * 1000000;
	}
}

static bool is_thunderbolt_net(const struct device_model *m, const struct record *r)
{
	static const char driver[] = "thunderbolt-net";
	if (strcmp(r->parent_driver, driver) == 0)
		return true;
	list_for_each(s, &m->records, struct record, link)
		if (s->kind == THUNDERBOLT_SERVICE && path_below(r->path, s->path) && strcmp(s->driver, driver) == 0)
			return true;
	return false;
}

static void join(struct device_model *m)
{
	list_for_each(g, &m->gpus, struct gpu, link)
		if (!g->public.gone)
			join_gpu(m, g);
	refuse_shared_enclosures(m);
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
	join(m);
	i = 0;
	list_for_each(g, &m->gpus, struct gpu, link) {
		const struct device_gpu *b = &before[i++], *a = &g->public;
		if (a->gone || memcmp(a, b, sizeof *a) == 0)
			continue;
		if (a->tb_link[0] && b->tb_link[0] && strcmp(a->tb_link, b->tb_link) != 0 &&
			strcmp(a->enclosure_path, b->enclosure_path) == 0)
			m->observer->link_speed_changed(m->ctx, a, b->tb_link);
		m->observer->gpu_changed(m->ctx, a);
	}
	free(before);
	list_for_each(r, &m->records, struct record, link) {
		if (r->subsystem != RECORD_NET || r->announced || !is_thunderbolt_net(m, r))
			continue;
		join_netdev(m, r);
		r->announced = true;
		m->observer->netdev_added(m->ctx, &r->netdev);
	}
}

/* ---- changes ---- */

static const char *read_attribute(const struct device_input *in, const char *name)
{
	return in->attribute ? in->attribute(in->source, name) : NULL;
}

static bool read_pci(struct record *r, const struct device_input *in)
{
	char class_text[16], removable[16] = "";
	r->class_code = 0;
	if (!device_parse_text(read_attribute(in, "class"), class_text, sizeof class_text) || strlen(class_text) != 8 ||
		strncmp(class_text, "0x", 2) != 0)
		return false;
	char *end;
	unsigned long class_code = strtoul(class_text, &end, 16);
	if (*end != '\0' || !device_pci_address(r->name))
		return false;
	r->class_code = (uint32_t)(class_code >> 8);
	if (r->class_code >> 8 != 0x03 && r->class_code != 0x0604)
		return false;
	r->vendor = r->device = r->subsystem_device = 0;
	(void)device_parse_hex16(read_attribute(in, "vendor"), &r->vendor);
	(void)device_parse_hex16(read_attribute(in, "device"), &r->device);
	(void)device_parse_hex16(read_attribute(in, "subsystem_device"), &r->subsystem_device);
	(void)device_parse_text(read_attribute(in, "removable"), removable, sizeof removable);
	r->removable = strcmp(removable, "removable") == 0;
	return true;
}

static void read_lanes(struct lanes *l, const struct device_input *in, const char *lanes, const char *speed)
{
	*l = (struct lanes){ 0 };
	(void)device_parse_lanes(read_attribute(in, lanes), &l->count);
	(void)device_parse_speed(read_attribute(in, speed), &l->mbps);
}

static bool read_thunderbolt(struct record *r, const struct device_input *in)
{
	static const struct {
		const char *devtype;
		enum thunderbolt_kind kind;
	} kinds[] = {
		{ "thunderbolt_device", THUNDERBOLT_ROUTER },
		{ "thunderbolt_xdomain", THUNDERBOLT_XDOMAIN },
		{ "thunderbolt_service", THUNDERBOLT_SERVICE },
	};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (in->devtype && strcmp(in->devtype, kinds[i].devtype) == 0)
			r->kind = kinds[i].kind;
	if (r->kind == THUNDERBOLT_OTHER)
		return false;
	/* Router names are DOMAIN-ROUTE; the host's own has route 0. */
	const char *route = strchr(r->name, '-');
	r->below_host = route && strspn(route + 1, "0") != strlen(route + 1);
	char word[8];
	r->authorized = UNKNOWN;
	if (device_parse_text(read_attribute(in, "authorized"), word, sizeof word) && word[1] == '\0')
		r->authorized = word[0] == '0' ? NO : word[0] == '1' || word[0] == '2' ? YES : UNKNOWN;
	r->generation = 0;
	if (device_parse_text(read_attribute(in, "generation"), word, sizeof word) && word[1] == '\0' && word[0] >= '1' &&
		word[0] <= '5')
		r->generation = (uint32_t)(word[0] - '0');
	r->device = 0;
	(void)device_parse_hex16(read_attribute(in, "device"), &r->device);
	copy_text(r->device_name, sizeof r->device_name, read_attribute(in, "device_name"));
	copy_text(r->vendor_name, sizeof r->vendor_name, read_attribute(in, "vendor_name"));
	copy_text(r->unique_id, sizeof r->unique_id, read_attribute(in, "unique_id"));
	read_lanes(&r->rx, in, "rx_lanes", "rx_speed");
	read_lanes(&r->tx, in, "tx_lanes", "tx_speed");
	return true;
}

static bool read_drm(struct record *r, const struct device_input *in)
{
	return copy_text(r->node, sizeof r->node, in->node) && strncmp(r->node, "/dev/dri/", 9) == 0;
}

static bool read_net(struct record *r, const struct device_input *in)
{
	copy_text(r->parent_driver, sizeof r->parent_driver, in->parent_driver);
	return strlen(r->name) < 16;
}

/* "pci:0000:00:0d.2--pci:0000:00:07.0": supplier, the controller; consumer, the port. Kernel: drivers/thunderbolt/acpi.c */
static bool read_devlink(struct record *r)
{
	if (strlen(r->name) != 34 || strncmp(r->name, "pci:", 4) != 0 || strncmp(r->name + 16, "--pci:", 6) != 0)
		return false;
	snprintf(r->controller, sizeof r->controller, "%.12s", r->name + 4);
	snprintf(r->port, sizeof r->port, "%.12s", r->name + 22);
	return device_pci_address(r->controller) && device_pci_address(r->port);
}

static bool read_record(struct record *r, const struct device_input *in)
{
	copy_text(r->driver, sizeof r->driver, in->driver);
	switch (r->subsystem) {
	case RECORD_PCI:
		return read_pci(r, in);
	case RECORD_THUNDERBOLT:
		return read_thunderbolt(r, in);
	case RECORD_DRM:
		return read_drm(r, in);
	case RECORD_NET:
		return read_net(r, in);
	case RECORD_DEVLINK:
		return read_devlink(r);
	}
	return false;
}

static bool subsystem_from_text(const char *text, enum record_subsystem *ret_subsystem)
{
	for (size_t i = 0; i < ARRAY_SIZE(subsystem_names); i++)
		if (text && strcmp(text, subsystem_names[i]) == 0) {
			*ret_subsystem = (enum record_subsystem)i;
			return true;
		}
	return false;
}

static bool is_display(const struct record *r)
{
	return r->subsystem == RECORD_PCI && r->class_code >> 8 == 0x03;
}

static struct gpu *gpu_create(struct device_model *m, struct record *r)
{
	struct gpu *g = calloc(1, sizeof *g);
	if (!g)
		return NULL;
	g->record = r;
	snprintf(g->public.path, sizeof g->public.path, "%s", r->path);
	snprintf(g->public.pci_address, sizeof g->public.pci_address, "%.15s", r->name);
	g->public.vendor_id = r->vendor;
	g->public.device_id = r->device;
	list_append(&m->gpus, &g->link);
	return g;
}

static void connect_gpu(struct device_model *m, struct gpu *g)
{
	g->public.gone = false;
	g->public.gone_at_ns = 0;
	join(m);
	m->observer->gpu_connected(m->ctx, &g->public);
}

static void disconnect_gpu(struct device_model *m, struct gpu *g, uint64_t now_ns, const char *sign)
{
	if (g->public.gone)
		return;
	g->public.gone = true;
	g->public.gone_at_ns = now_ns;
	m->observer->gpu_disconnected(m->ctx, &g->public, now_ns, sign);
}

void device_model_update(struct device_model *m, const struct device_input *in, bool arrival, uint64_t now_ns)
{
	enum record_subsystem subsystem;
	char name[sizeof((struct record *)0)->name];
	if (!subsystem_from_text(in->subsystem, &subsystem) || !device_parse_text(in->name, name, sizeof name) ||
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
	if (!read_record(r, in) && fresh) {
		free(fresh);
		return;
	}
	if (fresh)
		list_append(&m->records, &r->link);
	if (is_display(r)) {
		struct gpu *g = find_gpu(m, r->path);
		bool is_new = !g;
		if (is_new)
			g = gpu_create(m, r);
		if (g && (is_new || (arrival && g->public.gone)))
			connect_gpu(m, g);
	}
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
		if (strcmp(g->public.enclosure_path, router_path) == 0)
			disconnect_gpu(m, g, now_ns, sign);
}

void device_model_remove(struct device_model *m, const char *path, uint64_t now_ns)
{
	const struct record *named = find_record(m, path);
	const char *sign = named ? subsystem_names[named->subsystem] : "pci";
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
			drop_record(m, r, now_ns, subsystem_names[r->subsystem]);
	list_for_each(g, &m->gpus, struct gpu, link) {
		const struct record *router = find_record(m, g->public.enclosure_path);
		if (g->public.gone && router && router->authorized == YES && now_ns - router->since_ns >= DEVICE_RETURN_NS &&
			now_ns - g->public.gone_at_ns >= DEVICE_RETURN_NS)
			connect_gpu(m, g);
	}
	settle(m);
}
