#include "migrate/icd/icd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void *icd_object_create(size_t size)
{
	void *object = calloc(1, size);
	if (object)
		set_loader_magic_value(object);
	return object;
}

uint64_t icd_new_id(struct icd_device *d)
{
	return atomic_fetch_add_explicit(&d->last_id, 1, memory_order_relaxed) + 1;
}

void icd_say(const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "tbmesh: %s\n", text);
}

const char *icd_extension_name(enum icd_extension e)
{
	static const char *const names[] = {
#define ICD_EXTENSION(name, spec, promoted) VK_##spec##_EXTENSION_NAME,
#define ICD_LOCAL_EXTENSION(name, spec) VK_##spec##_EXTENSION_NAME,
#include "migrate/icd/extensions.h"
	};
	return names[e];
}

const void *icd_chain_find(const void *chain, VkStructureType type)
{
	const VkBaseInStructure *s = chain;
	while (s && s->sType != type)
		s = s->pNext;
	return s;
}
