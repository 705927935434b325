#include "node/health/kernel_log.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define MESSAGE_MAX 512

/* "0000:04:00.0", or without ".0": copies it; NULL: there is none at text. */
static const char *take_address(const char *text, char out[16])
{
	static const char pattern[] = "xxxx:xx:xx";
	for (size_t i = 0; i < sizeof pattern - 1; i++)
		if (pattern[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != pattern[i])
			return NULL;
	size_t length = text[10] == '.' && text[11] >= '0' && text[11] <= '7' ? 12 : 10;
	snprintf(out, 16, "%.*s", (int)length, text);
	return text + length;
}

static void say(struct kernel_trouble *t, enum health_trouble kind, const char *who, const char *text)
{
	t->kind = kind;
	snprintf(t->text, sizeof t->text, "%s: %.80s", who, text);
	for (char *p = t->text; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?';
}

/* Xids that mean that the card is gone or broken: NVIDIA, "Xid Errors". Others may be a program's fault. */
static enum health_trouble xid_kind(unsigned long xid)
{
	static const unsigned short lost[] = { 48, 62, 64, 74, 79, 95, 119, 120, 140, 143 };
	/* Programs cause these: an illegal access, or their end in the middle. */
	static const unsigned short programs[] = { 13, 31, 43, 45, 68, 69 };
	for (size_t i = 0; i < ARRAY_SIZE(lost); i++)
		if (lost[i] == xid)
			return HEALTH_LOST;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (programs[i] == xid)
			return HEALTH_TROUBLES;
	return HEALTH_ERROR;
}

static bool parse_nvidia(const char *m, struct kernel_trouble *t)
{
	const char *xid = strstr(m, "Xid (PCI:"), *rest;
	char text[64], *end;
	snprintf(t->driver, sizeof t->driver, "nvidia");
	if (xid && (rest = take_address(xid + 9, t->pci_address)) && strncmp(rest, "): ", 3) == 0) {
		unsigned long number = strtoul(rest + 3, &end, 10);
		enum health_trouble kind = xid_kind(number);
		if (end == rest + 3 || kind == HEALTH_TROUBLES)
			return false;
		snprintf(text, sizeof text, number == 79 ? "Xid %lu: fallen off the bus" : "Xid %lu", number);
		say(t, kind, "nvidia", text);
		return true;
	}
	const char *gpu = strstr(m, "GPU ");
	if (!gpu || !take_address(gpu + 4, t->pci_address) || !strstr(m, "fallen off the bus"))
		return false;
	say(t, HEALTH_LOST, "nvidia", "Xid 79: fallen off the bus"); /* the same as the Xid */
	return true;
}

/* " ring gfx_0.0.0 timeout" → "ring gfx_0.0.0 timeout" */
static bool ring_timeout(const char *m, char out[64])
{
	const char *ring = strstr(m, "ring "), *end = ring ? strstr(ring, " timeout") : NULL;
	if (!end || end - ring > 40 || memchr(ring + 5, ' ', (size_t)(end - ring - 5)))
		return false;
	snprintf(out, 64, "%.*s timeout", (int)(end - ring), ring);
	return true;
}

static bool parse_amdgpu(const char *m, struct kernel_trouble *t)
{
	char text[64];
	snprintf(t->driver, sizeof t->driver, "amdgpu");
	if (strncmp(m, "amdgpu ", 7) == 0)
		(void)take_address(m + 7, t->pci_address);
	if (strstr(m, "soft recovered"))
		return false; /* " ring gfx timeout, but soft recovered": a program's fault, nothing is lost */
	if (ring_timeout(m, text))
		say(t, HEALTH_HANG, "amdgpu", text);
	else if (strstr(m, "GPU reset begin!"))
		say(t, HEALTH_RESET, "amdgpu", "GPU reset");
	else if (strstr(m, "device lost from bus") || strstr(m, "GPU Recovery Failed"))
		say(t, HEALTH_LOST, "amdgpu", "lost");
	else if (strstr(m, "uncorrectable hardware errors detected"))
		say(t, HEALTH_ERROR, "amdgpu", "uncorrectable hardware errors");
	else
		return false;
	return true;
}

static bool parse_intel(const char *m, const char *driver, struct kernel_trouble *t)
{
	snprintf(t->driver, sizeof t->driver, "%s", driver);
	(void)take_address(m + strlen(driver) + 1, t->pci_address);
	if (strstr(m, "as wedged") || strstr(m, "device wedged") || strstr(m, "disabling submission"))
		say(t, HEALTH_LOST, driver, "wedged");
	else if (strstr(m, "GPU HANG") || strstr(m, "Engine reset:"))
		say(t, HEALTH_HANG, driver, "GPU hang");
	else if (strstr(m, "Resetting chip for") || strstr(m, "Resetting rcs") || strstr(m, "GT reset"))
		say(t, HEALTH_RESET, driver, "GPU reset");
	else
		return false;
	return true;
}

bool kernel_log_parse(const char *message, size_t size, struct kernel_trouble *ret)
{
	char m[MESSAGE_MAX];
	size_t length = size < sizeof m - 1 ? size : sizeof m - 1;
	memcpy(m, message, length);
	m[length] = '\0';
	*ret = (struct kernel_trouble){ 0 };
	if (strncmp(m, "NVRM: ", 6) == 0)
		return parse_nvidia(m, ret);
	if (strncmp(m, "amdgpu ", 7) == 0 || strncmp(m, "[drm:amdgpu_", 12) == 0)
		return parse_amdgpu(m, ret);
	if (strncmp(m, "i915 ", 5) == 0)
		return parse_intel(m, "i915", ret);
	if (strncmp(m, "xe ", 3) == 0)
		return parse_intel(m, "xe", ret);
	return false;
}

bool kernel_trouble_is_of(const struct kernel_trouble *t, const char *pci_address, const char *driver)
{
	if (!t->pci_address[0])
		return driver[0] && strcmp(t->driver, driver) == 0;
	return strncasecmp(t->pci_address, pci_address, strlen(t->pci_address)) == 0;
}
