/* From what the kernel says of an interface to "running" and back: set up, addressed, with carrier. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/log.h"
#include "base/util.h"
#include "mesh/mesh_private.h"

#define ASK_AGAIN_NS (2 * CORE_SECOND)
#define TRAFFIC_PERIOD_NS (250 * CORE_MS)

struct mesh_port *mesh_port_find(struct mesh *m, unsigned ifindex)
{
	list_for_each(i, &m->interfaces, struct mesh_port, link) {
		if (i->ifindex == ifindex)
			return i;
	}
	return NULL;
}

/* Stable for this node and interface, and not derived from a hardware address. */
static struct in6_addr own_address(const struct mesh *m, unsigned ifindex)
{
	struct in6_addr ip = { { { 0xfe, 0x80 } } };
	uint8_t hash[crypto_generichash_BYTES_MIN];
	uint8_t seed[36];
	memcpy(seed, m->identity.public_key, 32);
	memcpy(seed + 32, &(uint32_t){ ifindex }, 4);
	crypto_generichash(hash, sizeof hash, seed, sizeof seed, NULL, 0);
	memcpy(ip.s6_addr + 8, hash, 8);
	ip.s6_addr[8] &= (uint8_t)~2u; /* locally assigned */
	return ip;
}

static const struct mesh_port_address *usable_address(const struct mesh_port *i)
{
	const struct mesh_port_address *best = NULL;
	for (size_t a = 0; a < i->address_count; a++) {
		const struct mesh_port_address *candidate = &i->addresses[a];
		if (!candidate->usable)
			continue;
		if (i->running && memcmp(&candidate->ip, &i->address, sizeof candidate->ip) == 0)
			return candidate; /* no change without need */
		if (!best || memcmp(&candidate->ip, &i->own, sizeof candidate->ip) == 0)
			best = candidate;
	}
	return best;
}

bool mesh_port_has_address(const struct mesh_port *i)
{
	return usable_address(i) != NULL;
}

/* Of a network that only the configuration names the MTU is nobody's business. */
static bool wants_mtu(const struct mesh_port *i)
{
	return (i->domain[0] || i->xdomain[0]) && i->mtu && i->mtu < MESH_MTU;
}

static void manage(struct mesh_port *i)
{
	struct mesh *m = i->mesh;
	uint64_t now = time_monotonic_ns();
	if (!m->manage_links || !i->present)
		return;
	if (!i->mtu_asked && wants_mtu(i)) {
		i->mtu_asked = true;
		mesh_netlink_set_mtu(m->netlink, i->ifindex, MESH_MTU);
	}
	if (!i->up && (!i->up_asked_ns || now - i->up_asked_ns > ASK_AGAIN_NS)) {
		i->up_asked_ns = now;
		mesh_netlink_set_up(m->netlink, i->ifindex);
	}
	if (i->up && !usable_address(i) && (!i->address_asked_ns || now - i->address_asked_ns > ASK_AGAIN_NS)) {
		i->address_asked_ns = now;
		mesh_netlink_add_address(m->netlink, i->ifindex, &i->own);
	}
}

/* The socket belongs to the device that is there now. */
static bool open_port(struct mesh_port *i)
{
	struct mesh *m = i->mesh;
	if (i->port)
		return mesh_net_port_join(i->port) == 0;
	int r = mesh_net_port_create(m->net, i->ifindex, i->name, &i->port);
	if (r < 0 && r != -ENODEV)
		mesh_warn(m, i->name, "cannot open a socket on %s: %s", i->name, strerror(-r));
	return r == 0;
}

static void evaluate(struct mesh_port *i)
{
	struct mesh *m = i->mesh;
	manage(i);
	const struct mesh_port_address *a = usable_address(i);
	const char *why = !i->present ? "the interface is gone"
		: !i->up              ? "the interface is down"
		: !i->carrier         ? "no carrier"
		: !a                  ? "no link-local address"
				      : NULL;
	bool running = !why && open_port(i);
	if (running && i->warned && !wants_mtu(i)) { /* somebody has done what was asked for */
		i->warned = false;
		mesh_warn(m, i->name, "%s", "");
	}
	bool changed = running != i->running || (running && memcmp(&a->ip, &i->address, sizeof a->ip) != 0);
	if (!changed)
		return;
	i->running = running;
	i->running_ns = time_monotonic_ns();
	if (running)
		i->address = a->ip;
	log_debug("mesh: %s is %s%s%s", i->name, running ? "running" : "not running", why ? ": " : "", why ? why : "");
	mesh_core_interface_running(
		m->core, time_monotonic_ns(), i->ifindex, running ? &i->address : NULL, why ? why : "no socket");
	mesh_rearm(m);
}

static int tell_core(struct mesh_port *i)
{
	struct mesh_interface desc = { .ifindex = i->ifindex,
		.name = i->name,
		.domain = i->domain,
		.xdomain = i->xdomain,
		.negotiated_rx_bps = i->negotiated_rx_bps,
		.negotiated_tx_bps = i->negotiated_tx_bps };
	int r = mesh_core_interface_set(i->mesh->core, time_monotonic_ns(), &desc);
	mesh_rearm(i->mesh);
	return r;
}

/* The device is gone. The entry stays for the case that the kernel is faster with the next one than udev is. */
static void device_gone(struct mesh_port *i, const char *why)
{
	struct mesh *m = i->mesh;
	if (!i->present)
		return;
	i->present = i->up = i->carrier = i->running = false;
	i->mtu_asked = false;
	i->address_count = 0;
	i->up_asked_ns = i->address_asked_ns = i->traffic_at_ns = 0;
	mesh_net_port_destroy(i->port);
	i->port = NULL;
	mesh_core_interface_remove(m->core, time_monotonic_ns(), i->ifindex, why);
	mesh_rearm(m);
}

void mesh_port_remove(struct mesh_port *i, const char *why)
{
	struct mesh *m = i->mesh;
	device_gone(i, why);
	list_remove(&i->link);
	m->interface_count--;
	free(i);
}

int mesh_port_set(struct mesh *m, const struct mesh_interface *desc)
{
	struct mesh_port *i = mesh_port_find(m, desc->ifindex);
	if (!desc->ifindex || !desc->name || !*desc->name)
		return -EINVAL;
	if (!i) {
		if (m->interface_count >= MESH_MAX_INTERFACES) {
			list_for_each_safe(old, &m->interfaces, struct mesh_port, link) {
				if (!old->present)
					mesh_port_remove(old, "the interface is gone");
			}
		}
		if (m->interface_count >= MESH_MAX_INTERFACES)
			return -ENOSPC;
		i = calloc(1, sizeof *i);
		if (!i)
			return -ENOMEM;
		i->mesh = m;
		i->ifindex = desc->ifindex;
		i->own = own_address(m, desc->ifindex);
		list_append(&m->interfaces, &i->link);
		m->interface_count++;
	}
	snprintf(i->name, sizeof i->name, "%s", desc->name);
	snprintf(i->domain, sizeof i->domain, "%s", desc->domain ? desc->domain : "");
	snprintf(i->xdomain, sizeof i->xdomain, "%s", desc->xdomain ? desc->xdomain : "");
	i->negotiated_rx_bps = desc->negotiated_rx_bps;
	i->negotiated_tx_bps = desc->negotiated_tx_bps;
	if (i->present)
		return tell_core(i);
	mesh_netlink_read_all(m->netlink);
	return 0;
}

void mesh_port_recheck(struct mesh *m)
{
	list_for_each(i, &m->interfaces, struct mesh_port, link) {
		mesh_netlink_read_link(m->netlink, i->ifindex);
		manage(i);
	}
}

static void count_traffic(struct mesh_port *i, const struct mesh_netlink_link *l)
{
	uint64_t now = time_monotonic_ns(), elapsed = now - i->traffic_at_ns;
	if (i->traffic_at_ns && elapsed < TRAFFIC_PERIOD_NS)
		return;
	if (i->traffic_at_ns && l->tx_bytes >= i->tx_bytes && l->rx_bytes >= i->rx_bytes) {
		double seconds = (double)elapsed / 1e9;
		mesh_core_traffic(i->mesh->core, now, i->ifindex,
			(uint64_t)((double)(l->tx_bytes - i->tx_bytes) * 8 / seconds),
			(uint64_t)((double)(l->rx_bytes - i->rx_bytes) * 8 / seconds));
		mesh_rearm(i->mesh);
	}
	i->traffic_at_ns = now;
	i->tx_bytes = l->tx_bytes;
	i->rx_bytes = l->rx_bytes;
}

static void on_link(void *ctx, const struct mesh_netlink_link *l)
{
	struct mesh_port *i = mesh_port_find(ctx, l->ifindex);
	if (!i)
		return;
	if (l->gone) {
		device_gone(i, "the interface is gone");
		return;
	}
	bool appeared = !i->present, renamed = *l->name && strcmp(i->name, l->name) != 0;
	i->present = i->seen = true;
	i->up = l->up;
	i->carrier = l->carrier;
	i->mtu = l->mtu;
	if (*l->name)
		snprintf(i->name, sizeof i->name, "%s", l->name);
	if (appeared || renamed)
		tell_core(i);
	if (appeared)
		mesh_netlink_read_all(i->mesh->netlink); /* its addresses */
	if (!i->up)
		i->address_asked_ns = 0; /* the kernel takes link-local addresses away with IFF_UP */
	evaluate(i);
	count_traffic(i, l);
}

static void on_address(void *ctx, const struct mesh_netlink_address *change)
{
	struct mesh_port *i = mesh_port_find(ctx, change->ifindex);
	if (!i)
		return;
	size_t a = 0;
	while (a < i->address_count && memcmp(&i->addresses[a].ip, &change->ip, sizeof change->ip) != 0)
		a++;
	if (change->gone) {
		if (a < i->address_count)
			i->addresses[a] = i->addresses[--i->address_count];
		if (memcmp(&change->ip, &i->own, sizeof change->ip) == 0)
			i->address_asked_ns = 0;
	} else {
		if (a == INTERFACE_MAX_ADDRESSES)
			return;
		if (a == i->address_count)
			i->address_count++;
		i->addresses[a] = (struct mesh_port_address){ .ip = change->ip, .usable = change->usable, .seen = true };
	}
	evaluate(i);
}

static void on_scan_started(void *ctx)
{
	struct mesh *m = ctx;
	list_for_each(i, &m->interfaces, struct mesh_port, link) {
		i->seen = false;
		for (size_t a = 0; a < i->address_count; a++)
			i->addresses[a].seen = false;
	}
}

static void on_scan_done(void *ctx)
{
	struct mesh *m = ctx;
	list_for_each(i, &m->interfaces, struct mesh_port, link) {
		if (!i->seen) {
			device_gone(i, "the interface is gone");
			continue;
		}
		for (size_t a = i->address_count; a-- > 0;) {
			if (!i->addresses[a].seen)
				i->addresses[a] = i->addresses[--i->address_count];
		}
		evaluate(i);
	}
}

static void on_answered(void *ctx, enum mesh_netlink_request what, unsigned ifindex, int result)
{
	struct mesh *m = ctx;
	struct mesh_port *i = mesh_port_find(m, ifindex);
	if (!i || result == 0 || result == -ENODEV)
		return;
	i->warned = result != -EEXIST;
	switch (what) {
	case NETLINK_SET_UP:
		if (result == -EPERM || result == -EACCES)
			mesh_warn(
				m, i->name, "may not set %s up: run as root, or run `ip link set %s up`", i->name, i->name);
		else
			mesh_warn(m, i->name, "cannot set %s up: %s", i->name, strerror(-result));
		return;
	case NETLINK_SET_MTU:
		mesh_warn(m, i->name, "%s keeps its MTU of %u (%u refused: %s): transfers cost more CPU", i->name, i->mtu,
			MESH_MTU, strerror(-result));
		return;
	case NETLINK_ADD_ADDRESS:
		if (result == -EEXIST)
			return;
		if (result == -EACCES || result == -EOPNOTSUPP || result == -EINVAL)
			mesh_warn(m, i->name, "%s takes no IPv6 address (%s): is net.ipv6.conf.%s.disable_ipv6 set?",
				i->name, strerror(-result), i->name);
		else
			mesh_warn(m, i->name, "cannot add a link-local address to %s: %s", i->name, strerror(-result));
		return;
	}
}

const struct mesh_netlink_callbacks mesh_port_callbacks = {
	.link = on_link,
	.address = on_address,
	.scan_started = on_scan_started,
	.scan_done = on_scan_done,
	.answered = on_answered,
};
