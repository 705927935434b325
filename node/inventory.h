/* The GPUs of the mesh as this node knows them: its own (what the probe executor says of Vulkan, joined with sysfs) and
 * its peers' (what they say of theirs), with their descriptions. */
#ifndef TBMESH_NODE_INVENTORY_H
#define TBMESH_NODE_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu/description.h"
#include "migrate/policy/policy.h"
#include "node/arena.h"
#include "node/device/device.h"

#define INVENTORY_MAX_PEER_GPUS 64

struct Tbmesh__Gpu;
struct Tbmesh__NodeState;

enum inventory_state { GPU_ACTIVE, GPU_GONE, GPU_WITHOUT_DRIVER };

/* Who said how much of its memory is free: sysfs, an executor that runs on it, the probe. */
enum inventory_memory_source { MEMORY_UNKNOWN, MEMORY_SYSFS, MEMORY_BUDGET, MEMORY_PROBE };

#define INVENTORY_REASONS_MAX 8

struct inventory_health {
	bool known;
	uint32_t score; /* 0 … 100 */
	int32_t trend;  /* points a minute */
	char reasons[INVENTORY_REASONS_MAX][96];
	unsigned reason_count;
	/* How long it is at a submission, in the middle, at the slowest of a hundred, and usually; 0 not known. */
	uint64_t latency_us, latency_p99_us, usual_latency_us;
	uint32_t waiting; /* submissions on it */
};

struct inventory_gpu {
	char host[64]; /* node name */
	char peer[64]; /* node id, "" on this host */
	char id[96];
	char key[POLICY_KEY_SIZE]; /* HOST/ID */
	char name[256], driver[256], driver_info[256];
	char type[16];
	enum inventory_state state;
	uint32_t driver_id, api_version, vendor_id, device_id;
	uint64_t memory_bytes;
	char pci_address[16];
	uint64_t memory_free_bytes; /* 0 unknown */
	enum inventory_memory_source memory_source;
	uint64_t memory_at_ns; /* CLOCK_MONOTONIC of this host */
	bool probing;          /* without a driver so far: Vulkan drivers are being asked */
	char vendor[DEVICE_WORD_MAX], kernel_driver[DEVICE_WORD_MAX];
	bool is_egpu;
	char egpu_reason[DEVICE_TEXT_MAX], enclosure[DEVICE_TEXT_MAX], enclosure_uuid[64], tb_version[8], tb_link[64];
	char enclosure_vendor[64], enclosure_name[64], tb_port[DEVICE_WORD_MAX], tb_link_version[8];
	uint32_t enclosure_watts;
	uint64_t power_delivery_mw;
	uint64_t expected_bytes_per_s;
	char power[DEVICE_WORD_MAX];    /* a peer's word: power_state of Tbmesh__Gpu */
	enum device_power device_power; /* of this host's */
	struct device_display displays[DEVICE_DISPLAYS_MAX];
	unsigned display_count;
	struct inventory_health health;
	bool ejected; /* the user has taken it out: nothing new runs on it */
	char drm_nodes[DEVICE_DRM_MAX][32];
	unsigned drm_count;
	uint8_t device_uuid[16];
	uint32_t load; /* a peer's word; of this host's GPUs ask executors_load */
	struct description description;
	bool described;
	uint64_t hash; /* of the description, 0 none */
};

struct inventory;
struct inventory_callbacks {
	void (*changed)(void *ctx);
	void (*wanted)(void *ctx, const char *peer, const char *gpu_id); /* please fetch its description */
	/* May be NULL. Asked when a GPU of this host is listed first: has its user taken it out before? */
	bool (*ejected)(void *ctx, const struct inventory_gpu *g);
};
struct inventory *inventory_create(const char *host, const struct inventory_callbacks *callbacks, void *ctx);
void inventory_destroy(struct inventory *i);

/* In a stable order: this host's first. NULL behind the last. */
const struct inventory_gpu *inventory_at(const struct inventory *i, size_t index);
const struct inventory_gpu *inventory_find(const struct inventory *i, const char *key);
const struct inventory_gpu *inventory_find_local(const struct inventory *i, const char *id);
/* Of one host ("" this one): GPUs that are active. */
unsigned inventory_active(const struct inventory *i, const char *peer, bool with_cpu_drivers);
bool inventory_incomplete(const struct inventory *i); /* a description is still on its way */

/* What the probe said (gpu_probe.h). Returns how many descriptions were of no use. devices: what sysfs knows, may be
 * NULL. */
size_t inventory_probed(struct inventory *i, const unsigned char *data, size_t size, const struct device_model *devices);
/* A device that sysfs tells of is listed at once; what its Vulkan driver says, if it has one, joins it later. */
void inventory_device_found(struct inventory *i, const struct device_gpu *g);
void inventory_probe_failed(struct inventory *i); /* nobody will tell more of those */
/* True when the device has a DRM node that its GPU here has not: a driver came, a probe may tell more. */
bool inventory_device_changed(struct inventory *i, const struct device_gpu *g);
/* Marks what is on that PCI function as gone; each id is told to `gone`. */
void inventory_device_gone(struct inventory *i, const struct device_gpu *g,
	void (*gone)(void *ctx, const struct inventory_gpu *gpu), void *ctx);
/* Power state and memory alone: tells nobody. */
void inventory_device_vitals(struct inventory *i, const struct device_gpu *g);
/* What an executor says of the GPU's free memory; at_ns: when. */
void inventory_budget(struct inventory *i, const char *id, uint64_t free_bytes, uint64_t at_ns);
/* Of a GPU of this host, or of all that lie on one PCI function; shown from now on. */
void inventory_set_health(struct inventory *i, const char *pci_address, const struct inventory_health *h);
/* Of this host: takes a GPU out of placement, or puts it back; all drivers of one card go together. -ENOENT: no such GPU. */
int inventory_set_ejected(struct inventory *i, const char *id, bool ejected);
void inventory_device_arrived(struct inventory *i, const struct device_gpu *g); /* what comes anew is not ejected */
bool inventory_device_ejected(const struct inventory *i, const struct device_gpu *g);
/* Is there a device on this host that has no Vulkan driver (yet)? */
bool inventory_lacks_driver(const struct inventory *i);

/* peer: node id, proved. host: its name. */
void inventory_peer_state(struct inventory *i, const char *peer, const char *host, const struct Tbmesh__NodeState *s);
/* 0, -ENOENT, or -EBADMSG: not the description that the peer announced. */
int inventory_peer_description(struct inventory *i, const char *peer, const char *gpu_id, const void *data, size_t size);
void inventory_peer_gone(struct inventory *i, const char *peer);

const char *inventory_state_name(enum inventory_state s);
/* Texts go into the arena. */
void inventory_fill(const struct inventory_gpu *g, uint32_t load, struct Tbmesh__Gpu *out, struct arena *a);

#endif
