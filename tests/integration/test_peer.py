#!/usr/bin/python3
"""A peer's GPU: offload from hosts without one, cables cut in mid-run."""

import os
import signal
import unittest

from labtest import LabCase, eventually, gpu_key, lab, main, on, tbmesh

WORDS = ["xorshift", "--rounds", "3000", "--words", "32768"]


def wait_until_gone(pid, timeout_s):
    eventually(lambda: not os.path.exists(f"/proc/{pid}"), timeout_s, f"process {pid} is gone")


class Peer(LabCase):
    """alpha has a CPU driver alone, beta a card, gamma nothing."""
    UP = ["3", "--topology", "line", "--cables", "2", "--gpu", "alpha=cpu", "--gpu", "gamma=none", "--start"]
    READY = ["--peers", "1", "--links", "2", "--gpus", "1", "--timeout", "30"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        on("gamma", "tbmesh", "wait", *cls.READY)

    def test_offload_from_a_host_without_gpu(self):
        for words in (["stencil"], ["neighbours"], ["images"], ["state", "--mib", "16", "--rounds", "5"],
                      ["recordings", "--mib", "40"]):
            run = self.run_on_mesh("gamma", *words)
            self.assertEqual(run.finish(), self.plain(*words))

    def test_offload_to_the_card_of_a_peer(self):
        run = self.run_on_mesh("alpha", *WORDS)
        self.assertEqual(run.reach_mid_run()["gpu"], gpu_key("beta", "card"))
        self.assertEqual(run.finish(), self.plain(*WORDS))

    def test_one_cable_cut(self):
        run = self.run_on_mesh("gamma", *WORDS)
        run.reach_mid_run()
        lab("cut", "beta", "gamma", 0)
        try:
            run.must_be_running()
            self.assertEqual(run.finish(), self.plain(*WORDS))
        finally:
            lab("mend", "beta", "gamma", 0)
            on("gamma", "tbmesh", "wait", "--links", "2", "--timeout", "20")

    def test_all_cables_cut(self):
        run = self.run_on_mesh("alpha", *WORDS)
        workload = run.reach_mid_run()
        self.assertEqual(workload["gpu"], gpu_key("beta", "card"))
        lab("cut", "alpha", "beta")
        try:
            run.must_be_running()
            wait_until_gone(workload["executor_pid"], 5)
            self.assertEqual(run.finish(), self.plain(*WORDS))
        finally:
            lab("mend", "alpha", "beta")
            on("alpha", "tbmesh", "wait", "--links", "2", "--gpus", "1", "--timeout", "20")

    def test_executor_of_a_peer_stopped(self):
        """It cannot see that its session has given it up: its node ends it."""
        run = self.run_on_mesh("alpha", *WORDS)
        workload = run.reach_mid_run()
        self.assertEqual(workload["gpu"], gpu_key("beta", "card"))
        os.kill(workload["executor_pid"], signal.SIGSTOP)
        self.assertEqual(run.finish(), self.plain(*WORDS))
        wait_until_gone(workload["executor_pid"], 15)

    def test_peer_frozen_and_thawed(self):
        run = self.run_on_mesh("alpha", *WORDS)
        self.assertEqual(run.reach_mid_run()["gpu"], gpu_key("beta", "card"))
        lab("pause", "beta")
        try:
            self.assertEqual(run.finish(), self.plain(*WORDS))
        finally:
            lab("resume", "beta")
            on("alpha", "tbmesh", "wait", "--peers", "1", "--gpus", "1", "--timeout", "20")
        self.assertEqual(tbmesh("alpha", "peers")["peers"][0]["state"], "up")


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
