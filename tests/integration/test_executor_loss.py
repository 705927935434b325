#!/usr/bin/python3
"""One node, one CPU driver, no lab: executors are killed or stopped again and again while programs run, and the programs' output
must equal a run on the plain driver. `--rounds N --seed S` for more; prints the seed."""

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
]


class Node:
    def __init__(self, root):
        self.root = root
        self.tbmesh("init")
        environment = dict(os.environ, VK_DRIVER_FILES=str(DRIVER))
        self.log = open(root / "node.log", "w")
        self.process = subprocess.Popen([BUILD / "bin/tbmeshd", "--root", root], env=environment, stderr=self.log)
        self.tbmesh("wait", "--gpus", "1", "--cpu", "--timeout", "30")

    def tbmesh(self, *words):
        return subprocess.run([BUILD / "bin/tbmesh", "--root", self.root, *words], check=True, capture_output=True, text=True).stdout

    def executor(self, program_pid):
        """Pid of the program's executor, if it has one now."""
        for w in json.loads(self.tbmesh("ps", "--json"))["workloads"]:
            if w["pid"] == program_pid and w["executor_pid"]:
                return w["executor_pid"]
        return None

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


def run_one(node, words, rng, expected):
    environment = dict(os.environ, TBMESH_LOG="info")
    run = subprocess.Popen([BUILD / "bin/tbmesh", "--root", node.root, "run", "--", BUILD / "programs" / words[0], *words[1:]],
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
                    hurts = run_one(node, words, rng, expected[key])
                    print(f"{key}: right after {hurts} losses, {time.monotonic() - start:.1f} s", flush=True)
        finally:
            node.stop()


if __name__ == "__main__":
    main()
