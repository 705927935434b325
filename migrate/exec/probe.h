/* Probe mode: what GPUs this host has, in the words of their drivers. */
#ifndef TBMESH_MIGRATE_EXEC_PROBE_H
#define TBMESH_MIGRATE_EXEC_PROBE_H

/* Writes, for each Vulkan device, uint32_t size and a description (gpu/description.h) to fd. Drivers are asked in child
 * processes, one a device, each with a time limit: one that crashes or hangs does not hide the others. 0 or -errno; a host
 * without Vulkan has no devices. */
int probe_devices(int fd);

#endif
