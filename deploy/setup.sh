# Sourced by deploy/run, deploy/test, deploy/bench: installs what is missing, builds a preset. Nothing is done twice.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

packages_build=(gcc cmake ninja-build pkg-config python3 libevent-dev libzmq3-dev libsodium-dev libprotobuf-c-dev protobuf-c-compiler
	protobuf-compiler libudev-dev libvulkan-dev libssl-dev libjansson-dev spirv-headers spirv-tools glslang-tools)
# Vector AES for sealed streams; exists for amd64 alone, libcrypto does without.
[ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] || packages_build+=(libipsec-mb-dev)
packages_lab=(mesa-vulkan-drivers vulkan-validationlayers vulkan-tools umockdev libumockdev-dev python3-gi gir1.2-umockdev-1.0
	iproute2 iputils-ping iperf3 procps)
packages_test=(babeld libcmocka-dev clang libclang-rt-14-dev python3-zmq python3-protobuf)

say() {
	printf '%s\n' "$*" >&2
}

# The lab makes network namespaces, the set-up installs packages: both are root's.
need_root() {
	[ "$(id -u)" = 0 ] && return
	say "$1 needs root: it installs Debian packages and makes network namespaces for the lab. Try: sudo $1"
	exit 1
}

install_packages() {
	local missing=() package
	for package in "$@"; do
		dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
	done
	[ ${#missing[@]} = 0 ] && return
	command -v apt-get >/dev/null || { say "this set-up installs Debian packages, but there is no apt-get here. Missing: ${missing[*]}"; exit 1; }
	say "installing: ${missing[*]}"
	local log
	log=$(mktemp)
	if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
		tail -n 20 "$log" >&2
		say "installing packages failed; the whole log is in $log"
		exit 1
	fi
	rm -f "$log"
}

# build PRESET: configured once, then incremental.
build() {
	local preset=$1 log
	[ -e "$top/build/$preset/build.ninja" ] || say "configuring build/$preset"
	log=$(mktemp)
	if ! { cd "$top" && { [ -e "build/$preset/build.ninja" ] || cmake --preset "$preset"; } && cmake --build "build/$preset"; } >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		say "the build failed; the whole log is in $log"
		exit 1
	fi
	rm -f "$log"
}
