"""What the checks use inside the guest: the cards and cables, the kernel's uevents, and the nodes under test."""

import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

BIN = os.path.join(os.environ["TBMESH_BUILD"], "bin")
ROOT = "/run/nodes"
PCI = "/sys/bus/pci/devices"
WAIT_S = 30  # software emulation on a busy machine; a check that measures says so itself
QUIET_S = 0.3
SETTLE_S = 180  # udev takes its time for a storm
SO_RCVBUFFORCE = 33
LAST_WORDS = 40  # lines of a node's log behind a failure
UEVENT_FAMILY, KERNEL_GROUP, UDEV_GROUP = 15, 1, 2  # linux/netlink.h NETLINK_KOBJECT_UEVENT; libudev's monitor

PORTS = {"port0": "0000:00:03.0", "port1": "0000:00:04.0"}  # kernellib/machine.py
INTERNAL = "0000:00:07.0"
CONTROLLERS = ["0000:00:05.0", "0000:00:06.0"]


class Wrong(Exception):
    """A check failed."""


def require(holds, text):
    if not holds:
        raise Wrong(text)


def eventually(question, what, timeout_s=WAIT_S):
    """Asks until the answer is true; returns it."""
    until, pause_s = time.monotonic() + timeout_s, 0.02
    while True:
        answer = question()
        if answer:
            return answer
        require(time.monotonic() < until, f"not within {timeout_s} s: {what}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.5)  # questions cost the emulated processor a lot


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


# ---- the machine outside ----

class Host:
    """QMP commands and words to kernellib/machine.py, over the second serial port."""

    def __init__(self, path="/dev/ttyS1"):
        subprocess.run(["stty", "-F", path, "raw", "-echo"], check=True)
        self.port = open(path, "r+b", buffering=0)

    def tell(self, word, value):
        self.port.write(json.dumps({word: value}).encode() + b"\n")

    def execute(self, command, **arguments):
        self.port.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            line += self.port.read(1)
        answer = json.loads(line)
        if "error" in answer:
            raise Wrong(f"QEMU: {command} {arguments}: {answer['error']['desc']}")
        return answer["return"]


# PCI Express: the capability's number, slot control in it, and that register's bits (linux/pci_regs.h).
PCIE_CAPABILITY, CAPABILITY_LIST, SLOT_CONTROL = 0x10, 0x34, 0x18
SLOT_POWER_BITS, SLOT_POWER_OFF, SLOT_POWER_ON, SLOT_INTERRUPT = 0x0700, 0x0700, 0x0100, 0x0020


def slot_control(port, value=None):
    """Reads the slot control register of a port, or writes the bits of power, power indicator and interrupt there."""
    with open(f"{PCI}/{PORTS[port]}/config", "r+b" if value is not None else "rb", buffering=0) as file:
        config = file.read(256)
        at = config[CAPABILITY_LIST]
        while config[at] != PCIE_CAPABILITY:
            at = config[at + 1]
        before = int.from_bytes(config[at + SLOT_CONTROL:at + SLOT_CONTROL + 2], "little")
        if value is not None:
            file.seek(at + SLOT_CONTROL)
            file.write((before & ~(SLOT_POWER_BITS | SLOT_INTERRUPT) | value).to_bytes(2, "little"))
        return before


class Hardware:
    def __init__(self, host):
        self.host, self.count = host, 0

    def plug(self, port):
        """A card behind that port. Returns QEMU's name for it, as soon as it is in; the kernel comes to know it. Not before the kernel
        has switched the slot off, which it does for a second behind a removal: QEMU takes that as a card's end, whatever card."""
        self.count += 1
        eventually(lambda: slot_control(port) & SLOT_POWER_BITS == SLOT_POWER_OFF, f"the slot of {port} is off")
        name = f"card{self.count}"
        self.host.execute("device_add", driver="secondary-vga", id=name, bus=port)
        return name

    def press(self, name):
        """The attention button of its slot: the kernel unbinds the driver, powers the slot down, and the card is out."""
        self.host.execute("device_del", id=name)

    def pull(self, port):
        """Tears out what is behind that port, with its driver bound: QEMU takes the card out when the slot's power goes off, which
        happens here while the kernel is not told (no interrupt); then it is, and finds that nothing is present."""
        slot_control(port, SLOT_POWER_OFF)
        slot_control(port, SLOT_POWER_ON | SLOT_INTERRUPT)

    @staticmethod
    def cards(port=None):
        """PCI addresses of the display functions (behind a port)."""
        found = []
        for path in sorted(glob.glob(f"{PCI}/*")):
            try:
                display, where = read(f"{path}/class").startswith("0x03"), os.readlink(path)
            except OSError:
                continue  # it went meanwhile
            if display and (port is None or f"/{PORTS[port]}/" in where):
                found.append(os.path.basename(path))
        return found

    def card(self, port):
        """Plugs one in and waits until the kernel has it, with its driver; its address."""
        self.plug(port)
        return eventually(lambda: next((c for c in self.cards(port) if glob.glob(f"{PCI}/{c}/drm/card*")), None),
                          f"a card with a driver behind {port}")

    def empty(self, port):
        eventually(lambda: not self.cards(port), f"no card behind {port}")


def thunderbolt(command):
    """guest/fake_thunderbolt.c tells the commands."""
    with open("/dev/fake-thunderbolt", "wb", buffering=0) as control:
        control.write(command.encode())


def removed_ns():
    """When the kernel was about to send the last router's remove uevent; both clocks are CLOCK_MONOTONIC."""
    with open("/dev/fake-thunderbolt", "rb", buffering=0) as control:
        return int(control.read(64))


def waited_ns(process):
    """How long that process's first thread has waited for a processor so far."""
    return int(read(f"/proc/{process.pid}/task/{process.pid}/schedstat").split()[1])


def routers(domain):
    """Names of the routers and hosts in that domain but the own one."""
    return [os.path.basename(p) for p in glob.glob(f"/sys/bus/thunderbolt/devices/{domain}-*")
            if not p.endswith("-0") and "." not in os.path.basename(p)]


class Uevents:
    """The kernel's own uevents, with the time at which they were heard here, and which of them udev has told on."""

    def __init__(self):
        self.heard = []  # (monotonic_ns, action, path, subsystem)
        self.kernel, self.udev = set(), set()  # their numbers
        for group, hear in ((KERNEL_GROUP, self.hear_kernel), (UDEV_GROUP, self.hear_udev)):
            threading.Thread(target=self.listen, args=(self.open(group), hear), daemon=True).start()

    @staticmethod
    def open(group):
        listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, UEVENT_FAMILY)
        listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        listener.bind((0, group))
        return listener

    @staticmethod
    def listen(listener, hear):
        while True:
            data, now = listener.recv(16384), time.monotonic_ns()
            pairs = (p.split("=", 1) for p in data.decode(errors="replace").split("\0") if "=" in p)
            event = dict(pairs)
            if "SEQNUM" in event:  # cases.flood()'s have none
                hear(now, event)

    def hear_kernel(self, now, event):
        self.heard.append((now, event["ACTION"], event["DEVPATH"], event["SUBSYSTEM"]))
        self.kernel.add(int(event["SEQNUM"]))

    def hear_udev(self, _, event):
        self.udev.add(int(event["SEQNUM"]))

    def settle(self):
        """Until udev has told all that the kernel told, and the nodes have had a moment to take it in."""
        before = -1
        while before != (before := int(read("/sys/kernel/uevent_seqnum"))):
            eventually(lambda: self.kernel <= self.udev, "udev has told all", SETTLE_S)
            time.sleep(QUIET_S)

    def mark(self):
        return len(self.heard)

    def wait(self, mark, action, subsystem, end, timeout_s=WAIT_S):
        """When the first of that kind behind the mark was heard whose path ends so."""
        def there():
            return next((e[0] for e in self.heard[mark:] if e[1] == action and e[3] == subsystem and e[2].endswith(end)), None)
        return eventually(there, f"the kernel's uevent {action} {subsystem} {end}", timeout_s)


# ---- nodes ----

class Node:
    def __init__(self, name, namespace=None, **config):
        self.name, self.root = name, f"{ROOT}/{name}"
        self.inside = ["ip", "netns", "exec", namespace] if namespace else []
        self.process = self.follower = None
        self.events, self.log, self.said = [], f"{ROOT}/{name}.log", 0
        os.makedirs(f"{self.root}/etc")
        write(f"{self.root}/etc/tbmesh.conf", "".join(f"{key} = {value}\n" for key, value in {"name": name, **config}.items()))

    def run(self, *words):
        return subprocess.run([f"{BIN}/tbmesh", "--root", self.root, *words], capture_output=True, text=True, timeout=60, check=False)

    def ask(self, *words):
        done = self.run("--json", *words)
        require(done.returncode in (0, 4), f"tbmesh {' '.join(words)}: exit {done.returncode} {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.inside, f"{BIN}/tbmeshd", "--root", self.root, "-v", "-v"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        eventually(lambda: self.run("status").returncode == 0, f"node {self.name} answers")
        self.follower = subprocess.Popen([f"{BIN}/tbmesh", "--root", self.root, "--json", "events", "--follow", "--since",
                                          str(self.last())], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.follow, args=(self.follower,), daemon=True).start()

    def follow(self, follower):
        for line in follower.stdout:
            event = json.loads(line)
            if "number" not in event:  # that a node which was started anew has not kept what was before
                continue
            event["heard_ns"] = time.monotonic_ns()
            self.events.append(event)

    def stop(self, number=signal.SIGTERM):
        if self.follower:
            self.follower.kill()
            self.follower.wait()
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)

    def last(self):
        """Number of the last event heard of."""
        return self.events[-1]["number"] if self.events else 0

    def wait(self, mark, kind, subject="", **fields):
        """The first such event behind the mark."""
        def there():
            return next((e for e in list(self.events) if e["number"] > mark and e["type"] == kind and e["subject"].endswith(subject) and
                         all(e["fields"].get(k) == v for k, v in fields.items())), None)
        return eventually(there, f"event {kind} {subject} {fields or ''}")

    def behind(self, mark, *kinds):
        """Events of these types behind the mark so far: [(type, PCI address or subject)]."""
        return [(e["type"], e["subject"].rpartition("pci-")[2]) for e in list(self.events) if e["number"] > mark and e["type"] in kinds]

    def gpus(self):
        """{PCI address: GPU} of this host, those that are there."""
        return {g["pci_address"]: g for g in self.ask("gpus").get("gpus", []) if g["state"] != "gone" and g["pci_address"]}

    def must_show_the_truth(self):
        eventually(lambda: sorted(self.gpus()) == Hardware.cards(), "the node's GPUs are those of sysfs")

    def last_words(self):
        """What it said since the last time."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            file.seek(self.said)
            lines = file.read().splitlines()
            self.said = file.tell()
        return lines[-LAST_WORDS:]


def clean():
    shutil.rmtree(ROOT, ignore_errors=True)
    os.makedirs(ROOT)
