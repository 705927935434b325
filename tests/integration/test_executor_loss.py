#!/usr/bin/python3
"""One node, one CPU driver, no lab: executors are killed or stopped again and again while programs run, and the programs' output
must equal a run on the plain driver. `--rounds N --seed S` for more; prints the seed. `--mode relaxed`: the same in relaxed mode, where
a program that computes otherwise each time must be told of as diverged."""

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("TBMESH_BUILD", "build/dev")).resolve()
DRIVER = pathlib.Path("/usr/share/vulkan/icd.d/lvp_icd.x86_64.json")
PROGRAMS = [
    ["xorshift", "--rounds", "1500"],
    ["stencil", "--steps", "2000"],
    ["mapped", "--rounds", "1500"],
    ["neighbours", "--rounds", "1500"],
    ["signals", "--rounds", "1000"],
    ["state", "--mib", "4", "--rounds", "60"],
    ["images", "--rounds", "1500"],
    ["robust", "--rounds", "400"],
    ["draws", "--rounds", "1500"],
    ["threads", "--rounds", "60"],
    ["leftover", "--rounds", "30"],
    ["recordings", "--mib", "40", "--dispatches", "40000", "--rounds", "4"],
]
ON_THE_PLAIN_DRIVER = {"leftover": ["--keep", "1"]}  # lavapipe 22 crashes of what it may do elsewhere


class Node:
    def __init__(self, root, driver=None):
        self.root = root
        self.tbmesh("init")
        environment = dict(os.environ, VK_DRIVER_FILES=str(driver or DRIVER))
        self.log = open(root / "node.log", "w")
        self.process = subprocess.Popen([BUILD / "bin/tbmeshd", "--root", root], env=environment, stderr=self.log)
        self.tbmesh("wait", "--gpus", "1", "--cpu", "--timeout", "30")

    def tbmesh(self, *words):
        return subprocess.run([BUILD / "bin/tbmesh", "--root", self.root, *words], check=True, capture_output=True, text=True).stdout

    def executor(self, program_pid):
        """Pid of the program's executor, if it has one now."""
        for w in json.loads(self.tbmesh("ps", "--json"))["workloads"]:
            if w["pid"] == program_pid and w["executor_pid"] and w["state"] != "finished":
                return w["executor_pid"]
        return None

    def events(self, kind):
        return [e for e in json.loads(self.tbmesh("events", "--json"))["events"] if e["type"] == kind]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
        for path in (self.root / "run/exec").glob("*.pid"):  # asked for by a session that is gone; it would wait for half a minute
            try:
                os.kill(int(path.read_text().split()[0]), signal.SIGKILL)
            except (ValueError, IndexError, OSError):
                pass


def output(program):
    """What it prints, without the line that names the device."""
    return [line for line in program.splitlines() if not line.startswith("device:")]


def plain(words):
    environment = dict(os.environ, VK_DRIVER_FILES=str(DRIVER))
    words = [*words, *ON_THE_PLAIN_DRIVER.get(words[0], [])]
    run = subprocess.run([BUILD / "programs" / words[0], *words[1:]], env=environment, check=True, capture_output=True, text=True)
    return output(run.stdout)


def hurt(pid, rng):
    """Kills an executor, or stops it and lets it go on later. Returns what to do at the end."""
    try:
        if rng.random() < 0.6:
            os.kill(pid, signal.SIGKILL)
            return None
        os.kill(pid, signal.SIGSTOP)
        return pid
    except ProcessLookupError:
        return None


def run_one(node, words, rng, expected, mode):
    environment = dict(os.environ, TBMESH_LOG="info")
    run = subprocess.Popen([BUILD / "bin/tbmesh", "--root", node.root, "run", "--mode", mode, "--", BUILD / "programs" / words[0], *words[1:]],
                           env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stopped, last, hurts = [], None, 0
    deadline = time.monotonic() + 90
    while run.poll() is None and time.monotonic() < deadline and hurts < 4:
        time.sleep(rng.uniform(0.02, 0.5))
        pid = node.executor(run.pid)
        if pid and pid != last and run.poll() is None:
            stopped.append(hurt(pid, rng))
            last, hurts = pid, hurts + 1
        if rng.random() < 0.3:
            wake(stopped)
    try:
        out, err = run.communicate(timeout=max(1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        run.kill()
        out, err = run.communicate()
        err += "\nTIMED OUT"
    wake(stopped)
    if run.returncode != 0 or output(out) != expected:
        raise SystemExit(f"{' '.join(words)}: exit {run.returncode} after {hurts} losses\n{err}\n{out[-2000:]}\nexpected {expected[-5:]}")
    return hurts


def expect_divergence(node):
    """Kills executors of a program whose results depend on chance until it is told of; the program is right in its own eyes."""
    words = ["tickets", "--rounds", "400", "--groups", "1024"]
    if plain(words) == plain(words):
        print("SKIP: this driver's threads run in the same order each time, so nothing can diverge")
        return
    for _ in range(5):
        run = subprocess.Popen([BUILD / "bin/tbmesh", "--root", node.root, "run", "--mode", "relaxed", "--", BUILD / "programs" / words[0],
                                *words[1:]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(3):
            time.sleep(0.4)
            pid = node.executor(run.pid)
            if pid and run.poll() is None:
                os.kill(pid, signal.SIGKILL)
        out, _ = run.communicate(timeout=60)
        if node.events("Diverged"):
            shown = next(w for w in json.loads(node.tbmesh("ps", "--json"))["workloads"] if w["pid"] == run.pid)
            if run.returncode != 0 or shown["mode"] != "relaxed" or not shown["diverged"]:
                raise SystemExit(f"tickets: exit {run.returncode}, {shown}\n{out[-500:]}")
            print("tickets: diverged, and was told of")
            return
    raise SystemExit("a program whose replays come out otherwise is not said to have diverged")


def wake(stopped):
    while stopped:
        pid = stopped.pop()
        if pid:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--only")
    parser.add_argument("--mode", default="strict")
    arguments = parser.parse_args()
    if not DRIVER.exists():
        print(f"SKIP: no driver {DRIVER}")
        sys.exit(77)
    print(f"seed {arguments.seed}", flush=True)
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="tbmesh-loss-", ignore_cleanup_errors=True) as directory:
        node = Node(pathlib.Path(directory))
        try:
            expected = {}
            for _ in range(arguments.rounds):
                for words in PROGRAMS:
                    if arguments.only and words[0] != arguments.only:
                        continue
                    key = " ".join(words)
                    expected.setdefault(key, plain(words))
                    start = time.monotonic()
                    hurts = run_one(node, words, rng, expected[key], arguments.mode)
                    print(f"{key}: right after {hurts} losses, {time.monotonic() - start:.1f} s", flush=True)
            if node.events("Diverged"):
                raise SystemExit("a program without chance in it is said to have diverged")
            if arguments.mode == "relaxed" and not arguments.only:
                expect_divergence(node)
        finally:
            node.stop()


if __name__ == "__main__":
    main()
