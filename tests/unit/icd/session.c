#include "tests/unit/icd/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/util.h"
#include "gpu/description.h"
#include "migrate/stream/delta.h"
#include "proto/delivery.h"
#include "proto/ipc.h"
#include "proto/vk/wire_gen.h"

static void must(struct play *p, bool good, const char *what)
{
	if (good || p->broken)
		return;
	fprintf(stderr, "played session: %s\n", what);
	p->broken = true;
}

static void add_entry(struct buf *b, uint32_t kind, uint32_t tag, const void *data, size_t size)
{
	const struct description_entry e = { .kind = kind, .tag = tag, .size = (uint32_t)size };
	buf_append(b, &e, sizeof(e));
	buf_append(b, data, size);
	buf_align(b, 8);
	((struct description_header *)(void *)b->data)->entry_count++;
}

static void describe(struct buf *b)
{
	static const VkExtensionProperties extensions[] = {
		{ VK_KHR_16BIT_STORAGE_EXTENSION_NAME, 1 },
		{ VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME, 2 },
		{ VK_KHR_SWAPCHAIN_EXTENSION_NAME, 70 },
		{ VK_AMD_SHADER_CORE_PROPERTIES_EXTENSION_NAME, 2 },
		{ VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME, 1 },
	};
	const struct description_header head = { .magic = DESCRIPTION_MAGIC, .version = 1 };
	VkPhysicalDeviceProperties2 properties = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.properties = { .apiVersion = VK_API_VERSION_1_3,
			.vendorID = 0x1234,
			.deviceType = VK_PHYSICAL_DEVICE_TYPE_CPU,
			.deviceName = "made up",
			.limits = { .maxBoundDescriptorSets = 8,
				.maxMemoryAllocationCount = UINT32_MAX,
				.maxStorageBufferRange = 1u << 30,
				.timestampComputeAndGraphics = VK_TRUE } } };
	VkPhysicalDeviceFeatures2 features = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.features = { .shaderInt64 = VK_TRUE, .geometryShader = VK_TRUE, .robustBufferAccess = VK_TRUE } };
	VkPhysicalDeviceVulkan12Features features12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.bufferDeviceAddress = VK_TRUE,
		.shaderFloat16 = VK_TRUE,
		.descriptorBindingStorageBufferUpdateAfterBind = VK_TRUE };
	VkPhysicalDeviceMemoryProperties memory = { .memoryTypeCount = 1,
		.memoryHeapCount = 1,
		.memoryHeaps = { { 4ull << 30, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT } } };
	VkPhysicalDeviceShaderCorePropertiesAMD cores = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD, .wavefrontsPerSimd = 20
	};
	VkPhysicalDeviceShaderSMBuiltinsFeaturesNV builtins = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_FEATURES_NV, .shaderSMBuiltins = VK_TRUE
	};
	const struct description_buffer buffer = { .alignment = 64, .size_granularity = 64, .memory_type_bits = 1 };
	const struct description_format format = { VK_FORMAT_R32_UINT,
		{ .bufferFeatures = VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT,
			.optimalTilingFeatures = VK_FORMAT_FEATURE_SAMPLED_IMAGE_BIT } };
	const VkQueueFamilyProperties queue = { .queueFlags = VK_QUEUE_COMPUTE_BIT, .queueCount = 1 };
	buf_append(b, &head, sizeof(head));
	add_entry(b, DESCRIPTION_STRUCT, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &properties, sizeof(properties));
	add_entry(b, DESCRIPTION_STRUCT, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &features, sizeof(features));
	add_entry(b, DESCRIPTION_STRUCT, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, &features12,
		sizeof(features12));
	add_entry(
		b, DESCRIPTION_STRUCT, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD, &cores, sizeof(cores));
	add_entry(b, DESCRIPTION_STRUCT, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_FEATURES_NV, &builtins,
		sizeof(builtins));
	add_entry(b, DESCRIPTION_EXTENSIONS, 0, extensions, sizeof(extensions));
	add_entry(b, DESCRIPTION_FORMATS, 0, &format, sizeof(format));
	add_entry(b, DESCRIPTION_QUEUE, 0, &queue, sizeof(queue));
	add_entry(b, DESCRIPTION_MEMORY, 0, &memory, sizeof(memory));
	add_entry(b, DESCRIPTION_BUFFER, 0, &buffer, sizeof(buffer));
	add_entry(b, DESCRIPTION_TEXT, DESCRIPTION_TEXT_GPU_ID, "pci-0000:04:00.0", 16);
	add_entry(b, DESCRIPTION_TEXT, DESCRIPTION_TEXT_HOST, "alpha", 5);
	((struct description_header *)(void *)b->data)->size = (uint32_t)b->size;
}

static void answer_query(struct play *p, int socket)
{
	struct ipc_message m = { .version = IPC_VERSION, .kind = IPC_OFFER };
	struct buf b = { 0 };
	describe(&b);
	int fd = memfd_create("description", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	must(p, fd >= 0 && write(fd, b.data, b.size) == (ssize_t)b.size, "cannot make the description");
	must(p, unix_send(socket, &m, sizeof(m), &fd, 1) == 0, "cannot send the offer");
	close(fd);
	buf_finish(&b);
}

static void deliver(
	struct play *p, enum delivery_kind kind, uint64_t subject, uint64_t value, const void *payload, size_t size)
{
	size_t padded = (size + 7) & ~(size_t)7;
	const struct delivery_header head = {
		.size = (uint32_t)(sizeof(head) + padded), .kind = kind, .subject = subject, .value = value
	};
	uint64_t tail = 0;
	while (ring_read_tail(&p->log, p->delivered, p->delivery.size, &tail) == 0 &&
		p->delivered + head.size - tail > p->delivery.size)
		ring_wait(&p->log, ring_sequence(&p->log), 10);
	unsigned char *at = ring_at(&p->delivery, p->delivered);
	memcpy(at, &head, sizeof(head));
	memset(at + sizeof(head), 0, padded);
	if (size)
		memcpy(at + sizeof(head), payload, size);
	p->delivered += head.size;
	ring_set_head(&p->delivery, p->delivered);
	progress_wake(&p->progress);
}

struct delta_out {
	struct play *play;
	uint64_t memory;
};

/* One DELTA for each run, of a megabyte at most: slow, and simple. */
static int deliver_run(void *ctx, uint64_t offset, uint64_t size)
{
	const struct delta_out *o = ctx;
	struct play_object *m = &o->play->objects[o->memory];
	while (size) {
		uint64_t part = size < (1u << 20) ? size : 1u << 20;
		struct buf b = { 0 };
		const struct record_write write = { .run_count = 1, .byte_count = part };
		const struct record_run run = { offset, part };
		buf_append(&b, &write, sizeof(write));
		buf_append(&b, &run, sizeof(run));
		for (uint64_t at = 0; at < part; at += DELTA_BLOCK_BYTES) {
			const uint64_t left = part - at, mask = left < DELTA_BLOCK_BYTES ? (1ull << left) - 1 : UINT64_MAX;
			buf_append(&b, &mask, sizeof(mask));
		}
		buf_append(&b, m->bytes + offset, part);
		buf_align(&b, 8);
		deliver(o->play, DELIVERY_DELTA, o->memory, 0, b.data, b.size);
		memcpy(m->known + offset, m->bytes + offset, part);
		buf_finish(&b);
		offset += part;
		size -= part;
	}
	return 0;
}

static bool id_is_handle(void *ctx, uint64_t id, VkObjectType type, uint64_t *ret_handle)
{
	(void)ctx, (void)type;
	*ret_handle = id;
	return id < PLAY_MAX_OBJECTS;
}

static unsigned char *buffer_at(struct play *p, VkBuffer buffer, uint64_t offset)
{
	const struct play_object *b = &p->objects[(uintptr_t)buffer];
	return p->objects[b->memory].bytes + b->offset + offset;
}

static void run_recording(struct play *p, uint64_t id)
{
	static unsigned char room[1 << 20];
	struct wire_arena arena = { room, sizeof(room), 0 };
	const struct play_object *cb = &p->objects[id];
	struct wire_reader r = {
		.at = cb->recording, .end = cb->recording + cb->recording_size, .arena = &arena, .handle = id_is_handle
	};
	struct wire_reader parameters;
	uint16_t command;
	int more;
	must(p, cb->recording != NULL, "a command buffer without a recording was submitted");
	while (cb->recording && (more = wire_next(&r, &command, &parameters)) > 0) {
		union {
			struct wire_vkCmdCopyBuffer copy;
			struct wire_vkCmdFillBuffer fill;
			struct wire_vkCmdUpdateBuffer update;
			struct wire_vkCmdExecuteCommands execute;
		} v;
		if (command == WIRE_vkCmdCopyBuffer && wire_decode_vkCmdCopyBuffer(&parameters, &v.copy)) {
			for (uint32_t i = 0; i < v.copy.regionCount; i++)
				memcpy(buffer_at(p, v.copy.dstBuffer, v.copy.pRegions[i].dstOffset),
					buffer_at(p, v.copy.srcBuffer, v.copy.pRegions[i].srcOffset),
					v.copy.pRegions[i].size);
		} else if (command == WIRE_vkCmdFillBuffer && wire_decode_vkCmdFillBuffer(&parameters, &v.fill)) {
			for (uint64_t i = 0; i < v.fill.size; i += 4)
				memcpy(buffer_at(p, v.fill.dstBuffer, v.fill.dstOffset + i), &v.fill.data, 4);
		} else if (command == WIRE_vkCmdUpdateBuffer && wire_decode_vkCmdUpdateBuffer(&parameters, &v.update)) {
			memcpy(buffer_at(p, v.update.dstBuffer, v.update.dstOffset), v.update.pData, v.update.dataSize);
		} else if (command == WIRE_vkCmdExecuteCommands &&
			wire_decode_vkCmdExecuteCommands(&parameters, &v.execute)) {
			for (uint32_t i = 0; i < v.execute.commandBufferCount; i++)
				run_recording(p, (uint64_t)(uintptr_t)v.execute.pCommandBuffers[i]);
		}
	}
}

static void take_submit(struct play *p, const struct record_header *h, const uint64_t *deps, const unsigned char *payload)
{
	const struct record_submit *submit = (const void *)payload;
	must(p, h->subject == p->seq + 1, "a SUBMIT out of order");
	for (unsigned i = 0; i < h->dep_count; i++)
		run_recording(p, deps[i]);
	p->seen.range_count = submit->range_count < PLAY_MAX_RANGES ? submit->range_count : PLAY_MAX_RANGES;
	memcpy(p->seen.ranges, submit + 1, p->seen.range_count * sizeof(p->seen.ranges[0]));
	p->seq = h->subject;
	if (submit->flags & SUBMIT_COMMIT) {
		p->seen.commits++;
		for (uint64_t id = 0; id < PLAY_MAX_OBJECTS; id++) {
			struct play_object *m = &p->objects[id];
			struct delta_out out = { p, id };
			if (m->host)
				delta_walk(m->known, m->bytes, m->size, deliver_run, &out);
		}
	}
	deliver(p, DELIVERY_COMPLETE, p->seq, 0, NULL, 0);
	if (submit->flags & SUBMIT_COMMIT)
		ring_release(&p->delivery, p->position + h->size);
}

static void take_allocate(struct play *p, uint64_t id, const struct record_allocate *a)
{
	struct play_object *m = &p->objects[id];
	VkResult result = a->size_bytes > p->refuse_above_bytes ? VK_ERROR_OUT_OF_DEVICE_MEMORY : VK_SUCCESS;
	if (result == VK_SUCCESS) {
		m->size = a->size_bytes;
		m->host = a->memory_class != MEMORY_DEVICE_LOCAL;
		m->bytes = calloc(1, m->size);
		m->known = calloc(1, m->size);
	}
	deliver(p, DELIVERY_ALLOCATED, id, (uint32_t)result, NULL, 0);
}

/* Each part must be the next one of the same recording, and no larger than it need be. */
static void take_part(struct play *p, struct play_object *o, uint64_t key, const unsigned char *payload, uint64_t size)
{
	struct record_part part;
	if (size == 0) { /* what an earlier, longer recording had */
		must(p, key > o->part.count, "a part was taken back");
		return;
	}
	memcpy(&part, payload, sizeof(part));
	must(p, key == 1 || (part.serial == o->part.serial && part.count == o->part.count && key == o->parts + 1),
		"parts that do not fit together");
	must(p, key != 1 || o->recording == NULL, "parts of a recording that is there as a whole");
	must(p, key <= part.count && size <= sizeof(part) + RECORD_PART_BYTES, "a part that should not be");
	o->part = part;
	o->parts = (uint32_t)key;
	size -= sizeof(part);
	o->recording = realloc(o->recording, o->recording_size + size);
	memcpy(o->recording + o->recording_size, payload + sizeof(part), size);
	o->recording_size += size;
}

static void take_update(struct play *p, const struct record_header *h, const unsigned char *payload, uint64_t size)
{
	static unsigned char room[1 << 20];
	struct wire_arena arena = { room, sizeof(room), 0 };
	struct wire_reader r = { .at = payload, .end = payload + size, .arena = &arena, .handle = id_is_handle }, parameters;
	struct play_object *o = &p->objects[h->subject];
	uint16_t command;
	if (h->key == 0 && size == 0) { /* a recording in parts */
		free(o->recording);
		o->recording = NULL;
		o->recording_size = 0;
		o->is_recording = true;
		return;
	}
	if (o->is_recording && h->key != 0) {
		take_part(p, o, h->key, payload, size);
		return;
	}
	must(p, wire_next(&r, &command, &parameters) == 1, "an UPDATE without a command");
	struct wire_vkBindBufferMemory bind;
	if (command == WIRE_vkBindBufferMemory && wire_decode_vkBindBufferMemory(&parameters, &bind)) {
		o->memory = (uintptr_t)bind.memory;
		o->offset = bind.memoryOffset;
	} else if (command == WIRE_vkBeginCommandBuffer) {
		free(o->recording);
		o->recording = malloc(size);
		memcpy(o->recording, payload, size);
		o->recording_size = size;
		o->part.count = 0;
		o->is_recording = true;
	} else if (command == WIRE_vkUpdateDescriptorSets) {
		p->seen.descriptor_updates++;
	}
}

/* A later NEED takes the place of an earlier one of its key: of features they must be the same. */
static void take_need(struct play *p, uint64_t key, const struct record_need *need)
{
	if (need->kind != NEED_FEATURE)
		return;
	for (unsigned i = 0; i < p->feature_count; i++)
		must(p, p->features[i].key != key, "two features under one key");
	must(p, p->feature_count < PLAY_MAX_FEATURES, "too many features");
	p->features[p->feature_count % PLAY_MAX_FEATURES] = (struct play_feature){ key, need->a, need->b };
	p->feature_count++;
}

static void take(struct play *p, const struct record_header *h)
{
	const uint64_t *deps = (const uint64_t *)(h + 1);
	const unsigned char *payload = (const unsigned char *)(deps + h->dep_count);
	uint64_t size = h->size - sizeof(*h) - h->dep_count * sizeof(*deps);
	struct play_object *o = &p->objects[h->kind == RECORD_SUBMIT ? 0 : h->subject % PLAY_MAX_OBJECTS];
	struct delta_view view;
	must(p, h->kind == RECORD_SUBMIT || h->subject < PLAY_MAX_OBJECTS, "an id beyond the test's");
	switch ((enum record_kind)h->kind) {
	case RECORD_CREATE:
		break;
	case RECORD_UPDATE:
		take_update(p, h, payload, size);
		break;
	case RECORD_DESTROY:
	case RECORD_FREE:
		free(o->bytes);
		free(o->known);
		free(o->recording);
		memset(o, 0, sizeof(*o));
		break;
	case RECORD_ALLOCATE:
		take_allocate(p, h->subject, (const void *)payload);
		break;
	case RECORD_WRITE:
		must(p, delta_parse(payload, size, o->size, &view) == 0, "a bad WRITE");
		delta_apply(&view, o->bytes);
		delta_apply(&view, o->known);
		p->seen.write_bytes += view.byte_count;
		break;
	case RECORD_SUBMIT:
		take_submit(p, h, deps, payload);
		break;
	case RECORD_COPY:
		p->seen.copies += (unsigned)(size / sizeof(struct record_copy));
		break;
	case RECORD_NEED:
		p->seen.needs[(h->key >> 32) % 16]++;
		take_need(p, h->key, (const void *)payload);
		break;
	}
	p->seen.kinds[h->kind % 16]++;
}

/* Under the mutex: takes what is there, up to a SUBMIT that is held. */
static void take_all(struct play *p)
{
	uint64_t head = 0;
	must(p, ring_read_head(&p->log, p->position, &head) == 0, "the log lies");
	while (p->position < head) {
		const struct record_header *h = (const void *)ring_at(&p->log, p->position);
		must(p, h->size >= sizeof(*h) && h->size % RECORD_ALIGN == 0 && h->size <= head - p->position,
			"a record of a bad size");
		if (p->broken || (p->hold && h->kind == RECORD_SUBMIT))
			return;
		take(p, h);
		p->position += h->size;
	}
}

static void serve(struct play *p, int log_fd)
{
	struct ipc_message m = { .version = IPC_VERSION, .kind = IPC_OPENED };
	must(p, ring_attach(&p->log, log_fd, RING_LOG_BYTES, false) == 0, "cannot attach the log");
	must(p, ring_create(&p->delivery, "play-delivery", RING_DELIVERY_BYTES) == 0, "cannot make the delivery ring");
	p->position = p->delivered = 0;
	must(p, progress_create(&p->progress) == 0, "cannot make the progress page");
	const int fds[2] = { p->delivery.fd, p->progress.fd };
	must(p, unix_send(p->socket, &m, sizeof(m), fds, 2) == 0, "cannot send OPENED");
	for (;;) {
		struct pollfd ended = { .fd = p->socket, .events = POLLIN };
		uint32_t seen = ring_sequence(&p->log);
		pthread_mutex_lock(&p->mutex);
		take_all(p);
		bool stop = p->stop || p->broken;
		pthread_mutex_unlock(&p->mutex);
		if (stop || poll(&ended, 1, 0) > 0)
			break;
		ring_wait(&p->log, seen, 5);
	}
	ring_finish(&p->log);
	ring_finish(&p->delivery);
	progress_finish(&p->progress);
}

static void *play_main(void *ctx)
{
	struct play *p = ctx;
	for (;;) {
		struct pollfd waiting = { .fd = p->listen_fd, .events = POLLIN };
		int ready = poll(&waiting, 1, 20);
		pthread_mutex_lock(&p->mutex);
		bool stop = p->stop;
		pthread_mutex_unlock(&p->mutex);
		if (stop)
			return NULL;
		if (ready <= 0)
			continue;
		struct ipc_message m;
		size_t size = 0, fd_count = 0;
		int fd = -1;
		p->socket = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (unix_recv(p->socket, &m, sizeof(m), &size, &fd, 1, &fd_count) == 0 && size == sizeof(m)) {
			if (m.kind == IPC_QUERY)
				answer_query(p, p->socket);
			else if (m.kind == IPC_OPEN && fd_count == 1)
				serve(p, fd);
		}
		close(p->socket);
	}
}

void play_start(struct play *p)
{
	memset(p, 0, sizeof(*p));
	p->refuse_above_bytes = UINT64_MAX;
	snprintf(p->path, sizeof(p->path), "/tmp/tbmesh-test-icd-%d", (int)getpid());
	pthread_mutex_init(&p->mutex, NULL);
	p->listen_fd = unix_listen(p->path, 0600);
	if (p->listen_fd < 0 || pthread_create(&p->thread, NULL, play_main, p) != 0)
		abort();
	setenv(IPC_ENV_SESSION, p->path, 1);
}

void play_stop(struct play *p)
{
	pthread_mutex_lock(&p->mutex);
	p->stop = true;
	pthread_mutex_unlock(&p->mutex);
	pthread_join(p->thread, NULL);
	close(p->listen_fd);
	unlink(p->path);
	unsetenv(IPC_ENV_SESSION);
	for (unsigned i = 0; i < PLAY_MAX_OBJECTS; i++) {
		free(p->objects[i].bytes);
		free(p->objects[i].known);
		free(p->objects[i].recording);
	}
	pthread_mutex_destroy(&p->mutex);
}

void play_set_hold(struct play *p, bool hold)
{
	pthread_mutex_lock(&p->mutex);
	p->hold = hold;
	pthread_mutex_unlock(&p->mutex);
}

struct play_seen play_seen(struct play *p)
{
	pthread_mutex_lock(&p->mutex);
	struct play_seen seen = p->seen;
	pthread_mutex_unlock(&p->mutex);
	return seen;
}

void play_say_progress(struct play *p, uint64_t seq)
{
	pthread_mutex_lock(&p->mutex);
	progress_say(&p->progress, seq);
	pthread_mutex_unlock(&p->mutex);
}
