"""What the lab's tests share: one lab a test file, its commands, and what it said when a test fails."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import unittest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
LAB = os.path.join(TOP, "deploy", "lab")
BUILD = os.environ.get("TBMESH_BUILD", os.path.join(TOP, "build", "dev"))
NAME = os.path.basename(sys.argv[0]).removeprefix("test_").removesuffix(".py")
DIR = f"/run/tbmesh-test-{hashlib.sha1(BUILD.encode()).hexdigest()[:6]}-{NAME}"
SKIP = 77
COMMAND_TIMEOUT_S = 60


def why_not():
    """Why no lab can stand here, or None."""
    if os.geteuid() != 0:
        return "the lab needs root"
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0:
        return "no network namespaces here"
    for tool in ("ip", "tc", "umockdev-wrapper", "vulkaninfo"):
        if not shutil.which(tool):
            return f"no {tool} here"
    if subprocess.run(["/usr/bin/python3", "-c", "import gi; gi.require_version('UMockdev', '1.0')"], capture_output=True,
                      check=False).returncode != 0:
        return "no python3-gi with gir1.2-umockdev-1.0 here"
    return None


class CommandFailed(AssertionError):
    pass


def environment():
    return dict(os.environ, TBMESH_BUILD=BUILD, TBMESH_LAB_DIR=DIR)


def lab(*words, check=True, timeout=COMMAND_TIMEOUT_S):
    """deploy/lab WORDS. Its output, or with check=False the finished process."""
    done = subprocess.run([LAB, *map(str, words)], capture_output=True, text=True, env=environment(), timeout=timeout, check=False)
    if not check:
        return done
    if done.returncode != 0:
        raise CommandFailed(f"deploy/lab {' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def on(host, *words, **options):
    return lab("exec", host, "--", *words, **options)


def start(host, *words, **options):
    """A command that goes on running on a host."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen([LAB, "exec", host, "--", *map(str, words)], env=environment(), **options)


def state():
    return json.loads(lab("status", "--json"))


def eventually(question, timeout_s=10.0, what="it"):
    """Asks until the answer is true; returns it."""
    until = time.monotonic() + timeout_s
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"not within {timeout_s} s: {what}; last answer {answer!r}")
        time.sleep(0.05)


def print_logs():
    for name in ["keeper.log"] + sorted(os.path.join("log", n) for n in _listdir(os.path.join(DIR, "log"))):
        path = os.path.join(DIR, name)
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
            print(f"---- {name} (last {min(60, len(lines))} of {len(lines)} lines)", *lines[-60:], sep="\n", file=sys.stderr)


def _listdir(path):
    return os.listdir(path) if os.path.isdir(path) else []


class LabCase(unittest.TestCase):
    """UP: the words behind `deploy/lab up`; None: the tests build their own."""
    UP = None

    @classmethod
    def setUpClass(cls):
        if cls.UP is not None:
            lab("up", *cls.UP)
            cls.addClassCleanup(lab, "down")

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            print(f"==== {self.id()} failed; the lab says:", file=sys.stderr)
            print_logs()


def main():
    reason = why_not()
    if reason:
        print(f"SKIP: {reason}")
        sys.exit(SKIP)
    lab("down", check=False)  # of a run that was killed
    try:
        unittest.main(verbosity=2)
    finally:
        lab("down", check=False)
