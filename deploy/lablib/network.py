"""Namespaces as hosts, veth pairs as cables. Both ends of a cable have the same interface index: with unequal ones the kernel reports
a carrier change at once, on real interfaces up to a second late (linkwatch)."""

import ctypes
import os
import re
import subprocess
import sys

from .errors import LabError

NETNS_DIR = "/run/netns"
CLONE_NEWNET = 0x40000000
BURST_MIN, BURST_MAX = 128 << 10, 1 << 20  # a larger burst lets short probes read above the rate
# Looked up here: enter() runs in forked children, where a lock of the dynamic linker may be held for good by another thread.
SETNS = ctypes.CDLL(None, use_errno=True).setns


def run(*words, check=True):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise LabError(f"`{' '.join(words)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def enter(namespace):
    """Moves the calling process into that network namespace."""
    fd = os.open(os.path.join(NETNS_DIR, namespace), os.O_RDONLY | os.O_CLOEXEC)
    try:
        if SETNS(fd, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise LabError(f"cannot enter the namespace {namespace}: {os.strerror(number)}")
    finally:
        os.close(fd)


def inside(namespace, command):
    """The words that become that command in that network namespace."""
    return ["nsenter", f"--net={os.path.join(NETNS_DIR, namespace)}", "--", *command]


def write_inside(namespace, values):
    """Writes files of /proc/sys as seen from inside. In a child: a process's own view follows its namespace."""
    child = os.fork()
    if child == 0:
        try:
            enter(namespace)
            for path, value in values:
                try:
                    with open(path, "w", encoding="ascii") as file:
                        file.write(value)
                except OSError as error:  # an older kernel, or read-only: the lab works without, but less like a real host
                    print(f"{namespace}: {path}: {error.strerror}", flush=True)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def namespaces(prefix):
    names = os.listdir(NETNS_DIR) if os.path.isdir(NETNS_DIR) else []
    return sorted(n for n in names if n.startswith(prefix) and "-" not in n[len(prefix):])


def add_namespace(name):
    run("ip", "netns", "add", name)
    write_inside(name, [
        ("/proc/sys/net/unix/max_dgram_qlen", "1024"),  # umockdev's uevents come through a datagram socket
        ("/proc/sys/net/ipv6/conf/all/accept_dad", "0"),
        ("/proc/sys/net/ipv6/conf/default/accept_dad", "0"),
        ("/proc/sys/net/ipv6/conf/default/dad_transmits", "0"),
    ])
    run("ip", "-n", name, "link", "set", "lo", "up")


def delete_namespace(name):
    run("ip", "netns", "del", name, check=False)


def pids_in(namespace):
    out = run("ip", "netns", "pids", namespace, check=False)
    return [int(word) for word in out.split()]


def parse_rate(text):
    """Bits a second of "8gbit", "200mbit", "1000000"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:bit)?", text.strip().lower())
    if not match or float(match[1]) <= 0:
        raise LabError(f"'{text}' is no rate; write for example 8gbit or 200mbit")
    return int(float(match[1]) * {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}[match[2]])


def parse_rates(text):
    """"8gbit" both ways, or "8gbit/2gbit": what the first host of a cable sends, and the second."""
    words = text.split("/")
    if len(words) > 2:
        raise LabError(f"'{text}' is no rate; write for example 8gbit, or 8gbit/2gbit for each way its own")
    return [parse_rate(words[0]), parse_rate(words[-1])]


def shape(namespace, interface, rate_bps):
    burst = max(BURST_MIN, min(BURST_MAX, rate_bps // 8 // 200))
    run("tc", "-n", namespace, "qdisc", "add", "dev", interface, "root", "tbf", "rate", f"{rate_bps}bit", "burst", f"{burst}b",
        "latency", "20ms")


def add_cable(end_a, end_b, index, rates_bps):
    """end: (namespace, interface). Both come up; returns their MAC addresses."""
    (space_a, name_a), (space_b, name_b) = end_a, end_b
    run("ip", "-n", space_a, "link", "add", name_a, "index", str(index), "type", "veth", "peer", "name", name_b, "netns", space_b,
        "index", str(index))
    for (space, name), rate_bps in zip((end_a, end_b), rates_bps):
        if rate_bps:
            shape(space, name, rate_bps)
        run("ip", "-n", space, "link", "set", name, "up")
    return mac_of(space_a, name_a), mac_of(space_b, name_b)


def add_wire(program, end_a, end_b, index, rates_bps, delay_us, buckets):
    """A cable that takes its time (tests/lab/wire.c). Its process and the MAC addresses."""
    words = [program, *end_a, *end_b, str(index), str(delay_us), *map(str, rates_bps), *buckets]
    wire = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if wire.stdout.readline() != "ready\n":
        wire.kill()
        wire.wait()
        raise LabError(f"`{' '.join(words)}` failed; the keeper's log tells why")
    for space, name in (end_a, end_b):
        run("ip", "-n", space, "link", "set", name, "up")
    return wire, mac_of(*end_a), mac_of(*end_b)


def start_bridge(namespace, interfaces):
    program = os.path.join(os.path.dirname(os.path.realpath(__file__)), "bridge.py")
    bridge = subprocess.Popen(inside(namespace, [sys.executable, program, *interfaces]), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True)
    if len(interfaces) < 2 or bridge.stdout.readline() != "ready\n":
        bridge.kill()
        bridge.wait()
        raise LabError(f"cannot bridge {' and '.join(interfaces) or 'nothing'}: it takes two cables; the keeper's log tells more")
    return bridge


def mac_of(namespace, interface):
    out = run("ip", "-n", namespace, "-o", "link", "show", "dev", interface)
    return re.search(r"link/ether (\S+)", out)[1]


def delete_interface(namespace, interface):
    run("ip", "-n", namespace, "link", "del", interface, check=False)


def move(namespace, interface, to_namespace, to_name, rate_bps=0, is_up=False):
    """Keeps its index, loses addresses and shaping."""
    run("ip", "-n", namespace, "link", "set", interface, "netns", to_namespace, "name", to_name)
    if rate_bps:
        shape(to_namespace, to_name, rate_bps)
    run("ip", "-n", to_namespace, "link", "set", to_name, "up" if is_up else "down")


def interface_with_index(namespace, index):
    """The interface's present name: a node or a person may have renamed it."""
    for line in run("ip", "-n", namespace, "-o", "link", "show").splitlines():
        match = re.match(r"(\d+): ([^:@]+)", line)
        if match and int(match[1]) == index:
            return match[2]
    return None
