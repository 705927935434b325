"""Where programs are tried: the lab with alpha (an eGPU) and beta (a card), two cables. Runs a program on a card without tbmesh, and
under tbmesh on the same card, disturbed or not."""

import json
import os
import signal
import subprocess
import threading
import time

from .errors import Missing, TryError

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
LAB = os.path.join(TOP, "deploy", "lab")
HOME = "alpha"  # where programs are started
GPUS = {"egpu": "alpha", "card": "beta"}
SKIP = 77
WAYS = ["lost", "silent", "hang", "crash"]
PLUG_TIMEOUT_S = 20
TAIL, TAIL_WIDTH = 25, 300  # lines and characters of a program's last words that an error shows
READY = ["--peers", "1", "--links", "2", "--gpus", "2", "--timeout", "60"]


def lines_into(stream, sink):
    for line in stream:
        sink(line)


class Run:
    """A program that runs on a host. stdout is its result; `phase NAME` lines on stderr tell when its parts begin."""

    def __init__(self, stage, words, environment):
        self.stage, self.words = stage, words
        self.out, self.errors, self.phases = [], [], []  # phases: (name, when)
        self.began = time.monotonic()
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        errors="replace", env={**stage.environment, **environment})
        self.readers = [threading.Thread(target=lines_into, args=(self.process.stdout, self.out.append), daemon=True),
                        threading.Thread(target=lines_into, args=(self.process.stderr, self.hear), daemon=True)]
        for reader in self.readers:
            reader.start()

    def hear(self, line):
        if line.startswith("phase "):
            self.phases.append((line.split()[1], time.monotonic()))
        else:
            self.errors.append(line)

    def is_over(self):
        return self.process.poll() is not None

    def last_words(self):
        return "\n".join(line.rstrip()[:TAIL_WIDTH] for line in (self.errors + self.out)[-TAIL:])

    def finish(self, timeout_s):
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise TryError(f"it did not end within {timeout_s} s; its last words:\n{self.last_words()}") from None
        self.seconds = time.monotonic() - self.began
        for reader in self.readers:
            reader.join(10)
        if status == SKIP:
            raise Missing(self.last_words())
        if status != 0:
            raise TryError(f"it ended with {status}; its last words:\n{self.last_words()}")

    def stop(self):
        if not self.is_over():
            self.process.kill()
        self.process.wait()

    # ---- under tbmesh: our child is `deploy/lab exec`, which becomes tbmesh, which becomes the program ----

    def workload(self):
        """Its workload that has an executor, or None."""
        for workload in self.stage.tbmesh(HOME, "ps")["workloads"]:
            if workload["pid"] == self.process.pid and workload["executor_pid"] and workload["state"] == "running":
                return workload
        return None

    def wait_for_executor(self, timeout_s=60, on=None):
        """on: key of the GPU; None: any."""
        until = time.monotonic() + timeout_s
        while not self.is_over() and time.monotonic() < until:
            workload = self.workload()
            if workload and on in (None, workload["gpu"]):
                return workload
            time.sleep(0.02)
        return None

    def wait_for_phase(self, name, timeout_s):
        """When it began, or None: the program is over. Without a name, when it has an executor."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if name is None:
                return time.monotonic() if self.wait_for_executor(timeout_s) else None
            for phase, when in list(self.phases):
                if phase == name:
                    return when
            if self.is_over():
                return None
            time.sleep(0.005)
        raise TryError(f"it did not reach its phase '{name}' within {timeout_s:.0f} s; its last words:\n{self.last_words()}")

    def spans(self):
        """{phase: seconds} of a run that is over; None is the whole, for programs that tell no phases."""
        marks = self.phases + [("end", self.began + self.seconds)]
        spans = {name: marks[i + 1][1] - when for i, (name, when) in enumerate(marks[:-1]) if name != "end"}
        return spans or {None: self.seconds}


class Stage:
    def __init__(self, directory, build, timeout_s, mode):
        self.environment = dict(os.environ, TBMESH_BUILD=build, TBMESH_LAB_DIR=directory)
        self.build, self.timeout_s, self.mode = build, timeout_s, mode

    def lab(self, *words, check=True):
        done = subprocess.run([LAB, *words], capture_output=True, text=True, env=self.environment, timeout=120, check=False)
        if check and done.returncode != 0:
            raise TryError(f"deploy/lab {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def tbmesh(self, host, *words):
        return json.loads(self.lab("exec", host, "--", "tbmesh", "--json", *words))

    def up(self, drivers):
        """drivers: behind each GPU, one of deploy/drivers; None: the one that is installed."""
        self.lab("down", check=False)
        cards = [word for gpu, host in GPUS.items()
                 for word in ("--gpu", f"{host}={gpu}@{drivers[gpu]},cpu" if drivers[gpu] else f"{host}={gpu},cpu")]
        self.lab("up", "2", "--cables", "2", *cards, "--start")
        self.wait_until_ready()

    def down(self):
        self.lab("down", check=False)

    def wait_until_ready(self):
        self.lab("exec", HOME, "--", "tbmesh", "wait", *READY)

    def key(self, gpu):
        host = GPUS[gpu]
        for known in json.loads(self.lab("status", "--json"))["hosts"][host]["gpus"]:
            if known["kind"] == gpu:
                return f"{host}/pci-{known['pci']}"
        raise TryError(f"the lab's {host} has no {gpu}")

    def plain(self, gpu, command, environment):
        """On the card itself, tbmesh being no part of it: the driver and its card are the same that an executor gets there."""
        run = Run(self, [LAB, "exec", "--cards", GPUS[gpu], "--", *command], environment)
        run.finish(self.timeout_s)
        return run

    def start(self, gpu, command, environment):
        return Run(self, [LAB, "exec", HOME, "--", "tbmesh", "run", "--mode", self.mode, "--gpu", self.key(gpu), "--", *command],
                   environment)

    def unplug(self, gpu, how):
        self.lab("unplug", GPUS[gpu], gpu, "--how", how)

    def plug(self, gpu):
        key = self.key(gpu)
        self.lab("plug", GPUS[gpu], gpu)
        until = time.monotonic() + PLUG_TIMEOUT_S
        while not any(g["key"] == key and g["state"] == "active" for g in self.tbmesh(HOME, "gpus")["gpus"]):
            if time.monotonic() > until:
                raise TryError(f"{HOME} does not list {key} {PLUG_TIMEOUT_S} s after it was plugged in again")
            time.sleep(0.1)


def kill_executor(run):
    """True: it had one, and it is dead."""
    workload = run.wait_for_executor()
    if workload is None:
        return False
    host = workload["gpu"].split("/", 1)[0]
    if host == HOME and workload["executor_pid"]:
        try:
            os.kill(workload["executor_pid"], signal.SIGKILL)
        except ProcessLookupError:
            return False
    else:
        run.stage.lab("kill", host, "executor", check=False)
    return True
