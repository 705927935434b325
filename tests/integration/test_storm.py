#!/usr/bin/python3
"""One loss after another in the same run, several programs at once, and failures that no uevent tells of."""

import os
import signal
import time
import unittest

from labtest import LabCase, eventually, gpu_key, lab, main, on

WORDS = ["xorshift", "--rounds", "5000", "--words", "32768"]


class Storm(LabCase):
    UP = ["2", "--cables", "2", "--set", "submit_timeout = 4", "--start"]
    READY = ["--peers", "1", "--links", "2", "--gpus", "2", "--timeout", "30"]

    def tearDown(self):
        lab("mend", "alpha", "beta", check=False)
        lab("plug", "alpha", "egpu", check=False)
        on("alpha", "tbmesh", "wait", *self.READY)

    def wait_for(self, run, gpu):
        return run.wait_for(lambda w: w["gpu"] == gpu, 20, f"runs on {gpu}")

    def test_egpu_then_all_cables(self):
        run = self.run_on_mesh("alpha", *WORDS)
        run.reach_mid_run()
        lab("unplug", "alpha", "egpu", "--how", "silent")
        self.wait_for(run, gpu_key("beta", "card"))
        lab("cut", "alpha", "beta")
        self.wait_for(run, "alpha/cpu-llvmpipe")
        self.assertEqual(run.finish(), self.plain(*WORDS))

    def test_executor_killed_again_and_again(self):
        run = self.run_on_mesh("alpha", *WORDS)
        workload = run.reach_mid_run()
        for _ in range(3):
            os.kill(workload["executor_pid"], signal.SIGKILL)
            epoch = workload["epoch"]
            workload = run.wait_for(lambda w, e=epoch: w["epoch"] > e, 20, "has another executor")
        self.assertEqual(run.finish(), self.plain(*WORDS))

    def test_two_programs_at_once(self):
        others = ["neighbours", "--rounds", "5000"]
        runs = [self.run_on_mesh("alpha", *words) for words in (WORDS, others)]
        for run in runs:
            run.wait_for_start()
        time.sleep(0.4)
        lab("unplug", "alpha", "egpu", "--how", "crash")
        for run in runs:
            run.must_be_running()
        self.assertEqual([run.finish() for run in runs], [self.plain(*WORDS), self.plain(*others)])

    def test_loose_plug(self):
        run = self.run_on_mesh("alpha", *WORDS)
        run.reach_mid_run()
        for how in ("lost", "silent", "hang"):
            lab("unplug", "alpha", "egpu", "--how", how)
            lab("plug", "alpha", "egpu")
            time.sleep(0.3)
        self.assertEqual(run.finish(), self.plain(*WORDS))

    def silent_failure(self, how):
        """The driver fails, the device stays: nothing but the session's own checks can tell."""
        run = self.run_on_mesh("alpha", *WORDS)
        before = run.reach_mid_run()
        lab("fail", "alpha", "egpu", "--how", how)
        run.must_be_running()
        self.assertEqual(run.finish(), self.plain(*WORDS))
        self.assertGreater(eventually(run.workload)["epoch"], before["epoch"])

    def test_garbage_without_a_word(self):
        self.silent_failure("silent")

    def test_hang_without_a_word(self):
        self.silent_failure("hang")


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
