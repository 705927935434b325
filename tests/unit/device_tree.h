/* Feeds recorded device trees (the text form of umockdev: P, E, L and A lines) to the device model. */
#ifndef TBMESH_TESTS_UNIT_DEVICE_TREE_H
#define TBMESH_TESTS_UNIT_DEVICE_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct device_model;

/* Adds the devices of a text in their order. Fails the test when the text is not such a tree. */
void device_tree_add_text(struct device_model *m, const char *text, bool arrival, uint64_t now_ns);
/* The same from a file below tests/data. */
void device_tree_add_file(struct device_model *m, const char *name, bool arrival, uint64_t now_ns);

#endif
