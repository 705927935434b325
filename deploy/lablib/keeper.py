"""The keeper: the one process of a lab that holds its devices (umockdev testbeds live as long as their process), changes its
cables and GPUs, and takes everything away at its end."""

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import time
import uuid

from . import bed, gpus, hosts, network
from .cleanup import clean
from .errors import LabError
from .layout import find_build, find_host

MESSAGE_MAX = 1 << 20
FIRST_INDEX = 100  # of cables; far from those of lo and of what a person adds


def cabled_pairs(names, topology):
    if topology == "pair":
        return list(zip(names[::2], names[1::2]))
    line = list(zip(names, names[1:]))
    if topology == "line":
        return line
    if topology == "ring":
        return line + [(names[0], names[-1])] if len(names) > 2 else line
    return [(a, b) for i, a in enumerate(names) for b in names[i + 1:]]


class Stopped(Exception):
    """A signal says: take it down."""


class Keeper:
    def __init__(self, layout, plan):
        self.layout = layout
        self.plan = plan
        self.beds = {}
        self.trees = {}     # host: the tree of its machine
        self.nodes = {}     # host: Popen of its tbmeshd
        self.routers = []   # Popen of each babeld
        self.bridges = {}   # host: Popen of what bridges its cables
        self.wires = {}     # index of a cable that takes its time: Popen of its two ends
        self.next_index = FIRST_INDEX
        self.stopping = False  # beside Stopped, which a callback of a library may swallow
        self.state = {"version": 1, "keeper": os.getpid(), "dir": layout.dir, "build": find_build(plan["build"]), "hosts": {},
                      "cables": []}

    # ---- set-up ----

    def build(self):
        os.makedirs(self.layout.logs, exist_ok=True)
        os.makedirs(self.layout.beds, exist_ok=True)
        os.environ["TMPDIR"] = self.layout.beds
        for number, name in enumerate(self.plan["hosts"]):
            self.add_host(name, self.plan["gpus"].get(name, gpus.default_kinds(number)))
        for a, b in cabled_pairs(self.plan["hosts"], self.plan["topology"]):
            for number in range(self.plan["cables"]):
                self.state["cables"].append({"a": self.new_end(a, b), "b": self.new_end(b, a), "number": number, "index": 0,
                                             "plugged": False, "carrier": True})
        for cable in self.state["cables"]:
            self.plug_cable(cable)
        self.save()

    def save(self):
        self.layout.write_state(self.state)

    def add_host(self, name, words):
        kinds = [gpus.kind_of(word) for word in words]
        namespace = self.layout.namespace(name)
        folder = self.layout.gpu_dir(name)
        os.makedirs(folder)
        os.makedirs(self.layout.root(name))
        hosts.configure_node(self.layout.root(name), name, self.plan["settings"])
        network.add_namespace(namespace)
        host = {"namespace": namespace, "root": self.layout.root(name), "gpu_dir": folder, "log": self.layout.node_log(name),
                "machine": "desktop" if "card" in kinds else "nuc15", "gpus": gpus.make_gpus(words, folder), "node": None}
        self.state["hosts"][name] = host
        host["routers"] = [str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.layout.dir}/{name}/{n}")) for n in range(2)]
        self.beds[name] = bed.Bed()
        host["bed"] = self.beds[name].root
        devices = bed.load_tree(host["machine"], {f"uuid{n}": u for n, u in enumerate(host["routers"])})
        self.trees[name] = devices
        self.beds[name].add(devices)
        for gpu in host["gpus"]:
            if gpu["tree"]:
                self.beds[name].add(bed.load_tree(gpu["tree"]))
        # An enclosure sits on port 1 of the first controller. Cables take the other controllers, then added ones.
        host["free_controllers"] = [1] if "egpu" in kinds else [0, 1]
        host["ports"] = 0
        self.save()

    def new_end(self, name, peer):
        """One end of a new cable: which router of the host it is on, and the port."""
        host = self.state["hosts"][name]
        if self.plan["shared_domain"]:
            domain, port = host["free_controllers"][0], 1 + 2 * host["ports"]
            host["ports"] += 1
        elif host["free_controllers"]:
            domain, port = host["free_controllers"].pop(0), 1
        else:
            domain, port = self.add_controller(name), 1
        router = next(d.path for d in self.trees[name] if d.path.endswith(f"/domain{domain}/{domain}-0"))
        return {"host": name, "peer": peer, "domain": domain, "router": router, "xdomain": f"{domain}-{port}", "interface": None}

    def add_controller(self, name):
        host = self.state["hosts"][name]
        domain = len(host["routers"])
        host["routers"].append(str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.layout.dir}/{name}/{domain}")))
        devices = bed.load_tree("controller", {"slot": f"{domain - 2:x}", "nhi": f"0000:{0x60 + domain:02x}:00.0", "number": domain,
                                               "uuid": host["routers"][domain]})
        self.trees[name] += devices
        self.beds[name].add(devices)
        return domain

    # ---- cables ----

    def free_interface(self, name):
        """As the kernel does: the lowest thunderboltN that is free."""
        taken = network.run("ip", "-n", self.state["hosts"][name]["namespace"], "-o", "link", "show")
        number = 0
        while f"thunderbolt{number}:" in taken or f"thunderbolt{number}@" in taken:
            number += 1
        return f"thunderbolt{number}"

    def plug_cable(self, cable):
        cable["index"] = self.next_index
        self.next_index += 1
        ends = [cable["a"], cable["b"]]
        for end in ends:
            end["interface"] = self.free_interface(end["host"])
        spaces = [(self.state["hosts"][end["host"]]["namespace"], end["interface"]) for end in ends]
        if self.plan["delay_us"] or self.plan["shared_rate_bps"]:
            addresses = self.add_wire(cable, spaces)
        else:
            addresses = network.add_cable(*spaces, cable["index"], self.plan["rates_bps"])
        for end, other, address in zip(ends, reversed(ends), addresses):
            self.beds[end["host"]].add(self.cable_devices(cable, end, other, address))
        cable["plugged"], cable["carrier"] = True, True

    def add_wire(self, cable, spaces):
        rates, buckets = self.plan["rates_bps"], []
        if self.plan["shared_rate_bps"]:
            rates = [self.plan["shared_rate_bps"]] * 2
            buckets = [os.path.join(self.layout.dir, f"{cable[end]['host']}-{cable[end]['domain']}.bucket") for end in ("a", "b")]
        wire, *addresses = network.add_wire(os.path.join(self.state["build"], "tests", "tbmesh-wire"), *spaces, cable["index"], rates,
                                            self.plan["delay_us"], buckets)
        self.wires[cable["index"]] = wire
        return addresses

    def cable_devices(self, cable, end, other, address):
        """Xdomain, service, interface, as that end's host has them."""
        return bed.load_tree("cable", {
            "router": end["router"], "xdomain": end["xdomain"], "peer": other["host"], "interface": end["interface"],
            "peer_uuid": self.state["hosts"][other["host"]]["routers"][other["domain"]], "index": cable["index"],
            "address": address, "up": "../" * (end["router"].count("/") + 2)})

    @staticmethod
    def xdomain_path(end):
        return f"{end['router']}/{end['xdomain']}"

    def net_path(self, end):
        return f"{self.xdomain_path(end)}/{end['xdomain']}.0/net/{end['interface']}"

    def pull_cable(self, cable):
        ends = (cable["a"], cable["b"])
        for end in ends:  # a veth end goes with its other end; without carrier, one of them is in limbo
            namespace = self.state["hosts"][end["host"]]["namespace"]
            name = network.interface_with_index(namespace, cable["index"])
            if name:
                network.delete_interface(namespace, name)
        wire = self.wires.pop(cable["index"], None)
        if wire:  # it ends with its ends
            wire.kill()
            wire.wait()
        for end in ends:
            xdomain = self.xdomain_path(end)
            self.beds[end["host"]].remove([self.net_path(end), f"{xdomain}/{end['xdomain']}.0", xdomain])
            end["interface"] = None
        cable["plugged"] = False

    def find_cables(self, a, b, number, plugged=None):
        find_host(self.state, a)
        find_host(self.state, b)
        found = [c for c in self.state["cables"] if {c["a"]["host"], c["b"]["host"]} == {a, b}
                 and (number is None or c["number"] == number)]
        if not found:
            raise LabError(f"no cable {'' if number is None else str(number) + ' '}between {a} and {b}")
        if plugged is not None:
            found = [c for c in found if c["plugged"] == plugged]
            if not found:
                raise LabError(f"between {a} and {b} it is {'pulled' if plugged else 'plugged in'} already")
        return found

    def do_cut(self, a, b, cable=None):
        for found in self.find_cables(a, b, cable, plugged=True):
            self.pull_cable(found)
        self.save()

    def do_mend(self, a, b, cable=None):
        for found in self.find_cables(a, b, cable, plugged=False):
            self.plug_cable(found)
        self.save()

    def do_carrier(self, a, b, on, cable=None):
        """A's carrier alone: B loses its interface, as when thunderbolt-net is unloaded there; the cable and the xdomains stay. (A
        veth end has carrier while its other end is up, and B's node would set that up again.)"""
        found = [c for c in self.find_cables(a, b, cable, plugged=True) if c["carrier"] != on]
        if not found:
            raise LabError(f"{a}'s carrier to {b} is {'on' if on else 'off'} already")
        if self.wires:
            raise LabError("a cable with a delay, or one of a shared rate, has no carrier of its own to lose")
        for one in found:
            near, far = (one["a"], one["b"]) if one["a"]["host"] == a else (one["b"], one["a"])
            self.switch_carrier(one, near, far, on)
        self.save()

    def switch_carrier(self, cable, near, far, on):
        limbo, stored = self.layout.namespace("limbo"), f"cable{cable['index']}"
        space = self.state["hosts"][far["host"]]["namespace"]
        if on:
            far["interface"] = self.free_interface(far["host"])
            network.move(limbo, stored, space, far["interface"], self.plan["rates_bps"][far is cable["b"]], True)
            self.beds[far["host"]].add(self.cable_devices(cable, far, near, network.mac_of(space, far["interface"]))[-1:])
        else:
            if limbo not in network.namespaces(self.layout.prefix):
                network.add_namespace(limbo)
            network.move(space, network.interface_with_index(space, cable["index"]), limbo, stored)
            self.beds[far["host"]].remove([self.net_path(far)])
            far["interface"] = None
        self.beds[near["host"]].set(self.net_path(near), "carrier", "1" if on else "0")
        cable["carrier"] = on

    def do_bridge(self, host, on):
        find_host(self.state, host)
        old = self.bridges.pop(host, None)
        if old:
            old.kill()
            old.wait()
        if on:
            ends = [c[end] for c in self.state["cables"] for end in ("a", "b") if c["plugged"]]
            self.bridges[host] = network.start_bridge(self.state["hosts"][host]["namespace"],
                                                      [e["interface"] for e in ends if e["host"] == host and e["interface"]])

    # ---- GPUs ----

    def do_unplug(self, host, gpu, how="silent"):
        """As recorded: the driver fails first, then retimer, router, and the PCI functions from the bottom up."""
        found = gpus.find_gpu(host, find_host(self.state, host), gpu)
        if not found["present"]:
            raise LabError(f"{host}: {found['kind']} is unplugged already")
        gpus.write_page(self.layout.gpu_dir(host), found["pci"], False, how)
        paths = [d.path for d in bed.load_tree(found["tree"])]
        thunderbolt = [p for p in paths if "/domain" in p]
        self.beds[host].remove(list(reversed(thunderbolt)) + [p for p in reversed(paths) if p not in thunderbolt])
        found["present"] = False
        self.save()

    def do_plug(self, host, gpu):
        found = gpus.find_gpu(host, find_host(self.state, host), gpu)
        if found["present"]:
            raise LabError(f"{host}: {found['kind']} is plugged in already")
        gpus.write_page(self.layout.gpu_dir(host), found["pci"], True)
        self.beds[host].add(bed.load_tree(found["tree"]))
        found["present"] = True
        self.save()

    def do_fail(self, host, gpu, how="lost"):
        """The driver fails, the device stays: as after a driver's bug. New devices of the GPU work."""
        found = gpus.find_gpu(host, find_host(self.state, host), gpu)
        gpus.write_page(self.layout.gpu_dir(host), found["pci"], found["present"], how)

    # ---- nodes ----

    def wanted_hosts(self, host):
        if host is not None:
            find_host(self.state, host)
            return [host]
        return list(self.state["hosts"])

    def make_mesh(self, names):
        """The first host makes the mesh key, the others join with it."""
        fresh = [n for n in names if not os.path.exists(os.path.join(self.state["hosts"][n]["root"], "etc", "mesh.key"))]
        cli = hosts.program(self.state, "tbmesh")
        for name in fresh:
            if self.state.get("mesh_key"):
                hosts.tell(self.state, name, cli, "join", self.state["mesh_key"])
            else:
                self.state["mesh_key"] = json.loads(hosts.tell(self.state, name, cli, "--json", "init"))["key"]

    def start_babeld(self):
        if not shutil.which("babeld"):
            raise LabError("--babeld needs Debian's babeld: apt install babeld")
        for name in self.state["hosts"]:
            self.routers.append(hosts.start_babeld(self.state, name, os.path.join(self.layout.logs, f"{name}-babeld.log")))

    def do_start(self, host=None):
        names = self.wanted_hosts(host)
        self.make_mesh(names)
        for name in names:
            self.nodes[name] = hosts.start_node(self.state, name, self.layout.node_log(name))
            self.state["hosts"][name]["node"] = self.nodes[name].pid
        self.save()

    def do_stop(self, host=None):
        for name in self.wanted_hosts(host):
            hosts.send(self.state, name, "node", signal.SIGTERM)
            until = time.monotonic() + 5
            while hosts.processes(self.state, name, "node") and time.monotonic() < until:
                self.reap()
                time.sleep(0.02)
            hosts.send(self.state, name, "node", signal.SIGKILL)
            self.state["hosts"][name]["node"] = None
        self.save()

    # ---- service ----

    def reap(self):
        for name, node in list(self.nodes.items()):
            if node.poll() is not None:
                del self.nodes[name]

    def answer(self, connection):
        connection.settimeout(10)
        data = b""
        while not data.endswith(b"\n") and len(data) < MESSAGE_MAX:
            piece = connection.recv(65536)
            if not piece:
                return True
            data += piece
        request = json.loads(data)
        words = " ".join(f"{k}={v}" for k, v in request["arguments"].items())
        print(time.strftime("%H:%M:%S"), request["command"], words, flush=True)
        if request["command"] == "down":
            connection.sendall(b'{"result": 0}\n')
            return False
        try:
            began = time.clock_gettime(time.CLOCK_MONOTONIC)
            getattr(self, "do_" + request["command"])(**request["arguments"])
            reply = {"result": began}
        except LabError as error:
            reply = {"error": str(error)}
        print("  ", json.dumps(reply), flush=True)
        connection.sendall(json.dumps(reply).encode() + b"\n")
        return True

    def serve(self, listener):
        going = True
        while going and not self.stopping:
            select.select([listener], [], [], 1)
            self.reap()
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                continue
            with connection:
                try:
                    going = self.answer(connection)
                except (OSError, ValueError) as error:  # that caller is gone or spoke nonsense; others go on
                    print("   ", error, flush=True)


def main(layout, plan, ready):
    """The keeper's whole life. ready() is called once, when it all stands."""
    layout.check_usable()
    keeper = Keeper(layout, plan)

    def stop(*_):
        keeper.stopping = True
        raise Stopped
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    os.makedirs(layout.dir, mode=0o755, exist_ok=True)
    with open(layout.lock, "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(f"a lab is up in {layout.dir}; take it down with: deploy/lab down") from None
        os.set_inheritable(lock.fileno(), False)
        try:
            keeper.build()
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
                listener.bind(layout.socket)
                listener.listen(16)
                listener.setblocking(False)
                if plan["babeld"]:
                    keeper.start_babeld()
                if plan["start"]:
                    keeper.do_start()
                ready()
                keeper.serve(listener)
        except Stopped:
            pass
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            for process in [*keeper.wires.values(), *keeper.bridges.values(), *keeper.routers]:
                process.kill()
                process.wait()
            clean(layout)
