"""The checks, in their order."""

import glob
import os
import signal
import socket
import struct
import subprocess
import time

from field import (CONTROLLERS, INTERNAL, KERNEL_GROUP, PCI, PORTS, UDEV_GROUP, UEVENT_FAMILY, Hardware, Node, Uevents, clean,
                   eventually, read, removed_ns, require, routers, thunderbolt, waited_ns, write)

# From a uevent's arrival at the node's socket until the GPU's executors are killed and the event is told. Counted from a moment before the
# kernel sends it, less what the node waited for one of the emulator's processors.
FENCE_NS = 5000000
BOX, TWIN = "router 0-1 0x4242 ACME Box", "router 1-1 0x4243 ACME Twin"  # enclosures at port0, with one card, and port1, with two
GPU_EVENTS = ("Connected", "Disconnected")


def ms(ns):
    return f"{ns / 1e6:.1f} ms"


class Field:
    """The node under test, a peer at the end of a cable, and all that can be plugged."""

    def __init__(self, host):
        clean()
        self.hardware = Hardware(host)
        self.uevents = Uevents()
        self.alpha = Node("alpha")
        key = self.alpha.ask("init")["key"]
        subprocess.run("ip netns add far && ip link set far0 netns far && ip -n far link set lo up", shell=True, check=True)
        self.beta = Node("beta", "far", devices="null", interface="far0")
        self.beta.run("join", key)
        thunderbolt(TWIN)
        thunderbolt(BOX)
        self.uevents.settle()
        self.alpha.start()
        self.nodes = [self.alpha]

    def mark(self):
        """Behind all that has happened."""
        self.uevents.settle()
        return self.alpha.last()

    def told(self, mark):
        """What came and went behind the mark, once nothing is under way any more: [(type, PCI address)]."""
        self.uevents.settle()
        return self.alpha.behind(mark, *GPU_EVENTS)

    def disconnected(self, mark, address, **fields):
        return self.alpha.wait(mark, "Disconnected", address, **fields)

    def pulled_once(self, mark, addresses):
        """One Disconnected for each of these, for nothing else, and then no more."""
        for address in addresses:
            self.disconnected(mark, address)
        self.alpha.must_show_the_truth()
        told = self.told(mark)
        require(sorted(told) == sorted(("Disconnected", a) for a in addresses), f"told: {told}, pulled: {addresses}")

    def enclosed(self, address, enclosure):
        """Until the node says so of that GPU."""
        return eventually(lambda: (g := self.alpha.gpus().get(address)) and g["enclosure"] == enclosure and g,
                          f"{address} is in '{enclosure}'")

    def drm_nodes(self, address):
        gpu = self.alpha.gpus().get(address)
        return gpu["drm_nodes"] if gpu else None

    def have_card(self):
        """A card in the box at port0, whatever was before; its address."""
        if routers(0) != ["0-1"]:
            for name in routers(0):
                thunderbolt(f"remove {name}")
            thunderbolt(BOX)
        cards = self.hardware.cards("port0")
        address = cards[0] if cards else self.hardware.card("port0")
        self.enclosed(address, "ACME Box")
        return address

    def recover(self):
        """After a failure: the node runs, and knows what there is."""
        if self.alpha.process.poll() is not None:
            self.alpha.start()
        else:
            self.alpha.process.send_signal(signal.SIGCONT)
        write("/sys/bus/pci/rescan", "1")

    def last_words(self):
        return "\n".join(f"  {n.name} | {line}" for n in self.nodes for line in n.last_words())

    def stop(self):
        for node in self.nodes:
            node.stop()


# ---- cards that come and go in peace ----

def cold_plugged(f):
    """cards that were there before the node: the host's own is none of a cable's, those behind two switches are in their enclosure"""
    f.alpha.must_show_the_truth()
    gpus = f.alpha.gpus()
    nested = f.hardware.cards("port1")
    require(len(nested) == 2, f"two cards behind port1: {nested}")
    require(sorted(gpus) == sorted([INTERNAL, *nested]), f"GPUs: {sorted(gpus)}")
    require(not gpus[INTERNAL]["egpu"], "the internal card is no eGPU")
    for address in nested:
        gpu = f.enclosed(address, "ACME Twin")
        require(gpu["egpu"] and gpu["tb_version"] == "TB4" and gpu["tb_link"] == "2 x 20.0 Gb/s", f"{gpu}")
    for address, gpu in gpus.items():
        nodes = sorted("/dev/dri/" + os.path.basename(p) for p in glob.glob(f"{PCI}/{address}/drm/card*"))
        require(nodes and sorted(gpu["drm_nodes"]) == nodes, f"DRM nodes of {address}: {gpu['drm_nodes']}, sysfs has {nodes}")
    told = f.told(0)
    require(sorted(told) == sorted(("Connected", a) for a in gpus), f"told: {told}")


def hot_added(f):
    """a card that is plugged in: one Connected, with its enclosure, and its DRM node follows"""
    mark, seen = f.mark(), f.uevents.mark()
    address = f.hardware.card("port0")
    require(read(f"{PCI}/{address}/removable") == "removable", "the kernel's `removable`")
    event = f.alpha.wait(mark, "Connected", address, enclosure="ACME Box", egpu="true", tb_version="TB4")
    eventually(lambda: f.drm_nodes(address), "a DRM node")
    require(f.told(mark) == [("Connected", address)], "one event")
    f.alpha.must_show_the_truth()
    return f"{ms(event['monotonic_ns'] - f.uevents.wait(seen, 'add', 'pci', address))} behind the kernel's uevent"


def driver_unbound(f):
    """a driver that lets go of its card: no Disconnected, the DRM node goes, and comes back with the driver"""
    address = f.have_card()
    mark, name = f.mark(), os.path.basename(os.path.realpath(f"{PCI}/{address}/driver"))
    write(f"/sys/bus/pci/drivers/{name}/unbind", address)
    eventually(lambda: f.drm_nodes(address) == [], "no DRM node")
    write(f"/sys/bus/pci/drivers/{name}/bind", address)
    eventually(lambda: f.drm_nodes(address), "a DRM node")
    require(f.told(mark) == [], "no GPU came or went")


def soft_removed(f):
    """`echo 1 > remove` on a card and on a switch with two, then a rescan: one Disconnected and one Connected each"""
    address, nested = f.have_card(), f.hardware.cards("port1")
    switch = os.path.realpath(f"{PCI}/{nested[0]}").split(f"/{PORTS['port1']}/")[1].split("/")[0]
    mark = f.mark()
    write(f"{PCI}/{address}/remove", "1")
    write(f"{PCI}/{switch}/remove", "1")
    f.pulled_once(mark, [address, *nested])
    mark = f.mark()
    write("/sys/bus/pci/rescan", "1")
    for one in (address, *nested):
        f.alpha.wait(mark, "Connected", one)
    f.alpha.must_show_the_truth()
    told = f.told(mark)
    require(sorted(told) == sorted(("Connected", a) for a in (address, *nested)), f"told: {told}")


def orderly_removed(f):
    """the attention button: one Disconnected"""
    if f.hardware.cards("port0"):
        f.hardware.pull("port0")
        f.hardware.empty("port0")
    name = f.hardware.plug("port0")
    address = eventually(lambda: next(iter(f.hardware.cards("port0")), None), "a card")
    f.enclosed(address, "ACME Box")
    mark = f.mark()
    f.hardware.press(name)
    f.pulled_once(mark, [address])


# ---- torn out ----

def surprise_removed(f):
    """a card torn out with its driver bound, its DRM node open: one Disconnected"""
    address = f.have_card()
    mark, seen = f.mark(), f.uevents.mark()
    with open(eventually(lambda: glob.glob(f"/dev/dri/by-path/pci-{address}-card") or glob.glob("/dev/dri/card1"), "a node")[0], "rb"):
        f.hardware.pull("port0")
        event = f.disconnected(mark, address)
        f.pulled_once(mark, [address])
    first = min(t for t, action, path, subsystem in f.uevents.heard[seen:] if action == "remove" and address in path)
    return f"{ms(event['monotonic_ns'] - first)} behind the kernel's first uevent, fenced after {event['fields']['fenced_us']} us"


def thunderbolt_first(f):
    """its enclosure leaves, then the card: one Disconnected, at the router's uevent, ahead of pci's"""
    behind, waits, fenced = [], [], []
    for _ in range(5):
        address = f.have_card()
        mark, waited = f.mark(), waited_ns(f.alpha.process)
        thunderbolt("remove 0-1")
        event = f.disconnected(mark, address, sign="thunderbolt")
        waited = waited_ns(f.alpha.process) - waited  # some of it behind the event, when it had been told
        require(address in f.hardware.cards("port0"), "the card is still there for the kernel")
        fenced.append(int(event["fields"]["fenced_us"]))
        behind.append(event["monotonic_ns"] + fenced[-1] * 1000 - removed_ns())
        waits.append(waited)
        thunderbolt(BOX)
        eventually(lambda: f.alpha.gpus().get(address), "it is back")
    address = f.have_card()
    mark = f.mark()
    thunderbolt("remove 0-1")
    f.disconnected(mark, address, sign="thunderbolt")
    f.hardware.pull("port0")
    f.hardware.empty("port0")
    f.pulled_once(mark, [address])
    own = [total - min(total, wait) for total, wait in zip(behind, waits)]
    require(min(own) < FENCE_NS, f"fenced {', '.join(map(ms, behind))} behind the kernel's uevent, of which it waited {waits} ns")
    return (f"fenced {', '.join(map(ms, behind))} behind the kernel's uevent, with up to {', '.join(map(ms, waits))} of waiting for a "
            f"processor; {', '.join(map(str, fenced))} us since it was read")


def ambiguous(f):
    """two enclosures that fit: one leaves and no GPU is fenced; the card is pulled and pci's uevent tells"""
    def plugged():
        for name in routers(0):
            thunderbolt(f"remove {name}")
        if f.hardware.cards("port0"):
            f.hardware.pull("port0")
            f.hardware.empty("port0")
        thunderbolt(BOX)
        thunderbolt("router 0-3 0x4244 ACME Other")
        f.uevents.settle()
        address = f.hardware.card("port0")
        f.enclosed(address, "ambiguous")
        return address, f.mark()
    address, mark = plugged()
    thunderbolt("remove 0-3")
    f.enclosed(address, "ACME Box")
    require(f.told(mark) == [], "no GPU came or went")
    address, mark = plugged()
    thunderbolt("remove 0-1")
    f.hardware.pull("port0")
    event = f.disconnected(mark, address)
    require(event["fields"]["sign"] in ("pci", "drm"), f"{event}")
    f.pulled_once(mark, [address])
    thunderbolt("remove 0-3")


def link_trained(f):
    """a link that trains to one lane: LinkSpeedChanged"""
    address = f.have_card()
    mark = f.mark()
    thunderbolt("lanes 0-1 1")
    f.alpha.wait(mark, "LinkSpeedChanged", address, before="2 x 20.0 Gb/s", now="1 x 20.0 Gb/s")
    thunderbolt("lanes 0-1 2")
    f.alpha.wait(mark, "LinkSpeedChanged", address, now="2 x 20.0 Gb/s")


# ---- too fast, too much ----

def rapid(f):
    """plugged and pulled within 50 ms, both ways round, cards and enclosures: the end is the truth"""
    address = f.have_card()
    spans = []
    for _ in range(5):
        began = time.monotonic_ns()
        write(f"{PCI}/{address}/remove", "1")
        write("/sys/bus/pci/rescan", "1")
        spans.append(time.monotonic_ns() - began)
    eventually(lambda: f.drm_nodes(address), "it is there, with its driver")
    f.uevents.settle()
    f.alpha.must_show_the_truth()
    require(address in f.alpha.gpus(), "it ends plugged in")
    for _ in range(5):
        began = time.monotonic_ns()
        thunderbolt("remove 0-1")
        thunderbolt(BOX)
        spans.append(time.monotonic_ns() - began)
    eventually(lambda: address in f.alpha.gpus(), "the card in an enclosure that is back")
    for _ in range(5):
        began = time.monotonic_ns()
        write("/sys/bus/pci/rescan", "1")
        write(f"{PCI}/{address}/remove", "1")
        spans.append(time.monotonic_ns() - began)
    f.uevents.settle()
    f.alpha.must_show_the_truth()
    require(address not in f.alpha.gpus(), "it ends pulled out")
    write("/sys/bus/pci/rescan", "1")
    f.alpha.must_show_the_truth()
    spans.sort()
    return f"{ms(spans[0])} to {ms(spans[-1])} from one to the other"


def storm(f):
    """1,000 uevents in a second, and a cable pulled in the middle of it: told at once"""
    address = f.have_card()
    mark, seen = f.mark(), f.uevents.mark()
    began = time.monotonic_ns()
    thunderbolt("storm 1-1 1000")
    thunderbolt("remove 0-1")
    took = time.monotonic_ns() - began
    event = f.disconnected(mark, address, sign="thunderbolt")
    late = event["monotonic_ns"] - f.uevents.wait(seen, "remove", "thunderbolt", "/0-1")
    f.hardware.pull("port0")
    f.hardware.empty("port0")
    f.pulled_once(mark, [address])
    return f"1,000 in {ms(took)}; {ms(late)} behind the kernel's uevent"


def drops(process):
    """How many messages the kernel could not give to each of that process's sockets for uevents."""
    inodes = {os.readlink(p)[8:-1] for p in glob.glob(f"/proc/{process.pid}/fd/*") if os.readlink(p).startswith("socket:[")}
    with open("/proc/net/netlink", encoding="ascii") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return [int(row[8]) for row in rows if row[9] in inodes and row[1] == str(UEVENT_FAMILY)]


def murmur(text):
    """libudev's filters hash names so: MurmurHash2, seed 0."""
    m, h = 0x5bd1e995, len(text)
    while len(text) >= 4:
        k = int.from_bytes(text[:4], "little") * m & 0xffffffff
        h = (h * m & 0xffffffff) ^ ((k ^ k >> 24) * m & 0xffffffff)
        text = text[4:]
    if text:
        h = (h ^ int.from_bytes(text, "little")) * m & 0xffffffff
    h = (h ^ h >> 13) * m & 0xffffffff
    return h ^ h >> 15


def flood(process):
    """Fills the node's sockets until messages are lost in each. The messages are as udev's (struct udev_monitor_netlink_header:
    magic, sizes, hashes of subsystem, devtype and tags) and mean nothing."""
    properties = b"ACTION=change\0DEVPATH=/bus/thunderbolt\0SUBSYSTEM=thunderbolt\0FILL=" + b"x" * 3000 + b"\0"
    header = b"libudev\0" + struct.pack(">I", 0xfeedcafe) + struct.pack("=III", 40, 40, len(properties)) + \
        struct.pack(">IIII", murmur(b"thunderbolt"), 0, 0, 0)
    sent = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, UEVENT_FAMILY) as out:
        while not all(drops(process)):
            for _ in range(100):
                for group in (KERNEL_GROUP, UDEV_GROUP):
                    out.sendto(header + properties, (0, group))
            sent += 100
            require(sent < 20000, "the node's sockets take no end of messages")


def lost_messages(f):
    """a node that is too slow and loses uevents, a card pulled and another left meanwhile: it looks at everything again"""
    address = f.have_card()
    mark = f.mark()
    f.alpha.process.send_signal(signal.SIGSTOP)
    try:
        flood(f.alpha.process)
        f.hardware.pull("port0")
        f.hardware.empty("port0")
        f.uevents.settle()
    finally:
        f.alpha.process.send_signal(signal.SIGCONT)
    f.pulled_once(mark, [address])
    lost = drops(f.alpha.process)
    require(lost and all(lost), "messages were lost")
    return f"{' and '.join(map(str, lost))} lost"


def suspended(f):
    """a card that sleeps is not woken by a node that starts, by its questions, nor by a storm"""
    address = f.have_card()
    name = os.path.basename(os.path.realpath(f"{PCI}/{address}/driver"))
    write(f"/sys/bus/pci/drivers/{name}/unbind", address)
    power = f"{PCI}/{address}/power"
    write(f"{power}/control", "auto")
    eventually(lambda: read(f"{power}/runtime_status") == "suspended", f"{address} sleeps")
    awake_ms = read(f"{power}/runtime_active_time")
    f.alpha.stop()
    f.alpha.start()
    f.enclosed(address, "ACME Box")
    thunderbolt("storm 0-1 20")
    f.alpha.must_show_the_truth()
    for words in (("gpus",), ("gpu", address), ("status",), ("doctor",), ("thunderbolt",)):
        f.alpha.run(*words)
    time.sleep(3)  # the node looks at everything again 2.5 s behind the last event
    require(read(f"{power}/runtime_status") == "suspended", "it still sleeps")
    after_ms = read(f"{power}/runtime_active_time")
    require(after_ms == awake_ms, f"it was awake for {awake_ms} ms before, {after_ms} ms after")
    write(f"{power}/control", "on")
    write(f"/sys/bus/pci/drivers/{name}/bind", address)


def restarted(f):
    """a node that is killed; cards change; it starts again and shows the truth"""
    f.have_card()
    f.alpha.stop(signal.SIGKILL)
    f.hardware.pull("port0")
    f.hardware.empty("port0")
    f.alpha.start()
    f.alpha.must_show_the_truth()


# ---- peers ----

def peer(f):
    """a host at the other end of a cable: LinkUp on its interface, LinkDown when it is pulled, again with a new one"""
    f.nodes.append(f.beta)
    f.beta.start()
    times = []
    for name in ("1-3", "1-5"):
        mark, seen = f.mark(), f.uevents.mark()
        thunderbolt(f"xdomain {name} beta")
        up = f.alpha.wait(mark, "LinkUp", peer="beta", domain=CONTROLLERS[1])
        interface = up["fields"]["interface"]
        appeared = f.uevents.wait(seen, "add", "net", f"/{interface}")
        link = next(x for x in f.alpha.ask("links")["links"] if x["interface"] == interface)
        require(link["peer_name"] == "beta" and link["state"] == "up", f"{link}")
        mark, seen = f.mark(), f.uevents.mark()
        thunderbolt(f"remove {name}")
        down = f.alpha.wait(mark, "LinkDown", peer="beta")
        removed = f.uevents.wait(seen, "remove", "net", f"/{interface}")
        times.append(f"up {ms(up['monotonic_ns'] - appeared)}, down {ms(down['monotonic_ns'] - removed)} behind the uevent")
        f.alpha.wait(mark, "PeerDown")
    require(f.told(mark) == [], "no GPU came or went")
    return "; ".join(times)


# ---- the last: what it pulls cannot be put back ----

def nested_pulled(f):
    """two cards below nested switches torn out with their enclosure: one Disconnected each, the others stay"""
    address, nested = f.have_card(), f.hardware.cards("port1")
    mark = f.mark()
    thunderbolt("remove 1-1")
    f.hardware.pull("port1")
    for one in nested:
        event = f.disconnected(mark, one, sign="thunderbolt")
        require(event["fields"].get("enclosure") == "ACME Twin", f"{event}")
    f.hardware.empty("port1")
    f.pulled_once(mark, nested)
    require(sorted(f.alpha.gpus()) == sorted([INTERNAL, address]), "the others stay")


CASES = [cold_plugged, hot_added, driver_unbound, soft_removed, orderly_removed, surprise_removed, thunderbolt_first, ambiguous,
         link_trained, rapid, storm, lost_messages, suspended, restarted, peer, nested_pulled]
