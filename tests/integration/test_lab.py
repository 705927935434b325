#!/usr/bin/python3
"""The lab itself: hosts, cables, devices, GPUs appear as told, change as told, and leave nothing behind."""

import json
import os
import signal
import subprocess
import unittest

from labtest import BUILD, DIR, LAB, LabCase, environment, eventually, lab, main, on, start, state


def gpu_names(host):
    out = lab("exec", "--cards", host, "--", "vulkaninfo", "--summary")
    return [line.split("=", 1)[1].strip() for line in out.splitlines() if "deviceName" in line]


def interfaces(host):
    return {i["ifname"]: i for i in json.loads(on(host, "ip", "-j", "link"))}


class Watch:
    """The uevents that a program on a host sees."""

    def __init__(self, host):
        self.process = start(host, os.path.join(BUILD, "tests", "uevents"), stderr=None)
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        self.process.terminate()
        out, _ = self.process.communicate(timeout=10)
        return out.splitlines()


class Hosts(LabCase):
    UP = ["2", "--cables", "2", "--rate", "4gbit"]

    def test_cables_look_like_thunderbolt(self):
        alpha, beta = interfaces("alpha"), interfaces("beta")
        for name in ("thunderbolt0", "thunderbolt1"):
            self.assertEqual(alpha[name]["ifindex"], beta[name]["ifindex"])
            self.assertIn("LOWER_UP", alpha[name]["flags"])
            device = on("alpha", "readlink", "-f", f"/sys/class/net/{name}/device").strip()
            self.assertRegex(device, r"/domain(\d+)/\1-0/\1-1/\1-1\.0$")
            self.assertEqual(on("alpha", "cat", f"{device}/../device_name").strip(), "beta")
            self.assertTrue(on("alpha", "readlink", f"{device}/driver").strip().endswith("/thunderbolt-net"))
        domains = {on("alpha", "readlink", "-f", f"/sys/class/net/{n}/device").split("/domain")[1][0]
                   for n in ("thunderbolt0", "thunderbolt1")}
        self.assertEqual(len(domains), 2)
        self.assertIn("tbf", on("alpha", "tc", "qdisc", "show", "dev", "thunderbolt0"))
        self.assertIn("lo", alpha)

    def test_gpus_are_cards(self):
        self.assertEqual(gpu_names("alpha")[0], "NVIDIA GeForce RTX 5090")
        self.assertIn("llvmpipe", gpu_names("alpha")[1])
        self.assertIn("RX 7900", gpu_names("beta")[0])
        self.assertEqual(on("alpha", "cat", "/sys/bus/pci/devices/0000:04:00.0/removable").strip(), "removable")
        plain = on("alpha", "vulkaninfo", "--summary")
        self.assertNotIn("NVIDIA", plain)

    def test_unplug_and_plug(self):
        watch = Watch("alpha")
        lab("unplug", "alpha", "egpu", "--how", "lost")
        self.assertEqual(len(gpu_names("alpha")), 1)
        self.assertFalse(on("alpha", "sh", "-c", "ls -d /sys/bus/pci/devices/0000:04:00.0 2>/dev/null || true"))
        self.assertIn("unplugged already", lab("unplug", "alpha", "egpu", check=False).stderr)
        lab("plug", "alpha", "pci-0000:04:00.0")
        self.assertEqual(len(gpu_names("alpha")), 2)
        events = watch.stop()
        gone = [e for e in events if e.startswith("remove")]
        self.assertEqual(gone[:2], ["remove thunderbolt 0-0:1.1", "remove thunderbolt 0-1"])
        self.assertLess(gone.index("remove drm renderD129"), gone.index("remove pci 0000:04:00.0"))
        self.assertLess(gone.index("remove pci 0000:04:00.0"), gone.index("remove pci 0000:02:00.0"))
        self.assertIn("add pci 0000:04:00.0", events)

    def test_cut_and_mend(self):
        index = interfaces("alpha")["thunderbolt0"]["ifindex"]
        watch = Watch("beta")
        lab("cut", "alpha", "beta", 0)
        for host in ("alpha", "beta"):
            self.assertNotIn("thunderbolt0", interfaces(host))
            self.assertIn("thunderbolt1", interfaces(host))
        lab("mend", "alpha", "beta", 0)
        self.assertNotEqual(interfaces("alpha")["thunderbolt0"]["ifindex"], index)
        gone = [e.split()[1] for e in watch.stop() if e.startswith("remove")]
        self.assertEqual(gone, ["net", "thunderbolt", "thunderbolt"])

    def test_carrier(self):
        lab("carrier", "alpha", "beta", 1, "off")
        self.assertNotIn("LOWER_UP", interfaces("alpha")["thunderbolt1"]["flags"])
        self.assertIn("UP", interfaces("alpha")["thunderbolt1"]["flags"])
        self.assertNotIn("thunderbolt1", interfaces("beta"))
        lab("carrier", "alpha", "beta", 1, "on")
        eventually(lambda: "LOWER_UP" in interfaces("alpha")["thunderbolt1"]["flags"], what="carrier back")
        self.assertIn("tbf", on("beta", "tc", "qdisc", "show", "dev", "thunderbolt1"))
        lab("carrier", "beta", "alpha", 1, "off")
        lab("cut", "alpha", "beta", 1)
        lab("mend", "alpha", "beta", 1)
        self.assertIn("LOWER_UP", interfaces("alpha")["thunderbolt1"]["flags"])

    def test_processes(self):
        sleeper = start("beta", "sleep", "60")
        eventually(lambda: any(p["name"] == "sleep" for p in state()["hosts"]["beta"]["processes"]), what="sleep runs on beta")
        lab("pause", "beta")
        with open(f"/proc/{sleeper.pid}/stat", encoding="ascii") as file:
            self.assertIn(" T ", file.read())
        lab("resume", "beta")
        sleeper.kill()
        sleeper.communicate()
        self.assertIn("no such process", lab("kill", "beta", "node", check=False).stderr)

    def test_errors_name_what_and_what_to_do(self):
        self.assertIn("alpha, beta", lab("exec", "nobody", "--", "true", check=False).stderr)
        self.assertIn("egpu", lab("unplug", "alpha", "card", check=False).stderr)
        self.assertIn("deploy/lab down", lab("up", "2", check=False).stderr)


class Life(LabCase):
    @staticmethod
    def leavings():
        spaces = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
        ours = subprocess.run(["pgrep", "-f", DIR + " keep"], capture_output=True, text=True, check=False).stdout.split()
        return {"directory": os.path.exists(DIR), "keepers": ours, "spaces": lab_spaces(spaces)}

    def assert_nothing_left(self):
        nothing = {"directory": False, "keepers": [], "spaces": []}
        try:
            eventually(lambda: self.leavings() == nothing, what="nothing is left")
        except AssertionError:
            self.assertEqual(self.leavings(), nothing)

    def test_down_leaves_nothing(self):
        lab("up", "2", "--topology", "full", "--shared-domain", "--cables", "2", "--gpu", "beta=none")
        prefix = state()["hosts"]["alpha"]["namespace"].removesuffix("alpha")
        Life.prefix = prefix
        self.assertEqual(on("beta", "sh", "-c", "test -e \"$VK_DRIVER_FILES\" || echo none").strip(), "none")
        ends = [c["a"]["xdomain"] for c in state()["cables"]]
        self.assertEqual(ends, ["1-1", "1-3"])
        start("alpha", "setsid", "-f", "sleep", "1000", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait()
        lab("down")
        self.assert_nothing_left()
        self.assertFalse(subprocess.run(["pgrep", "-f", "^sleep 1000$"], capture_output=True, check=False).stdout)
        lab("down")  # twice is fine

    def test_killed_keeper_is_cleaned_by_next_up(self):
        lab("up", "1")
        os.kill(state()["keeper"], signal.SIGKILL)
        eventually(lambda: lab("status", check=False).returncode == 1, what="the lab is seen as dead")
        lab("up", "2")
        self.assertEqual(sorted(state()["hosts"]), ["alpha", "beta"])
        lab("down")
        self.assert_nothing_left()

    def test_signals_take_it_down(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            lab("up", "1")
            os.kill(state()["keeper"], number)
            self.assert_nothing_left()

    def test_interrupted_up(self):
        with subprocess.Popen([LAB, "up", "8", "--topology", "full"], env=environment(), stderr=subprocess.DEVNULL) as up:
            eventually(lambda: os.path.exists(os.path.join(DIR, "state.json")), what="it is being built")
            up.send_signal(signal.SIGINT)
            self.assertEqual(up.wait(timeout=20), 130)
        self.assert_nothing_left()

    def test_foreign_directory_is_not_touched(self):
        os.makedirs(DIR)
        keepsake = os.path.join(DIR, "keepsake")
        with open(keepsake, "w", encoding="ascii") as file:
            file.write("mine")
        for word in (["up", "1"], ["down"]):
            self.assertIn("other things", lab(*word, check=False).stderr)
        os.unlink(keepsake)
        os.rmdir(DIR)


def lab_spaces(text):
    prefix = getattr(Life, "prefix", None)
    return [line for line in text.splitlines() if prefix and line.startswith(prefix)]


if __name__ == "__main__":
    unittest.TestCase.maxDiff = None
    main()
