"""What the lab's tests share: one lab a test file, its commands, and what it said when a test fails."""

import functools
import glob
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
MID_RUN_S = 0.3


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


class TooShort(AssertionError):
    """The program was over before it could be disturbed: this machine is fast. The test is tried again with more rounds."""


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


# ---- programs on the mesh ----

def tbmesh(host, *words):
    """The JSON document that `tbmesh WORDS` prints on that host."""
    return json.loads(on(host, "tbmesh", "--json", *words))


def program(name):
    return os.path.join(BUILD, "programs", name)


@functools.cache
def plain(name, *arguments, host="alpha"):
    """What the program prints on the plain driver, undisturbed. Run once: the same words give the same."""
    return on(host, program(name), *arguments)


class Run:
    """A program under `tbmesh run`. Its pid is that of the process which we start: each exec keeps it."""

    def __init__(self, host, name, *arguments, gpu=None):
        self.host, self.name, self.arguments = host, name, arguments
        choice = ["--gpu", gpu] if gpu else []
        self.process = start(host, "tbmesh", "run", *choice, "--", program(name), *arguments)

    def workload(self):
        for workload in tbmesh(self.host, "ps")["workloads"]:
            if workload["pid"] == self.process.pid:
                return workload
        return None

    def wait_for(self, holds, timeout_s=20.0, what="it"):
        """Until holds(its workload), while it runs; returns the workload."""
        def there():
            workload = self.workload()
            if workload and workload["state"] == "running" and holds(workload):
                return workload
            self.must_be_running()
            return None
        return eventually(there, timeout_s, f"{self.name}: {what}")

    def wait_for_start(self):
        """Until it has an executor; returns the workload."""
        return self.wait_for(lambda w: w["executor_pid"], 20, "has an executor")

    def reach_mid_run(self):
        """Lets it work for a moment after its start; returns the workload."""
        workload = self.wait_for_start()
        time.sleep(MID_RUN_S)
        self.must_be_running()
        return workload

    def must_be_running(self):
        if self.process.poll() is None:
            return
        if self.process.returncode != 0:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n" + "".join(self.process.communicate()))
        raise TooShort(f"{self.name} {' '.join(self.arguments)} was over too soon")

    def finish(self, timeout_s=60):
        try:
            out, errors = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, errors = self.process.communicate()
            raise AssertionError(f"{self.name} did not end within {timeout_s} s; it said:\n{out[-2000:]}{errors[-2000:]}") from None
        if self.process.returncode != 0:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}; it said:\n{out[-2000:]}{errors[-2000:]}")
        return out

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def events(host, *types):
    return [e for e in tbmesh(host, "events")["events"] if not types or e["type"] in types]


def gpu_key(host, kind):
    """kind: egpu or card, as the lab calls them."""
    pci = next(g["pci"] for g in state()["hosts"][host]["gpus"] if g["kind"] == kind)
    return f"{host}/pci-{pci}"


def print_logs():
    for pattern in ("keeper.log", "log/*", "*/run/**/*.log"):
        for path in sorted(glob.glob(os.path.join(DIR, pattern), recursive=True)):
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
            print(f"---- {os.path.relpath(path, DIR)} (last {min(60, len(lines))} of {len(lines)} lines)", *lines[-60:], sep="\n",
                  file=sys.stderr)


def with_more_rounds(test):
    """Tries a test again, with more rounds, when its program was over too soon."""
    @functools.wraps(test)
    def wrapper(self):
        for self.scale in (1, 4):
            try:
                return test(self)
            except TooShort as error:
                print(f"{error}: again with more rounds", file=sys.stderr)
                self.doCleanups()
                self.tearDown()
        self.scale = 16
        return test(self)
    return wrapper


class LabCase(unittest.TestCase):
    """UP: the words behind `deploy/lab up`; None: the tests build their own. READY: what `tbmesh wait` on alpha waits for."""
    UP = None
    READY = None
    scale = 1

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name, method in list(vars(cls).items()):
            if name.startswith("test_"):
                setattr(cls, name, with_more_rounds(method))

    @classmethod
    def setUpClass(cls):
        if cls.UP is None:
            return
        try:
            lab("up", *cls.UP)
            cls.addClassCleanup(lab, "down")
            if cls.READY:
                on("alpha", "tbmesh", "wait", *cls.READY)
        except CommandFailed:
            print_logs()
            raise

    def scaled(self, words):
        """The words with their rounds or steps times self.scale."""
        return [str(int(w) * self.scale) if before in ("--rounds", "--steps") else w for before, w in zip(("",) + words, words)]

    def plain(self, *words):
        return plain(*self.scaled(words))

    def run_on_mesh(self, host, *words, gpu=None):
        run = Run(host, *self.scaled(words), gpu=gpu)
        self.addCleanup(run.stop)
        return run

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
