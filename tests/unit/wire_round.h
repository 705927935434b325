/* Round trips of all commands: those that tests/unit/wire_round.py generates, and what they stand on (wire_round.c). */
#ifndef TBMESH_TESTS_UNIT_WIRE_ROUND_H
#define TBMESH_TESTS_UNIT_WIRE_ROUND_H

#include "proto/vk/wire_gen.h"

#define ROUND_MEMORY (1u << 20)
#define ROUND_HANDLE_TO_ID 0x5a5a000000000000u

struct round {
	struct wire_writer w;
	struct wire_reader r;
	struct buf out, deps;
	unsigned char *memory; /* of the structs that are made up */
	size_t used;
};

struct round_case {
	const char *name;
	void (*run)(struct round *x); /* makes parameters up, encodes, decodes and compares */
};
extern const struct round_case round_cases[];
extern const size_t round_case_count;

extern const char *round_running; /* name of the command, for messages */
extern bool round_walking;        /* round_check only looks: decoded values of hostile bytes may be anything */

/* Decodes the parameters of any command, and looks at all of it. */
bool round_decode(unsigned command, struct wire_reader *r);

/* Random values of the test's own seed. */
uint32_t round_random(uint32_t below);
uint64_t round_random64(void);
float round_float(void);
uint64_t round_handle(VkObjectType type); /* tells its type, so that a wrong one is seen */
uint64_t round_id_of(void *ctx, uint64_t handle, VkObjectType type);
bool round_handle_of(void *ctx, uint64_t id, VkObjectType type, uint64_t *ret_handle);
void *round_memory(struct round *x, size_t size); /* zeroed */
void *round_bytes(struct round *x, size_t size);  /* random; NULL for none */
const char *round_string(struct round *x);

/* Checks the encoded command and stands the reader on its parameters. */
void round_turn(struct round *x, unsigned command);
/* Ends the program where the decoded value differs. */
void round_check(bool same, const char *what);

void round_fill_VkWriteDescriptorSet(struct round *x, VkWriteDescriptorSet *v);
void round_same_VkWriteDescriptorSet(const VkWriteDescriptorSet *a, const VkWriteDescriptorSet *b);
void round_fill_chain_VkWriteDescriptorSet(struct round *x, const void **next);
void round_same_chain_VkWriteDescriptorSet(const void *a, const void *b);

#endif
