#!/usr/bin/python3
"""Processes of tbmesh die or stop in mid-run: executor, node. The program notices nothing."""

import os
import signal
import unittest

from labtest import LabCase, eventually, lab, main, state, tbmesh

WORDS = ["xorshift", "--rounds", "3000", "--words", "32768"]


class Processes(LabCase):
    UP = ["2", "--cables", "2", "--start"]
    READY = ["--peers", "1", "--links", "2", "--gpus", "2", "--timeout", "30"]

    def start_run(self):
        run = self.run_on_mesh("alpha", *WORDS)
        return run, run.reach_mid_run()

    def wait_for_move(self, run, before):
        return run.wait_for(lambda w: w["epoch"] > before["epoch"], 20, "has moved")

    def test_executor_killed(self):
        run, before = self.start_run()
        os.kill(before["executor_pid"], signal.SIGKILL)
        run.must_be_running()
        self.assertEqual(run.finish(), self.plain(*WORDS))

    def test_executor_stopped_and_resumed_after_the_move(self):
        run, before = self.start_run()
        os.kill(before["executor_pid"], signal.SIGSTOP)
        try:
            self.wait_for_move(run, before)
        finally:
            try:
                os.kill(before["executor_pid"], signal.SIGCONT)
            except ProcessLookupError:
                pass  # killed by its node: as good
        self.assertEqual(run.finish(), self.plain(*WORDS))

    def test_node_killed_and_restarted(self):
        run, before = self.start_run()
        lab("kill", "alpha", "node")
        self.addCleanup(lab, "start", "alpha", check=False)  # where it fails, for the tests behind
        run.must_be_running()
        lab("start", "alpha")
        adopted = eventually(run.workload, 10, "the new node knows the workload")
        self.assertEqual((adopted["epoch"], adopted["executor_pid"]), (before["epoch"], before["executor_pid"]))
        self.assertEqual(run.finish(), self.plain(*WORDS))
        tbmesh("alpha", "wait", "--peers", "1", "--gpus", "2", "--timeout", "20")

    def test_node_killed_for_good(self):
        run, _ = self.start_run()
        lab("kill", "alpha", "node")
        self.addCleanup(lambda: tbmesh("alpha", "wait", "--peers", "1", "--gpus", "2", "--timeout", "20"))
        self.addCleanup(lab, "start", "alpha", check=False)
        run.must_be_running()
        self.assertEqual(run.finish(), self.plain(*WORDS))

    def test_nothing_runs_on_after_the_program(self):
        run, _ = self.start_run()
        run.finish()
        eventually(lambda: not [p for h in state()["hosts"].values() for p in h["processes"]
                                if p["name"] in ("tbmesh-session", "tbmesh-exec")], 10, "no session or executor is left")

    def test_killed_program_is_cleaned_up(self):
        run, _ = self.start_run()
        run.stop()
        eventually(lambda: not [p for h in state()["hosts"].values() for p in h["processes"]
                                if p["name"] in ("tbmesh-session", "tbmesh-exec")], 10, "no session or executor is left")


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
