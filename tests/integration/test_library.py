#!/usr/bin/python3
"""libtbmesh as others get it: installed, found by pkg-config and by CMake, and asked without a node."""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
BUILD = os.environ["TBMESH_BUILD"]
EXAMPLE = os.path.join(HERE, "..", "..", "node", "lib", "example.c")


def run(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, **options).stdout


class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="tbmesh-library-")
        cls.prefix = os.path.join(cls.directory.name, "prefix")
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        cls.library = os.path.dirname(next(os.path.join(d, f) for d, _, files in os.walk(cls.prefix) for f in files
                                           if f.startswith("libtbmesh.so")))

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def path(self, *names):
        return os.path.join(self.directory.name, *names)

    def check(self, program):
        environment = dict(os.environ, LD_LIBRARY_PATH=self.library, TBMESH_ROOT=self.path("nowhere"))
        done = subprocess.run([program, "1"], capture_output=True, text=True, env=environment, check=False)
        self.assertEqual((done.returncode, done.stderr), (3, "no node to ask: No such file or directory\n"))

    def test_pkg_config(self):
        environment = dict(os.environ, PKG_CONFIG_PATH=os.path.join(self.library, "pkgconfig"))
        flags = run("pkg-config", "--cflags", "--libs", "tbmesh", env=environment).split()
        run("cc", "-Wall", "-Wextra", "-Werror", "-std=c11", "-D_GNU_SOURCE", EXAMPLE, "-o", self.path("example"), *flags)
        self.check(self.path("example"))

    def test_cmake_package(self):
        run("cmake", "-S", os.path.join(HERE, "consumer"), "-B", self.path("build"), f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DEXAMPLE={EXAMPLE}")
        run("cmake", "--build", self.path("build"))
        self.check(self.path("build", "consumer"))

    def test_exports_its_own_names_only(self):
        names = {line.split()[-1] for line in run("nm", "-D", "--defined-only", os.path.join(self.library, "libtbmesh.so"))
                 .splitlines()}
        self.assertTrue(names and all(name.startswith("tbmesh_") and "__" not in name for name in names), names)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
