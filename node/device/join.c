/* What follows from the records: which GPU came through a cable, in which enclosure, how fast. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "node/device/record.h"

#define INTEL 0x8086u
/* A router is told of before what is tunnelled through it; udev may deliver both within this in any order. */
#define ORDER_SLACK_NS 1000000000ull

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

/* Of a router's controller it may be known which PCI ports it serves; then nothing else comes through it. */
static bool serves_other_ports(const struct device_model *m, const struct record *router)
{
	list_for_each(l, &m->records, struct record, link)
		if (l->subsystem == RECORD_DEVLINK && path_has_component(router->path, l->controller))
			return true;
	return false;
}

static bool fits(
	const struct device_model *m, const struct gpu *g, const struct record *r, const char *controller, bool late)
{
	if (r->kind != THUNDERBOLT_ROUTER || !r->below_host || r->authorized == DEVICE_NO)
		return false;
	if (!late && r->since_ns > g->connected_ns + ORDER_SLACK_NS)
		return false; /* the GPU was there before it */
	return controller ? path_has_component(r->path, controller) : !serves_other_ports(m, r);
}

struct candidates {
	const struct record *only;  /* if it is one */
	const struct record *match; /* whose device id the card repeats, if it is one */
	const struct record *top;   /* all hang on it, or are it; NULL: no such */
	unsigned count, matches;
};

static void collect(
	const struct device_model *m, const struct gpu *g, const char *controller, bool late, struct candidates *c)
{
	*c = (struct candidates){ 0 };
	list_for_each(r, &m->records, struct record, link) {
		if (!fits(m, g, r, controller, late))
			continue;
		c->count++;
		c->only = r;
		if (r->authorized == DEVICE_YES && r->device != 0 && r->device == g->record->subsystem_device) {
			c->matches++;
			c->match = r;
		}
		if (!c->top || path_below(c->top->path, r->path))
			c->top = r;
	}
	list_for_each(r, &m->records, struct record, link)
		if (c->top && r != c->top && fits(m, g, r, controller, late) && !path_below(r->path, c->top->path))
			c->top = NULL;
	if (c->count != 1)
		c->only = NULL;
	if (c->matches != 1)
		c->match = NULL;
}

static bool any_domain(const struct device_model *m)
{
	list_for_each(r, &m->records, struct record, link)
		if (r->kind == THUNDERBOLT_DOMAIN || r->kind == THUNDERBOLT_ROUTER)
			return true;
	return false;
}

static void clear_enclosure(struct device_gpu *p)
{
	p->enclosure[0] = p->enclosure_vendor[0] = p->enclosure_name[0] = p->enclosure_uuid[0] = p->enclosure_path[0] =
		p->tb_version[0] = p->tb_link[0] = p->tb_link_version[0] = p->tb_port[0] = '\0';
	p->enclosure_watts = 0;
	p->power_delivery_mw = 0;
	p->expected_bytes_per_s = 0;
}

static void make_ambiguous(struct device_gpu *p)
{
	clear_enclosure(p);
	snprintf(p->enclosure, sizeof p->enclosure, "ambiguous");
}

/* The cable's power contract is its Type-C connector's: the host's port, the connector that the kernel links to it, and what the partner at
 * that connector offers as a source. Linux drivers/thunderbolt/usb4_port.c, drivers/usb/typec/pd.c */
static uint64_t power_delivery(const struct device_model *m, const struct record *router, unsigned port)
{
	char name[DEVICE_WORD_MAX], partner[DEVICE_WORD_MAX + 16] = "";
	uint64_t most_mw = 0;
	snprintf(name, sizeof name, "usb4_port%u", port);
	list_for_each(r, &m->records, struct record, link) {
		const char *slash = strrchr(r->path, '/');
		if (r->kind == THUNDERBOLT_PORT && strcmp(r->name, name) == 0 && slash &&
			strncmp(router->path, r->path, (size_t)(slash - r->path) + 1) == 0)
			snprintf(partner, sizeof partner, "%s-partner", r->connector);
	}
	list_for_each(r, &m->records, struct record, link)
		if (partner[0] && r->subsystem == RECORD_POWER_DELIVERY && path_has_component(r->path, partner) &&
			r->offers_mw > most_mw)
			most_mw = r->offers_mw;
	return most_mw;
}

static void name_enclosure(const struct device_model *m, struct device_gpu *p, const struct record *router, bool hub)
{
	snprintf(p->enclosure, sizeof p->enclosure, "%.60s%s%.60s", router->vendor_name,
		router->vendor_name[0] && router->device_name[0] ? " " : "", router->device_name);
	snprintf(p->enclosure_vendor, sizeof p->enclosure_vendor, "%s", router->vendor_name);
	snprintf(p->enclosure_name, sizeof p->enclosure_name, "%.63s", router->device_name);
	snprintf(p->enclosure_uuid, sizeof p->enclosure_uuid, "%s", router->unique_id);
	snprintf(p->enclosure_path, sizeof p->enclosure_path, "%s", router->path);
	p->enclosure_watts = thunderbolt_enclosure_watts(router->vendor_name, router->device_name);
	snprintf(p->tb_version, sizeof p->tb_version, "%s", thunderbolt_version(router, hub));
	snprintf(p->tb_link_version, sizeof p->tb_link_version, "%s",
		thunderbolt_link_version(router, thunderbolt_host_generation(m, router)));
	thunderbolt_describe_link(router, p->tb_link, sizeof p->tb_link);
	p->expected_bytes_per_s = thunderbolt_bytes_per_s(
		p->tb_version, p->tb_link_version[0] ? p->tb_link_version : thunderbolt_host_version(m, router));
	struct thunderbolt_route route;
	if (thunderbolt_route_parse(router->name, &route))
		snprintf(p->tb_port, sizeof p->tb_port, "domain%u port %u", route.domain, route.port);
	/* One further down a chain is not at this end of the cable. */
	if (p->tb_port[0] && route.depth == 1)
		p->power_delivery_mw = power_delivery(m, router, route.port);
}

static void join_enclosure(const struct device_model *m, struct gpu *g, const struct thunderbolt_view *v)
{
	struct device_gpu *p = &g->public;
	struct candidates c;
	bool tunnelled = v->controller || v->bridge;
	clear_enclosure(p);
	g->certain = false;
	snprintf(g->controller, sizeof g->controller, "%s", v->controller ? v->controller : "");
	g->fence_path[0] = '\0';
	collect(m, g, v->controller, false, &c);
	if (c.count == 0)
		collect(m, g, v->controller, true, &c);
	/* `removable` alone tells of a port that faces outwards, and up to Linux 6.12 of all that is below it, inside or not. */
	p->is_egpu = tunnelled || (v->removable && (c.count > 0 || !any_domain(m)));
	if (v->removable && p->is_egpu)
		snprintf(p->egpu_reason, sizeof p->egpu_reason, "removable");
	else if (v->controller)
		snprintf(p->egpu_reason, sizeof p->egpu_reason, "behind Thunderbolt controller %s", v->controller);
	else if (v->bridge)
		snprintf(p->egpu_reason, sizeof p->egpu_reason, "below Thunderbolt bridge %s (%04x:%04x)", v->bridge->name,
			v->bridge->vendor, v->bridge->device);
	else if (v->removable)
		snprintf(p->egpu_reason, sizeof p->egpu_reason,
			"removable, but no Thunderbolt device leads to it: it is inside, or on another kind of cable");
	else
		p->egpu_reason[0] = '\0';
	if (!p->is_egpu || c.count == 0)
		return;
	const struct record *router = c.match                             ? c.match
		: tunnelled && c.only && c.only->authorized == DEVICE_YES ? c.only
									  : NULL;
	g->certain = c.match != NULL;
	if (router)
		name_enclosure(m, p, router, v->thunderbolt5);
	else
		make_ambiguous(p);
	/* Wherever in a chain it is: when the first of the chain leaves, it is gone. */
	const struct record *fence = router ? router : c.top && c.top->authorized == DEVICE_YES ? c.top : NULL;
	if (fence && (tunnelled || c.match))
		snprintf(g->fence_path, sizeof g->fence_path, "%s", fence->path);
}

static void join_drm(const struct device_model *m, struct device_gpu *p)
{
	p->drm_count = p->display_count = 0;
	p->hwmon_path[0] = '\0';
	list_for_each(r, &m->records, struct record, link) {
		if (r->subsystem != RECORD_DRM && r->subsystem != RECORD_HWMON)
			continue;
		if (!path_below(r->path, p->path))
			continue;
		if (r->subsystem == RECORD_HWMON && !p->hwmon_path[0])
			snprintf(p->hwmon_path, sizeof p->hwmon_path, "%s", r->path);
		else if (r->node[0] && p->drm_count < DEVICE_DRM_MAX)
			memcpy(p->drm_nodes[p->drm_count++], r->node, sizeof r->node);
		else if (r->display.connector[0] && p->display_count < DEVICE_DISPLAYS_MAX)
			p->displays[p->display_count++] = r->display;
	}
}

static void join_gpu(const struct device_model *m, struct gpu *g)
{
	struct device_gpu *p = &g->public;
	const struct record *r = g->record;
	struct thunderbolt_view v;
	look_up_the_tree(m, r, &v);
	join_enclosure(m, g, &v);
	join_drm(m, p);
	p->vendor_id = r->vendor;
	p->device_id = r->device;
	p->incarnation = r->incarnation;
	p->power = r->power;
	p->memory_total_bytes = r->memory_total_bytes;
	p->memory_free_bytes = r->memory_free_bytes;
	memcpy(p->kernel_driver, r->driver, sizeof p->kernel_driver);
}

/* Root port: the first PCI function of the path. Two of them never lead into one enclosure. */
static bool same_root_port(const char *a, const char *b)
{
	const char *start = strstr(a, "/pci");
	const char *root = start ? strchr(start + 1, '/') : NULL;
	const char *end = root ? strchr(root + 1, '/') : NULL;
	return end && strncmp(a, b, (size_t)(end - a) + 1) == 0;
}

static bool same_controller_perhaps(const struct gpu *a, const struct gpu *b)
{
	return !a->controller[0] || !b->controller[0] || strcmp(a->controller, b->controller) == 0;
}

/* One router, but external GPUs below several root ports: it may be either's. */
static void refuse_shared_enclosures(struct device_model *m)
{
	list_for_each(a, &m->gpus, struct gpu, link) {
		bool shared = false;
		if (a->public.gone || a->certain || !a->public.enclosure[0])
			continue;
		list_for_each(b, &m->gpus, struct gpu, link)
			shared |= b != a && !b->certain && !b->public.gone && b->public.is_egpu &&
				same_controller_perhaps(a, b) && !same_root_port(a->public.path, b->public.path);
		if (shared) {
			make_ambiguous(&a->public);
			a->fence_path[0] = '\0';
		}
	}
}

void join_gpus(struct device_model *m)
{
	list_for_each(g, &m->gpus, struct gpu, link)
		if (!g->public.gone)
			join_gpu(m, g);
	refuse_shared_enclosures(m);
}

/* ".../0000:00:0d.2/domain0/0-0/0-1/0-1.0/net/IF" */
void join_netdev(const struct device_model *m, struct record *r)
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

bool join_is_thunderbolt_net(const struct device_model *m, const struct record *r)
{
	static const char driver[] = "thunderbolt-net";
	if (strcmp(r->parent_driver, driver) == 0)
		return true;
	list_for_each(s, &m->records, struct record, link)
		if (s->kind == THUNDERBOLT_SERVICE && path_below(r->path, s->path) && strcmp(s->driver, driver) == 0)
			return true;
	return false;
}
