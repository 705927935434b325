/* Datagrams into a node of the mesh: as they come, and with a good tag, so that the fuzzer gets behind the check, and
 * time between. */
#include <string.h>

#include <sodium.h>

#include "mesh/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t counter;

static uint64_t on_random(void *ctx)
{
	(void)ctx;
	return counter += 2;
}

static void on_clock(void *ctx, int64_t *ret_realtime_ns, int64_t *ret_offset_ns)
{
	(void)ctx;
	*ret_realtime_ns = (int64_t)counter;
	*ret_offset_ns = 0;
}

static int on_send(void *ctx, unsigned ifindex, const struct in6_addr *local, const struct mesh_core_address *to,
	const void *data, size_t size)
{
	(void)ctx, (void)ifindex, (void)local, (void)to, (void)data, (void)size;
	return 0;
}

static void on_peer(void *ctx, const struct mesh_core_peer *p)
{
	(void)ctx, (void)p;
}

static void on_nothing(void *ctx)
{
	(void)ctx;
}

static void on_pinged(void *ctx, uint64_t token, int64_t rtt_ns)
{
	(void)ctx, (void)token, (void)rtt_ns;
}

static void on_event(void *ctx, const struct mesh_event *e)
{
	(void)ctx, (void)e;
}

static void on_warning(void *ctx, const char *subject, const char *text)
{
	(void)ctx, (void)subject, (void)text;
}

static const struct mesh_core_ops ops = { on_random, on_clock, on_send, on_peer, on_peer, on_peer, on_peer, on_peer,
	on_nothing, on_pinged, on_event, on_warning };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mesh_identity self, peer;
	static struct mesh_packet_keys keys;
	static uint8_t pair[32];
	struct mesh_core_config config = { .key = { { 1 } }, .name = "self", .incarnation = 5, .control_port = 4000 };
	uint64_t now = CORE_SECOND;
	if (!*self.id) {
		if (sodium_init() < 0 || mesh_identity_create(&self) < 0 || mesh_identity_create(&peer) < 0)
			return 0;
		mesh_packet_keys_derive(&config.key, &keys);
		mesh_packet_pair_key(&keys, &self, peer.public_key, pair);
	}
	counter = 1;
	config.identity = self;
	struct mesh_core *c = mesh_core_create(&config, &ops, NULL, now);
	if (!c)
		return 0;
	struct in6_addr local = { { { 0xfe, 0x80, [15] = 1 } } };
	for (unsigned i = 1; i < 3; i++) {
		mesh_core_interface_set(c, now, &(struct mesh_interface){ .ifindex = i, .name = "tb" });
		mesh_core_interface_running(c, now, i, &local, "");
	}
	/* A step: what, interface and sender, length, bytes. */
	while (size >= 3) {
		size_t length = data[2] < size - 3 ? data[2] : size - 3;
		unsigned ifindex = data[1] & 3;
		struct mesh_core_address from = { { { { 0xfe, 0x80, [15] = data[1] } } }, 5000 };
		uint8_t packet[PACKET_MAX_SIZE] = { 0 };
		memcpy(packet, data + 3, length); /* at most 255 */
		switch (data[0] % 8) {
		case 0:
			mesh_core_packet(c, now, ifindex, &from, packet, length, (int64_t)now);
			break;
		case 1: {
			struct mesh_packet_beacon b = { .control_port = 1 };
			memcpy(b.public_key, peer.public_key, 32);
			memcpy(&b.incarnation, packet, 8);
			memcpy(&b.seq, packet + 8, 8);
			memcpy(b.name, packet + 16, sizeof b.name);
			mesh_packet_beacon_encode(&b, &keys, peer.secret_key, packet);
			mesh_core_packet(c, now, ifindex, &from, packet, PACKET_BEACON_SIZE, (int64_t)now);
			break;
		}
		case 2: {
			struct mesh_packet_echo e = { .reply = packet[0] & 1, .incarnation = packet[1], .nonce = packet[2] };
			memcpy(e.sender, peer.public_key, 8);
			memcpy(e.target, self.public_key, 8);
			memcpy(&e.t1_ns, packet + 3, 32);
			mesh_packet_echo_encode(&e, pair, packet);
			mesh_core_packet(c, now, ifindex, &from, packet, PACKET_ECHO_SIZE, (int64_t)now);
			break;
		}
		case 3:
			now += (uint64_t)packet[0] << (packet[1] & 31);
			mesh_core_tick(c, now);
			break;
		case 4:
			mesh_core_interface_running(c, now, ifindex, packet[0] & 1 ? &from.ip : NULL, "fuzz");
			break;
		case 6: {
			struct mesh_packet_note n = { .kind = packet[0] % 3, .incarnation = packet[1] };
			memcpy(n.sender, peer.public_key, 8);
			memcpy(n.target, self.public_key, 8);
			memcpy(n.subject, packet[2] & 1 ? self.public_key : peer.public_key, 8);
			memcpy(&n.subject_incarnation, packet + 3, 24);
			mesh_packet_note_encode(&n, pair, packet);
			mesh_core_packet(c, now, ifindex, &from, packet, PACKET_NOTE_SIZE, (int64_t)now);
			break;
		}
		case 7: { /* what a member of the mesh passes on, with a good signature or without */
			uint8_t statement[STATEMENT_MAX_SIZE];
			struct mesh_packet_state m = { .incarnation = packet[0],
				.age_ms = packet[1],
				.statement = packet + 2,
				.statement_size = length };
			memcpy(m.sender, peer.public_key, 8);
			memcpy(m.target, self.public_key, 8);
			if (packet[2] & 1 && length > 40) {
				struct mesh_statement s = { .incarnation = packet[3],
					.seq = packet[4],
					.name = "peer",
					.link_count = packet[5] % MESH_GRAPH_LINKS };
				memcpy(s.public_key, packet[2] & 2 ? self.public_key : peer.public_key, 32);
				memcpy(s.links[0].interface, packet + 6, 16);
				m.statement = statement;
				m.statement_size = mesh_statement_encode(&s, peer.secret_key, statement);
			}
			uint8_t out[PACKET_MAX_SIZE];
			size_t out_size = mesh_packet_state_encode(&m, pair, out);
			mesh_core_packet(c, now, ifindex, &from, out, out_size, (int64_t)now);
			break;
		}
		case 5:
			if (packet[0] & 1)
				mesh_core_interface_remove(c, now, ifindex, "fuzz");
			else if (ifindex)
				mesh_core_interface_set(c, now,
					&(struct mesh_interface){
						.ifindex = ifindex, .name = "tb", .negotiated_rx_bps = packet[1] });
			break;
		}
		data += 3 + length;
		size -= 3 + length;
	}
	mesh_core_tick(c, now + CORE_SECOND);
	static struct mesh_graph_node graph[16];
	mesh_core_graph(c, now + CORE_SECOND, graph, 16);
	mesh_core_destroy(c);
	return 0;
}
