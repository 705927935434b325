/* doctor: this host's Thunderbolt buses, as far as sysfs tells of them. */
#include "node/doctor_devices.h"

#include <stdio.h>
#include <string.h>

#include "node/node.h"

/* "Razer Core X (0-1)", or the name in sysfs alone. */
static void describe(const struct device_thunderbolt *t, char *out, size_t size)
{
	if (t->vendor[0] || t->device[0])
		snprintf(out, size, "%s%s%s (%s)", t->vendor, t->vendor[0] && t->device[0] ? " " : "", t->device, t->name);
	else
		snprintf(out, size, "%s", t->name);
}

static bool check_router(struct doctor *d, const struct device_thunderbolt *t)
{
	char name[256], fix[128];
	if (t->kind != DEVICE_ROUTER || t->authorized != DEVICE_NO)
		return true;
	describe(t, name, sizeof name);
	snprintf(fix, sizeof fix, "boltctl enroll %s   # Debian: bolt; only what you trust",
		t->unique_id[0] ? t->unique_id : "UUID");
	doctor_say(d, DOCTOR_WARN, "thunderbolt.authorized", t->name, fix,
		"%s is plugged in, but not authorized: a GPU in it is not there for this host", name);
	return false;
}

static bool check_domain(struct doctor *d, const struct device_thunderbolt *t)
{
	if (t->kind != DEVICE_DOMAIN || strcmp(t->security, "none") != 0 || t->iommu_protection != DEVICE_NO)
		return true;
	doctor_say(d, DOCTOR_WARN, "thunderbolt.protection", t->name,
		"switch on DMA protection (VT-d, AMD-Vi) or a Thunderbolt security level in the firmware's setup",
		"whatever is plugged into %s may read and write all memory: no security level, no IOMMU protection",
		t->name);
	return false;
}

void doctor_check_thunderbolt(struct node *n, struct doctor *d)
{
	struct device_thunderbolt t;
	const struct device_gpu *g;
	size_t domains = 0;
	bool good = true;
	if (!n->devices.model)
		return;
	for (size_t i = 0; device_model_thunderbolt(n->devices.model, i, &t); i++) {
		domains += t.kind == DEVICE_DOMAIN;
		good &= check_router(d, &t);
		good &= check_domain(d, &t);
	}
	for (size_t i = 0; (g = device_model_gpu(n->devices.model, i)) != NULL; i++) {
		if (domains > 0 || g->gone || strncmp(g->egpu_reason, "below Thunderbolt", 17) != 0)
			continue;
		good = false;
		doctor_say(d, DOCTOR_WARN, "thunderbolt.bus", g->pci_address, "modprobe thunderbolt",
			"a GPU is %s, but the kernel shows no Thunderbolt bus: its unplug is noticed later", g->egpu_reason);
	}
	if (good && domains > 0)
		doctor_say(
			d, DOCTOR_OK, "thunderbolt.bus", "", "", "all that hangs on this host's Thunderbolt is authorized");
}
