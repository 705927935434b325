#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 2048

static _Atomic(const char *) log_component = "tbmesh";
static atomic_int log_level = LOG_LEVEL_WARN;

static const char *const level_names[] = { "error", "warn", "info", "debug" };

void log_init(const char *component, enum log_level level)
{
	const char *wanted = getenv("TBMESH_LOG");
	for (int i = 0; wanted && i <= LOG_LEVEL_DEBUG; i++) {
		if (strcmp(wanted, level_names[i]) == 0 && i > (int)level)
			level = (enum log_level)i;
	}
	atomic_store(&log_component, component);
	atomic_store(&log_level, (int)level);
}

void log_at(enum log_level level, const char *format, ...)
{
	if ((int)level > atomic_load(&log_level))
		return;

	char line[LINE_BYTES];
	int head = snprintf(line, sizeof(line) - 1, "%s %s: ", level_names[level], atomic_load(&log_component));
	va_list arguments;
	va_start(arguments, format);
	int text = vsnprintf(line + head, sizeof(line) - 1 - (size_t)head, format, arguments);
	va_end(arguments);
	if (text < 0)
		return;
	size_t size = (size_t)head + (size_t)text;
	if (size > sizeof(line) - 2) {
		size = sizeof(line) - 2;
		memcpy(line + size - 3, "...", 3);
	}
	/* Texts may quote strangers: they must not be able to make lines or steer a terminal. */
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)line[i];
		if (c < 0x20 || c == 0x7f)
			line[i] = ' ';
	}
	line[size++] = '\n';
	/* One write a line keeps the lines of threads and processes apart; who can't log can't complain either. */
	ssize_t written = write(STDERR_FILENO, line, size);
	(void)written;
}
