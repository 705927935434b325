#!/usr/bin/env bash
# The driver shares the program's process: only the loader's symbols may be visible, and nothing that it does not need is linked.
# exports.sh LIBRARY
set -euo pipefail
visible=$(nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//' | sort | xargs)
expected="vk_icdGetInstanceProcAddr vk_icdGetPhysicalDeviceProcAddr vk_icdNegotiateLoaderICDInterfaceVersion"
[ "$visible" = "$expected" ] || { echo "visible: $visible; expected: $expected"; exit 1; }
needed=$(readelf -d "$1" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | sort | xargs)
for library in $needed; do
	case $library in
	libc.so.6 | libpthread.so.0 | libm.so.6 | ld-linux-*) ;;
	*) echo "the driver links $library"; exit 1 ;;
	esac
done
for forbidden in sigaction signal pthread_create pthread_atfork atexit; do
	! nm -D --undefined-only "$1" | awk '{ print $2 }' | sed 's/@.*//' | grep -qx "$forbidden" || { echo "the driver calls $forbidden"; exit 1; }
done
