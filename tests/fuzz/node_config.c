/* Configuration files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node_config c;
	char error[512], *text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	config_defaults(&c);
	if (config_parse(&c, "fuzz", text, error, sizeof error) == 0 &&
		(!config_name_valid(c.name) || c.peer_count > CONFIG_LIST_MAX || c.interface_count > CONFIG_LIST_MAX))
		abort();
	free(text);
	return 0;
}
