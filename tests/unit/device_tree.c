#include "tests/unit/test.h"

#include <stdio.h>

#include "node/device/world.h"
#include "tests/unit/device_tree.h"

struct feeder {
	struct world world;
	struct device_model *model;
	bool arrival;
	uint64_t now_ns;
};

static void feed(void *ctx, struct world_device *d)
{
	struct feeder *f = ctx;
	world_tell(&f->world, d, f->model, f->arrival, f->now_ns);
}

void device_tree_add_text(struct device_model *m, const char *text, bool arrival, uint64_t now_ns)
{
	struct feeder f = { .model = m, .arrival = arrival, .now_ns = now_ns };
	char error[256] = "";
	world_init(&f.world);
	if (world_add_text(&f.world, text, feed, &f, error, sizeof error) < 0)
		fail_msg("%s", error);
	world_finish(&f.world);
}

void device_tree_add_file(struct device_model *m, const char *name, bool arrival, uint64_t now_ns)
{
	struct feeder f = { .model = m, .arrival = arrival, .now_ns = now_ns };
	char error[768] = "", path[512];
	snprintf(path, sizeof path, "%s/%s", TEST_DATA, name);
	world_init(&f.world);
	if (world_add_file(&f.world, path, feed, &f, error, sizeof error) < 0)
		fail_msg("%s", error);
	world_finish(&f.world);
}
