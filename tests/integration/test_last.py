#!/usr/bin/python3
"""The last GPU goes, or the session: the program is told in time and in Vulkan's words, or waits and carries on."""

import os
import signal
import time
import unittest

from labtest import CommandFailed, LabCase, TooShort, eventually, events, lab, main, on, tbmesh

WORDS = ["xorshift", "--rounds", "3000", "--words", "32768"]
DEVICE_LOST = "VkResult -4"
MIGRATION_TIMEOUT_S = 10


class Last(LabCase):
    """One GPU in the whole mesh, and no CPU driver beside it."""
    UP = ["1", "--gpu", "alpha=egpu", "--set", f"migration_timeout = {MIGRATION_TIMEOUT_S}", "--start"]
    READY = ["--gpus", "1"]

    def tearDown(self):
        lab("plug", "alpha", "egpu", check=False)
        on("alpha", "tbmesh", "wait", "--gpus", "1", "--timeout", "20")

    def device_lost(self, run, timeout_s):
        """The program's own end after VK_ERROR_DEVICE_LOST."""
        _, errors = run.process.communicate(timeout=timeout_s)
        if run.process.returncode == 0:
            raise TooShort("the program was over before it lost its device")
        self.assertEqual(run.process.returncode, 1, errors)
        self.assertIn(DEVICE_LOST, errors)

    def test_no_gpu_is_left(self):
        run = self.run_on_mesh("alpha", *WORDS)
        run.reach_mid_run()
        began = time.monotonic()
        lab("unplug", "alpha", "egpu", "--how", "lost")
        self.device_lost(run, MIGRATION_TIMEOUT_S + 20)
        self.assertGreater(time.monotonic() - began, MIGRATION_TIMEOUT_S - 1)
        eventually(lambda: events("alpha", "MigrationFailed"), 5, "MigrationFailed is told")

    def test_the_last_gpu_comes_back_in_time(self):
        run = self.run_on_mesh("alpha", *WORDS)
        run.reach_mid_run()
        lab("unplug", "alpha", "egpu", "--how", "silent")
        time.sleep(1)
        run.must_be_running()
        lab("plug", "alpha", "egpu")
        self.assertEqual(run.finish(), self.plain(*WORDS))

    def test_eject_of_the_only_gpu(self):
        run = self.run_on_mesh("alpha", *WORDS)
        key = run.reach_mid_run()["gpu"]
        with self.assertRaisesRegex(CommandFailed, "there is no other GPU.*--force"):
            on("alpha", "tbmesh", "eject", key)
        run.must_be_running()
        self.assertNotIn("ejected", on("alpha", "tbmesh", "gpus"))
        said = tbmesh("alpha", "eject", "--force", key)
        self.assertEqual((said["moved"], said["killed"]), (0, 1))
        tbmesh("alpha", "plug", key)  # within migration_timeout: the program goes on
        self.assertEqual(run.finish(), self.plain(*WORDS))

    def test_session_killed(self):
        doomed, other = (self.run_on_mesh("alpha", *WORDS) for _ in range(2))
        other.wait_for_start()
        workload = doomed.reach_mid_run()
        os.kill(workload["session_pid"], signal.SIGKILL)
        self.device_lost(doomed, 10)
        self.assertEqual(other.finish(), self.plain(*WORDS))


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
