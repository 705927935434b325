/* Inside node/device: what the model keeps of each device. Records are what sysfs said, gpus what follows from all of them. */
#ifndef TBMESH_NODE_DEVICE_RECORD_H
#define TBMESH_NODE_DEVICE_RECORD_H

#include "base/list.h"
#include "node/device/device.h"

enum record_subsystem {
	RECORD_PCI,
	RECORD_THUNDERBOLT,
	RECORD_DRM,
	RECORD_NET,
	RECORD_DEVLINK,
	RECORD_HWMON,
	RECORD_POWER_DELIVERY,
};
enum thunderbolt_kind {
	THUNDERBOLT_OTHER,
	THUNDERBOLT_DOMAIN,
	THUNDERBOLT_ROUTER,
	THUNDERBOLT_RETIMER,
	THUNDERBOLT_XDOMAIN,
	THUNDERBOLT_SERVICE,
	THUNDERBOLT_PORT, /* of a router: "usb4_port1" */
};

struct lanes {
	uint32_t count; /* 0 unknown */
	uint32_t mbps;  /* a lane; 0 unknown */
};

struct record {
	struct list link;
	enum record_subsystem subsystem;
	char path[DEVICE_PATH_MAX];
	char name[64];
	char driver[DEVICE_WORD_MAX];
	bool seen; /* in the running sweep */
	/* pci */
	uint32_t vendor, device, subsystem_device, class_code; /* 0 unknown; class_code: base and sub class, 0x0300 */
	uint64_t incarnation;                                  /* 0 unknown */
	bool removable;
	enum device_power power;
	uint64_t memory_total_bytes, memory_free_bytes; /* 0 unknown */
	/* thunderbolt */
	enum thunderbolt_kind kind;
	bool below_host; /* a router that is not the host's own */
	enum device_tristate authorized;
	uint32_t generation; /* 0 unknown */
	struct lanes rx, tx;
	char device_name[DEVICE_TEXT_MAX], vendor_name[64], unique_id[64], firmware[DEVICE_WORD_MAX];
	char security[DEVICE_WORD_MAX];        /* domain */
	enum device_tristate iommu_protection; /* domain */
	uint64_t since_ns;
	char connector[DEVICE_WORD_MAX]; /* port: the USB Type-C connector that it leads to, "port0" */
	/* usb_power_delivery: the most that it offers as a source, 0 none */
	uint64_t offers_mw;
	/* drm: a node, or a connector */
	char node[DEVICE_WORD_MAX];
	struct device_display display; /* connector "" of what is none */
	/* net */
	char parent_driver[DEVICE_WORD_MAX];
	bool announced;
	struct device_netdev netdev;
	/* devlink: the PCI function of a controller and a port that it serves */
	char controller[16], port[16];
};

struct gpu {
	struct list link;
	struct record *record; /* of the same path; lives as long */
	struct device_gpu public;
	uint64_t connected_ns;
	bool arrived;        /* while it was taken for gone its function was told of anew */
	bool certain;        /* the enclosure follows from more than being the only one */
	char controller[16]; /* NHI that serves its port, "" unknown */
	/* A router without which this GPU cannot be there, "" unknown: that it leaves is the first sign of an unplug. */
	char fence_path[DEVICE_PATH_MAX];
};

struct device_model {
	const struct device_observer *observer;
	void *ctx;
	struct list records;
	struct list gpus;
};

/* ---- record.c ---- */

const char *record_subsystem_name(enum record_subsystem s);
bool record_subsystem_from_text(const char *text, enum record_subsystem *ret);
/* Takes what the device says now. False: a device of no interest, or of none any more. */
bool record_read(struct record *r, const struct device_input *in);
bool record_is_display(const struct record *r);
enum device_power device_parse_power(const char *text);

bool path_below(const char *path, const char *above);
bool path_has_component(const char *path, const char *component);

/* ---- join.c: pure functions of the records ---- */

/* Fills what follows from the records into all GPUs that are not gone. */
void join_gpus(struct device_model *m);
void join_netdev(const struct device_model *m, struct record *r);
bool join_is_thunderbolt_net(const struct device_model *m, const struct record *r);

/* ---- thunderbolt.c ---- */

struct thunderbolt_route {      /* where a router or xdomain is: "0-301" */
	unsigned domain, depth; /* depth 0: the host's own */
	unsigned port;          /* of the host, 0 when it is the host's own */
};
bool thunderbolt_route_parse(const char *name, struct thunderbolt_route *ret);
void thunderbolt_describe_link(const struct record *router, char *out, size_t size);
/* TB1 … TB5 of a router by its generation and what else gives it away; "" unknown. hub: a Thunderbolt 5 bridge belongs to it. */
const char *thunderbolt_version(const struct record *router, bool hub);
/* TB1 … TB5: as fast as the link is. "" unknown. host_generation, generation: of both ends, 0 unknown. */
const char *thunderbolt_link_version(const struct record *router, uint32_t host_generation);
/* What a GPU gets through Thunderbolt of these versions, "" unknown: the slower one counts. 0 unknown. */
uint64_t thunderbolt_bytes_per_s(const char *version, const char *link_version);
uint32_t thunderbolt_enclosure_watts(const char *vendor, const char *name); /* 0 unknown */
uint32_t thunderbolt_host_generation(const struct device_model *m, const struct record *router);
const char *thunderbolt_host_version(const struct device_model *m, const struct record *router); /* "" unknown */

#endif
