#include "node/device/device.h"

#include <errno.h>

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

static int null_read(struct device_watch *w, const char *path, const char *attribute, char *out, size_t size)
{
	(void)w;
	(void)path;
	(void)attribute;
	(void)out;
	(void)size;
	return -ENOENT;
}

const struct device_backend device_backend_null = {
	.name = "null", .start = null_start, .stop = null_stop, .read = null_read
};
