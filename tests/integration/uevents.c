/* Prints "ACTION SUBSYSTEM NAME" of each uevent as a program on a host sees them through libudev, after a line "ready". */
#include <libudev.h>
#include <poll.h>
#include <stdio.h>

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

int main(void)
{
	struct udev *udev = udev_new();
	struct udev_monitor *monitor = udev ? udev_monitor_new_from_netlink(udev, "udev") : NULL;
	if (!monitor || udev_monitor_enable_receiving(monitor) < 0) {
		fprintf(stderr, "uevents: no monitor\n");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	struct pollfd poll_fd = { .fd = udev_monitor_get_fd(monitor), .events = POLLIN };
	while (poll(&poll_fd, 1, -1) > 0) {
		struct udev_device *device = udev_monitor_receive_device(monitor);
		if (!device)
			continue;
		printf("%s %s %s\n", or_dash(udev_device_get_action(device)), or_dash(udev_device_get_subsystem(device)),
			or_dash(udev_device_get_sysname(device)));
		udev_device_unref(device);
	}
	udev_monitor_unref(monitor);
	udev_unref(udev);
	return 0;
}
