#include "node/device/device.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

static const struct device_backend *const backends[] = { &device_backend_linux, &device_backend_null };

int device_watch_init(
	struct device_watch *w, const char *backend, struct loop *l, const struct device_observer *observer, void *ctx)
{
	*w = (struct device_watch){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (strcmp(backends[i]->name, backend) == 0)
			w->backend = backends[i];
	if (!w->backend)
		return -EINVAL;
	w->model = device_model_create(observer, ctx);
	if (!w->model)
		return -ENOMEM;
	int r = w->backend->start(w, l, w->model);
	if (r < 0) {
		device_model_destroy(w->model);
		*w = (struct device_watch){ 0 };
	}
	return r;
}

void device_watch_finish(struct device_watch *w)
{
	if (!w->backend)
		return;
	w->backend->stop(w);
	device_model_destroy(w->model);
	*w = (struct device_watch){ 0 };
}
