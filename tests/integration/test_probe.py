#!/usr/bin/python3
"""One node, no lab: beside a good Vulkan driver one that hangs and one that crashes when they are asked for their devices. The good
driver's GPU serves; `tbmesh doctor` names the others."""

import json
import os
import subprocess
import time
import unittest

import test_node
from test_node import BUILD, DRIVER, Node

BAD = [os.path.join(os.path.realpath(BUILD), "lib", "vulkan-drivers", f"driver_that_{how}.json") for how in ("hangs", "crashes")]

HASTE_MS = 4000  # node/gpu_probe.c


class Probe(unittest.TestCase):
    def test_bad_drivers(self):
        node = Node()
        test_node.DRIVER = ":".join(BAD[:1] + [DRIVER] + BAD[1:])
        node.start()  # waits for the good driver's device
        self.addCleanup(node.stop)
        until = time.monotonic() + 60  # a good driver that is slow on a busy machine is named for a while, too
        while True:
            doctor = node.tbmesh("--json", "doctor")
            self.assertEqual(doctor.returncode, 1, doctor.stderr)
            found = {c["subject"]: c["what"] for c in json.loads(doctor.stdout)["checks"]
                     if c["id"] == "vulkan.driver" and c["result"] == "fail"}
            if set(found) == set(BAD) or time.monotonic() > until:
                break
            time.sleep(0.2)
        self.assertEqual(set(found), set(BAD))
        self.assertIn("hangs", found[BAD[0]])
        self.assertIn("crashes", found[BAD[1]])
        # An executor loads no bad driver either.
        program = os.path.join(BUILD, "programs", "xorshift")
        done = node.tbmesh("run", "--", program, "--rounds", "5")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("hash=", done.stdout)

    def recorded(self, machine, driver):
        """A node on one of the recorded machines."""
        node, folder = Node(), os.path.join(os.path.dirname(__file__), "..", "data", "devices", machine)
        node.configure(f"devices = scripted:{os.path.realpath(folder)}\nport = {test_node.free_port()}\n")
        node.process = subprocess.Popen(node.daemon(), env=dict(os.environ, VK_DRIVER_FILES=driver), stdin=subprocess.DEVNULL)
        self.addCleanup(node.stop)
        until = time.monotonic() + 30
        while node.tbmesh("status").returncode != test_node.OK:
            self.assertLess(time.monotonic(), until, "the node answers")
            time.sleep(0.05)
        return node, until

    def test_doctor_of_thunderbolt(self):
        """An enclosure that is not authorized is named, with what to type."""
        node, _ = self.recorded("nuc15-not-authorized", "/nonexistent")
        found = [c for c in json.loads(node.tbmesh("--json", "doctor").stdout)["checks"] if c["id"].startswith("thunderbolt.")]
        self.assertEqual([(c["id"], c["subject"], c["result"]) for c in found], [("thunderbolt.authorized", "0-1", "warn")])
        self.assertTrue(found[0]["fix"].startswith("boltctl enroll c4148780-"), found[0]["fix"])

    def test_listed_before_drivers_answer(self):
        """What sysfs knows is listed while a Vulkan driver hangs for seconds."""
        node, until = self.recorded("equal-cards", BAD[0])
        gpus, uptime_ms = node.ask("gpus")["gpus"], node.ask("status")["uptime_ms"]
        self.assertEqual(sorted(g["pci_address"] for g in gpus),
                         ["0000:00:02.0", "0000:01:00.0", "0000:02:00.0", "0000:03:00.0"])
        if uptime_ms < HASTE_MS:  # else the machine is too busy to tell
            self.assertEqual({g["state"] for g in gpus}, {"probing"})
        while {g["state"] for g in node.ask("gpus")["gpus"]} != {"no driver"}:
            self.assertLess(time.monotonic(), until, "the probe ends")
            time.sleep(0.2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
