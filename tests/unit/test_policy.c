/* Placement: who serves a workload, and what is said of the others. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "migrate/policy/policy.h"

/* Stands for any description: what it "lacks" is the name of the GPU in its bytes. */
static const struct description full = { .bytes = (unsigned char *)"" };
static const struct description poor = { .bytes = (unsigned char *)"needs shaderInt64, which it lacks" };

static int covers(const struct description *d, const struct gpu_need *needs, size_t count, char *why, size_t why_size)
{
	(void)needs;
	if (count == 0 || d->bytes[0] == '\0')
		return 1;
	snprintf(why, why_size, "%s", (const char *)d->bytes);
	return 0;
}

#define GIB (1ull << 30)
enum { ALPHA_EGPU, ALPHA_IGPU, ALPHA_CPU, BETA_GPU, BETA_CPU, COUNT };

static void fill(struct policy_gpu gpus[COUNT])
{
	const struct policy_gpu all[COUNT] = {
		[ALPHA_EGPU] = { .key = "alpha/pci-0000:04:00.0",
			.name = "NVIDIA GeForce RTX 5090",
			.type = "discrete",
			.active = true,
			.local = true,
			.memory_bytes = 32 * GIB,
			.description = &full,
			.load_limit = 4 },
		[ALPHA_IGPU] = { .key = "alpha/pci-0000:00:02.0",
			.name = "Intel Arc 140T",
			.type = "integrated",
			.active = true,
			.local = true,
			.memory_bytes = 8 * GIB,
			.description = &full,
			.load_limit = 4 },
		[ALPHA_CPU] = { .key = "alpha/cpu-llvmpipe",
			.name = "llvmpipe",
			.type = "cpu",
			.active = true,
			.local = true,
			.memory_bytes = 64 * GIB,
			.description = &full,
			.load_limit = 4 },
		[BETA_GPU] = { .key = "beta/pci-0000:03:00.0",
			.name = "AMD Radeon RX 7900 XTX",
			.type = "discrete",
			.active = true,
			.memory_bytes = 24 * GIB,
			.description = &full,
			.goodput_bps = 20000000000,
			.rtt_us = 60,
			.load_limit = 4 },
		[BETA_CPU] = { .key = "beta/cpu-llvmpipe",
			.name = "llvmpipe",
			.type = "cpu",
			.active = true,
			.memory_bytes = 64 * GIB,
			.description = &full,
			.load_limit = 4 },
	};
	memcpy(gpus, all, sizeof all);
}

static const struct gpu_need need = { .kind = 1 };
static struct policy_verdict verdicts[COUNT];

/* Index of the choice, -1 none. */
static int choose(struct policy_gpu *gpus, struct policy_request r)
{
	r.covers = covers;
	if (!r.prefer)
		r.prefer = "";
	return policy_rank(&r, gpus, COUNT, verdicts) > 0 ? (int)verdicts[0].gpu : -1;
}

static const char *why(int gpu)
{
	for (size_t i = 0; i < COUNT; i++)
		if ((int)verdicts[i].gpu == gpu)
			return verdicts[i].fits ? "" : verdicts[i].why;
	return "not judged";
}

static const struct policy_request plain = { .cpu_fallback = true };

static void test_local_first(void **state)
{
	struct policy_gpu gpus[COUNT];
	(void)state;
	fill(gpus);
	assert_int_equal(choose(gpus, plain), ALPHA_EGPU);
	assert_int_equal(verdicts[1].gpu, ALPHA_IGPU);
	assert_int_equal(verdicts[2].gpu, BETA_GPU);
	assert_true(strcmp(gpus[verdicts[3].gpu].type, "cpu") == 0 && strcmp(gpus[verdicts[4].gpu].type, "cpu") == 0);
}

static void test_order_after_losses(void **state)
{
	struct policy_gpu gpus[COUNT];
	static const int order[] = { ALPHA_EGPU, ALPHA_IGPU, BETA_GPU, ALPHA_CPU, BETA_CPU, -1 };
	(void)state;
	fill(gpus);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		assert_int_equal(choose(gpus, plain), order[i]);
		if (order[i] < 0)
			break;
		gpus[order[i]].active = false;
		choose(gpus, plain);
		assert_string_equal(why(order[i]), "it is gone");
	}
}

static void test_load_moves_away(void **state)
{
	struct policy_gpu gpus[COUNT];
	(void)state;
	fill(gpus);
	gpus[ALPHA_IGPU].active = false;
	gpus[ALPHA_EGPU].load = 3;
	assert_int_equal(choose(gpus, plain), BETA_GPU); /* much better: an idle card across the cable */
	gpus[BETA_GPU].load = 3;
	assert_int_equal(choose(gpus, plain), ALPHA_EGPU);
	gpus[ALPHA_EGPU].load = gpus[BETA_GPU].load = 4;
	assert_int_equal(choose(gpus, plain), ALPHA_CPU);
	assert_string_equal(why(ALPHA_EGPU), "it serves 4 workloads already");
}

static void test_goodput_and_delay(void **state)
{
	struct policy_gpu gpus[COUNT];
	(void)state;
	fill(gpus);
	gpus[ALPHA_EGPU].local = false; /* both a peer's */
	gpus[ALPHA_EGPU].memory_bytes = gpus[BETA_GPU].memory_bytes;
	gpus[ALPHA_EGPU].goodput_bps = 1000000000;
	gpus[ALPHA_EGPU].rtt_us = 60;
	gpus[ALPHA_IGPU].active = false;
	assert_int_equal(choose(gpus, plain), BETA_GPU);
	gpus[ALPHA_EGPU].goodput_bps = gpus[BETA_GPU].goodput_bps;
	gpus[ALPHA_EGPU].rtt_us = 1800;
	assert_int_equal(choose(gpus, plain), BETA_GPU);
}

static void test_needs(void **state)
{
	struct policy_gpu gpus[COUNT];
	(void)state;
	fill(gpus);
	gpus[ALPHA_EGPU].description = &poor;
	gpus[ALPHA_IGPU].description = NULL;
	struct policy_request r = { .cpu_fallback = true, .needs = &need, .need_count = 1 };
	assert_int_equal(choose(gpus, r), BETA_GPU);
	assert_string_equal(why(ALPHA_EGPU), "needs shaderInt64, which it lacks");
	assert_string_equal(why(ALPHA_IGPU), "its description has not arrived yet");
}

static void test_exclude(void **state)
{
	struct policy_gpu gpus[COUNT];
	static const char *const exclude[] = { "alpha/pci-0000:04:00.0", "alpha/pci-0000:00:02.0" };
	(void)state;
	fill(gpus);
	struct policy_request r = {
		.cpu_fallback = true, .exclude = exclude, .exclude_count = 2, .prefer = "alpha/pci-0000:04:00.0"
	};
	assert_int_equal(choose(gpus, r), BETA_GPU); /* preferred, but it failed just now */
	assert_string_equal(why(ALPHA_EGPU), "it failed this workload just now");
}

static void test_preference(void **state)
{
	struct policy_gpu gpus[COUNT];
	(void)state;
	fill(gpus);
	struct policy_request r = { .cpu_fallback = false };
	static const struct {
		const char *text;
		int choice;
	} wishes[] = { { "beta/pci-0000:03:00.0", BETA_GPU }, { "7900", BETA_GPU }, { "pci-0000:00:02.0", ALPHA_IGPU },
		{ "intel arc", ALPHA_IGPU }, { "llvmpipe", ALPHA_CPU }, { "beta/cpu-llvmpipe", BETA_CPU },
		{ "no such card", ALPHA_EGPU } };
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
		r.prefer = wishes[i].text;
		assert_int_equal(choose(gpus, r), wishes[i].choice);
	}
	r.prefer = "no such card";
	r.only_preferred = true;
	assert_int_equal(choose(gpus, r), -1);
	assert_string_equal(why(BETA_GPU), "another GPU was asked for");
}

static void test_cpu_never_before_a_gpu(void **state)
{
	struct policy_gpu gpus[COUNT];
	(void)state;
	fill(gpus);
	gpus[ALPHA_EGPU].active = gpus[ALPHA_IGPU].active = false;
	gpus[BETA_GPU].load = 3;
	gpus[BETA_GPU].goodput_bps = 1;
	gpus[BETA_GPU].rtt_us = 1e6;
	assert_int_equal(choose(gpus, plain), BETA_GPU);
	gpus[BETA_GPU].active = false;
	assert_int_equal(choose(gpus, (struct policy_request){ .cpu_fallback = false }), -1);
	assert_string_equal(why(ALPHA_CPU), "it is a CPU driver and prefer_cpu_fallback is off");
}

/* A worn GPU comes behind a peer's that is well; a bad one behind all GPUs, but in front of CPU drivers; an ejected one never. */
static void test_health(void **state)
{
	struct policy_gpu gpus[COUNT];
	(void)state;
	fill(gpus);
	assert_int_equal(choose(gpus, (struct policy_request){ 0 }), ALPHA_EGPU);
	gpus[ALPHA_EGPU].illness = 20;
	assert_int_equal(choose(gpus, (struct policy_request){ 0 }), ALPHA_EGPU);
	gpus[ALPHA_EGPU].illness = 40;
	assert_int_not_equal(choose(gpus, (struct policy_request){ 0 }), ALPHA_EGPU);
	gpus[ALPHA_IGPU].active = gpus[BETA_GPU].active = false;
	gpus[ALPHA_EGPU].illness = 100;
	assert_int_equal(choose(gpus, (struct policy_request){ .cpu_fallback = true }), ALPHA_EGPU);
	gpus[ALPHA_EGPU].ejected = true;
	assert_int_equal(choose(gpus, (struct policy_request){ .cpu_fallback = true }), ALPHA_CPU);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_local_first),
		cmocka_unit_test(test_order_after_losses),
		cmocka_unit_test(test_load_moves_away),
		cmocka_unit_test(test_goodput_and_delay),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_exclude),
		cmocka_unit_test(test_preference),
		cmocka_unit_test(test_cpu_never_before_a_gpu),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
