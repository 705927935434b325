/* What the generated round trips of tests/unit/wire_round.py stand on. */
#ifndef TBMESH_TESTS_UNIT_WIRE_ROUND_H
#define TBMESH_TESTS_UNIT_WIRE_ROUND_H

#include "proto/vk/wire_gen.h"

struct round {
	struct wire_writer w;
	struct wire_reader r;
	struct buf out, deps;
	unsigned char *memory;       /* of the structs that are made up */
	size_t used;
};

struct round_case {
	const char *name;
	void (*run)(struct round *x); /* makes parameters up, encodes, decodes and compares */
};
extern const struct round_case round_cases[];
extern const size_t round_case_count;

/* Decodes the parameters of any command. */
bool round_decode(unsigned command, struct wire_reader *r);

/* Random values of the test's own seed. */
uint32_t round_random(uint32_t below);
uint64_t round_random64(void);
float round_float(void);
uint64_t round_handle(VkObjectType type);
void *round_memory(struct round *x, size_t size);       /* zeroed */
void *round_bytes(struct round *x, size_t size);        /* random; NULL for none */
const char *round_string(struct round *x);

/* Checks the encoded command and stands the reader on its parameters. */
void round_turn(struct round *x, unsigned command);
/* Fails the test where the decoded value differs. */
void round_check(bool same, const char *what);

void round_fill_VkWriteDescriptorSet(struct round *x, VkWriteDescriptorSet *v);
void round_same_VkWriteDescriptorSet(const VkWriteDescriptorSet *a, const VkWriteDescriptorSet *b);
void round_fill_chain_VkWriteDescriptorSet(struct round *x, const void **next);
void round_same_chain_VkWriteDescriptorSet(const void *a, const void *b);

#endif
