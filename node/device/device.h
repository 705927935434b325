/* What is plugged into this host: GPUs, their enclosures and Thunderbolt network interfaces, as sysfs and udev tell it.
 *
 * A pure model joins records of the subsystems pci, thunderbolt, drm, net, devlink and hwmon; a backend feeds it. No GPU is
 * opened or woken: only attributes that the kernel answers from memory are read (no link or config attributes). All
 * calls from the loop's thread. Above this header nothing knows what tells of devices: udev, a recorded folder, nothing. Facts: kernel Documentation/admin-guide/thunderbolt.rst, drivers/thunderbolt/switch.c,
 * Documentation/ABI/testing/sysfs-bus-{pci,thunderbolt}. */
#ifndef TBMESH_NODE_DEVICE_DEVICE_H
#define TBMESH_NODE_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

#define DEVICE_PATH_MAX 512
#define DEVICE_TEXT_MAX 128
#define DEVICE_DRM_MAX 4
#define DEVICE_DISPLAYS_MAX 16
#define DEVICE_WORD_MAX 32

/* As the kernel's runtime power management says; a device that it does not manage counts as awake. */
enum device_power { DEVICE_POWER_UNKNOWN, DEVICE_POWER_AWAKE, DEVICE_POWER_SUSPENDED };

struct device_display {
	char connector[DEVICE_WORD_MAX]; /* "DP-1" */
	bool connected;
};

struct device_gpu {
	char path[DEVICE_PATH_MAX];    /* sysfs path of the PCI function */
	char pci_address[16];          /* "0000:04:00.0" */
	uint32_t vendor_id, device_id; /* 0 unknown */
	uint64_t incarnation;          /* another one when it has left and come back while nobody looked; 0 unknown */
	bool is_egpu;
	char egpu_reason[DEVICE_TEXT_MAX];
	char enclosure[DEVICE_TEXT_MAX]; /* "VENDOR NAME", "ambiguous", or "" when there is none or it has no name */
	char enclosure_uuid[64];
	char enclosure_path[DEVICE_PATH_MAX]; /* its router, "" unless exactly one fits */
	char enclosure_vendor[64], enclosure_name[64];
	uint32_t enclosure_watts;            /* of its power supply, by its model; 0 unknown */
	uint64_t power_delivery_mw;          /* the most that it offers this host through the cable, by sysfs; 0 unknown */
	char tb_port[DEVICE_WORD_MAX];       /* of this host: "domain0 port 1", "" unknown */
	char tb_version[8];                  /* of the enclosure: "TB4", "" unknown */
	char tb_link[64];                    /* "2 x 20.0 Gb/s", "" unknown */
	char tb_link_version[8];             /* as fast as the link is, "" unknown */
	uint64_t expected_bytes_per_s;       /* through the cable, 0 unknown or none */
	char kernel_driver[DEVICE_WORD_MAX]; /* "" none or unknown */
	enum device_power power;
	uint64_t memory_total_bytes, memory_free_bytes; /* by sysfs, where the driver tells; 0 unknown */
	char hwmon_path[DEVICE_PATH_MAX]; /* its directory of sensors, "" none; read only through device_watch_read */
	struct device_display displays[DEVICE_DISPLAYS_MAX];
	unsigned display_count;
	char drm_nodes[DEVICE_DRM_MAX][32];
	unsigned drm_count;
	bool gone; /* its enclosure left; the PCI function may linger for a while */
	uint64_t gone_at_ns;
};

struct device_netdev {
	char path[DEVICE_PATH_MAX];
	char interface[32];
	char xdomain[32];                /* "0-1", "" unknown */
	char domain[16];                 /* PCI address of the controller (NHI), "" unknown */
	char peer_name[DEVICE_TEXT_MAX]; /* what the other host calls itself; a hint, never believed */
	uint64_t rx_bps, tx_bps;         /* negotiated, 0 unknown */
};

/* Told in the order in which things happen. at_ns: CLOCK_MONOTONIC when the first sign arrived. */
struct device_observer {
	void (*gpu_connected)(void *ctx, const struct device_gpu *g);
	/* Once a GPU and unplug. sign: subsystem of the uevent that told it first. */
	void (*gpu_disconnected)(void *ctx, const struct device_gpu *g, uint64_t at_ns, const char *sign);
	void (*gpu_changed)(void *ctx, const struct device_gpu *g); /* enclosure, link, DRM nodes, displays, memory … */
	void (*power_changed)(void *ctx, const struct device_gpu *g, enum device_power before);
	void (*link_speed_changed)(void *ctx, const struct device_gpu *g, const char *before);
	void (*gpu_wedged)(void *ctx, const struct device_gpu *g, const char *how); /* the driver gave up (WEDGED=) */
	void (*netdev_added)(void *ctx, const struct device_netdev *n);
	void (*netdev_removed)(void *ctx, const struct device_netdev *n);
};

/* ---- the model ---- */

/* One device as the backend sees it. Strings may be NULL; they and what attribute() returns are hostile and valid during
 * the call alone. attribute: text of a sysfs attribute, NULL when it can't be read. */
struct device_input {
	const char *path;
	const char *subsystem;
	const char *name;
	const char *devtype;
	const char *driver;
	const char *node;          /* "/dev/dri/card0" */
	const char *parent_driver; /* net: driver of the device above it */
	uint64_t incarnation;      /* pci: of struct device_gpu; 0 unknown */
	const char *(*attribute)(void *source, const char *name);
	void *source;
};

struct device_model;
struct device_model *device_model_create(
	const struct device_observer *observer, void *ctx); /* observer outlives the model */
void device_model_destroy(struct device_model *m);          /* tells nobody */

/* A device appeared, or is seen (again) with perhaps other attributes. arrival: an "add" uevent, i.e. a GPU that was gone at
 * this path is a new one. Devices of no interest are ignored. */
void device_model_update(struct device_model *m, const struct device_input *in, bool arrival, uint64_t now_ns);
void device_model_remove(struct device_model *m, const char *path, uint64_t now_ns);
void device_model_wedged(struct device_model *m, const char *path, const char *how);

/* What is looked at now and then, since no event tells of it. */
struct device_vitals {
	enum device_power power;
	uint64_t memory_total_bytes, memory_free_bytes; /* 0 unknown */
};
void device_model_refresh(struct device_model *m, const char *path, const struct device_vitals *v);

/* After lost events or an unplug: begin, update what exists, end. Whatever was not seen in between is removed; a GPU
 * that was taken for gone, but whose function and enclosure have both been there for DEVICE_RETURN_NS, is connected
 * again. */
#define DEVICE_RETURN_NS 2000000000ull
void device_model_sweep_begin(struct device_model *m);
void device_model_sweep_end(struct device_model *m, uint64_t now_ns);

/* In order of appearance; NULL behind the last. Valid until the next change of the model. */
const struct device_gpu *device_model_gpu(const struct device_model *m, size_t index);
const struct device_gpu *device_model_find_gpu(const struct device_model *m, const char *pci_address);

enum device_thunderbolt_kind { DEVICE_DOMAIN, DEVICE_HOST, DEVICE_ROUTER, DEVICE_RETIMER, DEVICE_XDOMAIN };
enum device_tristate { DEVICE_UNKNOWN, DEVICE_NO, DEVICE_YES };
#define DEVICE_INTERFACES_MAX 4

struct device_thunderbolt {
	enum device_thunderbolt_kind kind;
	char name[DEVICE_WORD_MAX], above[DEVICE_WORD_MAX]; /* sysfs names; above "" of a domain */
	char vendor[64], device[DEVICE_TEXT_MAX], unique_id[64];
	char controller[16], security[DEVICE_WORD_MAX]; /* domain */
	enum device_tristate iommu_protection;          /* domain */
	enum device_tristate authorized;                /* router */
	uint32_t generation;                            /* 0 unknown */
	char version[8], link[64], link_version[8], port[DEVICE_WORD_MAX], firmware[DEVICE_WORD_MAX];
	char interfaces[DEVICE_INTERFACES_MAX][DEVICE_WORD_MAX]; /* xdomain */
	unsigned interface_count;
	char gpus[DEVICE_INTERFACES_MAX][16]; /* router: PCI addresses of what is in it */
	unsigned gpu_count;
};
/* The index-th of this host, each behind the one above it. False behind the last. */
bool device_model_thunderbolt(const struct device_model *m, size_t index, struct device_thunderbolt *ret);

/* ---- parsing of attributes (exported for tests) ---- */

/* Each returns false for NULL, empty, binary, overlong or senseless text and leaves the output alone. */
bool device_parse_hex16(const char *text, uint32_t *ret_value);
bool device_parse_lanes(const char *text, uint32_t *ret_lanes);        /* 1 … 4 */
bool device_parse_speed(const char *text, uint32_t *ret_mbps);         /* "20.0 Gb/s", 1 … 400 Gb/s */
bool device_parse_text(const char *text, char *ret_text, size_t size); /* printable UTF-8, below `size` bytes */
bool device_pci_address(const char *name);                             /* "0000:04:00.0"? */

/* ---- backends ---- */

struct device_watch;
struct device_backend {
	const char *name;
	/* Fills the model with what exists before it returns, then follows changes. 0 or -errno. */
	int (*start)(struct device_watch *w, struct loop *l, struct device_model *m);
	void (*stop)(struct device_watch *w);
	/* The text of an attribute now, NUL-terminated. 0, -ENOENT or what the kernel says. */
	int (*read)(struct device_watch *w, const char *path, const char *attribute, char *out, size_t size);
};
extern const struct device_backend device_backend_linux;    /* udev */
extern const struct device_backend device_backend_null;     /* a host without devices; only when asked for */
extern const struct device_backend device_backend_scripted; /* plays a recorded folder; only when asked for */

struct device_watch {
	const struct device_backend *backend;
	struct device_model *model; /* owned */
	const char *source;         /* what stands behind "NAME:" */
	void *state;                /* the backend's */
};
/* backend: "linux", "null" or "scripted:FOLDER"; outlives the watch. 0, -EINVAL for an unknown name, or what the backend says. */
int device_watch_init(
	struct device_watch *w, const char *backend, struct loop *l, const struct device_observer *observer, void *ctx);
void device_watch_finish(struct device_watch *w);

/* Reads an attribute of the device (or hwmon, "hwmon/hwmon3") at `path` now, past what the model knows. The one way in which anybody
 * reads sysfs of a GPU or a bridge above it: what would wake a sleeping device is not asked. `gpu` sleeps: -EAGAIN, unless the kernel
 * answers that attribute from memory. Attributes that reach into configuration space are never read: -EPERM. */
int device_watch_read(struct device_watch *w, const struct device_gpu *gpu, const char *path, const char *attribute,
	char *out, size_t size);
/* Looks at power states and memory of the GPUs, from what the kernel has in memory; tells what changed. To be called each second or so. */
void device_watch_refresh(struct device_watch *w);

#endif
