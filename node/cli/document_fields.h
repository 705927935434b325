/* Inside node/cli: fields of the JSON documents. */
#ifndef TBMESH_NODE_CLI_DOCUMENT_FIELDS_H
#define TBMESH_NODE_CLI_DOCUMENT_FIELDS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Unsigned 64-bit numbers go as JSON integers; what no reader must calculate with (hashes) goes as text. */
static inline void set_number(json_t *o, const char *key, uint64_t value)
{
	json_object_set_new(o, key, json_integer((json_int_t)value));
}

static inline void set_text(json_t *o, const char *key, const char *value)
{
	json_object_set_new(o, key, json_string(value ? value : ""));
}

static inline void set_real(json_t *o, const char *key, double value)
{
	json_object_set_new(o, key, json_real(value));
}

static inline void set_texts(json_t *o, const char *key, char *const *values, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(values[i]));
	json_object_set_new(o, key, list);
}

#endif
