#include "node/device/device.h"

static int null_start(struct device_watch *w, struct loop *l, struct device_model *m)
{
	(void)w;
	(void)l;
	(void)m;
	return 0;
}

static void null_stop(struct device_watch *w)
{
	(void)w;
}

const struct device_backend device_backend_null = { .name = "null", .start = null_start, .stop = null_stop };
