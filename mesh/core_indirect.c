/* Before a peer is believed dead, others that may hear it are asked: a link that is broken is not a peer that died. */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "mesh/core_private.h"

#define ASKED_AT_ONCE 3u

static void send_note(struct mesh_core *c, const struct mesh_core_peer *to, struct mesh_packet_note *n)
{
	uint8_t packet[PACKET_NOTE_SIZE];
	memcpy(n->sender, c->id8, sizeof n->sender);
	memcpy(n->target, to->id8, sizeof n->target);
	n->incarnation = c->config.incarnation;
	mesh_packet_note_encode(n, to->pair_key, packet);
	mesh_core_send_to_peer(c, to, packet, sizeof packet);
}

void mesh_core_indirect_ask(struct mesh_core *c, struct mesh_core_peer *p)
{
	struct mesh_packet_note n = {
		.kind = NOTE_ASK, .subject_incarnation = p->incarnation, .nonce = c->ops->random(c->ctx) | 1
	};
	unsigned asked = 0;
	memcpy(n.subject, p->id8, sizeof n.subject);
	/* Those that say that they are its neighbours first; else anybody: the graph may be older than the cable. */
	for (unsigned turn = 0; turn < 2 && !asked; turn++) {
		list_for_each(q, &c->peers, struct mesh_core_peer, link) {
			if (q == p || q->state != MESH_PEER_UP || asked == ASKED_AT_ONCE ||
				(turn == 0 && !mesh_core_graph_adjacent(c, q->id8, p->id8)))
				continue;
			send_note(c, q, &n);
			asked++;
		}
	}
	if (asked) {
		p->ask_nonces[p->next_ask] = n.nonce;
		p->next_ask = (p->next_ask + 1) % ARRAY_SIZE(p->ask_nonces);
	}
}

static struct mesh_core_peer *find_subject(struct mesh_core *c, const uint8_t id8[8])
{
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		if (memcmp(p->id8, id8, sizeof p->id8) == 0)
			return p;
	}
	return NULL;
}

/* Only what an own link has heard just now is worth telling: hearsay must not go round. */
static void answer(struct mesh_core *c, const struct mesh_core_peer *from, const struct mesh_packet_note *asked)
{
	const struct mesh_core_peer *p = find_subject(c, asked->subject);
	uint64_t heard_ns = 0;
	if (!p || p == from || p->state != MESH_PEER_UP || from->state != MESH_PEER_UP)
		return;
	list_for_each(l, &p->links, struct mesh_core_link, link) {
		if (l->state == MESH_LINK_UP && l->answered_ns > heard_ns)
			heard_ns = l->answered_ns;
	}
	if (!heard_ns || c->now_ns - heard_ns >= CORE_SUSPECT)
		return;
	struct mesh_packet_note n = { .kind = NOTE_VOUCH,
		.subject_incarnation = p->incarnation,
		.value = (c->now_ns - heard_ns) / 1000,
		.nonce = asked->nonce };
	memcpy(n.subject, p->id8, sizeof n.subject);
	send_note(c, from, &n);
}

static void vouched(struct mesh_core *c, const struct mesh_core_peer *from, const struct mesh_packet_note *n)
{
	struct mesh_core_peer *p = find_subject(c, n->subject);
	bool asked = false;
	if (!p || p->state != MESH_PEER_SUSPECT || n->subject_incarnation != p->incarnation || n->value > CORE_DEAD / 1000)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(p->ask_nonces); i++)
		asked = asked || (n->nonce && p->ask_nonces[i] == n->nonce);
	if (!asked)
		return;
	uint64_t heard_ns = c->now_ns - n->value * 1000;
	if (heard_ns > p->heard_ns)
		p->heard_ns = heard_ns;
	snprintf(p->vouched_by, sizeof p->vouched_by, "%s", from->name);
}

void mesh_core_indirect_note(struct mesh_core *c, struct mesh_core_peer *from, const struct mesh_packet_note *n)
{
	switch (n->kind) {
	case NOTE_ASK:
		answer(c, from, n);
		return;
	case NOTE_VOUCH:
		vouched(c, from, n);
		return;
	case NOTE_ACK:
		mesh_core_graph_acknowledged(c, from, n);
		return;
	}
}
