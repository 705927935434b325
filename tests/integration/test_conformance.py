#!/usr/bin/python3
"""One node, one CPU driver, no lab. What the plain driver has and ours does not stands in tests/conformance/absent.txt. Each entry point of our driver against the plain driver (tests/conformance), undisturbed and with
executors killed; no complaint of the Khronos validation layers about any program on our driver; vulkaninfo to its end."""

import fnmatch
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from test_executor_loss import BUILD, DRIVER, Node

LAYER = pathlib.Path("/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json")
COMPLAINT = re.compile("Validation Error|Validation Warning|VUID-|UNASSIGNED-")
PROGRAMS = [["conformance", "--valid"], ["breadth"], ["robust"], ["xorshift", "--rounds", "20"], ["stencil", "--steps", "20"], ["mapped", "--rounds", "20"],
            ["neighbours", "--rounds", "20"], ["signals", "--rounds", "20"], ["state", "--mib", "1", "--rounds", "3"],
            ["images", "--rounds", "20"], ["draws", "--rounds", "20"], ["half"], ["tickets", "--rounds", "20"],
            ["recordings", "--mib", "2", "--dispatches", "2000", "--rounds", "1"], ["threads", "--rounds", "3"]]
TIMEOUT_S = 100
# What lavapipe 22 lacks runs on a newer one, where deploy/drivers has put it; what of its answers must differ from ours.
NEWER = pathlib.Path(os.environ.get("TBMESH_DRIVERS") or pathlib.Path.home() / ".cache/tbmesh/drivers") / "lavapipe25/driver.json"
NEWER_DIFFERS = ("sparse formats", "device: a feature that is not there", "memory: far too much")
PARTS = pathlib.Path(__file__).resolve().parent.parent / "conformance"
REGISTRY = pathlib.Path("/usr/share/vulkan/registry/vk.xml")
INVENTORY = [sys.executable, str(PARTS / "inventory.py"), str(REGISTRY)]


def program(words):
    return [str(BUILD / "programs" / words[0]), *words[1:]]


def read_absent():
    """kind -> patterns of what may be missing; each line must tell why."""
    absent = {"extension": [], "feature": [], "command": []}
    for line in (PARTS / "absent.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        (kind, *patterns), reason = line.split(" : ")[0].split(), line.split(" : ")[1]
        if not patterns or not reason:
            raise SystemExit(f"absent.txt: {line}")
        absent[kind] += patterns
    return absent


def lines(text):
    """What is compared: not what the program marks as differing."""
    return [line for line in text.splitlines() if not line.startswith("#")]


class Conformance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="tbmesh-conformance-", ignore_cleanup_errors=True)
        cls.addClassCleanup(directory.cleanup)
        cls.node = Node(pathlib.Path(directory.name))
        cls.addClassCleanup(cls.node.stop)

    def tbmesh_run(self, words, node=None, **more):
        return [str(BUILD / "bin/tbmesh"), "--root", str((node or self.node).root), "run", "--", *words], dict(os.environ, **more)

    def run_on_mesh(self, words, **more):
        command, environment = self.tbmesh_run(words, **more)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        return done

    def plain(self, words, driver=DRIVER):
        done = subprocess.run(program(words), env=dict(os.environ, VK_DRIVER_FILES=str(driver)), capture_output=True, text=True,
                              timeout=TIMEOUT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        return done.stdout

    def test_entry_points(self):
        self.maxDiff = 4000
        words = ["conformance"]
        self.assertEqual(lines(self.run_on_mesh(program(words)).stdout), lines(self.plain(words)))

    def test_entry_points_killed(self):
        words = ["conformance", "--rounds", "15"]
        out, told = self.run_killed(self.node, words, 4)
        self.assertEqual(lines(out), lines(self.plain(words)), told)

    def test_newer_driver(self):
        if not NEWER.exists():
            self.skipTest(f"no {NEWER} here (deploy/drivers)")
        words = ["conformance", "--rounds", "4"]
        with tempfile.TemporaryDirectory(prefix="tbmesh-conformance-", ignore_cleanup_errors=True) as directory:
            node = Node(pathlib.Path(directory), NEWER)
            try:
                out, told = self.run_killed(node, words, 2)
            finally:
                node.stop()
        ours, plain = ([line for line in lines(text) if not line.startswith(NEWER_DIFFERS)] for text in (out, self.plain(words, NEWER)))
        self.assertEqual(ours, plain, told)

    def run_killed(self, node, words, most):
        """What the program says while executors are killed under it; the seed and how many it were."""
        seed = random.randrange(1 << 30)
        rng = random.Random(seed)
        command, environment = self.tbmesh_run(program(words), node)
        run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        last, kills = None, 0
        until = time.monotonic() + TIMEOUT_S / 2
        while run.poll() is None and kills < most and time.monotonic() < until:
            time.sleep(rng.uniform(0.01, 0.15))
            pid = node.executor(run.pid)
            if pid and pid != last and run.poll() is None:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                last, kills = pid, kills + 1
        try:
            out, errors = run.communicate(timeout=TIMEOUT_S / 2)
        finally:
            run.kill()
        self.assertEqual(run.returncode, 0, f"seed {seed}, {kills} kills: {out[-1000:]}{errors[-2000:]}")
        self.assertGreater(kills, 0, "it was over before an executor could be killed")
        return out, f"seed {seed}, {kills} kills"

    def test_validation(self):
        if not LAYER.exists():
            self.skipTest("no Khronos validation layers here (package vulkan-validationlayers)")
        for words in PROGRAMS:
            with self.subTest(words[0]):
                done = self.run_on_mesh(program(words), VK_INSTANCE_LAYERS="VK_LAYER_KHRONOS_validation")
                complaints = [line for line in (done.stdout + done.stderr).splitlines() if COMPLAINT.search(line)]
                self.assertEqual(complaints, [])

    def test_inventory(self):
        if not REGISTRY.exists():
            self.skipTest(f"no {REGISTRY} here (package libvulkan-dev)")
        plain = json.loads(subprocess.run(INVENTORY, env=dict(os.environ, VK_DRIVER_FILES=str(DRIVER)), capture_output=True, text=True,
                                          timeout=TIMEOUT_S, check=True).stdout)
        ours = json.loads(self.run_on_mesh(INVENTORY).stdout)
        absent = read_absent()
        for kind, patterns in absent.items():
            have = set(ours[kind + "s"])
            missing = [name for name in plain[kind + "s"] if name not in have and not {name + "KHR", name + "EXT"} & have
                       and not any(fnmatch.fnmatchcase(name, p) for p in patterns)]
            self.assertEqual(missing, [], f"{kind}s that the plain driver has, ours has not, and absent.txt does not tell of")
            self.assertGreater(len(have & set(plain[kind + "s"])), 30)
        # What stands in two structs is the same in both.
        later = "VkPhysicalDeviceVulkan13Features"
        for struct, members in ours["structs"].items():
            wrong = [m for m, value in members.items() if m in ours["features"] and not value and plain["structs"][struct][m] and struct != later]
            self.assertEqual(wrong, [], f"{struct} denies what another struct offers")

    def test_vulkaninfo(self):
        if not shutil.which("vulkaninfo"):
            self.skipTest("no vulkaninfo here (package vulkan-tools)")
        for option in ([], ["--summary"]):
            done = self.run_on_mesh(["vulkaninfo", *option])
            self.assertIn("tbmesh: ", done.stdout)
            if not option:
                for part in ("VkPhysicalDeviceLimits", "VkPhysicalDeviceMemoryProperties", "VkPhysicalDeviceFeatures:", "VkPhysicalDeviceVulkan12Features"):
                    self.assertIn(part, done.stdout)
        with tempfile.TemporaryDirectory() as directory:
            command, environment = self.tbmesh_run(["vulkaninfo", "--json"])
            done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            files = list(pathlib.Path(directory).glob("*.json"))
            text = files[0].read_text() if files else done.stdout
            self.assertIn("tbmesh: ", json.dumps(json.loads(text)))


if __name__ == "__main__":
    if not DRIVER.exists():
        print(f"SKIP: no driver {DRIVER}")
        sys.exit(77)
    unittest.main(verbosity=2)
