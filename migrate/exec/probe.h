/* Probe mode: what GPUs this host has, in the words of their drivers. */
#ifndef TBMESH_MIGRATE_EXEC_PROBE_H
#define TBMESH_MIGRATE_EXEC_PROBE_H

/* Writes items (proto/probe.h) to fd. Each driver is asked alone first, in a process of its own; one that crashes, or says nothing for patience_ms,
 * is named and left out. Devices are described in processes of their own too. 0 or -errno; a host without Vulkan has no devices. */
int probe_devices(int fd, unsigned patience_ms);

#endif
