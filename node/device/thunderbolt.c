/* What the Thunderbolt buses of this host hold: versions, links, speeds, and the tree of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "node/device/record.h"

#define TB5_LANE_MBPS 40000u

bool thunderbolt_route_parse(const char *name, struct thunderbolt_route *ret)
{
	char *end;
	unsigned long domain = strtoul(name, &end, 10);
	if (end == name || *end != '-' || domain > 255)
		return false;
	const char *text = end + 1;
	unsigned long long route = strtoull(text, &end, 16);
	if (end == text || *end != '\0')
		return false;
	*ret = (struct thunderbolt_route){ .domain = (unsigned)domain, .port = (unsigned)(route & 0x3f) };
	for (; route != 0; route >>= 8) /* a byte a hop, the host's port lowest: Linux drivers/thunderbolt/tb.h tb_route() */
		ret->depth++;
	return true;
}

void thunderbolt_describe_link(const struct record *router, char *out, size_t size)
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

static bool link_is_thunderbolt5(const struct record *r)
{
	return r->rx.mbps >= TB5_LANE_MBPS || r->tx.mbps >= TB5_LANE_MBPS || r->rx.count >= 3 || r->tx.count >= 3;
}

/* sysfs says generation 4 for Thunderbolt 4 and 5 alike: a 40 Gb/s lane, a third lane or a Thunderbolt 5 hub tells them
 * apart. */
const char *thunderbolt_version(const struct record *router, bool hub)
{
	static const char *const names[] = { "", "TB1", "TB2", "TB3", "TB4", "TB5" };
	return hub || link_is_thunderbolt5(router) ? "TB5" : names[router->generation];
}

const char *thunderbolt_link_version(const struct record *router, uint32_t host_generation)
{
	uint32_t rx = router->rx.count * router->rx.mbps, tx = router->tx.count * router->tx.mbps, mbps = rx < tx ? rx : tx;
	if (mbps == 0)
		return "";
	if (link_is_thunderbolt5(router))
		return "TB5";
	if (mbps >= 40000)
		return router->generation >= 4 && (host_generation == 0 || host_generation >= 4) ? "TB4" : "TB3";
	return mbps >= 20000 ? "TB2" : "TB1";
}

uint64_t thunderbolt_bytes_per_s(const char *version, const char *link_version)
{
	/* PCIe as tunnelled, seen by GPUs: 1, 2, 2.8, 2.8 and 6 GB/s. */
	static const uint64_t speeds[] = { 0, 1000000000, 2000000000, 2800000000, 2800000000, 6000000000 };
	const char *const versions[] = { version, link_version };
	uint64_t least = 0;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		if (strncmp(versions[i], "TB", 2) != 0 || versions[i][2] < '1' || versions[i][2] > '5')
			continue;
		uint64_t speed = speeds[versions[i][2] - '0'];
		if (least == 0 || speed < least)
			least = speed;
	}
	return least;
}

uint32_t thunderbolt_enclosure_watts(const char *vendor, const char *name)
{
	static const struct {
		const char *vendor, *name;
		uint32_t watts;
	} known[] = {                        /* the first that fits; makers' data sheets */
		{ "Razer", "Core X V2", 0 }, /* takes its owner's */
		{ "Razer", "Core X Chroma", 700 }, { "Razer", "Core X", 650 }, { "Sonnet", "Breakaway", 550 },
		{ "Mantiz", "Saturn Pro", 550 }, { "ASUS", "XG Station Pro", 330 }
	};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strncmp(vendor, known[i].vendor, strlen(known[i].vendor)) == 0 && strstr(name, known[i].name))
			return known[i].watts;
	return 0;
}

/* The router or domain that a device hangs on: the nearest one on its path. */
static const struct record *above(const struct device_model *m, const struct record *r)
{
	const struct record *nearest = NULL;
	list_for_each(o, &m->records, struct record, link)
		if ((o->kind == THUNDERBOLT_ROUTER || o->kind == THUNDERBOLT_DOMAIN) && path_below(r->path, o->path) &&
			(!nearest || strlen(o->path) > strlen(nearest->path)))
			nearest = o;
	return nearest;
}

static const struct record *host_router(const struct device_model *m, const struct record *r)
{
	list_for_each(o, &m->records, struct record, link)
		if (o->kind == THUNDERBOLT_ROUTER && !o->below_host && path_below(r->path, o->path))
			return o;
	return NULL;
}

uint32_t thunderbolt_host_generation(const struct device_model *m, const struct record *router)
{
	const struct record *host = host_router(m, router);
	return host ? host->generation : 0;
}

/* A host's own router: any Thunderbolt 5 link on it, or a Thunderbolt 5 controller (Barlow Ridge 80G; Linux
 * drivers/thunderbolt/nhi.h). */
static bool host_is_thunderbolt5(const struct device_model *m, const struct record *host)
{
	list_for_each(o, &m->records, struct record, link) {
		if (o->subsystem == RECORD_PCI && o->vendor == 0x8086 && o->device == 0x5781 &&
			path_below(host->path, o->path))
			return true;
		if (o->subsystem == RECORD_THUNDERBOLT && path_below(o->path, host->path) && link_is_thunderbolt5(o))
			return true;
	}
	return false;
}

const char *thunderbolt_host_version(const struct device_model *m, const struct record *router)
{
	const struct record *host = host_router(m, router);
	return host ? thunderbolt_version(host, host_is_thunderbolt5(m, host)) : "";
}

static void fill_domain(const struct record *r, struct device_thunderbolt *out)
{
	const char *slash = strrchr(r->path, '/');
	char address[13] = "";
	if (slash - r->path >= 13)
		snprintf(address, sizeof address, "%.12s", slash - 12);
	if (device_pci_address(address))
		memcpy(out->controller, address, sizeof address);
	memcpy(out->security, r->security, sizeof out->security);
	out->iommu_protection = r->iommu_protection;
}

static void fill_below_host(const struct device_model *m, const struct record *r, struct device_thunderbolt *out)
{
	struct thunderbolt_route route;
	if (thunderbolt_route_parse(r->name, &route) && route.depth > 0)
		snprintf(out->port, sizeof out->port, "port %u", route.port);
	thunderbolt_describe_link(r, out->link, sizeof out->link);
	if (r->kind == THUNDERBOLT_ROUTER) {
		snprintf(out->link_version, sizeof out->link_version, "%s",
			thunderbolt_link_version(r, thunderbolt_host_generation(m, r)));
		list_for_each(g, &m->gpus, struct gpu, link)
			if (!g->public.gone && strcmp(g->public.enclosure_path, r->path) == 0 &&
				out->gpu_count < ARRAY_SIZE(out->gpus)) {
				memcpy(out->gpus[out->gpu_count++], g->public.pci_address, sizeof out->gpus[0]);
				snprintf(out->version, sizeof out->version, "%s", g->public.tb_version);
			}
	} else {
		list_for_each(n, &m->records, struct record, link)
			if (n->subsystem == RECORD_NET && n->announced && path_below(n->path, r->path) &&
				out->interface_count < ARRAY_SIZE(out->interfaces))
				memcpy(out->interfaces[out->interface_count++], n->netdev.interface,
					sizeof out->interfaces[0]);
	}
}

static void fill(const struct device_model *m, const struct record *r, struct device_thunderbolt *out)
{
	static const enum device_thunderbolt_kind kinds[] = { [THUNDERBOLT_DOMAIN] = DEVICE_DOMAIN,
		[THUNDERBOLT_ROUTER] = DEVICE_ROUTER,
		[THUNDERBOLT_RETIMER] = DEVICE_RETIMER,
		[THUNDERBOLT_XDOMAIN] = DEVICE_XDOMAIN };
	memset(out, 0, sizeof *out);
	out->kind = r->kind == THUNDERBOLT_ROUTER && !r->below_host ? DEVICE_HOST : kinds[r->kind];
	snprintf(out->name, sizeof out->name, "%.31s", r->name);
	const struct record *up = above(m, r);
	snprintf(out->above, sizeof out->above, "%.31s", up ? up->name : "");
	memcpy(out->vendor, r->vendor_name, sizeof out->vendor);
	memcpy(out->device, r->device_name, sizeof out->device);
	memcpy(out->unique_id, r->unique_id, sizeof out->unique_id);
	memcpy(out->firmware, r->firmware, sizeof out->firmware);
	if (r->kind == THUNDERBOLT_DOMAIN) {
		fill_domain(r, out);
		return;
	}
	if (r->kind == THUNDERBOLT_ROUTER) {
		out->authorized = r->authorized;
		out->generation = r->generation;
		snprintf(out->version, sizeof out->version, "%s",
			thunderbolt_version(r, out->kind == DEVICE_HOST && host_is_thunderbolt5(m, r)));
	}
	if (r->kind == THUNDERBOLT_XDOMAIN || out->kind == DEVICE_ROUTER)
		fill_below_host(m, r, out);
}

static bool shown(const struct record *r)
{
	return r->subsystem == RECORD_THUNDERBOLT && r->kind != THUNDERBOLT_SERVICE && r->kind != THUNDERBOLT_PORT;
}

/* '/' sorts first, so that what hangs on a device follows it before its neighbours. */
static int compare_paths(const char *a, const char *b)
{
	for (; *a && *a == *b; a++)
		b++;
	int x = *a == '/' ? 1 : (unsigned char)*a, y = *b == '/' ? 1 : (unsigned char)*b;
	return x - y;
}

bool device_model_thunderbolt(const struct device_model *m, size_t index, struct device_thunderbolt *ret)
{
	/* The index-th by path. There are few of them, and it is asked seldom. */
	const struct record *at = NULL;
	for (size_t i = 0; i <= index; i++) {
		const struct record *next = NULL;
		list_for_each(r, &m->records, struct record, link)
			if (shown(r) && (!at || compare_paths(r->path, at->path) > 0) &&
				(!next || compare_paths(r->path, next->path) < 0))
				next = r;
		if (!next)
			return false;
		at = next;
	}
	fill(m, at, ret);
	return true;
}
