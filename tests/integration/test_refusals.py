#!/usr/bin/python3
"""What is asked for cannot be: each time a message that names it, and the right exit code."""

import json
import os
import subprocess
import unittest

from labtest import LabCase, environment, lab, LAB, main, on, program, start, tbmesh

ERROR, USAGE, UNREACHABLE, NOT_FOUND = 1, 2, 3, 4


class Refusals(LabCase):
    """beta has no node at first; gamma no Vulkan driver."""
    UP = ["2", "--gpu", "beta=none"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab("start", "alpha")

    def refused(self, host, *words):
        done = on(host, *words, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertTrue(done.stderr.strip())
        return done

    def test_unknown_gpu(self):
        done = self.refused("alpha", "tbmesh", "run", "--gpu", "no-such-gpu", "--", program("xorshift"))
        self.assertEqual(done.returncode, NOT_FOUND)
        self.assertIn("no-such-gpu", done.stderr)

    def test_no_node(self):
        done = self.refused("beta", "tbmesh", "run", "--", program("xorshift"))
        self.assertEqual(done.returncode, UNREACHABLE)
        self.assertIn("tbmeshd", done.stderr)
        self.assertEqual(self.refused("beta", "tbmesh", "peers").returncode, UNREACHABLE)

    def test_no_program(self):
        self.assertEqual(self.refused("alpha", "tbmesh", "run", "--", "/no/such/program").returncode, 127)

    def test_second_node_with_the_same_root(self):
        second = start("alpha", "tbmeshd")
        _, errors = second.communicate(timeout=20)
        self.assertNotEqual(second.returncode, 0)
        self.assertIn("alpha", errors)
        self.assertEqual(tbmesh("alpha", "status")["name"], "alpha")

    def test_wrong_mesh_key(self):
        key = json.loads(on("beta", "tbmesh", "--json", "--root", "/nonexistent", "version") and
                         on("beta", "tbmesh", "--json", "init"))["key"]
        self.assertTrue(key)
        lab("start", "beta")
        done = on("alpha", "tbmesh", "wait", "--peers", "1", "--timeout", "4", check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn("key", self.refused("beta", "tbmesh", "join", "not-a-key").stderr)
        lab("stop", "beta")
        self.no_vulkan_driver()

    def no_vulkan_driver(self):
        """beta is a host without any GPU, and alone in its mesh."""
        lab("start", "beta")
        done = self.refused("beta", "tbmesh", "run", "--", program("xorshift"))
        self.assertEqual(done.returncode, NOT_FOUND)
        self.assertIn("GPU", done.stderr)
        lab("stop", "beta")

    def test_node_cannot_start(self):
        root = os.path.join(environment()["TBMESH_LAB_DIR"], "alpha-broken")
        os.makedirs(os.path.join(root, "etc"))
        with open(os.path.join(root, "etc", "tbmesh.conf"), "w", encoding="ascii") as file:
            file.write("no_such_key = 1\n")
        done = subprocess.run([LAB, "exec", "alpha", "--", "tbmeshd", "--root", root], capture_output=True, text=True,
                              env=environment(), timeout=20, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("tbmesh.conf:1", done.stderr)


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
