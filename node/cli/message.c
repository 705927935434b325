#include "node/cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "node/cli/document.h"

int cli_fail(const struct cli *c, int code, const char *format, ...)
{
	char text[4096];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (!c->json) {
		fprintf(stderr, "tbmesh: %s\n", text);
		return code;
	}
	json_t *document = document_create("tbmesh.error/1");
	json_object_set_new(document, "code", json_integer(code));
	json_object_set_new(document, "message", json_string(text));
	(void)cli_print_json(document);
	return code;
}

int cli_usage(const struct cli *c, const struct command *command, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	return cli_fail(c, EXIT_USAGE, "%s: %s; see `tbmesh %s --help`", command->name, text, command->name);
}

int cli_no_arguments(const struct cli *c, const struct command *command, int argc, char **argv)
{
	return argc > 1 ? cli_usage(c, command, "\"%s\" is not expected here", argv[1]) : -1;
}

bool cli_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;
	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || value > max)
		return false;
	*ret = value;
	return true;
}
