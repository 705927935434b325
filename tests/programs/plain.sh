#!/bin/sh
# Runs one program on lavapipe under the Khronos validation layers; any message of theirs fails.
set -u
icd=/usr/share/vulkan/icd.d/lvp_icd.x86_64.json
[ -e "$icd" ] || icd=$(ls /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null | head -n 1)
[ -n "$icd" ] || { echo "SKIP: no lavapipe here (package mesa-vulkan-drivers)"; exit 77; }
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
VK_DRIVER_FILES=$icd VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation "$@" >"$out" 2>&1
status=$?
cat "$out"
grep -q 'Validation Error\|Validation Warning\|VUID-' "$out" && { echo "the validation layers complain"; exit 1; }
exit $status
