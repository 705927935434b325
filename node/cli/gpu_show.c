#include "node/cli/document.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "node/cli/cli.h"
#include "proto/messages.h"

#define LINE_WIDTH 100
#define HISTORY_WIDTH 60
#define CHANGES_SHOWN 8
#define NAME_LEAST 12u
#define OTHER_COLUMNS 54u /* all but host, GPU, name, state and type, with all gaps */

/* ---- gpus ---- */

static const char *state_of(const Tbmesh__Gpu *g)
{
	if (g->ejected)
		return "ejected";
	if (g->probing)
		return "probing";
	return strcmp(g->state, "active") == 0 && g->power_state[0] ? g->power_state : g->state;
}

static const char *type_of(const Tbmesh__Gpu *g)
{
	return g->is_egpu ? "eGPU" : g->type;
}

struct widths {
	size_t host, id, state, type;
};

static void widen(size_t *width, const char *text)
{
	size_t length = strlen(text);
	*width = length > *width ? length : *width;
}

static void widen_all(struct widths *w, Tbmesh__Gpu *const *gpus, size_t count, const char *host)
{
	for (size_t i = 0; i < count; i++) {
		widen(&w->host, host);
		widen(&w->id, gpus[i]->id);
		widen(&w->state, state_of(gpus[i]));
		widen(&w->type, type_of(gpus[i]));
	}
}

/* What is left of a line for names. */
static size_t room_for_names(const Tbmesh__GpuList *l, const char *host)
{
	struct widths w = { .host = 4, .id = 3, .state = 5, .type = 4 }; /* of the headers */
	widen_all(&w, l->gpus, l->n_gpus, host);
	for (size_t i = 0; i < l->n_hosts; i++)
		widen_all(&w, l->hosts[i]->gpus, l->hosts[i]->n_gpus, l->hosts[i]->host);
	size_t used = w.host + w.id + w.state + w.type + OTHER_COLUMNS;
	return used + NAME_LEAST < LINE_WIDTH ? LINE_WIDTH - used : NAME_LEAST;
}

/* Bytes of a text that take at most `room` columns. */
static int cut(const char *text, size_t room)
{
	size_t columns = 0, at = 0;
	for (; text[at]; at++) {
		if (((unsigned char)text[at] & 0xc0) != 0x80 && columns++ == room)
			break;
	}
	return (int)at;
}

static void gpu_rows(struct table *t, Tbmesh__Gpu *const *gpus, size_t count, const char *host, size_t room)
{
	char text[FORMAT_SIZE];
	for (size_t i = 0; i < count; i++) {
		const Tbmesh__Gpu *g = gpus[i];
		table_cell(t, "%s", host);
		table_cell(t, "%s", g->id);
		table_cell(t, "%.*s", cut(g->name, room), g->name);
		table_cell(t, "%s", state_of(g));
		table_cell(t, "%s", type_of(g));
		table_cell(t, "%s", format_bytes(g->memory_bytes, text));
		table_cell(t, "%s", format_bytes(g->memory_free_bytes, text));
		table_cell(t, "%s", g->tb_version);
		table_cell(t, "%s", g->tb_link_version);
		if (g->health)
			table_cell(t, "%" PRIu32, g->health->score);
		else
			table_cell(t, "-");
		table_cell(t, "%" PRIu32, g->load);
	}
}

void show_gpus(const Tbmesh__GpuList *l, const char *host, FILE *out, bool color)
{
	static const char *const headers[] = { "HOST", "GPU", "NAME", "STATE", "TYPE", ">MEMORY", ">FREE", "TB", "LINK",
		">HEALTH", ">LOAD" };
	size_t count = l->n_gpus, room = room_for_names(l, host);
	for (size_t i = 0; i < l->n_hosts; i++)
		count += l->hosts[i]->n_gpus;
	if (count == 0) {
		fputs("No GPUs on this host or its peers. `tbmesh doctor` says what may be missing.\n", out);
		return;
	}
	struct table *t = table_create(headers, ARRAY_SIZE(headers));
	gpu_rows(t, l->gpus, l->n_gpus, host, room);
	for (size_t i = 0; i < l->n_hosts; i++)
		gpu_rows(t, l->hosts[i]->gpus, l->hosts[i]->n_gpus, l->hosts[i]->host, room);
	table_print(t, out, color);
	table_destroy(t);
}

/* ---- gpu ---- */

static void item(FILE *out, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void item(FILE *out, const char *name, const char *format, ...)
{
	va_list arguments;
	fprintf(out, "  %-12s  ", name);
	va_start(arguments, format);
	vfprintf(out, format, arguments);
	va_end(arguments);
	fputc('\n', out);
}

static const char *or_unknown(const char *text)
{
	return text[0] ? text : "unknown";
}

static void show_enclosure(const Tbmesh__Gpu *g, FILE *out)
{
	item(out, "eGPU", "%s%s%s", g->is_egpu ? "yes" : "no", g->egpu_reason[0] ? ", " : "", g->egpu_reason);
	if (!g->is_egpu)
		return;
	if (strcmp(g->enclosure, "ambiguous") == 0)
		item(out, "Enclosure", "ambiguous: several fit; `tbmesh thunderbolt` shows them");
	else
		item(out, "Enclosure", "%s", or_unknown(g->enclosure));
	if (g->enclosure_uuid[0])
		item(out, "UUID", "%s", g->enclosure_uuid);
	if (g->power_delivery_mw)
		item(out, "Charging", "up to %.1f W for this host, by usb_power_delivery",
			(double)g->power_delivery_mw / 1e3);
	if (g->enclosure_watts)
		item(out, "Supply", "%" PRIu32 " W, by its model", g->enclosure_watts);
	item(out, "Port", "%s", or_unknown(g->tb_port));
	item(out, "Thunderbolt", "enclosure %s, link %s%s%s", or_unknown(g->tb_version), or_unknown(g->tb_link_version),
		g->tb_link[0] ? ", " : "", g->tb_link);
	if (g->expected_bytes_per_s)
		item(out, "Expected", "%.1f GB/s to and from the GPU", (double)g->expected_bytes_per_s / 1e9);
}

/* The lowest score of each step as a row of bars; blank where nobody looked. */
static void show_history(const Tbmesh__GpuHealth *h, FILE *out)
{
	static const char *const bars[] = { "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588" };
	char row[HISTORY_WIDTH * 3 + 1] = "", age[FORMAT_SIZE];
	size_t first = h->n_history > HISTORY_WIDTH ? h->n_history - HISTORY_WIDTH : 0, length = 0;
	for (size_t i = first; i < h->n_history; i++)
		length += (size_t)snprintf(
			row + length, sizeof row - length, "%s", h->history[i] > 100 ? " " : bars[h->history[i] * 7 / 100]);
	if (h->n_history > 0)
		item(out, "History", "%s  the last %s", row,
			format_age((uint64_t)(h->n_history - first) * h->history_step_s * 1000, age));
	for (size_t i = h->n_changes; i > 0 && i + CHANGES_SHOWN > h->n_changes; i--) {
		const Tbmesh__HealthChange *c = h->changes[i - 1];
		struct tm local;
		char time_text[32] = "?";
		time_t seconds = (time_t)(c->realtime_us / 1000000);
		if (localtime_r(&seconds, &local))
			strftime(time_text, sizeof time_text, "%Y-%m-%d %H:%M:%S", &local);
		item(out, i == h->n_changes ? "Changes" : "", "%s  %" PRIu32 " %s%s%s", time_text, c->score, c->level,
			c->reason[0] ? ", " : "", c->reason);
	}
}

static void show_pace(const Tbmesh__GpuHealth *h, FILE *out)
{
	char now[FORMAT_SIZE], slowest[FORMAT_SIZE], usual[FORMAT_SIZE];
	if (h->latency_us == 0)
		return;
	item(out, "Submissions", "%s each, the slowest %s%s%s; %" PRIu32 " waiting", format_us((double)h->latency_us, now),
		format_us((double)h->latency_p99_us, slowest), h->usual_latency_us ? ", usually " : "",
		h->usual_latency_us ? format_us((double)h->usual_latency_us, usual) : "", h->waiting);
}

static void show_health(const Tbmesh__GpuHealth *h, FILE *out)
{
	if (!h) {
		item(out, "Health", "unknown");
		return;
	}
	if (h->trend != 0)
		item(out, "Health", "%" PRIu32 " of 100, %s %" PRId32 " a minute", h->score,
			h->trend < 0 ? "falling" : "rising", h->trend < 0 ? -h->trend : h->trend);
	else
		item(out, "Health", "%" PRIu32 " of 100", h->score);
	for (size_t i = 0; i < h->n_reasons; i++)
		item(out, "", "%s", h->reasons[i]);
	show_history(h, out);
	show_pace(h, out);
}

static void show_memory(const Tbmesh__Gpu *g, FILE *out)
{
	static const struct {
		const char *source, *words;
	} sources[] = { { "sysfs", "by the kernel's driver" }, { "budget", "by a program's executor" },
		{ "probe", "when its driver was asked last" } };
	const char *words = "";
	char text[FORMAT_SIZE], age[FORMAT_SIZE];
	item(out, "Memory", "%s", format_bytes(g->memory_bytes, text));
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (strcmp(g->memory_source, sources[i].source) == 0)
			words = sources[i].words;
	if (g->memory_free_bytes)
		item(out, "", "%s free%s%s, %s ago", format_bytes(g->memory_free_bytes, text), words[0] ? " " : "", words,
			format_age(g->memory_age_ms, age));
}

void show_gpu(const Tbmesh__Gpu *g, const char *host, FILE *out)
{
	fprintf(out, "%s  %s/%s\n", g->name, host, g->id);
	item(out, "State", "%s", state_of(g));
	item(out, "Load", "%" PRIu32 " program%s", g->load, g->load == 1 ? "" : "s");
	item(out, "Type", "%s", g->type);
	if (g->vendor_id)
		item(out, "Vendor", "%s%s%04" PRIx32 ":%04" PRIx32, g->vendor, g->vendor[0] ? ", " : "", g->vendor_id,
			g->device_id);
	else if (g->vendor[0])
		item(out, "Vendor", "%s", g->vendor);
	show_memory(g, out);
	if (g->driver[0])
		item(out, "Driver", "%s%s%s, Vulkan %u.%u.%u", g->driver, g->driver_info[0] ? " " : "", g->driver_info,
			g->api_version >> 22 & 0x7f, g->api_version >> 12 & 0x3ff, g->api_version & 0xfff);
	else
		item(out, "Driver", g->probing ? "Vulkan drivers are being asked" : "no Vulkan driver lists it");
	if (g->kernel_driver[0])
		item(out, "Kernel", "%s", g->kernel_driver);
	if (g->pci_address[0])
		item(out, "PCI", "%s", g->pci_address);
	for (size_t i = 0; i < g->n_drm_nodes; i++)
		item(out, i == 0 ? "DRM nodes" : "", "%s", g->drm_nodes[i]);
	if (g->pci_address[0])
		show_enclosure(g, out);
	for (size_t i = 0; i < g->n_displays; i++)
		item(out, i == 0 ? "Displays" : "", "%s%s", g->displays[i]->connector,
			g->displays[i]->connected ? ", connected" : "");
	show_health(g->health, out);
}

/* ---- thunderbolt ---- */

static void append(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text + length, size - length, format, arguments);
	va_end(arguments);
}

static void describe(const Tbmesh__ThunderboltNode *n, char *text, size_t size)
{
	text[0] = '\0';
	if (strcmp(n->kind, "domain") == 0) {
		append(text, size, "controller %s, security %s", or_unknown(n->controller), or_unknown(n->security));
		if (n->iommu_protection[0])
			append(text, size, ", %s IOMMU protection", strcmp(n->iommu_protection, "yes") == 0 ? "with" : "no");
		return;
	}
	if (strcmp(n->kind, "retimer") == 0)
		append(text, size, "retimer");
	else if (strcmp(n->kind, "xdomain") == 0)
		append(text, size, "computer \"%s\"", n->device);
	else
		append(text, size, "%s%s%s", n->vendor, n->vendor[0] && n->device[0] ? " " : "",
			n->vendor[0] || n->device[0] ? n->device : "without a name");
	if (strcmp(n->kind, "host") == 0)
		append(text, size, " (the host)");
	if (n->version[0])
		append(text, size, ", %s", n->version);
	if (n->port[0])
		append(text, size, ", %s", n->port);
	if (n->link[0])
		append(text, size, ", %s%s%s%s", n->link, n->link_version[0] ? " (" : "", n->link_version,
			n->link_version[0] ? ")" : "");
	if (strcmp(n->authorized, "no") == 0)
		append(text, size, ", not authorized");
	for (size_t i = 0; i < n->n_interfaces; i++)
		append(text, size, ", interface %s", n->interfaces[i]);
	for (size_t i = 0; i < n->n_gpus; i++)
		append(text, size, ", GPU %s", n->gpus[i]);
}

/* How many are above it. A list that names what it has not, or runs in circles, ends soon. */
static unsigned depth_of(const Tbmesh__ThunderboltList *l, const Tbmesh__ThunderboltNode *n)
{
	unsigned depth = 0;
	while (n->above[0] && depth < 16) {
		const Tbmesh__ThunderboltNode *above = NULL;
		for (size_t i = 0; i < l->n_nodes; i++)
			if (strcmp(l->nodes[i]->name, n->above) == 0)
				above = l->nodes[i];
		if (!above)
			break;
		n = above;
		depth++;
	}
	return depth;
}

void show_thunderbolt(const Tbmesh__ThunderboltList *l, FILE *out)
{
	if (l->n_nodes == 0)
		fputs("No Thunderbolt or USB4 controller: the host has none, its driver (thunderbolt) is not loaded, or the "
		      "firmware "
		      "keeps it\noff until something is plugged in.\n",
			out);
	for (size_t i = 0; i < l->n_nodes; i++) {
		const Tbmesh__ThunderboltNode *n = l->nodes[i];
		char text[512];
		int indent = (int)depth_of(l, n) * 2;
		describe(n, text, sizeof text);
		fprintf(out, "%*s%-*s  %s\n", indent, "", 14 - indent > 0 ? 14 - indent : 0, n->name, text);
	}
}
