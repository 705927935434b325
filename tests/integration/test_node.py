#!/usr/bin/python3
"""One node without a lab: its control socket against hostile clients, its restart, and the exit codes of the command line."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ.get("TBMESH_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build", "dev"))
BIN = os.path.join(os.path.realpath(BUILD), "bin")
DRIVER = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json"
OK, ERROR, USAGE, UNREACHABLE, NOT_FOUND, TIMED_OUT = 0, 1, 2, 3, 4, 5
SKIP = 77
MEBIBYTE = 1 << 20

try:
    import zmq
except ImportError:
    print("SKIP: no python3-zmq here")
    sys.exit(SKIP)
if not os.path.exists(DRIVER):
    print(f"SKIP: no Vulkan driver {DRIVER} here")
    sys.exit(SKIP)


def free_port():
    import socket
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::", 0))
        return probe.getsockname()[1]


class Node:
    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="tbmesh-")
        self.root = self.directory.name
        self.process = None
        os.makedirs(os.path.join(self.root, "etc"))
        self.configure(f"devices = null\nport = {free_port()}\n")
        self.tbmesh("init")

    def configure(self, text):
        with open(os.path.join(self.root, "etc", "tbmesh.conf"), "w", encoding="utf-8") as file:
            file.write(text)

    def tbmesh(self, *words):
        return subprocess.run([os.path.join(BIN, "tbmesh"), "--root", self.root, *words], capture_output=True, text=True, timeout=60,
                              check=False)

    def ask(self, *words):
        done = self.tbmesh("--json", *words)
        if done.returncode != OK:
            raise AssertionError(f"tbmesh {' '.join(words)}: {done.returncode} {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def daemon(self, *words):
        return [os.path.join(BIN, "tbmeshd"), "--root", self.root, "--name", "alpha", *words]

    def start(self):
        self.process = subprocess.Popen(self.daemon(), env=dict(os.environ, VK_DRIVER_FILES=DRIVER), stdin=subprocess.DEVNULL)
        if self.tbmesh("wait", "--gpus", "1", "--cpu").returncode != OK:
            raise AssertionError("the node does not come up")

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(timeout=20)

    def memory(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Control(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node()
        cls.node.start()

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()
        cls.node.directory.cleanup()

    def dealer(self):
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"ipc://{self.node.root}/run/control")
        self.addCleanup(socket.close)
        return socket

    def is_well(self):
        self.assertEqual(self.node.ask("status")["name"], "alpha")

    def test_hostile_frames(self):
        before = self.node.memory()
        socket = self.dealer()
        random.seed(7)
        nested = b""
        for _ in range(12000):  # far beyond what a recursive decoder's stack bears
            nested = b"\x0a" + bytes([len(nested) & 0x7f]) + nested[:100]
        frames = [b"", b"\x00", b"\xff" * 100, b"\x08", b"\x82\x01\xff\xff\xff\xff\x0f", nested, bytes(MEBIBYTE - 1)]
        frames += [random.randbytes(random.randrange(1, 4096)) for _ in range(500)]
        for frame in frames:
            socket.send(frame)
            socket.send_multipart([frame, b"more"])
            socket.send_multipart([b""] * 6)
        self.is_well()
        self.assertLess(self.node.memory() - before, 64 * MEBIBYTE)

    def test_oversized_frame(self):
        socket = self.dealer()
        socket.send(bytes(64 * MEBIBYTE))
        self.is_well()
        self.assertLess(self.node.memory(), 256 * MEBIBYTE)

    def test_stranger_on_the_socket(self):
        """Not ZeroMQ at all."""
        import socket
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(f"{self.node.root}/run/control")
            stranger.sendall(random.randbytes(65536))
        self.is_well()

    def test_client_that_never_reads(self):
        """Many questions, no answer taken: bounded."""
        before = self.node.memory()
        socket = self.dealer()
        socket.setsockopt(zmq.RCVHWM, 1)
        gpus = b"\x08\x01\x6a\x00"  # Request { id: 1, gpus: {} }
        for _ in range(20000):
            try:
                socket.send(gpus, zmq.DONTWAIT)
            except zmq.Again:
                break
        self.is_well()
        self.assertLess(self.node.memory() - before, 128 * MEBIBYTE)

    def test_socket_is_not_for_everybody(self):
        mode = os.stat(f"{self.node.root}/run/control").st_mode & 0o777
        self.assertEqual(mode & 0o007, 0)

    def test_published_events(self):
        """Each event is published with its number; a type is a filter; the same socket's users as the control socket's."""
        path = f"{self.node.root}/run/events"
        self.assertEqual(os.stat(path).st_mode & 0o007, 0)
        heard = {}
        for topic in (b"", b"Plugged"):
            heard[topic] = zmq.Context.instance().socket(zmq.SUB)
            self.addCleanup(heard[topic].close, 0)
            heard[topic].setsockopt(zmq.SUBSCRIBE, topic)
            heard[topic].connect(f"ipc://{path}")
        gpu = self.node.ask("gpus")["gpus"][0]["key"]

        def happens(socket, before):
            """A subscription takes its time to arrive: something happens until it is heard."""
            for _ in range(60):  # their events still fit into one answer
                self.node.ask("eject", gpu)
                self.node.ask("plug", gpu)
                if socket.poll(250):
                    return self.node.ask("events", "--since", before, "--gpu", gpu)["events"]
            self.fail("nothing was published")
        before = str(max([e["number"] for e in self.node.ask("events")["events"]], default=0))
        happens(heard[b"Plugged"], before)
        known = {e["number"]: e["type"] for e in happens(heard[b""], before)}
        for topic, types in ((b"", {"Ejected", "Plugged"}), (b"Plugged", {"Plugged"})):
            self.assertTrue(heard[topic].poll(20000))
            while heard[topic].poll(0):
                name, event = heard[topic].recv_multipart()
                if topic:
                    self.assertEqual(name, topic)
                if name.decode() not in types:
                    continue
                self.assertIn(gpu.encode(), event)
                self.assertEqual(event[0], 0x08)  # Event { number }
                number = 0
                for i, byte in enumerate(event[1:10]):
                    number |= (byte & 0x7f) << 7 * i
                    if byte < 0x80:
                        break
                self.assertEqual(known[number], name.decode())

    def test_lists(self):
        self.assertEqual(self.node.ask("peers"), {"schema": "tbmesh.peers/1", "peers": []})
        self.assertEqual(self.node.ask("links")["links"], [])
        self.assertEqual(self.node.ask("ps")["workloads"], [])
        gpu = self.node.ask("gpus")["gpus"][0]
        self.assertEqual((gpu["key"], gpu["type"], gpu["state"]), ("alpha/cpu-llvmpipe", "cpu", "active"))

    def test_exit_codes(self):
        for code, words in [(USAGE, []), (USAGE, ["bogus"]), (USAGE, ["--bogus"]), (USAGE, ["peers", "x"]), (USAGE, ["events", "--since", "x"]),
                            (USAGE, ["best", "--size", "4K"]), (USAGE, ["best", "--for", "beauty"]),
                            (USAGE, ["best", "beauty"]), (USAGE, ["best", "latency", "frames"]), (USAGE, ["best", "latency", "--fps", "60"]),
                            (USAGE, ["best", "--format"]), (USAGE, ["best", "--fps", "59.94"]), (USAGE, ["best", "--size", "0x10"]),
                            (NOT_FOUND, ["best", "frames", "--size", "3841x2161"]), (NOT_FOUND, ["ping", "-c", "1", "alpha"]),
                            (NOT_FOUND, ["ping", "-c", "1", "nobody"]), (NOT_FOUND, ["bench", "nobody"]), (USAGE, ["bench"]),
                            (USAGE, ["bench", "--dir", "sideways", "beta"]), (USAGE, ["topo", "--tree"]), (USAGE, ["wait"]), (USAGE, ["run"]),
                            (USAGE, ["run", "--gpu"]), (USAGE, ["run", "--bogus", "true"]), (NOT_FOUND, ["best"]),
                            (NOT_FOUND, ["wait", "no-such-workload", "--timeout", "1"]), (TIMED_OUT, ["wait", "--peers", "1", "--timeout", "0.3"]),
                            (NOT_FOUND, ["run", "--gpu", "no-such-gpu", "true"]), (127, ["run", "no-such-program-here"]),
                            (OK, ["--help"]), (OK, ["run", "--help"]), (OK, ["version"]), (OK, ["--version"]), (ERROR, ["init"])]:
            with self.subTest(words=words):
                done = self.node.tbmesh(*words)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertTrue(done.stdout + done.stderr)
        for words in (["events", "--type", "Conected"], ["events", "--since"], ["events", "--since", "-1"], ["events", "--host", ""],
                      ["events", "--all-hosts", "--since", "3"], ["events", "--since", "alpha:3"], ["events", "--all-hosts", "--host", "alpha"],
                      ["gpus", "x"], ["gpu"], ["gpu", ""], ["gpu", "a", "b"], ["thunderbolt", "x"], ["thunderbolt", "--host"], ["doctor", "x"]):
            with self.subTest(words=words):
                self.assertEqual(self.node.tbmesh(*words).returncode, USAGE)
                self.assertEqual(json.loads(self.node.tbmesh("--json", *words).stdout)["code"], USAGE)
        for words in (["events", "--host", "nobody"], ["events", "--host", "nobody", "--follow"], ["gpu", "nothing"],
                      ["events", "--all-hosts", "--since", "nobody:3"], ["thunderbolt", "--host", "nobody"]):
            with self.subTest(words=words):
                done = self.node.tbmesh("--json", *words)
                self.assertEqual((done.returncode, json.loads(done.stdout)["schema"]), (NOT_FOUND, "tbmesh.error/1"))
        error = self.node.tbmesh("--json", "run", "--gpu", "no-such-gpu", "true")
        self.assertEqual(json.loads(error.stdout)["schema"], "tbmesh.error/1")


    def test_output(self):
        """What cannot be written is an error; a closed output is no socket's; every document says what it is; who wants no more, ends it."""
        tbmesh = f"'{BIN}/tbmesh' --root '{self.node.root}'"

        def shell(command):
            return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        for command in ("events", "events --all-hosts", "gpus", "gpu cpu-llvmpipe", "thunderbolt", "doctor"):
            with self.subTest(command=command):
                for target in (">/dev/full", ">&-"):
                    done = shell(f"{tbmesh} {command} {target}")
                    if command.startswith("events") and not done.stderr and done.returncode == OK:
                        continue  # nothing has happened yet: nothing is written
                    self.assertEqual((done.returncode, "could not be written" in done.stderr), (ERROR, True), done.stderr)
                done = shell(f"{tbmesh} --json {command} | head -c 20")
                self.assertEqual((done.stdout[:17], done.stderr), ('{"schema":"tbmesh', ""))
                self.assertNotIn("\033", shell(f"NO_COLOR=1 script -qec \"{tbmesh} {command}\" /dev/null").stdout)
        done = self.node.tbmesh("events", "--since", "99999999")
        self.assertEqual((done.returncode, "began anew" in done.stderr), (OK, True), done.stderr)

    def test_no_permission(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        os.chmod(self.node.root, 0o755)
        for command in (["events"], ["gpus"], ["gpu", "x"], ["thunderbolt"]):
            try:
                done = subprocess.run([os.path.join(BIN, "tbmesh"), "--root", self.node.root, *command], capture_output=True, text=True,
                                      timeout=60, check=False, user=65534, group=65534, extra_groups=[])
            except PermissionError:
                self.skipTest("another user cannot enter the build's folder")
            self.assertEqual((done.returncode, "you may not use" in done.stderr), (7, True), done.stderr)


class Life(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.directory.cleanup)

    def test_no_node(self):
        done = self.node.tbmesh("status")
        self.assertEqual(done.returncode, UNREACHABLE)
        self.assertIn(f"tbmeshd --root {self.node.root}", done.stderr)

    def refused(self, *words):
        done = subprocess.run(self.node.daemon(*words), capture_output=True, text=True, timeout=20, check=False)
        self.assertNotEqual(done.returncode, OK)
        return done.stderr

    def test_no_key(self):
        os.unlink(os.path.join(self.node.root, "etc", "mesh.key"))
        self.assertIn("tbmesh join", self.refused())

    def test_key_that_others_can_read(self):
        os.chmod(os.path.join(self.node.root, "etc", "mesh.key"), 0o644)
        self.assertIn("mesh.key", self.refused())

    def test_bad_configuration(self):
        self.node.configure("name = alpha\nmanage_links = perhaps\n")
        self.assertIn("tbmesh.conf:2: manage_links must be true or false", self.refused())
        self.assertIn("/nonexistent.conf", self.refused("--config", "/nonexistent.conf"))

    def test_bad_name(self):
        self.assertIn("not a name", self.refused("--name", "a/b"))

    def test_killed_and_started_again(self):
        self.node.start()
        second = self.refused()
        self.assertIn("another node", second)
        self.assertIn(str(self.node.process.pid), second)
        incarnation = self.node.ask("status")["incarnation"]
        self.node.stop(signal.SIGKILL)
        self.assertEqual(self.node.tbmesh("status").returncode, UNREACHABLE)
        self.node.start()
        self.assertGreater(self.node.ask("status")["incarnation"], incarnation)
        self.assertEqual(self.node.stop(), OK)

    def test_ejected_over_a_restart(self):
        self.node.start()
        self.addCleanup(lambda: self.node.process.poll() is None and self.node.stop(signal.SIGKILL))
        gpu = self.node.ask("gpus")["gpus"][0]["key"]
        self.node.ask("eject", gpu)
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.node.stop(number)
            self.node.start()
            self.assertEqual(self.node.ask("gpus")["gpus"][0]["state"], "ejected")
        self.assertFalse(self.node.ask("plug", gpu)["already"])
        self.node.stop(signal.SIGKILL)
        with open(os.path.join(self.node.root, "var", "ejected"), "ab") as file:
            file.write(b"\xff\x00\n cpu-llvmpipe\ncpu-llvmpipe -\n")  # what is no entry counts for nothing
        self.node.start()
        self.assertEqual(self.node.ask("gpus")["gpus"][0]["state"], "active")
        self.node.stop()

    def test_join(self):
        key = self.node.tbmesh("--json", "init").stdout
        self.assertIn("tbmesh.error/1", key)  # it has one
        with open(os.path.join(self.node.root, "etc", "mesh.key"), encoding="ascii") as file:
            key = file.read().strip()
        other = Node()
        self.addCleanup(other.directory.cleanup)
        self.assertEqual(other.tbmesh("join", key).returncode, ERROR)  # it is in a mesh of its own
        self.assertEqual(other.tbmesh("join", "--replace", key).returncode, OK)
        self.assertEqual(other.tbmesh("join", key).returncode, OK)
        self.assertEqual(other.tbmesh("join", key[:-1] + ("A" if key[-1] != "A" else "B")).returncode, ERROR)
        with open(os.path.join(other.root, "etc", "mesh.key"), encoding="ascii") as file:
            self.assertEqual(file.read().strip(), key)
        self.assertEqual(os.stat(os.path.join(other.root, "etc", "mesh.key")).st_mode & 0o777, 0o600)

    def test_idle(self):
        """Nothing to do costs next to nothing."""
        self.node.start()
        time.sleep(1)

        def ticks():
            with open(f"/proc/{self.node.process.pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])
        before = ticks()
        time.sleep(3)
        self.assertLessEqual(ticks() - before, 15)  # 5 % of one CPU, on a busy machine
        self.node.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
