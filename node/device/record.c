/* What sysfs says of one device, made safe: what fails or makes no sense is unknown. Only attributes that the kernel answers from
 * memory are read here. */
#include "node/device/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static const char *const subsystem_names[] = { [RECORD_PCI] = "pci",
	[RECORD_THUNDERBOLT] = "thunderbolt",
	[RECORD_DRM] = "drm",
	[RECORD_NET] = "net",
	[RECORD_DEVLINK] = "devlink",
	[RECORD_HWMON] = "hwmon",
	[RECORD_POWER_DELIVERY] = "usb_power_delivery" };

#define CLASS_DISPLAY 0x03u
#define CLASS_BRIDGE 0x0604u
#define CLASS_USB 0x0c03u /* with Thunderbolt controllers (NHI) among them */

const char *record_subsystem_name(enum record_subsystem s)
{
	return subsystem_names[s];
}

bool record_subsystem_from_text(const char *text, enum record_subsystem *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(subsystem_names); i++)
		if (text && strcmp(text, subsystem_names[i]) == 0) {
			*ret = (enum record_subsystem)i;
			return true;
		}
	return false;
}

bool path_below(const char *path, const char *above)
{
	size_t length = strlen(above);
	return strncmp(path, above, length) == 0 && path[length] == '/';
}

bool path_has_component(const char *path, const char *component)
{
	size_t length = strlen(component);
	for (const char *p = path; (p = strstr(p, component)) != NULL; p++)
		if (p > path && p[-1] == '/' && (p[length] == '/' || p[length] == '\0'))
			return true;
	return false;
}

static bool copy_text(char *out, size_t size, const char *in)
{
	out[0] = '\0';
	return device_parse_text(in, out, size);
}

static const char *read_attribute(const struct device_input *in, const char *name)
{
	return in->attribute ? in->attribute(in->source, name) : NULL;
}

enum device_power device_parse_power(const char *text)
{
	static const struct {
		const char *word;
		enum device_power power;
	} words[] = { { "active", DEVICE_POWER_AWAKE }, { "resuming", DEVICE_POWER_AWAKE },
		{ "unsupported", DEVICE_POWER_AWAKE }, { "error", DEVICE_POWER_AWAKE },
		{ "suspended", DEVICE_POWER_SUSPENDED }, { "suspending", DEVICE_POWER_SUSPENDED } };
	char word[DEVICE_WORD_MAX];
	if (!device_parse_text(text, word, sizeof word))
		return DEVICE_POWER_UNKNOWN;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].power;
	return DEVICE_POWER_UNKNOWN;
}

bool record_is_display(const struct record *r)
{
	return r->subsystem == RECORD_PCI && r->class_code >> 8 == CLASS_DISPLAY;
}

static bool read_pci(struct record *r, const struct device_input *in)
{
	char class_text[16], removable[16] = "";
	r->class_code = 0;
	if (!device_parse_text(read_attribute(in, "class"), class_text, sizeof class_text) || strlen(class_text) != 8 ||
		strncmp(class_text, "0x", 2) != 0)
		return false;
	char *end;
	unsigned long class_code = strtoul(class_text, &end, 16);
	if (*end != '\0' || !device_pci_address(r->name))
		return false;
	r->class_code = (uint32_t)(class_code >> 8);
	if (r->class_code >> 8 != CLASS_DISPLAY && r->class_code != CLASS_BRIDGE && r->class_code != CLASS_USB)
		return false;
	r->vendor = r->device = r->subsystem_device = 0;
	(void)device_parse_hex16(read_attribute(in, "vendor"), &r->vendor);
	(void)device_parse_hex16(read_attribute(in, "device"), &r->device);
	(void)device_parse_hex16(read_attribute(in, "subsystem_device"), &r->subsystem_device);
	(void)device_parse_text(read_attribute(in, "removable"), removable, sizeof removable);
	r->removable = strcmp(removable, "removable") == 0;
	if (record_is_display(r))
		r->power = device_parse_power(read_attribute(in, "power/runtime_status"));
	return true;
}

static void read_lanes(struct lanes *l, const struct device_input *in, const char *lanes, const char *speed)
{
	*l = (struct lanes){ 0 };
	(void)device_parse_lanes(read_attribute(in, lanes), &l->count);
	(void)device_parse_speed(read_attribute(in, speed), &l->mbps);
}

static enum device_tristate read_flag(const struct device_input *in, const char *name)
{
	char word[8];
	if (!device_parse_text(read_attribute(in, name), word, sizeof word) || word[1] != '\0')
		return DEVICE_UNKNOWN;
	return word[0] == '0' ? DEVICE_NO : word[0] == '1' || word[0] == '2' ? DEVICE_YES : DEVICE_UNKNOWN;
}

static bool read_thunderbolt(struct record *r, const struct device_input *in)
{
	static const struct {
		const char *devtype;
		enum thunderbolt_kind kind;
	} kinds[] = {
		{ "thunderbolt_domain", THUNDERBOLT_DOMAIN },
		{ "thunderbolt_device", THUNDERBOLT_ROUTER },
		{ "thunderbolt_retimer", THUNDERBOLT_RETIMER },
		{ "thunderbolt_xdomain", THUNDERBOLT_XDOMAIN },
		{ "thunderbolt_service", THUNDERBOLT_SERVICE },
		{ "usb4_port", THUNDERBOLT_PORT },
	};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (in->devtype && strcmp(in->devtype, kinds[i].devtype) == 0)
			r->kind = kinds[i].kind;
	if (r->kind == THUNDERBOLT_OTHER)
		return false;
	if (r->kind == THUNDERBOLT_PORT)
		return copy_text(r->connector, sizeof r->connector, read_attribute(in, "connector"));
	/* Router names are DOMAIN-ROUTE; the host's own has route 0. */
	const char *route = strchr(r->name, '-');
	r->below_host = route && strspn(route + 1, "0") != strlen(route + 1);
	r->authorized = read_flag(in, "authorized");
	r->iommu_protection = read_flag(in, "iommu_dma_protection");
	char word[8];
	r->generation = 0;
	if (device_parse_text(read_attribute(in, "generation"), word, sizeof word) && word[1] == '\0' && word[0] >= '1' &&
		word[0] <= '5')
		r->generation = (uint32_t)(word[0] - '0');
	r->device = 0;
	(void)device_parse_hex16(read_attribute(in, "device"), &r->device);
	copy_text(r->device_name, sizeof r->device_name, read_attribute(in, "device_name"));
	copy_text(r->vendor_name, sizeof r->vendor_name, read_attribute(in, "vendor_name"));
	copy_text(r->unique_id, sizeof r->unique_id, read_attribute(in, "unique_id"));
	copy_text(r->firmware, sizeof r->firmware, read_attribute(in, "nvm_version"));
	copy_text(r->security, sizeof r->security, read_attribute(in, "security"));
	read_lanes(&r->rx, in, "rx_lanes", "rx_speed");
	read_lanes(&r->tx, in, "tx_lanes", "tx_speed");
	/* One that says nothing at all of itself has gone meanwhile: the event was late. */
	return r->kind != THUNDERBOLT_ROUTER || r->authorized != DEVICE_UNKNOWN || r->generation != 0 || r->device != 0 ||
		r->device_name[0] || r->vendor_name[0] || r->unique_id[0];
}

/* Connectors are ".../drm/card1/card1-DP-2" and have no node. */
static bool read_drm(struct record *r, const struct device_input *in)
{
	if (copy_text(r->node, sizeof r->node, in->node))
		return strncmp(r->node, "/dev/dri/", 9) == 0;
	const char *hyphen = strchr(r->name, '-');
	char status[16] = "";
	if (strncmp(r->name, "card", 4) != 0 || !hyphen || !hyphen[1] || strlen(hyphen + 1) >= sizeof r->display.connector)
		return false;
	snprintf(r->display.connector, sizeof r->display.connector, "%.31s", hyphen + 1);
	(void)device_parse_text(read_attribute(in, "status"), status, sizeof status);
	r->display.connected = strcmp(status, "connected") == 0;
	return true;
}

static bool read_net(struct record *r, const struct device_input *in)
{
	copy_text(r->parent_driver, sizeof r->parent_driver, in->parent_driver);
	return strlen(r->name) < 16;
}

/* "pci:0000:00:0d.2--pci:0000:00:07.0": supplier, the controller; consumer, the port. Kernel: drivers/thunderbolt/acpi.c */
static bool read_devlink(struct record *r)
{
	if (strlen(r->name) != 34 || strncmp(r->name, "pci:", 4) != 0 || strncmp(r->name + 16, "--pci:", 6) != 0)
		return false;
	snprintf(r->controller, sizeof r->controller, "%.12s", r->name + 4);
	snprintf(r->port, sizeof r->port, "%.12s", r->name + 22);
	return device_pci_address(r->controller) && device_pci_address(r->port);
}

/* "20000mV", "5000mA", "100000mW" */
static uint64_t read_milli(
	const struct device_input *in, unsigned position, const char *kind, const char *name, const char *unit)
{
	char attribute[96], word[16], *end;
	snprintf(attribute, sizeof attribute, "source-capabilities/%u:%s/%s", position, kind, name);
	if (!device_parse_text(read_attribute(in, attribute), word, sizeof word) || word[0] < '0' || word[0] > '9')
		return 0;
	unsigned long value = strtoul(word, &end, 10);
	return strcmp(end, unit) == 0 && value <= 1000000 ? value : 0;
}

/* Power supplies of fixed voltage, and batteries, at positions 1 to 11 (USB PD 3.1): what the others reach is limited elsewhere. Linux
 * Documentation/ABI/testing/sysfs-class-usb_power_delivery. */
static bool read_power_delivery(struct record *r, const struct device_input *in)
{
	r->offers_mw = 0;
	for (unsigned position = 1; position <= 11; position++) {
		uint64_t volts = read_milli(in, position, "fixed_supply", "voltage", "mV"),
			 amperes = read_milli(in, position, "fixed_supply", "maximum_current", "mA"),
			 watts = read_milli(in, position, "battery", "maximum_power", "mW");
		if (volts * amperes / 1000 > watts)
			watts = volts * amperes / 1000;
		if (watts > r->offers_mw)
			r->offers_mw = watts;
	}
	return true;
}

bool record_read(struct record *r, const struct device_input *in)
{
	copy_text(r->driver, sizeof r->driver, in->driver);
	switch (r->subsystem) {
	case RECORD_PCI:
		if (in->incarnation)
			r->incarnation = in->incarnation;
		return read_pci(r, in);
	case RECORD_THUNDERBOLT:
		return read_thunderbolt(r, in);
	case RECORD_DRM:
		return read_drm(r, in);
	case RECORD_NET:
		return read_net(r, in);
	case RECORD_DEVLINK:
		return read_devlink(r);
	case RECORD_HWMON:
		return true;
	case RECORD_POWER_DELIVERY:
		return read_power_delivery(r, in);
	}
	return false;
}
