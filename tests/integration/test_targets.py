#!/usr/bin/python3
"""Who can take a program: GPUs behind which different drivers lie. Bit-identical moves from lavapipe to SwiftShader and back, to another
lavapipe and back; a program that some can't take, and why; a program that all can take, by --portable."""

import re
import subprocess
import sys
import time
import unittest

from labtest import LAB, SKIP, LabCase, eventually, events, gpu_key, lab, main, on, program, start, tbmesh

NEEDS_SWIFTSHADER, NEEDS_LAVAPIPE25 = ("beta", "card"), ("gamma", "card")
MIGRATION_TIMEOUT_S = 4


def missing_driver():
    """Why the drivers are not here, or None."""
    script = LAB[:-len("lab")] + "drivers"
    have = subprocess.run([script, "--have"], capture_output=True, text=True, check=False).stdout.split("\n")
    missing = {"lavapipe25", "swiftshader"} - {line.split(" ")[0] for line in have}
    return f"no driver {' or '.join(sorted(missing))}; get them with deploy/drivers" if missing else None


def summary(*options):
    """What a plain program learns of the GPU."""
    said = on("alpha", "tbmesh", "run", *options, "--", "vulkaninfo")
    found = dict(re.findall(r"^\s*(\w+)\s+= (.*?)\s*$", said, re.M))
    return found


class Targets(LabCase):
    """alpha: lavapipe as Debian has it; beta: SwiftShader; gamma: a newer lavapipe."""
    UP = ["3", "--topology", "full", "--gpu", "alpha=egpu", "--gpu", "beta=card@swiftshader", "--gpu", "gamma=card@lavapipe25",
          "--set", f"migration_timeout = {MIGRATION_TIMEOUT_S}", "--start"]
    READY = ["--peers", "2", "--gpus", "3", "--timeout", "30"]

    def setUp(self):
        self.unplugged = []

    def tearDown(self):
        for host, kind in list(self.unplugged):
            self.plug(host, kind)
        on("alpha", "tbmesh", "wait", "--gpus", "3", "--timeout", "20")

    def unplug(self, host, kind):
        lab("unplug", host, kind, "--how", "lost")
        self.unplugged.append((host, kind))

    def plug(self, host, kind):
        lab("plug", host, kind)
        self.unplugged.remove((host, kind))

    def leave(self, *there):
        """Of beta's and gamma's cards only these stay."""
        for gpu in {NEEDS_SWIFTSHADER, NEEDS_LAVAPIPE25} - set(there):
            self.unplug(*gpu)
        count = 1 + len(there)
        eventually(lambda: sum(g["state"] == "active" for g in tbmesh("alpha", "gpus")["gpus"]) == count, 10, f"{count} GPUs are left")

    def there_and_back(self, via, *words):
        self.leave(via)
        run = self.run_on_mesh("alpha", *words)
        home, away = gpu_key("alpha", "egpu"), gpu_key(*via)
        run.reach_mid_run()
        self.unplug("alpha", "egpu")
        done = run.wait_for(lambda w: w["gpu"] == away, 20, "has moved")["completed_seq"]
        run.wait_for(lambda w: w["completed_seq"] > done, 20, "works there")
        self.plug("alpha", "egpu")
        eventually(lambda: [g for g in tbmesh("alpha", "gpus")["gpus"] if g["key"] == home and g["state"] == "active"], 15, "it is back")
        lab("fail", *via, "--how", "lost")
        run.wait_for(lambda w: w["gpu"] == home, 20, "has come back")
        self.assertEqual(run.finish(), self.plain(*words))
        moves = [(e["fields"]["from"], e["fields"]["to"]) for e in events("alpha", "MigrationCompleted")[-2:]]
        self.assertEqual(moves, [(home, away), (away, home)])

    def test_integers_by_swiftshader(self):
        self.there_and_back(NEEDS_SWIFTSHADER, "xorshift", "--rounds", "6000", "--words", "32768")

    def test_floats_by_swiftshader(self):
        self.there_and_back(NEEDS_SWIFTSHADER, "stencil", "--steps", "6000")

    def test_what_is_enabled_but_not_used(self):
        """16-bit storage is enabled, which SwiftShader has not, and the shader uses none."""
        self.there_and_back(NEEDS_SWIFTSHADER, "half", "--rounds", "6000", "--wide", "1")

    def test_another_lavapipe(self):
        self.there_and_back(NEEDS_LAVAPIPE25, "half", "--rounds", "6000")

    def refusal(self, *words):
        """Why SwiftShader can't take the program."""
        run = self.run_on_mesh("alpha", *words)
        key = gpu_key(*NEEDS_SWIFTSHADER)
        workload = run.wait_for(lambda w: [r for r in w["refusals"] if r.startswith(key)], 10, "is refused")
        self.assertEqual(workload["could_take"], [gpu_key(*NEEDS_LAVAPIPE25)])
        run.stop()
        return next(r[len(key) + 2:] for r in workload["refusals"] if r.startswith(key))

    def test_reasons(self):
        self.assertEqual(self.refusal("half", "--rounds", "6000", "--wide", "1", "--offset", "16"),
                         "uses a storage buffer at an offset of 16 bytes, its alignment is 256")

    def test_the_last_target_goes(self):
        key, other = gpu_key(*NEEDS_SWIFTSHADER), gpu_key(*NEEDS_LAVAPIPE25)
        run = self.run_on_mesh("alpha", "half", "--rounds", "100000")
        workload = run.wait_for(lambda w: w["refusals"], 10, "is refused")
        reason = f"{key}: needs 16-bit storage (SPIR-V's StorageBuffer16BitAccess), which it lacks"
        self.assertEqual((workload["could_take"], workload["refusals"]), ([other], [reason]))
        self.assertIn(f"{workload['id']} can't go to {reason}", on("alpha", "tbmesh", "ps"))
        mine = lambda kind: [e for e in events("alpha", kind) if e["subject"] == workload["id"]]  # noqa: E731
        self.unplug(*NEEDS_LAVAPIPE25)
        fields = eventually(lambda: mine("TargetsLost"), 5, "TargetsLost is told")[0]["fields"]
        self.assertIn(reason, fields.values())
        self.plug(*NEEDS_LAVAPIPE25)
        self.assertEqual(eventually(lambda: mine("TargetFound"), 15, "TargetFound is told")[0]["fields"]["target"], other)
        self.unplug(*NEEDS_LAVAPIPE25)
        eventually(lambda: len(mine("TargetsLost")) == 2, 5, "TargetsLost is told again")
        began = time.monotonic()
        self.unplug("alpha", "egpu")
        run.process.communicate(timeout=MIGRATION_TIMEOUT_S + 20)
        self.assertEqual(run.process.returncode, 1)  # the program's own end after VK_ERROR_DEVICE_LOST
        self.assertGreater(time.monotonic() - began, MIGRATION_TIMEOUT_S - 1)
        self.assertTrue(eventually(lambda: mine("MigrationFailed"), 5, "MigrationFailed is told"))

    def test_portable(self):
        own, common = summary(), summary("--portable")
        for name, values in {"storageBuffer16BitAccess": ("true", "false"), "minStorageBufferOffsetAlignment": ("0x00000010", "0x00000100"),
                             "maxComputeWorkGroupInvocations": ("1024", "256"), "maxBoundDescriptorSets": ("8", "4"),
                             "maxMemoryAllocationSize": ("0x80000000", "0x40000000")}.items():
            self.assertEqual((own.get(name), common.get(name)), values, name)
        self.assertEqual(own["deviceName"], "tbmesh: NVIDIA GeForce RTX 5090 @ alpha")
        self.assertEqual(common["deviceName"], own["deviceName"] + " (portable)")
        self.assertEqual(common["subgroupSizeControl"], "false")
        process = start("alpha", "tbmesh", "run", "--portable", "--", program("half"))
        _, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1)
        self.assertIn("VkResult -8", errors)  # VK_ERROR_FEATURE_NOT_PRESENT

    def test_each_gpu_has_a_uuid_of_its_own(self):
        seen = [summary("--gpu", gpu_key(*gpu)) for gpu in (("alpha", "egpu"), NEEDS_SWIFTSHADER, NEEDS_LAVAPIPE25)]
        seen.append(summary("--portable"))
        self.assertEqual(len({s["deviceUUID"] for s in seen}), 4)
        self.assertEqual(len({s["driverUUID"] for s in seen}), 1)
        self.assertEqual(summary("--gpu", gpu_key("alpha", "egpu"))["deviceUUID"], seen[0]["deviceUUID"])


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    reason = missing_driver()
    if reason:
        print(f"SKIP: {reason}")
        sys.exit(SKIP)
    main()
