"""Where a lab keeps its things, and its state file.

DIR/lab.lock        held by the keeper as long as it lives; also marks DIR as a lab's
DIR/state.json      what stands: written by the keeper, read by everybody
DIR/keeper.sock     the keeper's ear
DIR/keeper.log      what the keeper did
DIR/log/HOST.log    tbmeshd of that host
DIR/HOST/           TBMESH_ROOT of that host: etc, var, run
DIR/gpu/HOST/       manifests, cards and fault pages of that host
DIR/bed/            the umockdev testbeds
"""

import fcntl
import hashlib
import json
import os

from .errors import LabError

DEFAULT_DIR = "/run/tbmesh-lab"
TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
DATA = os.path.join(TOP, "tests", "data", "lab")
HOST_NAMES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"]
MARK = "lab.lock"


class Layout:
    def __init__(self, directory):
        self.dir = os.path.abspath(directory)
        own = "" if self.dir == DEFAULT_DIR else "-" + hashlib.sha1(self.dir.encode()).hexdigest()[:6]
        self.prefix = f"tbmesh-lab{own}-"
        self.lock = os.path.join(self.dir, MARK)
        self.state = os.path.join(self.dir, "state.json")
        self.socket = os.path.join(self.dir, "keeper.sock")
        self.keeper_log = os.path.join(self.dir, "keeper.log")
        self.logs = os.path.join(self.dir, "log")
        self.beds = os.path.join(self.dir, "bed")

    def namespace(self, host):
        return self.prefix + host

    def root(self, host):
        return os.path.join(self.dir, host)

    def gpu_dir(self, host):
        return os.path.join(self.dir, "gpu", host)

    def node_log(self, host):
        return os.path.join(self.logs, host + ".log")

    def exists(self):
        return os.path.exists(self.lock)

    def check_usable(self):
        """A directory that is somebody else's is never touched."""
        if os.path.isdir(self.dir) and os.listdir(self.dir) and not self.exists():
            raise LabError(f"{self.dir} holds other things than a lab; choose an empty or new directory with --dir")

    def is_alive(self):
        """Does a keeper hold the lock?"""
        try:
            with open(self.lock, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def read_state(self):
        try:
            with open(self.state, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            raise LabError(f"no lab is up in {self.dir}; try: deploy/lab up 2") from None

    def write_state(self, state):
        temporary = self.state + ".new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(state, file, indent=1)
        os.rename(temporary, self.state)


def find_host(state, name):
    if name not in state["hosts"]:
        raise LabError(f"no host '{name}'; there are {', '.join(state['hosts'])}")
    return state["hosts"][name]


def find_build(wanted=None):
    """The build whose programs the hosts run: the given one, TBMESH_BUILD, or the newest in build/."""
    wanted = wanted or os.environ.get("TBMESH_BUILD")
    if wanted:
        build = os.path.abspath(wanted)
        if not os.path.exists(os.path.join(build, "CMakeCache.txt")):
            raise LabError(f"{build} is no build directory; build one with: cmake --preset release && cmake --build build/release")
        return build
    parent = os.path.join(TOP, "build")
    builds = [os.path.join(parent, b) for b in (os.listdir(parent) if os.path.isdir(parent) else [])]
    builds = [b for b in builds if os.path.exists(os.path.join(b, "CMakeCache.txt"))]
    if not builds:
        raise LabError("nothing is built; try: cmake --preset release && cmake --build build/release")
    return max(builds, key=lambda b: os.path.getmtime(os.path.join(b, "bin") if os.path.isdir(os.path.join(b, "bin")) else b))
