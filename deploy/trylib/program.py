"""What a program to be tried must tell. One file a program beside this one."""

import json
import os
import shutil
import subprocess

from .errors import TryError
from .stage import TOP

INSTALL_TIMEOUT_S = 900


def setup(*words):
    """A function of deploy/setup.sh."""
    done = subprocess.run(["bash", "-c", '. "$0"; "$@"', os.path.join(TOP, "deploy", "setup.sh"), *words], check=False)
    if done.returncode != 0:
        raise TryError(f"`{' '.join(words)}` of deploy/setup.sh failed")


def install_npm(place, packages):
    """{name: version} into place/node_modules, as they are: none of their scripts is run."""
    if not (shutil.which("node") and shutil.which("npm")):
        setup("install_packages", "nodejs", "npm")
    os.makedirs(place, exist_ok=True)

    def installed(name):
        try:
            with open(os.path.join(place, "node_modules", name, "package.json"), encoding="utf-8") as file:
                return json.load(file)["version"]
        except OSError:
            return None
    missing = [f"{name}@{version}" for name, version in packages.items() if installed(name) != version]
    if not missing:
        return
    print(f"installing: {' '.join(missing)}", flush=True)
    with open(os.path.join(place, "package.json"), "a", encoding="utf-8") as file:
        if file.tell() == 0:
            file.write('{ "private": true }\n')
    done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", place, *missing],
                          capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise TryError(f"npm install failed:\n{done.stdout}{done.stderr}")


def install_driver(name):
    done = subprocess.run([os.path.join(TOP, "deploy", "drivers"), name], stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise TryError(f"the Vulkan driver {name} can't be had; `deploy/drivers {name}` says why")


class Program:
    name = ""
    text = ""
    debian = []       # packages
    is_short = False  # over before anybody could disturb it
    driver = None     # of deploy/drivers, behind the cards; None: the one that is installed

    def __init__(self, place, args):
        """place: its own directory, for installed things and models; args: of the command line."""
        self.place, self.args = place, args

    @classmethod
    def options(cls, parser):
        pass

    def install(self):
        setup("install_packages", *self.debian)

    def prepare(self, stage, gpu):
        """Once a GPU, in front of its first run."""

    def before_run(self):
        """In front of each run."""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def check(self, run):
        """Raises TryError where the program did not do what it was to do, although it ended well."""

    def result(self, run):
        return "".join(run.out)

    def summary(self, result):
        return f"{len(result.splitlines())} lines"

    def remark(self, result):
        """What else to tell of a run under tbmesh."""
        return ""

    def difference(self, expected, got):
        """None, or where the results differ."""
        if expected == got:
            return None
        pairs = zip((expected + "\n(end)").splitlines(), (got + "\n(end)").splitlines())
        number, (a, b) = next((n, p) for n, p in enumerate(pairs, 1) if p[0] != p[1])
        return f"line {number} differs:\n  plain driver: {a[:300]}\n  tbmesh:       {b[:300]}"
