#include "node/interface.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "mesh/mesh.h"

struct interface {
	struct list link;
	struct device_netdev netdev; /* path "" for one that the configuration names */
	unsigned ifindex;            /* as the mesh knows it; 0: not yet */
};

struct interfaces {
	struct list list;
};

struct interfaces *interfaces_create(void)
{
	struct interfaces *i = calloc(1, sizeof *i);
	if (i)
		list_init(&i->list);
	return i;
}

void interfaces_destroy(struct interfaces *i)
{
	if (!i)
		return;
	list_for_each_safe(one, &i->list, struct interface, link)
		free(one);
	free(i);
}

static void hand_over(struct interface *one, struct mesh *m)
{
	unsigned ifindex = if_nametoindex(one->netdev.interface);
	if (ifindex == 0 || ifindex == one->ifindex)
		return;
	struct mesh_interface i = { .ifindex = ifindex,
		.name = one->netdev.interface,
		.domain = one->netdev.domain,
		.xdomain = one->netdev.xdomain,
		.negotiated_rx_bps = one->netdev.rx_bps,
		.negotiated_tx_bps = one->netdev.tx_bps };
	int r = mesh_interface_add(m, &i);
	if (r < 0) {
		log_warn("interface %s cannot be used: %s", one->netdev.interface, strerror(-r));
		return;
	}
	one->ifindex = ifindex;
	log_info("interface %s (%u)%s%s%s%s", one->netdev.interface, ifindex, one->netdev.xdomain[0] ? ", Thunderbolt " : "",
		one->netdev.xdomain, one->netdev.domain[0] ? " of controller " : "", one->netdev.domain);
}

static void add(struct interfaces *i, struct mesh *m, const struct device_netdev *n)
{
	struct interface *one = calloc(1, sizeof *one);
	if (!one)
		return;
	one->netdev = *n;
	list_append(&i->list, &one->link);
	hand_over(one, m);
}

void interfaces_add(struct interfaces *i, struct mesh *m, const struct device_netdev *n)
{
	interfaces_remove(i, m, n);
	add(i, m, n);
}

void interfaces_add_named(struct interfaces *i, struct mesh *m, const char *name)
{
	struct device_netdev n = { .path = "" };
	snprintf(n.interface, sizeof n.interface, "%s", name);
	add(i, m, &n);
}

void interfaces_remove(struct interfaces *i, struct mesh *m, const struct device_netdev *n)
{
	list_for_each_safe(one, &i->list, struct interface, link) {
		if (!one->netdev.path[0] || strcmp(one->netdev.path, n->path) != 0)
			continue;
		if (one->ifindex != 0)
			mesh_interface_remove(m, one->ifindex);
		list_remove(&one->link);
		free(one);
	}
}

void interfaces_tick(struct interfaces *i, struct mesh *m)
{
	list_for_each(one, &i->list, struct interface, link)
		hand_over(one, m);
}
