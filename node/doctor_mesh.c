/* doctor's checks of interfaces, and of the ways to peers. */
#include "node/doctor_mesh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/doctor.h"
#include "node/node.h"

static void check_interface(struct doctor *d, const struct mesh_port_info *i)
{
	char fix[3 * MESH_NAME_SIZE + 128];
	bool good = i->present && i->up && i->carrier && i->has_address;
	if (!i->present) {
		doctor_say(d, DOCTOR_WARN, "link.there", i->name, "plug the cable in, or correct `interface` in tbmesh.conf",
			"there is no interface %s", i->name);
		return;
	}
	if (!i->up) {
		snprintf(fix, sizeof fix, "ip link set %.63s up   # or set manage_links = true and run tbmeshd as root",
			i->name);
		doctor_say(d, DOCTOR_FAIL, "link.up", i->name, fix, "%s is down", i->name);
	} else if (!i->carrier) {
		snprintf(fix, sizeof fix, "ip link set %.63s up   # on the host at the other end: it may be down there",
			i->name);
		doctor_say(d, DOCTOR_WARN, "link.carrier", i->name, fix, "%s has no carrier", i->name);
	} else if (!i->has_address) {
		snprintf(fix, sizeof fix, "sysctl -w net.ipv6.conf.%.63s.disable_ipv6=0 net.ipv6.conf.%.63s.addr_gen_mode=0",
			i->name, i->name);
		doctor_say(
			d, DOCTOR_FAIL, "link.address", i->name, fix, "%s has no usable link-local IPv6 address", i->name);
	}
	if (i->thunderbolt && i->mtu < MESH_MTU) {
		snprintf(fix, sizeof fix, "ip link set %.63s mtu %u", i->name, MESH_MTU);
		doctor_say(d, DOCTOR_WARN, "link.mtu", i->name, fix,
			"%s has an MTU of %u: transfers cost more CPU than with %u", i->name, i->mtu, MESH_MTU);
		good = false;
	}
	if (i->running && !i->peers) {
		doctor_say(d, DOCTOR_WARN, "link.peer", i->name,
			"start tbmeshd on the host at the other end; it must be in the same mesh: tbmesh join KEY",
			"nobody of this mesh answers on %s", i->name);
		good = false;
	}
	if (good)
		doctor_say(d, DOCTOR_OK, "link.up", i->name, "", "%s is up, has an address, an MTU of %u, and %u peer%s",
			i->name, i->mtu, i->peers, i->peers == 1 ? "" : "s");
}

static void check_static_peers(struct node *n, struct doctor *d)
{
	char address[MESH_ADDRESS_SIZE];
	bool up;
	for (size_t i = 0; mesh_static_peer(n->mesh, i, address, &up) == 0; i++) {
		if (up)
			doctor_say(d, DOCTOR_OK, "peer.static", address, "", "a peer answers at %s", address);
		else
			doctor_say(d, DOCTOR_WARN, "peer.static", address,
				"start tbmeshd there, of the same mesh (tbmesh join KEY), with `peer = ADDRESS OF THIS "
				"HOST` in its "
				"tbmesh.conf",
				"nobody of this mesh answers at %s", address);
	}
}

void doctor_check_links(struct node *n, struct doctor *d)
{
	struct mesh_port_info ports[MESH_MAX_INTERFACES];
	size_t count = mesh_ports(n->mesh, ports, MESH_MAX_INTERFACES);
	for (size_t i = 0; i < count; i++)
		check_interface(d, &ports[i]);
	if (!count)
		doctor_say(d, n->config.peer_count ? DOCTOR_OK : DOCTOR_WARN, "link.any", "",
			n->config.peer_count ? "" : "cable this host to another one; modprobe thunderbolt-net",
			"this host has no Thunderbolt network interface");
	check_static_peers(n, d);
}

void doctor_check_paths(struct node *n, struct doctor *d)
{
	struct mesh_ring rings[MESH_MAX_INTERFACES];
	size_t count = mesh_rings(n->mesh, rings, MESH_MAX_INTERFACES), worse = 0, peers;
	for (size_t i = 0; i < count && i < MESH_MAX_INTERFACES; i++)
		doctor_say(d, DOCTOR_FAIL, "mesh.ring", rings[i].heard_on,
			"take one of these interfaces out of its bridge (macOS: Thunderbolt Bridge in Network settings)",
			"what is sent on %s comes back on %s: a ring of bridges through %s", rings[i].sent_on,
			rings[i].heard_on, rings[i].hosts[0] ? rings[i].hosts : "hosts that are not in this mesh");
	if (!count)
		doctor_say(d, DOCTOR_OK, "mesh.ring", "", "", "no ring of bridges is heard");
	struct mesh_peer_info *list = calloc(MESH_MAX_PEERS, sizeof *list);
	peers = list ? mesh_peers(n->mesh, list, MESH_MAX_PEERS) : 0;
	for (size_t i = 0; i < peers && i < MESH_MAX_PEERS; i++) {
		if (!list[i].note[0])
			continue;
		doctor_say(
			d, DOCTOR_WARN, "mesh.path", list[i].name, "look at that cable: tbmesh links", "%s", list[i].note);
		worse++;
	}
	if (!worse)
		doctor_say(d, DOCTOR_OK, "mesh.path", "", "", "each peer is reached by its best measured link");
	free(list);
}
