#include "node/cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 16
#define GAP 2

struct table {
	size_t columns, cells;
	char **texts; /* headers first */
	size_t room;
	bool right[COLUMNS_MAX];
};

/* Bytes that do not continue a UTF-8 sequence: what a terminal counts, near enough. */
static size_t width(const char *text)
{
	size_t count = 0;
	for (; *text; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

static void add(struct table *t, const char *text)
{
	if (t->cells == t->room) {
		size_t room = t->room ? t->room * 2 : 64;
		char **texts = realloc(t->texts, room * sizeof *texts);
		if (!texts)
			return;
		t->texts = texts;
		t->room = room;
	}
	char *copy = strdup(text);
	if (copy)
		t->texts[t->cells++] = copy;
}

struct table *table_create(const char *const *headers, size_t columns)
{
	struct table *t = columns <= COLUMNS_MAX ? calloc(1, sizeof *t) : NULL;
	if (!t)
		return NULL;
	t->columns = columns;
	for (size_t i = 0; i < columns; i++) {
		t->right[i] = headers[i][0] == '>';
		add(t, headers[i] + t->right[i]);
	}
	return t;
}

void table_cell(struct table *t, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (t)
		add(t, text[0] ? text : "-");
}

static const char *color_of(const char *text)
{
	static const struct {
		const char *text, *color;
	} words[] = { { "up", "\033[32m" }, { "active", "\033[32m" }, { "running", "\033[32m" }, { "finished", "\033[32m" },
		{ "suspect", "\033[33m" }, { "moving", "\033[33m" }, { "starting", "\033[33m" }, { "down", "\033[31m" },
		{ "dead", "\033[31m" }, { "gone", "\033[31m" }, { "lost", "\033[31m" } };
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i].text, text) == 0)
			return words[i].color;
	return NULL;
}

void table_print(const struct table *t, FILE *out, bool color)
{
	size_t widths[COLUMNS_MAX] = { 0 };
	for (size_t i = 0; t && i < t->cells; i++)
		if (width(t->texts[i]) > widths[i % t->columns])
			widths[i % t->columns] = width(t->texts[i]);
	for (size_t i = 0; t && i < t->cells; i++) {
		size_t column = i % t->columns;
		const char *text = t->texts[i], *paint = color ? (i < t->columns ? "\033[1m" : color_of(text)) : NULL;
		int pad = (int)(widths[column] - width(text));
		bool last = column + 1 == t->columns;
		if (t->right[column])
			fprintf(out, "%*s", pad, "");
		fprintf(out, "%s%s%s", paint ? paint : "", text, paint ? "\033[0m" : "");
		if (last)
			fputc('\n', out);
		else
			fprintf(out, "%*s", (t->right[column] ? 0 : pad) + GAP, "");
	}
}

void table_destroy(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->cells; i++)
		free(t->texts[i]);
	free(t->texts);
	free(t);
}

const char *format_bps(uint64_t bps, char out[FORMAT_SIZE])
{
	if (bps == 0)
		return "-";
	if (bps >= 1000000000)
		snprintf(out, FORMAT_SIZE, "%.1f Gb/s", (double)bps / 1e9);
	else
		snprintf(out, FORMAT_SIZE, "%.1f Mb/s", (double)bps / 1e6);
	return out;
}

const char *format_bytes(uint64_t bytes, char out[FORMAT_SIZE])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;
	if (bytes == 0)
		return "-";
	for (; value >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++)
		value /= 1024;
	snprintf(out, FORMAT_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return out;
}

const char *format_us(double us, char out[FORMAT_SIZE])
{
	if (us < 1000)
		snprintf(out, FORMAT_SIZE, "%.0f us", us);
	else
		snprintf(out, FORMAT_SIZE, "%.2f ms", us / 1000);
	return out;
}

const char *format_age(uint64_t ms, char out[FORMAT_SIZE])
{
	if (ms < 120000)
		snprintf(out, FORMAT_SIZE, "%llu s", (unsigned long long)(ms / 1000));
	else if (ms < 7200000)
		snprintf(out, FORMAT_SIZE, "%llu min", (unsigned long long)(ms / 60000));
	else
		snprintf(out, FORMAT_SIZE, "%llu h", (unsigned long long)(ms / 3600000));
	return out;
}

int cli_print_json(json_t *document)
{
	char *text = document ? json_dumps(document, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII) : NULL;
	json_decref(document);
	if (!text)
		return EXIT_ERROR;
	int r = puts(text) < 0 || fflush(stdout) != 0 ? EXIT_ERROR : EXIT_OK;
	free(text);
	return r;
}
