/* Programs that do what programs should not: each case is a word on the command line. The test that runs them looks at what is left
 * afterwards. `hostile CASE`; exit code 0: it went as it should. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "minivk.h"
#include "xorshift.comp.h"

#define WORDS 4096u

struct work {
	struct minivk v;
	struct minivk_buffer host, ring[2];
	struct minivk_pipeline pipeline;
	VkDescriptorSet set;
};

static void work_init(struct work *w)
{
	const VkBufferUsageFlags copies = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;

	minivk_init(&w->v, "hostile", NULL);
	minivk_buffer(&w->v, &w->host, WORDS * 4, true, copies);
	for (int i = 0; i < 2; i++)
		minivk_buffer(&w->v, &w->ring[i], WORDS * 4, false, copies | VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	minivk_pipeline(&w->v, &w->pipeline, xorshift_comp, sizeof(xorshift_comp), 2, 8, 1);
	w->set = minivk_set(&w->v, &w->pipeline, (const struct minivk_buffer *[]){ &w->ring[0], &w->ring[1] });
}

static void work_finish(struct work *w)
{
	minivk_pipeline_finish(&w->v, &w->pipeline);
	for (int i = 0; i < 2; i++)
		minivk_buffer_finish(&w->v, &w->ring[i]);
	minivk_buffer_finish(&w->v, &w->host);
	minivk_finish(&w->v);
}

/* Up, one dispatch, down; the hash of the result. */
static uint64_t work_round(struct work *w, uint32_t seed)
{
	const VkBufferCopy all = { 0, 0, WORDS * 4 };
	const uint32_t push[2] = { WORDS, 7 };
	VkCommandBuffer c;

	for (uint32_t i = 0; i < WORDS; i++)
		((uint32_t *)w->host.mapped)[i] = seed + i * 747796405u;
	c = minivk_begin(&w->v);
	vkCmdCopyBuffer(c, w->host.buffer, w->ring[0].buffer, 1, &all);
	minivk_barrier(c);
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, w->pipeline.pipeline);
	vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, w->pipeline.layout, 0, 1, &w->set, 0, NULL);
	vkCmdPushConstants(c, w->pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), push);
	vkCmdDispatch(c, WORDS / 64, 1, 1);
	minivk_barrier(c);
	vkCmdCopyBuffer(c, w->ring[1].buffer, w->host.buffer, 1, &all);
	minivk_barrier(c);
	minivk_run(&w->v, c);
	return minivk_fnv(w->host.mapped, WORDS * 4);
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	while (d && readdir(d))
		count++;
	if (d)
		closedir(d);
	return count;
}

/* KiB of that line of /proc/self/status. */
static long status_kib(const char *name)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long value = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = strtol(line + strlen(name), NULL, 10);
	if (f)
		fclose(f);
	return value;
}

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "not so: %s\n", what);
	_exit(3);
}

/* --- the cases --- */

/* One word of the shader is wrong: the program hears of it, and the driver below never sees it. */
static int bad_shader(void)
{
	static uint32_t code[sizeof(xorshift_comp) / 4];
	struct minivk v;
	struct minivk_pipeline p;
	VkCommandBuffer c;
	size_t at = 5;

	memcpy(code, xorshift_comp, sizeof(code));
	while ((code[at] & 0xFFFF) != 61) /* OpLoad */
		at += code[at] >> 16;
	code[at + 1] = code[at + 2]; /* its type is its result */
	minivk_init(&v, "hostile", NULL);
	minivk_pipeline(&v, &p, code, sizeof(code), 2, 8, 1);
	c = minivk_begin(&v);
	vkEndCommandBuffer(c);
	minivk_submit(&v, c, NULL);
	return vkQueueWaitIdle(v.queue) == VK_ERROR_DEVICE_LOST ? 0 : 1;
}

/* A child that was forked uses the device as if it were its own, then destroys all of it; the parent goes on undisturbed. */
static int forks(void)
{
	struct work w;
	uint64_t first;
	int status = 0;

	work_init(&w);
	first = work_round(&w, 1);
	for (int i = 0; i < 4; i++) {
		pid_t child = fork();

		if (child == 0) {
			VkCommandBuffer c = minivk_begin(&w.v);
			VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
			VkSubmitInfo submit = {
				.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &c
			};
			VkFence f;

			memset(w.host.mapped, i, WORDS * 4);
			vkCmdFillBuffer(c, w.ring[0].buffer, 0, VK_WHOLE_SIZE, 0xDEAD);
			vkEndCommandBuffer(c);
			vkCreateFence(w.v.device, &fence, NULL, &f);
			expect(vkQueueSubmit(w.v.queue, 1, &submit, f) == VK_ERROR_DEVICE_LOST,
				"the child's device is lost");
			if (i == 0)
				vkDestroyDevice(w.v.device, NULL);
			if (i == 1)
				execlp("true", "true", NULL);
			if (i == 2)
				exit(0);
			_exit(0);
		}
		expect(work_round(&w, 1) == first, "the parent's result is the same");
		expect(waitpid(child, &status, 0) == child && status == 0, "the child ended well");
	}
	expect(work_round(&w, 1) == first, "the parent's result is the same at the end");
	work_finish(&w);
	return 0;
}

/* The program dies, its child lives on and holds all that it inherited. */
static int orphan(void)
{
	struct work w;

	work_init(&w);
	work_round(&w, 1);
	if (fork() == 0) {
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		sleep(20);
		_exit(0);
	}
	_exit(0);
}

/* Nothing is given back. */
static int leak(void)
{
	for (int i = 0; i < 3; i++) {
		struct work *w = calloc(1, sizeof(*w));

		if (!w)
			return 1;
		work_init(w);
		work_round(w, (uint32_t)i);
	}
	return 0;
}

static void *exit_here(void *ctx)
{
	work_round(ctx, 5);
	exit(0);
}

static void *submit_on(void *ctx)
{
	struct work *w = ctx;

	for (;;)
		vkQueueWaitIdle(w->v.queue);
	return NULL;
}

/* exit() in one thread while another is in the driver. */
static int exits_in_thread(void)
{
	static struct work w;
	pthread_t a, b;

	work_init(&w);
	pthread_create(&a, NULL, submit_on, &w);
	pthread_create(&b, NULL, exit_here, &w);
	pthread_join(b, NULL);
	return 1;
}

static int aborts(void)
{
	static struct work w;

	work_init(&w);
	work_round(&w, 5);
	signal(SIGABRT, SIG_DFL);
	abort();
}

/* Devices and instances come and go; what is left does not grow. */
static int cycles(uint32_t rounds)
{
	int fds = 0;
	long threads = 0, size = 0;

	for (uint32_t i = 0; i < rounds; i++) {
		struct work w;

		work_init(&w);
		if (i % 8 == 0)
			work_round(&w, i);
		work_finish(&w);
		if (i == 1) {
			fds = count_fds();
			threads = status_kib("Threads:");
			size = status_kib("VmSize:");
		}
	}
	expect(count_fds() == fds, "as many descriptors as before");
	expect(status_kib("Threads:") == threads, "as many threads as before");
	expect(status_kib("VmSize:") < size + 32 * 1024, "no more address space than before");
	return 0;
}

/* Many at once. */
static int many(uint32_t count)
{
	struct work *all = calloc(count, sizeof(*all));

	if (!all)
		return 1;
	for (uint32_t i = 0; i < count; i++)
		work_init(&all[i]);
	for (uint32_t i = 0; i < count; i++)
		expect(work_round(&all[i], 9) == work_round(&all[0], 9), "all compute the same");
	for (uint32_t i = 0; i < count; i++)
		work_finish(&all[i]);
	free(all);
	return 0;
}

/* What the driver adds to a program: memory of its own, threads, signal handlers. */
static int thin(void)
{
	struct sigaction before[64], after;
	long rss, threads = status_kib("Threads:");
	VkInstance instance;
	VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO };
	struct work w;

	for (int i = 1; i < 64; i++)
		sigaction(i, NULL, &before[i]);
	/* The loader by itself. */
	VK(vkCreateInstance(&info, NULL, &instance));
	vkDestroyInstance(instance, NULL);
	rss = status_kib("VmRSS:");
	work_init(&w);
	for (uint32_t i = 0; i < 20; i++)
		work_round(&w, i);
	printf("rss +%ld KiB, threads +%ld\n", status_kib("VmRSS:") - rss, status_kib("Threads:") - threads);
	expect(status_kib("Threads:") == threads, "the driver makes no thread");
	expect(status_kib("VmRSS:") - rss < 5 * 1024, "the driver adds less than 5 MiB");
	for (int i = 1; i < 64; i++) {
		if (sigaction(i, NULL, &after) == 0)
			expect(after.sa_handler == before[i].sa_handler, "no signal handler is installed");
	}
	work_finish(&w);
	return 0;
}

/* Little of something: an error in Vulkan's words or success, never a crash. */
static int limited(int resource, rlim_t value)
{
	struct rlimit limit = { value, value };
	VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO };
	VkInstance instance;
	VkPhysicalDevice physical;
	uint32_t count = 1;
	VkDevice device;
	const float priority = 1;
	VkDeviceQueueCreateInfo queue = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority
	};
	VkDeviceCreateInfo create = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue
	};
	VkResult result;

	VK(vkCreateInstance(&info, NULL, &instance));
	VK(vkEnumeratePhysicalDevices(instance, &count, &physical));
	expect(setrlimit(resource, &limit) == 0, "the limit can be set");
	result = vkCreateDevice(physical, &create, NULL, &device);
	printf("vkCreateDevice: %d\n", (int)result);
	if (result == VK_SUCCESS)
		vkDestroyDevice(device, NULL);
	vkDestroyInstance(instance, NULL);
	return 0;
}

/* Many threads record, submit, wait and map at once, each with its own pool; the queue under a lock, as Vulkan asks. */
struct storm {
	struct work *w;
	pthread_mutex_t queue;
	atomic_uint failures;
	uint32_t rounds;
};

static void *storm_thread(void *ctx)
{
	struct storm *s = ctx;
	struct minivk v = s->w->v;
	VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, .queueFamilyIndex = v.family };

	VK(vkCreateCommandPool(v.device, &pool, NULL, &v.pool));
	for (uint32_t r = 0; r < s->rounds; r++) {
		struct minivk_buffer mine;
		VkCommandBuffer c;
		VkFence fence;
		VkSubmitInfo submit = {
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &c
		};

		minivk_buffer(&v, &mine, 4096, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
		fence = minivk_fence(&v);
		c = minivk_begin(&v);
		vkCmdFillBuffer(c, mine.buffer, 0, VK_WHOLE_SIZE, r);
		minivk_barrier(c);
		VK(vkEndCommandBuffer(c));
		pthread_mutex_lock(&s->queue);
		VK(vkQueueSubmit(v.queue, 1, &submit, fence));
		pthread_mutex_unlock(&s->queue);
		while (vkGetFenceStatus(v.device, fence) == VK_NOT_READY && r % 2)
			;
		minivk_wait(&v, fence);
		for (uint32_t i = 0; i < 1024; i++)
			s->failures += ((uint32_t *)mine.mapped)[i] != r;
		vkDestroyFence(v.device, fence, NULL);
		vkFreeCommandBuffers(v.device, v.pool, 1, &c);
		minivk_buffer_finish(&v, &mine);
	}
	vkDestroyCommandPool(v.device, v.pool, NULL);
	return NULL;
}

static int storms(uint32_t rounds)
{
	struct work w;
	struct storm s = { .w = &w, .queue = PTHREAD_MUTEX_INITIALIZER, .rounds = rounds };
	pthread_t threads[8];

	work_init(&w);
	for (int i = 0; i < 8; i++)
		expect(pthread_create(&threads[i], NULL, storm_thread, &s) == 0, "a thread can be made");
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	expect(s.failures == 0, "each thread sees its own bytes");
	work_finish(&w);
	return 0;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	uint32_t rounds = minivk_option(argc - 1, argv + 1, "--rounds", 40);

	if (!strcmp(word, "bad-shader"))
		return bad_shader();
	if (!strcmp(word, "forks"))
		return forks();
	if (!strcmp(word, "orphan"))
		return orphan();
	if (!strcmp(word, "leak"))
		return leak();
	if (!strcmp(word, "exit-in-thread"))
		return exits_in_thread();
	if (!strcmp(word, "abort"))
		return aborts();
	if (!strcmp(word, "cycles"))
		return cycles(rounds);
	if (!strcmp(word, "many"))
		return many(rounds);
	if (!strcmp(word, "thin"))
		return thin();
	if (!strcmp(word, "few-descriptors"))
		return limited(RLIMIT_NOFILE, (rlim_t)count_fds() - 2 + 1);
	if (!strcmp(word, "little-address-space"))
		return limited(RLIMIT_AS, 200ull << 20); /* the log takes more */
	if (!strcmp(word, "storm"))
		return storms(rounds);
	fprintf(stderr, "which case?\n");
	return 2;
}
