#!/usr/bin/python3
"""One node, one CPU driver, no lab. Each entry point of our driver against the plain driver (tests/conformance), undisturbed and with
executors killed; no complaint of the Khronos validation layers about any program on our driver; vulkaninfo to its end."""

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
PROGRAMS = [["conformance", "--valid"], ["breadth"], ["xorshift", "--rounds", "20"], ["stencil", "--steps", "20"], ["mapped", "--rounds", "20"],
            ["neighbours", "--rounds", "20"], ["signals", "--rounds", "20"], ["state", "--mib", "1", "--rounds", "3"]]
TIMEOUT_S = 100


def program(words):
    return [str(BUILD / "programs" / words[0]), *words[1:]]


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

    def tbmesh_run(self, words, **more):
        return [str(BUILD / "bin/tbmesh"), "--root", str(self.node.root), "run", "--", *words], dict(os.environ, **more)

    def run_on_mesh(self, words, **more):
        command, environment = self.tbmesh_run(words, **more)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        return done

    def plain(self, words):
        done = subprocess.run(program(words), env=dict(os.environ, VK_DRIVER_FILES=str(DRIVER)), capture_output=True, text=True,
                              timeout=TIMEOUT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        return done.stdout

    def test_entry_points(self):
        self.maxDiff = 4000
        words = ["conformance"]
        self.assertEqual(lines(self.run_on_mesh(program(words)).stdout), lines(self.plain(words)))

    def test_entry_points_killed(self):
        words = ["conformance", "--rounds", "15"]
        seed = random.randrange(1 << 30)
        rng = random.Random(seed)
        command, environment = self.tbmesh_run(program(words))
        run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        last, kills = None, 0
        until = time.monotonic() + TIMEOUT_S / 2
        while run.poll() is None and kills < 4 and time.monotonic() < until:
            time.sleep(rng.uniform(0.01, 0.15))
            pid = self.node.executor(run.pid)
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
        self.assertEqual(lines(out), lines(self.plain(words)), f"seed {seed}, {kills} kills")
        self.assertGreater(kills, 0, "it was over before an executor could be killed")

    def test_validation(self):
        if not LAYER.exists():
            self.skipTest("no Khronos validation layers here (package vulkan-validationlayers)")
        for words in PROGRAMS:
            with self.subTest(words[0]):
                done = self.run_on_mesh(program(words), VK_INSTANCE_LAYERS="VK_LAYER_KHRONOS_validation")
                complaints = [line for line in (done.stdout + done.stderr).splitlines() if COMPLAINT.search(line)]
                self.assertEqual(complaints, [])

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
