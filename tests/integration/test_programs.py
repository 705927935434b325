#!/usr/bin/python3
"""Each program of tests/programs, undisturbed under tbmesh on an eGPU, prints what it prints on the plain driver."""

import unittest

from labtest import LabCase, gpu_key, main, tbmesh

PROGRAMS = [["xorshift"], ["stencil"], ["mapped"], ["neighbours"], ["signals"], ["state", "--mib", "16", "--rounds", "10"], ["images"],
            ["draws"]]


class Programs(LabCase):
    UP = ["1", "--start"]
    READY = ["--gpus", "1"]

    def test_egpu_is_used(self):
        run = self.run_on_mesh("alpha", "xorshift", "--rounds", "400")
        self.assertEqual(run.wait_for_start()["gpu"], gpu_key("alpha", "egpu"))
        self.assertEqual(run.finish(), self.plain("xorshift", "--rounds", "400"))


def make_test(words):
    def test(self):
        run = self.run_on_mesh("alpha", *words)
        self.assertEqual(run.finish(), self.plain(*words))
        self.assertEqual([w for w in tbmesh("alpha", "ps")["workloads"] if w["state"] == "lost"], [])
    return test


for program_words in PROGRAMS:
    setattr(Programs, "test_" + program_words[0], make_test(program_words))


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
