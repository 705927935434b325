#!/usr/bin/python3
"""The eGPU is pulled out in mid-run, in each of the four ways in which its driver may fail: the program notices nothing."""

import json
import os
import signal
import unittest

import inotify
from labtest import CommandFailed, LabCase, eventually, events, gpu_key, lab, main, on, start, state, tbmesh

GPU = "/sys/devices/pci0000:00/0000:00:07.0/0000:02:00.0/0000:03:00.0/0000:04:00.0"
ROUTER = "/sys/devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1"
# What the kernel answers without the device.
HARMLESS = {"uevent", "class", "vendor", "device", "subsystem_vendor", "subsystem_device", "removable", "runtime_status",
            "aer_dev_correctable", "aer_dev_nonfatal", "aer_dev_fatal"}


class Unplug(LabCase):
    UP = ["2", "--cables", "2", "--start"]
    READY = ["--peers", "1", "--links", "2", "--gpus", "2", "--timeout", "30"]

    def unplug_in_mid_run(self, how, *words):
        run = self.run_on_mesh("alpha", *words)
        self.assertEqual(run.reach_mid_run()["gpu"], gpu_key("alpha", "egpu"))
        before = len(events("alpha", "MigrationCompleted"))
        lab("unplug", "alpha", "egpu", "--how", how)
        try:
            run.must_be_running()
            self.assertEqual(run.finish(), self.plain(*words))
            self.assertEqual(len(events("alpha", "MigrationCompleted")), before + 1)
            moved = events("alpha", "MigrationCompleted")[-1]["fields"]
            self.assertEqual((moved["from"], moved["to"]), (gpu_key("alpha", "egpu"), gpu_key("beta", "card")))
            told = events("alpha", "MigrationStarted")[-1]
            self.assertEqual((told["subject"], told["fields"]["from"], told["fields"]["graceful"]),
                             (events("alpha", "MigrationCompleted")[-1]["subject"], gpu_key("alpha", "egpu"), "false"))
            self.assertGreater(float(moved["duration_ms"]), 0)
            self.assertTrue([e for e in events("alpha", "CheckpointTaken") if e["subject"] == told["subject"]])
            gone = [e for e in events("alpha", "Disconnected") if gpu_key("alpha", "egpu").endswith(e["subject"].split("/")[-1])]
            self.assertEqual(gone[-1]["fields"].get("graceful"), "false")
        finally:
            lab("plug", "alpha", "egpu")
            tbmesh("alpha", "wait", "--gpus", "2", "--timeout", "15")
        self.assertEqual(events("alpha", "Connected")[-1]["subject"], gpu_key("alpha", "egpu"))

    def test_lost(self):
        self.unplug_in_mid_run("lost", "xorshift", "--rounds", "3000", "--words", "32768")

    def test_silent(self):
        self.unplug_in_mid_run("silent", "neighbours", "--rounds", "5000")

    def test_hang(self):
        self.unplug_in_mid_run("hang", "stencil", "--steps", "4000")

    def test_crash(self):
        self.unplug_in_mid_run("crash", "mapped", "--rounds", "2500")

    def test_silent_with_images(self):
        self.unplug_in_mid_run("silent", "images", "--rounds", "4000")

    def eject_in_mid_run(self, host, kind, to, *words, wish=None):
        """tbmesh eject while a program of alpha runs on that GPU: it goes on on `to`, and nothing runs twice."""
        run = self.run_on_mesh("alpha", *words, gpu=wish)
        self.assertEqual(run.reach_mid_run()["gpu"], gpu_key(host, kind))
        before = len(events("alpha", "MigrationCompleted"))
        try:
            said = tbmesh(host, "eject", gpu_key(host, kind))
            run.must_be_running()
            self.assertEqual((said["moved"], said["killed"]), (1, 0))
            run.wait_for(lambda w: w["gpu"] == to, what=f"runs on {to}")
            self.assertEqual(run.finish(), self.plain(*words))
            moved = events("alpha", "MigrationCompleted")[before:]
            self.assertEqual(moved[-1], tbmesh("alpha", "events", "--type", "MigrationCompleted", "--gpu", to)["events"][-1])
            self.assertEqual(tbmesh("alpha", "events", "--since", moved[-1]["number"] - 1, "--type", "PeerDown")["events"], [])
            self.assertEqual([(m["fields"]["from"], m["fields"]["to"], m["fields"]["graceful"], m["fields"]["replayed"])
                              for m in moved], [(gpu_key(host, kind), to, "true", "0")])
        finally:
            on(host, "tbmesh", "plug", gpu_key(host, kind))

    def test_eject(self):
        self.eject_in_mid_run("alpha", "egpu", gpu_key("beta", "card"), "xorshift", "--rounds", "3000", "--words", "32768")

    def test_eject_of_a_peers_card(self):
        self.eject_in_mid_run("beta", "card", gpu_key("alpha", "egpu"), "neighbours", "--rounds", "5000", wish=gpu_key("beta", "card"))

    def test_ejected_means_not_placed(self):
        key = gpu_key("alpha", "egpu")
        on("alpha", "tbmesh", "eject", key)
        try:
            self.assertTrue(tbmesh("alpha", "eject", key)["gpu"])  # again
            self.assertIn("ejected", on("alpha", "tbmesh", "gpus"))
            run = self.run_on_mesh("alpha", "xorshift", "--rounds", "3000", "--words", "32768")
            self.assertEqual(run.wait_for_start()["gpu"], gpu_key("beta", "card"))
            run.stop()
            with self.assertRaisesRegex(CommandFailed, "say this on beta"):
                on("alpha", "tbmesh", "eject", gpu_key("beta", "card"))
            lab("unplug", "alpha", "egpu")
            gone = tbmesh("alpha", "wait", "--gpus", "1") and events("alpha", "Disconnected")[-1]
            self.assertEqual(gone["fields"]["graceful"], "true")
        finally:
            lab("plug", "alpha", "egpu", check=False)
            tbmesh("alpha", "wait", "--gpus", "2", "--timeout", "15")
        self.assertNotIn("ejected", on("alpha", "tbmesh", "gpus"))

    def test_eject_under_way(self):
        """A program that takes its time: a second eject is told so, ctrl-c stops the question only, plug calls it off; a program that ends
        meanwhile has left."""
        key = gpu_key("alpha", "egpu")
        with self.assertRaisesRegex(CommandFailed, "no GPU of this host is called"):
            on("alpha", "tbmesh", "eject", "no-such-gpu")
        self.assertTrue(tbmesh("alpha", "plug", key)["already"])
        run = self.run_on_mesh("alpha", "xorshift", "--rounds", "200000", "--words", "32768")
        workload = run.reach_mid_run()
        before = len(events("alpha", "Ejected"))
        os.kill(workload["session_pid"], signal.SIGSTOP)  # it cannot hear that it shall leave
        try:
            first = start("alpha", "tbmesh", "eject", key)
            eventually(lambda: tbmesh("alpha", "gpu", key)["state"] == "ejected", 10, "it is being ejected")
            with self.assertRaisesRegex(CommandFailed, "being ejected already"):
                on("alpha", "tbmesh", "eject", key)
            first.send_signal(signal.SIGINT)
            first.communicate(timeout=10)
            self.assertNotEqual(first.returncode, 0)
            self.assertEqual(tbmesh("alpha", "gpu", key)["state"], "ejected")
            self.assertFalse(tbmesh("alpha", "plug", key)["already"])
            self.assertEqual(tbmesh("alpha", "gpu", key)["state"], "active")
            second = start("alpha", "tbmesh", "eject", key)
            eventually(lambda: tbmesh("alpha", "gpu", key)["state"] == "ejected", 10, "it is being ejected again")
            on("alpha", "tbmesh", "plug", key)
            self.assertIn("called it off", second.communicate(timeout=10)[1])
            self.assertEqual(second.returncode, 1)
            third = start("alpha", "tbmesh", "eject", key)
            eventually(lambda: tbmesh("alpha", "gpu", key)["state"] == "ejected", 10, "it is being ejected a third time")
            run.stop()
            os.kill(workload["session_pid"], signal.SIGKILL)
            _, errors = third.communicate(timeout=30)
            self.assertEqual(third.returncode, 0, errors)
            self.assertEqual(len(events("alpha", "Ejected")), before + 1)
            eventually(lambda: [e for e in events("alpha", "WorkloadLost") if e["subject"] == workload["id"]], 20, "WorkloadLost")
        finally:
            run.stop()
            on("alpha", "tbmesh", "plug", key)

    def test_fatal_errors_on_its_slot(self):
        """The kernel counts fatal PCIe errors: the GPU's health falls, programs go elsewhere; one that is plugged in anew is well."""
        key = gpu_key("alpha", "egpu")
        bed = state()["hosts"]["alpha"]["bed"]
        counter = next(os.path.join(at, "aer_dev_fatal") for at, _, files in os.walk(bed + "/sys/devices")
                       if at.endswith(key.split("pci-")[1]) and "aer_dev_fatal" in files)
        eventually(lambda: self.health(key), 10, "its health is known")
        with open(counter, encoding="ascii") as file:
            before = file.read()
        try:
            with open(counter, "w", encoding="ascii") as file:
                file.write(before.replace("TOTAL_ERR_FATAL 0", "TOTAL_ERR_FATAL 2"))
            changed = eventually(lambda: [e for e in events("alpha", "HealthChanged") if e["subject"] == key], 40, "HealthChanged")[-1]
            self.assertEqual((changed["fields"]["level"], changed["fields"]["before"]), ("bad", "good"))
            self.assertIn("fatal PCIe errors", changed["fields"]["reason"])
            self.assertLess(self.health(key)["score"], 40)
            doctor = lab("exec", "alpha", "--", "tbmesh", "--json", "doctor", check=False)
            self.assertEqual(doctor.returncode, 1)
            self.assertIn(("gpu.health", "fail"), [(c["id"], c["result"]) for c in json.loads(doctor.stdout)["checks"]])
            run = self.run_on_mesh("alpha", "xorshift", "--rounds", "3000", "--words", "32768")
            self.assertEqual(run.wait_for_start()["gpu"], gpu_key("beta", "card"))
            run.stop()
        finally:
            lab("unplug", "alpha", "egpu")
            lab("plug", "alpha", "egpu")
            tbmesh("alpha", "wait", "--gpus", "2", "--timeout", "15")
        eventually(lambda: (self.health(key) or {"score": 0})["score"] == 100, 10, "it is well again")

    @staticmethod
    def health(key):
        return next((g["health"] for g in tbmesh("alpha", "gpus")["gpus"] if key.endswith(g["id"])), None)

    def test_what_executors_tell(self):
        """Free memory and pace of a GPU: the driver's word when it was probed, then that of the executor on it; peers see it, too."""
        key = gpu_key("alpha", "egpu")
        idle = tbmesh("alpha", "gpu", key)
        self.assertIn(idle["memory_source"], ("probe", "budget"))  # an earlier test's program may have run on it
        self.assertLessEqual(idle["memory_free_bytes"], idle["memory_bytes"])
        run = self.run_on_mesh("alpha", "xorshift", "--rounds", "100000", "--words", "32768")
        self.assertEqual(run.wait_for_start()["gpu"], key)

        def told(host):
            gpu = tbmesh(host, "gpu", key)
            fresh = gpu["memory_source"] == "budget" and gpu["memory_age_ms"] < 60000
            return gpu if fresh and gpu["health"] and gpu["health"]["latency_us"] and gpu["health"]["latency_p99_us"] else None
        gpu = eventually(lambda: told("alpha"), 30, "an executor tells")
        self.assertLess(gpu["memory_free_bytes"], gpu["memory_bytes"])  # its own buffers are there
        self.assertGreaterEqual(gpu["health"]["latency_p99_us"], gpu["health"]["latency_us"])
        self.assertTrue(gpu["health"]["changes"])
        self.assertLessEqual(gpu["health"]["history"][-1], gpu["health"]["score"])  # the lowest of two minutes; a busy machine costs points
        theirs = eventually(lambda: told("beta"), 30, "a peer sees it")
        self.assertEqual(theirs["local"], False)
        for word in ("state", "tb_version", "tb_link", "enclosure", "memory_bytes", "driver", "displays", "drm_nodes"):
            self.assertEqual(theirs[word], gpu[word])
        self.assertTrue(theirs["health"]["history"])  # asked for there
        run.stop()

    def test_a_sleeping_gpu_is_left_alone(self):
        """The node has no GPU open, reads nothing that would wake one which sleeps, and writes nothing."""
        pid, bed = (state()["hosts"]["alpha"][k] for k in ("node", "bed"))
        status = f"{bed}{GPU}/power/runtime_status"

        def sleeps(word, shown):
            with open(status, "w", encoding="ascii") as file:
                file.write(word + "\n")
            eventually(lambda: tbmesh("alpha", "gpu", gpu_key("alpha", "egpu"))["power_state"] == shown, 20, shown)
            self.assertEqual(events("alpha", "PowerStateChanged")[-1]["fields"]["now"], word)
        sleeps("suspended", "suspended")

        def trains(speed):
            for attribute in ("rx_speed", "tx_speed"):  # no uevent tells
                with open(f"{bed}{ROUTER}/{attribute}", "w", encoding="ascii") as file:
                    file.write(speed + "\n")
        trains("10.0 Gb/s")
        folders, at = [bed + ROUTER, f"{bed}{GPU}/power"], bed + GPU
        while at != bed + "/sys/devices/pci0000:00":
            folders.append(at)
            at = os.path.dirname(at)
        watch = inotify.Watch(folders)
        self.addCleanup(watch.close)
        lab("cut", "alpha", "beta", 0)
        lab("mend", "alpha", "beta", 0)
        # Uevents of other devices: some time later the node looks at everything anew.
        eventually(lambda: f"{bed}{GPU}/class" in watch.read().opened, 30, "the node looks at all devices")
        slower = eventually(lambda: events("alpha", "LinkSpeedChanged"), 20, "the slower link is told")[-1]
        self.assertEqual((slower["subject"], slower["fields"]),
                         (gpu_key("alpha", "egpu"), {"before": "2 x 20.0 Gb/s", "now": "2 x 10.0 Gb/s"}))
        self.assertLessEqual({os.path.basename(p) for p in watch.opened if not p.startswith(bed + ROUTER)}, HARMLESS)
        self.assertEqual(watch.written, [])
        with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
            maps = file.read()
        held = [os.path.realpath(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        for word in ("vulkan", "/dev/dri", "/dev/nvidia", "/dev/kfd"):
            self.assertNotIn(word, maps)
            self.assertEqual([path for path in held if word in path], [])
        sleeps("active", "idle")
        trains("20.0 Gb/s")
        lab("cut", "alpha", "beta", 0)
        lab("mend", "alpha", "beta", 0)
        eventually(lambda: events("alpha", "LinkSpeedChanged")[-1]["fields"]["now"] == "2 x 20.0 Gb/s", 30, "it is as fast as before")
        on("alpha", "tbmesh", "wait", *self.READY)

    def test_driver_fails_without_unplug(self):
        words = ["signals", "--rounds", "2500"]
        run = self.run_on_mesh("alpha", *words)
        run.reach_mid_run()
        lab("fail", "alpha", "egpu", "--how", "lost")
        run.must_be_running()
        self.assertEqual(run.finish(), self.plain(*words))


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
