#include "tests/unit/exec/player.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "cells.comp.h"
#include "gpu/hash.h"
#include "gpu/instance.h"
#include "proto/ipc.h"
#include "tests/unit/test.h"

#define LOG_CUT 1000u /* bytes of a LOG frame: cuts records */

const char *player_gpu(void)
{
	static char id[GPU_ID_MAX];
	struct gpu_instance instance;

	if (gpu_instance_init(&instance, "tbmesh-test"))
		return NULL;
	if (instance.gpu_count)
		memcpy(id, instance.gpus[0].id, sizeof(id));
	gpu_instance_finish(&instance);
	return *id ? id : NULL;
}

/* Starts the program; returns the end of its ready pipe that is read. */
static int spawn(struct player *p, const unsigned char secret[32], const char *cache)
{
	int ready[2], secret_pipe[2];
	char ready_fd[16], secret_fd[16];
	const char *arguments[16] = { TBMESH_EXEC, "--gpu", player_gpu(), "--ready-fd", ready_fd };
	size_t count = 5;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(secret_pipe), 0);
	snprintf(ready_fd, sizeof(ready_fd), "%d", ready[1]);
	snprintf(secret_fd, sizeof(secret_fd), "%d", secret_pipe[0]);
	if (p->remote) {
		assert_int_equal(write(secret_pipe[1], secret, 32), 32);
		arguments[count++] = "--listen";
		arguments[count++] = "--secret-fd";
		arguments[count++] = secret_fd;
	} else {
		arguments[count++] = "--socket";
		arguments[count++] = p->socket;
	}
	if (cache) {
		arguments[count++] = "--cache";
		arguments[count++] = cache;
	}
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		execv(TBMESH_EXEC, (char *const *)arguments);
		_exit(127);
	}
	close(ready[1]);
	close(secret_pipe[0]);
	close(secret_pipe[1]);
	return ready[0];
}

static void connect_local(struct player *p)
{
	struct ipc_message attach = { .version = IPC_VERSION, .kind = IPC_ATTACH, .epoch = 1 };
	struct ring feed, result;
	int fds[4];
	int fd = unix_connect(p->socket);

	assert_true(fd >= 0);
	assert_int_equal(ring_create(&feed, "feed", RING_FEED_BYTES), 0);
	assert_int_equal(ring_create_result(&result, "result", RING_RESULT_BYTES), 0);
	fds[0] = ring_reopen_read_only(&p->log);
	fds[1] = ring_reopen_read_only(&feed);
	fds[2] = result.fd;
	assert_int_equal(progress_create(&p->progress), 0);
	fds[3] = p->progress.fd;
	assert_int_equal(unix_send(fd, &attach, sizeof(attach), fds, 4), 0);
	close(fds[0]);
	close(fds[1]);
	p->channel = channel_create_local(&feed, &result, fd);
	assert_non_null(p->channel);
}

static void connect_remote(struct player *p, const unsigned char secret[32], unsigned port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	int stranger = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char noise[4096];

	address.sin6_port = htons((uint16_t)port);
	/* Somebody else is first, and does not know the secret. */
	memset(noise, 0x01, sizeof(noise));
	assert_int_equal(connect(stranger, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_true(write(stranger, noise, sizeof(noise)) > 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	p->channel = channel_create_sealed(fd, secret, 1);
	assert_non_null(p->channel);
	close(stranger);
}

void player_start(struct player *p, bool remote, const char *cache)
{
	struct frame_hello hello = { .version = FRAME_PROTOCOL_VERSION, .local = !remote, .epoch = 1 };
	unsigned char secret[32];
	char line[64] = "";
	struct frame frame;
	unsigned port = 0;
	int ready;

	*p = (struct player){ .remote = remote, .directory = "/tmp/tbmesh-exec-XXXXXX" };
	assert_non_null(mkdtemp(p->directory));
	snprintf(p->socket, sizeof(p->socket), "%s/socket", p->directory);
	assert_int_equal(random_bytes(secret, sizeof(secret)), 0);
	assert_int_equal(ring_create(&p->log, "log", RING_LOG_BYTES), 0);
	ready = spawn(p, secret, cache);
	assert_true(read(ready, line, sizeof(line) - 1) > 0);
	close(ready);
	if (remote) {
		assert_int_equal(sscanf(line, "port %u", &port), 1);
		connect_remote(p, secret, port);
	} else {
		assert_string_equal(line, "ready\n");
		connect_local(p);
	}
	player_send(p, FRAME_HELLO, 0, 0, &hello, sizeof(hello));
	player_expect(p, FRAME_READY, &frame);
	assert_true(frame.header.size > 0);
}

void player_start_empty(struct player *p)
{
	struct frame frame;

	player_send(p, FRAME_START, 0, 0, NULL, 0);
	player_expect(p, FRAME_STARTED, &frame);
	assert_int_equal(frame.header.a, 0);
}

void player_send(struct player *p, uint32_t kind, uint64_t a, uint64_t b, const void *payload, size_t size)
{
	struct frame_header header = { .size = (uint32_t)size, .kind = kind, .a = a, .b = b };
	struct iovec iov = { (void *)payload, size };

	assert_int_equal(channel_send(p->channel, &header, &iov, size ? 1 : 0), 0);
}

void player_receive(struct player *p, struct frame *ret_frame)
{
	const void *payload;

	do {
		assert_int_equal(channel_recv(p->channel, &ret_frame->header, &payload), 0);
	} while (ret_frame->header.kind == FRAME_HEARTBEAT);
	ret_frame->payload = payload;
}

void player_expect(struct player *p, uint32_t kind, struct frame *ret_frame)
{
	player_receive(p, ret_frame);
	if (ret_frame->header.kind == FRAME_LOST && kind != FRAME_LOST)
		fail_msg("LOST %d: %.*s", (int)ret_frame->header.a, (int)ret_frame->header.size, ret_frame->payload);
	assert_int_equal(ret_frame->header.kind, kind);
}

void player_log(struct player *p, const struct buf *records)
{
	memcpy(ring_at(&p->log, p->position), records->data, records->size);
	p->position += records->size;
	ring_publish(&p->log, p->position);
	while (p->remote && p->sent < p->position) {
		uint64_t size = p->position - p->sent < LOG_CUT ? p->position - p->sent : LOG_CUT;

		player_send(p, FRAME_LOG, p->sent, 0, ring_at(&p->log, p->sent), size);
		p->sent += size;
	}
}

bool player_stop(struct player *p)
{
	bool gone = false;

	channel_shutdown(p->channel);
	for (int i = 0; i < 4000 && !gone; i++) { /* 40 s: under the validation layer, on a busy machine */
		gone = waitpid(p->pid, NULL, WNOHANG) == p->pid;
		if (!gone)
			usleep(10000);
	}
	if (!gone) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	channel_destroy(p->channel);
	ring_finish(&p->log);
	progress_finish(&p->progress);
	unlink(p->socket);
	rmdir(p->directory);
	return gone;
}

void script_finish(struct script *s)
{
	buf_finish(&s->records);
	buf_finish(&s->command);
	buf_finish(&s->deps);
}

/* Handles of these tests are ids. */
static uint64_t same_id(void *ctx, uint64_t handle, VkObjectType type)
{
	(void)ctx;
	(void)type;
	return handle;
}

struct wire_writer script_begin(struct script *s)
{
	buf_clear(&s->command);
	buf_clear(&s->deps);
	return (struct wire_writer){ .out = &s->command, .deps = &s->deps, .id = same_id };
}

static void put_record(struct script *s, struct record_header header, const void *deps, const void *payload, size_t size)
{
	header.size = (uint32_t)((sizeof(header) + header.dep_count * sizeof(uint64_t) + size + 7) / 8 * 8);
	header.observed = s->observed;
	buf_append(&s->records, &header, sizeof(header));
	buf_append(&s->records, deps, header.dep_count * sizeof(uint64_t));
	buf_append(&s->records, payload, size);
	buf_align(&s->records, RECORD_ALIGN);
	assert_false(s->records.failed);
}

void script_end(struct script *s, enum record_kind kind, uint64_t subject, uint64_t key)
{
	struct record_header header = {
		.kind = (uint16_t)kind,
		.dep_count = (uint16_t)(s->deps.size / sizeof(uint64_t)),
		.subject = subject,
		.key = key,
	};

	put_record(s, header, s->deps.data, s->command.data, s->command.size);
}

void script_allocate(struct script *s, uint64_t id, uint64_t size)
{
	struct record_allocate allocate = { .size_bytes = size };
	struct record_header header = { .kind = RECORD_ALLOCATE, .subject = id };

	put_record(s, header, NULL, &allocate, sizeof(allocate));
}

void script_plain(struct script *s, enum record_kind kind, uint64_t subject)
{
	put_record(s, (struct record_header){ .kind = (uint16_t)kind, .subject = subject }, NULL, NULL, 0);
}

void script_write(struct script *s, uint64_t memory, const struct record_run *runs, uint32_t count, const void *bytes)
{
	struct record_write write = { .run_count = count };
	struct record_header header = { .kind = RECORD_WRITE, .subject = memory };
	struct buf payload = { 0 };

	for (uint32_t i = 0; i < count; i++)
		write.byte_count += runs[i].size;
	buf_append(&payload, &write, sizeof(write));
	buf_append(&payload, runs, count * sizeof(*runs));
	buf_append(&payload, bytes, write.byte_count);
	put_record(s, header, NULL, payload.data, payload.size);
	buf_finish(&payload);
}

void script_submit(struct script *s, uint64_t seq, uint64_t nonce, uint32_t flags, const uint64_t *buffers,
	uint16_t buffer_count, const struct record_range *ranges, uint32_t range_count)
{
	struct record_submit submit = { .nonce = nonce, .flags = flags, .range_count = range_count };
	struct record_header header = { .kind = RECORD_SUBMIT, .subject = seq, .dep_count = buffer_count };
	struct buf payload = { 0 };

	buf_append(&payload, &submit, sizeof(submit));
	buf_append(&payload, ranges, range_count * sizeof(*ranges));
	put_record(s, header, buffers, payload.data, payload.size);
	buf_finish(&payload);
}

#define H(type, id) ((type)(uintptr_t)(id))

static void cells_layouts(struct script *s)
{
	const VkDescriptorSetLayoutBinding binding = { 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT,
		NULL };
	const VkDescriptorSetLayoutCreateInfo set = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = 1, .pBindings = &binding
	};
	const VkDescriptorSetLayout sets[] = { H(VkDescriptorSetLayout, CELLS_SET_LAYOUT) };
	const VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 8 };
	const VkPipelineLayoutCreateInfo layout = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = sets,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &push };
	const VkShaderModuleCreateInfo shader = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = sizeof(cells_comp), .pCode = cells_comp
	};
	const VkComputePipelineCreateInfo pipeline = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.module = H(VkShaderModule, CELLS_SHADER),
			.pName = "main" },
		.layout = H(VkPipelineLayout, CELLS_LAYOUT),
	};
	struct wire_writer w = script_begin(s);

	wire_encode_vkCreateDescriptorSetLayout(&w, &set, CELLS_SET_LAYOUT);
	script_end(s, RECORD_CREATE, CELLS_SET_LAYOUT, 0);
	w = script_begin(s);
	wire_encode_vkCreatePipelineLayout(&w, &layout, CELLS_LAYOUT);
	script_end(s, RECORD_CREATE, CELLS_LAYOUT, 0);
	w = script_begin(s);
	wire_encode_vkCreateShaderModule(&w, &shader, CELLS_SHADER);
	script_end(s, RECORD_CREATE, CELLS_SHADER, 0);
	w = script_begin(s);
	wire_encode_vkCreateComputePipelines(&w, &pipeline, CELLS_PIPELINE);
	script_end(s, RECORD_CREATE, CELLS_PIPELINE, 0);
}

static void cells_set(struct script *s)
{
	const VkDescriptorPoolSize size = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1 };
	const VkDescriptorPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1, .poolSizeCount = 1, .pPoolSizes = &size
	};
	const VkDescriptorSetLayout layout = H(VkDescriptorSetLayout, CELLS_SET_LAYOUT);
	const VkDescriptorSetAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = H(VkDescriptorPool, CELLS_POOL),
		.descriptorSetCount = 1,
		.pSetLayouts = &layout };
	const VkDescriptorBufferInfo buffer = { H(VkBuffer, CELLS_BUFFER), 0, VK_WHOLE_SIZE };
	const VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = H(VkDescriptorSet, CELLS_SET),
		.descriptorCount = 1,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.pBufferInfo = &buffer };
	struct wire_writer w = script_begin(s);

	wire_encode_vkCreateDescriptorPool(&w, &pool, CELLS_POOL);
	script_end(s, RECORD_CREATE, CELLS_POOL, 0);
	w = script_begin(s);
	wire_encode_vkAllocateDescriptorSets(&w, &allocate, CELLS_SET);
	script_end(s, RECORD_CREATE, CELLS_SET, 0);
	w = script_begin(s);
	wire_encode_vkUpdateDescriptorSets(&w, &write);
	script_end(s, RECORD_UPDATE, CELLS_SET, 0);
}

static void cells_commands(struct script *s)
{
	const VkCommandBufferAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1 };
	const VkMemoryBarrier barrier = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT };
	const VkDescriptorSet set = H(VkDescriptorSet, CELLS_SET);
	const VkPipelineLayout layout = H(VkPipelineLayout, CELLS_LAYOUT);
	const uint32_t push[2][2] = { { CELLS_COUNT, 3 }, { CELLS_COUNT, 5 } };
	struct wire_writer w = script_begin(s);

	wire_encode_vkAllocateCommandBuffers(&w, &allocate, CELLS_COMMANDS);
	script_end(s, RECORD_CREATE, CELLS_COMMANDS, 0);
	w = script_begin(s);
	wire_encode_vkCmdBindPipeline(&w, VK_PIPELINE_BIND_POINT_COMPUTE, H(VkPipeline, CELLS_PIPELINE));
	wire_encode_vkCmdBindDescriptorSets(&w, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0, NULL);
	for (int i = 0; i < 2; i++) {
		wire_encode_vkCmdPushConstants(&w, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push[i]), push[i]);
		wire_encode_vkCmdDispatch(&w, (CELLS_COUNT + 63) / 64, 1, 1);
		wire_encode_vkCmdPipelineBarrier(&w, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
			VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
	}
	script_end(s, RECORD_UPDATE, CELLS_COMMANDS, 0);
}

void cells_objects(struct script *s)
{
	const VkBufferCreateInfo buffer = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = CELLS_COUNT * 4,
		.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT };
	struct wire_writer w = script_begin(s);

	wire_encode_vkCreateBuffer(&w, &buffer, CELLS_BUFFER);
	script_end(s, RECORD_CREATE, CELLS_BUFFER, 0);
	script_allocate(s, CELLS_MEMORY, CELLS_MEMORY_BYTES);
	w = script_begin(s);
	wire_encode_vkBindBufferMemory(&w, H(VkBuffer, CELLS_BUFFER), H(VkDeviceMemory, CELLS_MEMORY), CELLS_OFFSET);
	script_end(s, RECORD_UPDATE, CELLS_BUFFER, 0);
	cells_layouts(s);
	cells_set(s);
	cells_commands(s);
}

void cells_step(unsigned char *memory)
{
	for (uint32_t factor = 3; factor <= 5; factor += 2) {
		for (uint32_t i = 0; i < CELLS_COUNT; i++) {
			uint32_t cell;

			memcpy(&cell, memory + CELLS_OFFSET + i * 4, 4);
			cell = cell * factor + i;
			memcpy(memory + CELLS_OFFSET + i * 4, &cell, 4);
		}
	}
}

/* What the session knows of blocks while a COMMIT comes in. */
struct blocks {
	uint64_t *hashes; /* NULL: nobody wants to know */
	uint64_t count, hashed;
	bool *fresh, *unchanged, *returned;
};

static void blocks_begin(struct blocks *b, uint64_t *hashes, uint64_t memory_size)
{
	uint64_t count = memory_size / PLAYER_BLOCK + 1;

	*b = (struct blocks){ hashes, count, 0, calloc(count, 1), calloc(count, 1), calloc(count, 1) };
}

static void blocks_hash(struct blocks *b, const struct frame *frame)
{
	uint64_t first = frame->header.c / PLAYER_BLOCK, count = frame->header.size / sizeof(uint64_t);

	assert_int_equal(frame->header.c % PLAYER_BLOCK, 0);
	b->hashed += count;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t hash;

		memcpy(&hash, frame->payload + i * sizeof(hash), sizeof(hash));
		assert_true(first + i < b->count && !b->fresh[first + i]);
		b->fresh[first + i] = true;
		if (!b->hashes)
			continue;
		b->unchanged[first + i] = hash && hash == b->hashes[first + i];
		b->hashes[first + i] = hash;
	}
}

static void blocks_return(struct blocks *b, uint64_t offset, uint64_t size)
{
	for (uint64_t at = offset / PLAYER_BLOCK; at <= (offset + size - 1) / PLAYER_BLOCK; at++) {
		assert_false(b->unchanged[at]);
		b->returned[at] = true;
	}
}

/* What came without a hash has none. */
static void blocks_end(struct blocks *b)
{
	for (uint64_t i = 0; i < b->count && b->hashes; i++)
		if (b->returned[i] && !b->fresh[i])
			b->hashes[i] = 0;
	free(b->fresh);
	free(b->unchanged);
	free(b->returned);
}

void player_take_commit(struct player *p, uint64_t seq, uint64_t nonce, uint64_t memory_id, unsigned char *memory,
	uint64_t memory_size, uint64_t *ret_bytes)
{
	uint64_t hashed;

	player_take_changed(p, seq, nonce, memory_id, memory, memory_size, NULL, ret_bytes, &hashed);
}

void player_take_changed(struct player *p, uint64_t seq, uint64_t nonce, uint64_t memory_id, unsigned char *memory,
	uint64_t memory_size, uint64_t *hashes, uint64_t *ret_bytes, uint64_t *ret_hashed)
{
	struct window_hash hash;
	struct blocks blocks;
	struct frame frame;
	uint64_t bytes = 0;
	uint32_t index = 0, words = 0;

	blocks_begin(&blocks, hashes, memory_size);
	window_hash_init(&hash, nonce + 1);
	for (;;) {
		struct frame_window window;

		player_receive(p, &frame);
		assert_int_equal(frame.header.a, seq);
		if (frame.header.kind == FRAME_DONE)
			break;
		if (frame.header.kind == FRAME_RESULT) {
			assert_int_equal(frame.header.b, memory_id);
			assert_true(frame.header.c + frame.header.size <= memory_size);
			blocks_return(&blocks, frame.header.c, frame.header.size);
			window_hash_update(&hash, frame.payload, frame.header.size);
			memcpy(memory + frame.header.c, frame.payload, frame.header.size);
			words += frame.header.size / 4;
			bytes += frame.header.size;
			continue;
		}
		if (frame.header.kind == FRAME_HASHES) {
			assert_int_equal(bytes, 0);
			blocks_hash(&blocks, &frame);
			window_hash_update(&hash, frame.payload, frame.header.size);
			words += frame.header.size / 4;
			continue;
		}
		assert_int_equal(frame.header.kind, FRAME_WINDOW);
		memcpy(&window, frame.payload, sizeof(window));
		assert_int_equal(window.index, index);
		assert_int_equal(window.word_count, words);
		assert_true(frame.header.b == nonce + index + 1);
		assert_true(frame.header.c == window_hash_value(&hash));
		window_hash_init(&hash, nonce + ++index + 1);
		words = 0;
	}
	assert_true(frame.header.b == nonce);
	assert_int_equal(words, 0);
	*ret_hashed = blocks.hashed;
	blocks_end(&blocks);
	*ret_bytes = bytes;
}
