#!/usr/bin/python3
"""The eGPU is pulled out in mid-run, in each of the four ways in which its driver may fail: the program notices nothing."""

import unittest

from labtest import LabCase, events, gpu_key, lab, main, tbmesh


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
            gone = [e for e in events("alpha", "Disconnected") if gpu_key("alpha", "egpu").endswith(e["subject"].split("/")[-1])]
            self.assertEqual(gone[-1]["fields"].get("graceful"), "false")
        finally:
            lab("plug", "alpha", "egpu")
            tbmesh("alpha", "wait", "--gpus", "2", "--timeout", "15")

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
