#include "node/node.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "node/api.h"
#include "node/eject.h"
#include "node/ejected.h"
#include "node/event_watch.h"
#include "node/health_watch.h"
#include "node/interface.h"
#include "node/peer.h"
#include "node/peer_list.h"
#include "node/ping.h"
#include "node/placement.h"
#include "node/session_files.h"
#include "node/workload.h"

#define STATE_PERIOD_NS 2000000000ull
#define STATE_DELAY_MS 20 /* what changes together is told together */
#define PROBE_DELAY_MS 300
#define PROBE_RETRIES 3 /* a driver may take its time after a GPU has come */
#define PROBE_RETRY_MS 2000
#define CLEAN_PERIOD_NS 60000000000ull

uint64_t node_event(struct node *n, const struct node_event *e)
{
	return event_log_add(n->events, e);
}

void node_warn(struct node *n, const char *subject, const char *text)
{
	char line[sizeof n->warnings[0]];
	snprintf(line, sizeof line, "%s%s%s", subject, subject[0] ? ": " : "", text);
	for (size_t i = 0; i < n->warning_count; i++)
		if (strcmp(n->warnings[i], line) == 0)
			return;
	log_warn("%s", line);
	if (n->warning_count < NODE_WARNINGS)
		memcpy(n->warnings[n->warning_count++], line, sizeof line);
}

static void node_warn_no_more(struct node *n, const char *subject)
{
	size_t size = strlen(subject), kept = 0;
	for (size_t i = 0; i < n->warning_count; i++) {
		if (strncmp(n->warnings[i], subject, size) == 0 && n->warnings[i][size] == ':')
			log_info("over: %s", n->warnings[i]);
		else
			memmove(n->warnings[kept++], n->warnings[i], sizeof n->warnings[i]);
	}
	n->warning_count = kept;
}

void node_state_changed(struct node *n)
{
	if (n->state_dirty)
		return;
	n->state_dirty = true;
	loop_timer_start(n->state_timer, STATE_DELAY_MS, 0);
}

static void send_state(void *ctx)
{
	struct node *n = ctx;
	if (n->state_dirty)
		n->state_version++;
	n->state_dirty = false;
	n->state_sent_ns = time_monotonic_ns();
	peer_send_state(n, NULL);
}

static void event_added(void *ctx, const struct node_event *e)
{
	struct node *n = ctx;
	char fields[512] = "";
	size_t length = 0;
	for (size_t i = 0; i < e->field_count && length < sizeof fields; i++)
		length += (size_t)snprintf(
			fields + length, sizeof fields - length, " %s=%s", e->fields[i].name, e->fields[i].value);
	log_info("event %" PRIu64 " %s %s%s", e->number, e->type, e->subject, fields);
	if (n->api)
		api_event_added(n->api, e);
}

/* ---- devices ---- */

static void gpu_key(const struct node *n, const struct device_gpu *g, char out[POLICY_KEY_SIZE])
{
	snprintf(out, POLICY_KEY_SIZE, "%s/pci-%s", n->config.name, g->pci_address);
}

static void describe_enclosure(struct node_event *e, const struct device_gpu *g)
{
	node_event_field(e, "egpu", "%s", g->is_egpu ? "true" : "false");
	if (g->enclosure[0])
		node_event_field(e, "enclosure", "%s", g->enclosure);
	if (g->tb_version[0])
		node_event_field(e, "tb_version", "%s", g->tb_version);
	if (g->tb_link[0])
		node_event_field(e, "tb_link", "%s", g->tb_link);
}

static void gpu_connected(void *ctx, const struct device_gpu *g)
{
	struct node *n = ctx;
	struct node_event e;
	char key[POLICY_KEY_SIZE];
	if (!ejected_arrived(n->ejected, g->pci_address, g->incarnation))
		inventory_device_arrived(n->inventory, g);
	health_watch_arrived(n->health, g);
	inventory_device_found(n->inventory, g);
	gpu_key(n, g, key);
	node_event_init(&e, "Connected", key);
	describe_enclosure(&e, g);
	node_event(n, &e);
	n->probe_retries = PROBE_RETRIES;
	gpu_probe_request(n->probe, PROBE_DELAY_MS);
}

struct gone {
	struct node *node;
	uint64_t at_ns;
};

/* First kill, then tell: nothing here waits for the executor or the driver. */
static void fence(void *ctx, const struct inventory_gpu *g)
{
	struct gone *gone = ctx;
	executors_kill_gpu(gone->node->executors, g->id);
	workloads_gpu_gone(gone->node->workloads, g->key, gone->at_ns);
}

static void gpu_disconnected(void *ctx, const struct device_gpu *g, uint64_t at_ns, const char *sign)
{
	struct node *n = ctx;
	struct gone gone = { .node = n, .at_ns = at_ns };
	struct node_event e;
	char key[POLICY_KEY_SIZE];
	bool graceful = inventory_device_ejected(n->inventory, g); /* its user said so before */
	inventory_device_gone(n->inventory, g, fence, &gone);
	gpu_key(n, g, key);
	node_event_init(&e, "Disconnected", key);
	e.monotonic_ns = at_ns;
	node_event_field(&e, "graceful", "%s", graceful ? "true" : "false");
	node_event_field(&e, "sign", "%s", sign);
	describe_enclosure(&e, g);
	node_event_field(&e, "fenced_us", "%" PRIu64, (time_monotonic_ns() - at_ns) / 1000);
	node_event(n, &e);
	health_watch_gone(n->health, g);
	send_state(n);
}

static void gpu_changed(void *ctx, const struct device_gpu *g)
{
	struct node *n = ctx;
	if (inventory_device_changed(n->inventory, g))
		gpu_probe_request(n->probe, PROBE_DELAY_MS);
}

static void link_speed_changed(void *ctx, const struct device_gpu *g, const char *before)
{
	struct node *n = ctx;
	struct node_event e;
	char key[POLICY_KEY_SIZE];
	gpu_key(n, g, key);
	node_event_init(&e, "LinkSpeedChanged", key);
	node_event_field(&e, "before", "%s", before);
	node_event_field(&e, "now", "%s", g->tb_link);
	node_event(n, &e);
}

static void gpu_wedged(void *ctx, const struct device_gpu *g, const char *how)
{
	struct node *n = ctx;
	health_watch_wedged(n->health, g, how);
}

static void power_changed(void *ctx, const struct device_gpu *g, enum device_power before)
{
	static const char *const names[] = {
		[DEVICE_POWER_UNKNOWN] = "unknown", [DEVICE_POWER_AWAKE] = "active", [DEVICE_POWER_SUSPENDED] = "suspended"
	};
	struct node *n = ctx;
	struct node_event e;
	char key[POLICY_KEY_SIZE];
	inventory_device_vitals(n->inventory, g);
	gpu_key(n, g, key);
	node_event_init(&e, "PowerStateChanged", key);
	node_event_field(&e, "before", "%s", names[before]);
	node_event_field(&e, "now", "%s", names[g->power]);
	node_event(n, &e);
	node_state_changed(n);
}

static void netdev_added(void *ctx, const struct device_netdev *d)
{
	struct node *n = ctx;
	interfaces_add(n->interfaces, n->mesh, d);
}

static void netdev_removed(void *ctx, const struct device_netdev *d)
{
	struct node *n = ctx;
	interfaces_remove(n->interfaces, n->mesh, d);
}

static const struct device_observer device_observer = {
	.gpu_connected = gpu_connected,
	.gpu_disconnected = gpu_disconnected,
	.gpu_changed = gpu_changed,
	.power_changed = power_changed,
	.link_speed_changed = link_speed_changed,
	.gpu_wedged = gpu_wedged,
	.netdev_added = netdev_added,
	.netdev_removed = netdev_removed,
};

static void probed(void *ctx, int error, const char *text, const unsigned char *data, size_t size)
{
	struct node *n = ctx;
	n->probe_error[0] = '\0';
	if (error < 0) {
		snprintf(n->probe_error, sizeof n->probe_error, "GPUs cannot be listed: %s", text);
		log_warn("%s", n->probe_error);
		inventory_probe_failed(n->inventory);
		return;
	}
	size_t useless = inventory_probed(n->inventory, data, size, n->devices.model);
	const struct gpu_probe_bad *bad;
	for (size_t i = 0; (bad = gpu_probe_bad_driver(n->probe, i)) != NULL; i++)
		node_warn(n, bad->manifest, bad->why);
	log_info("GPUs of this host: %u active", inventory_active(n->inventory, "", true));
	if (useless > 0)
		node_warn(n, "probe", "a GPU's description is of no use; that GPU is left out");
	if (inventory_lacks_driver(n->inventory) && n->probe_retries > 0) {
		n->probe_retries--;
		gpu_probe_request(n->probe, PROBE_RETRY_MS);
	}
}

/* ---- inventory and mesh ---- */

static void inventory_changed(void *ctx)
{
	struct node *n = ctx;
	node_state_changed(n);
	placement_inventory_changed(n->placement);
	workloads_look_for_targets(n->workloads);
}

static void description_wanted(void *ctx, const char *peer, const char *gpu)
{
	peer_want_description(ctx, peer, gpu);
}

static bool was_ejected(void *ctx, const struct inventory_gpu *g)
{
	const struct node *n = ctx;
	return ejected_has(n->ejected, g->pci_address[0] ? g->pci_address : g->id);
}

static const struct inventory_callbacks inventory_callbacks = {
	.changed = inventory_changed, .wanted = description_wanted, .ejected = was_ejected
};

static void mesh_event_seen(void *ctx, const struct mesh_event *m)
{
	struct node *n = ctx;
	struct node_event e;
	node_event_init(&e, m->type_name, m->subject);
	e.monotonic_ns = m->monotonic_ns;
	for (size_t i = 0; i < m->field_count; i++)
		node_event_field(&e, m->fields[i].name, "%s", m->fields[i].value);
	node_event(n, &e);
	if (m->type == MESH_EVENT_PATH_DEGRADED || m->type == MESH_EVENT_BRIDGE_RING)
		log_warn("%s %s: see `tbmesh status`", m->type_name, m->subject);
	if (m->type == MESH_EVENT_PEER_UP) {
		peer_send_state(n, m->peer_id);
	} else if (m->type == MESH_EVENT_PEER_DOWN) {
		placement_peer_down(n->placement, m->peer_id);
		eject_peer_down(n->ejects, m->peer_id);
		inventory_peer_gone(n->inventory, m->peer_id);
		peers_forget(n->peers, m->peer_id);
		event_watches_peer_down(n->watches, m->peer_id);
	}
}

static void mesh_message(void *ctx, const char *peer_id, const struct Tbmesh__PeerMessage *m)
{
	peer_message(ctx, peer_id, m);
}

static void mesh_published(void *ctx, const char *peer_id, const struct Tbmesh__PeerMessage *m)
{
	struct node *n = ctx;
	event_watches_published(n->watches, peer_id, m);
}

static void mesh_subscribed(void *ctx, const char *peer_id)
{
	struct node *n = ctx;
	event_watches_subscribed(n->watches, peer_id);
}

static void mesh_warning(void *ctx, const char *subject, const char *text)
{
	if (text[0])
		node_warn(ctx, subject, text);
	else
		node_warn_no_more(ctx, subject);
}

static void mesh_pinged(void *ctx, uint64_t token, double rtt_us)
{
	ping_answered(ctx, token, rtt_us);
}

static void mesh_benched(void *ctx, uint64_t token, const struct mesh_bench *b)
{
	bench_done(ctx, token, b);
}

static const struct mesh_callbacks mesh_callbacks = { .event = mesh_event_seen,
	.message = mesh_message,
	.published = mesh_published,
	.subscribed = mesh_subscribed,
	.warning = mesh_warning,
	.benched = mesh_benched,
	.pinged = mesh_pinged };

static void executors_changed(void *ctx)
{
	struct node *n = ctx;
	if (n->state_timer)
		node_state_changed(n);
	eject_look(n->ejects);
}

/* ---- the second hand ---- */

static void look_at_load(struct node *n)
{
	__attribute__((cleanup(free_pointer))) char *text = NULL, *memory = NULL;
	size_t size;
	uint64_t f[8] = { 0 };
	if (file_read("/proc/stat", 1 << 20, &text, &size) == 0 &&
		sscanf(text,
			"cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
			&f[0], &f[1], &f[2], &f[3], &f[4], &f[5], &f[6], &f[7]) == 8) {
		uint64_t total = 0;
		for (size_t i = 0; i < ARRAY_SIZE(f); i++)
			total += f[i];
		uint64_t busy = total - f[3] - f[4]; /* idle, iowait: proc(5) */
		if (total > n->cpu_total && n->cpu_total > 0)
			n->cpu_load_percent = (uint32_t)((busy - n->cpu_busy) * 100 / (total - n->cpu_total));
		n->cpu_busy = busy;
		n->cpu_total = total;
	}
	if (file_read("/proc/meminfo", 1 << 16, &memory, &size) == 0) {
		const char *line = strstr(memory, "MemAvailable:");
		if (line)
			n->memory_free_bytes = strtoull(line + strlen("MemAvailable:"), NULL, 10) * 1024;
	}
}

static void look_at_devices(struct node *n)
{
	const struct device_gpu *g;
	device_watch_refresh(&n->devices);
	health_watch_tick(n->health);
	for (size_t i = 0; (g = device_model_gpu(n->devices.model, i)) != NULL; i++)
		inventory_device_vitals(n->inventory, g);
}

static void look_at_memory(struct node *n)
{
	const struct inventory_gpu *g;
	uint64_t free_bytes, at_ns;
	for (size_t i = 0; (g = inventory_at(n->inventory, i)) != NULL; i++)
		if (!g->peer[0] && executors_memory(n->executors, g->id, &free_bytes, &at_ns))
			inventory_budget(n->inventory, g->id, free_bytes, at_ns);
}

static void tick(void *ctx)
{
	struct node *n = ctx;
	look_at_devices(n);
	interfaces_tick(n->interfaces, n->mesh);
	workloads_tick(n->workloads);
	eject_look(n->ejects);
	executors_tick(n->executors);
	look_at_memory(n);
	placement_inventory_changed(n->placement); /* time alone may decide what waits */
	if (time_monotonic_ns() - n->cleaned_ns >= CLEAN_PERIOD_NS) {
		session_files_clean(n->paths.sessions);
		n->cleaned_ns = time_monotonic_ns();
	}
	if (time_monotonic_ns() - n->state_sent_ns >= STATE_PERIOD_NS - 500000000ull) {
		look_at_load(n);
		mesh_describe(n->mesh, inventory_active(n->inventory, "", false), n->cpu_load_percent, n->memory_free_bytes);
		send_state(n);
	}
}

static void stop(void *ctx, int signal_number)
{
	struct node *n = ctx;
	log_info("signal %d: the node ends; executors and sessions go on", signal_number);
	loop_stop(n->loop);
}

/* ---- start and end ---- */

static int take_lock(struct node *n)
{
	n->lock_fd = open(n->paths.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (n->lock_fd < 0) {
		int r = -errno;
		log_error("cannot open %s: %s; run it as a user who may write there, or give another --root", n->paths.lock,
			strerror(-r));
		return r;
	}
	if (flock(n->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		char pid[16] = "";
		ssize_t length = pread(n->lock_fd, pid, sizeof pid - 1, 0);
		pid[length > 0 ? length : 0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		log_error("another node (pid %s) runs with %s; stop it, or give this one another --root",
			pid[0] ? pid : "unknown", n->paths.run);
		return -EBUSY;
	}
	char pid[16];
	int length = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	if (ftruncate(n->lock_fd, 0) < 0 || pwrite(n->lock_fd, pid, (size_t)length, 0) != length)
		log_debug("cannot write the pid into %s", n->paths.lock);
	return 0;
}

static int make_directories(struct node *n)
{
	/* run and exec are entered by the sessions of other users, too. */
	const struct {
		const char *path;
		unsigned mode;
	} directories[] = { { n->paths.etc, 0755 }, { n->paths.var, 0755 }, { n->paths.run, 0755 }, { n->paths.exec, 0711 },
		{ n->paths.sessions, 01777 } };
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		int r = directory_make(directories[i].path, directories[i].mode);
		if (r < 0) {
			log_error("cannot make %s: %s; run it as a user who may write there, or give another --root",
				directories[i].path, strerror(-r));
			return r;
		}
	}
	(void)chmod(n->paths.sessions, 01777); /* the umask has its say above */
	return 0;
}

static int load_keys(struct node *n, struct mesh_key *ret_key)
{
	char error[512] = "";
	int r = mesh_key_load(n->paths.mesh_key, ret_key, error, sizeof error);
	if (r == -ENOENT) {
		log_error("this host is in no mesh yet (no %s): run `tbmesh init` on the first host, `tbmesh join KEY` on "
			  "the others",
			n->paths.mesh_key);
		return r;
	}
	if (r == 0)
		r = mesh_identity_load(n->paths.node_key, &n->identity, error, sizeof error);
	if (r < 0)
		log_error("%s", error);
	return r;
}

static int start_mesh(struct node *n, const struct mesh_key *key)
{
	n->incarnation = mesh_incarnation_next(n->paths.incarnation);
	if (n->incarnation == 0) {
		log_error("cannot write %s", n->paths.incarnation);
		return -EIO;
	}
	struct mesh_config c = { .identity = &n->identity,
		.key = key,
		.name = n->config.name,
		.incarnation = n->incarnation,
		.beacon_port = n->config.port,
		.control_port = n->config.control_port,
		.events_port = n->config.events_port,
		.manage_links = n->config.manage_links,
		.no_probes = !n->config.probe_bandwidth };
	int r = mesh_create(n->loop, n->zmq, &c, &mesh_callbacks, n, &n->mesh);
	if (r < 0) {
		log_error("the mesh cannot start: %s%s", strerror(-r),
			r == -EADDRINUSE ? "; another program uses the port, set `port`, `control_port` or `events_port`"
					 : "");
		return r;
	}
	for (size_t i = 0; i < n->config.interface_count; i++)
		interfaces_add_named(n->interfaces, n->mesh, n->config.interfaces[i]);
	for (size_t i = 0; i < n->config.peer_count; i++) {
		r = mesh_static_peer_add(n->mesh, n->config.peers[i]);
		if (r < 0) {
			log_error("peer \"%s\" of the configuration is not an address like \"[2001:db8::1]:%d\"",
				n->config.peers[i], MESH_DEFAULT_PORT);
			return r;
		}
	}
	return 0;
}

static int create_parts(struct node *n)
{
	n->loop = loop_create();
	n->zmq = zctx_create();
	n->interfaces = interfaces_create();
	n->peers = peers_create();
	n->pings = pings_create();
	n->lists = peer_lists_create(n);
	n->watches = n->loop ? event_watches_create(n) : NULL;
	n->events = event_log_create(n->paths.event_number, event_added, n);
	n->inventory = inventory_create(n->config.name, &inventory_callbacks, n);
	n->workloads = workloads_create(n);
	n->placement = placement_create(n);
	n->ejects = ejects_create(n);
	n->ejected = ejected_create(n->paths.ejected, NULL);
	if (!n->loop || !n->zmq || !n->interfaces || !n->peers || !n->pings || !n->watches || !n->lists || !n->events ||
		!n->inventory || !n->workloads || !n->placement || !n->ejects || !n->ejected)
		return -ENOMEM;
	n->executors = executors_create(n->loop, &n->paths, n->config.max_executors, executors_changed, n);
	n->health = health_watch_create(n);
	n->probe = gpu_probe_create(n->loop, &n->paths, probed, n);
	n->state_timer = loop_timer_create(n->loop, send_state, n);
	n->tick = loop_timer_create(n->loop, tick, n);
	if (!n->executors || !n->health || !n->probe || !n->state_timer || !n->tick)
		return -ENOMEM;
	int r = loop_signal(n->loop, SIGINT, stop, n);
	return r < 0 ? r : loop_signal(n->loop, SIGTERM, stop, n);
}

static int start_parts(struct node *n, const struct mesh_key *key)
{
	int r = start_mesh(n, key);
	if (r < 0)
		return r;
	r = api_create(n, &n->api);
	if (r < 0) {
		log_error("cannot listen on %s: %s", n->paths.control, strerror(-r));
		return r;
	}
	r = device_watch_init(&n->devices, n->config.devices, n->loop, &device_observer, n);
	if (r < 0) {
		log_error("cannot watch devices (%s): %s", n->config.devices, strerror(-r));
		return r;
	}
	gpu_probe_request(n->probe, 0);
	loop_timer_start(n->tick, 1000, 1000);
	look_at_load(n);
	return 0;
}

int node_init(struct node *n, const char *root, const char *name, const char *config_file)
{
	char error[512];
	*n = (struct node){ .lock_fd = -1, .started_ns = time_monotonic_ns() };
	int r = node_paths_init(&n->paths, root);
	if (r < 0) {
		log_error("root \"%s\" cannot be used: %s%s", root ? root : "", strerror(-r),
			r == -ENAMETOOLONG ? "; sockets lie below it and their paths are limited to 107 bytes" : "");
		return r;
	}
	config_defaults(&n->config);
	r = config_load(&n->config, config_file ? config_file : n->paths.config, config_file != NULL,
		n->paths.config_directory, error, sizeof error);
	if (r < 0) {
		log_error("%s", error);
		return r;
	}
	if (name && !config_name_valid(name)) {
		log_error("\"%s\" is not a name for a node: at most 63 letters, digits, '-', '_' or '.'", name);
		return -EINVAL;
	}
	if (name)
		snprintf(n->config.name, sizeof n->config.name, "%s", name);
	struct mesh_key key;
	r = make_directories(n);
	if (r == 0)
		r = take_lock(n);
	if (r == 0)
		r = load_keys(n, &key);
	if (r < 0)
		return r;
	r = create_parts(n);
	if (r < 0)
		log_error("cannot start: %s", strerror(-r));
	else
		r = start_parts(n, &key);
	explicit_bzero(&key, sizeof key);
	if (r == 0)
		log_info("node %s (%s) is up, control socket %s", n->config.name, n->identity.id, n->paths.control);
	return r;
}

int node_run(struct node *n)
{
	return loop_run(n->loop);
}

void node_finish(struct node *n)
{
	device_watch_finish(&n->devices);
	ejects_destroy(n->ejects);
	event_watches_destroy(n->watches);
	peer_lists_destroy(n->lists);
	placement_destroy(n->placement);
	gpu_probe_destroy(n->probe);
	health_watch_destroy(n->health);
	executors_destroy(n->executors);
	workloads_destroy(n->workloads);
	api_destroy(n->api);
	mesh_destroy(n->mesh);
	interfaces_destroy(n->interfaces);
	inventory_destroy(n->inventory);
	ejected_destroy(n->ejected);
	peers_destroy(n->peers);
	pings_destroy(n->pings);
	event_log_destroy(n->events);
	if (n->loop) {
		loop_timer_destroy(n->tick);
		loop_timer_destroy(n->state_timer);
	}
	if (n->zmq)
		zctx_destroy(n->zmq);
	if (n->loop)
		loop_destroy(n->loop);
	mesh_identity_wipe(&n->identity);
	close_fd(&n->lock_fd);
}
