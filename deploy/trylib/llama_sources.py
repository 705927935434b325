"""llama.cpp built from its sources: npm's node-llama-cpp brings those of one release along, as a git bundle. Its llama-cli generates
text without chance. `--rpc` holds tbmesh over a cable against llama.cpp's own way to a GPU elsewhere, its RPC backend."""

import os
import re
import shutil
import statistics
import subprocess
import time

from .errors import TryError
from .llama import Llama
from .program import Program, install_npm
from .stage import GPUS, HOME, LAB

VERSION = "3.12.1"  # brings b6133
TARGETS = ["llama-cli", "llama-bench", "rpc-server"]
CABLE = "thunderbolt0"
ADDRESSES = {"alpha": "10.9.0.1", "beta": "10.9.0.2"}  # it knows no IPv6
PORT = 50052
SERVER_TIMEOUT_S = 60
MEASURED = {"load_ms": r"load time = *([\d.]+) ms", "prompt_ms": r"prompt eval time = *([\d.]+) ms",
            "generation_tps": r" eval time = .*?([\d.]+) tokens per second"}


class LlamaSources(Llama):
    name = "llama-sources"
    text = "llama.cpp built here from a release's sources generates text; against its own RPC backend with --rpc"
    debian = ["cmake", "ninja-build", "g++", "git", "glslc", "libvulkan-dev"]

    @classmethod
    def options(cls, parser):
        super().options(parser)
        parser.set_defaults(release=VERSION)
        parser.add_argument("--rpc", type=int, default=0, metavar="N",
                            help="measure instead: N rounds each of the plain card, RPC and tbmesh over a cable, medians")

    def install(self):
        Program.install(self)
        place = os.path.join(self.place, self.args.release)
        install_npm(place, {"node-llama-cpp": self.args.release})
        self.bin = os.path.join(place, "build", "bin")
        if not all(os.path.exists(os.path.join(self.bin, target)) for target in TARGETS):
            self.build(place)
        self.model = os.path.abspath(self.args.model) if self.args.model else self.make_model()
        if not os.path.isfile(self.model):
            raise TryError(f"no model {self.model}")

    @staticmethod
    def build(place):
        """Minutes to an hour: it compiles hundreds of shaders."""
        source, log = os.path.join(place, "llama.cpp"), os.path.join(place, "build.log")
        bundle = os.path.join(place, "node_modules", "node-llama-cpp", "llama", "gitRelease.bundle")
        steps = [] if os.path.isdir(source) else [["git", "clone", "--quiet", bundle, source]]
        cache = [f"-DCMAKE_{language}_COMPILER_LAUNCHER=ccache" for language in ("C", "CXX")] if shutil.which("ccache") else []
        steps += [["cmake", "-S", source, "-B", os.path.join(place, "build"), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", *cache,
                   "-DGGML_VULKAN=ON", "-DGGML_RPC=ON", "-DLLAMA_CURL=OFF"],
                  ["nice", "ninja", "-C", os.path.join(place, "build"), *TARGETS]]
        print(f"building llama.cpp; see {log}", flush=True)
        with open(log, "a", encoding="utf-8") as file:
            for words in steps:
                if subprocess.run(words, stdout=file, stderr=file, check=False).returncode != 0:
                    raise TryError(f"`{words[0]}` failed; see {log}")

    def command(self, *more):
        return [os.path.join(self.bin, "llama-cli"), "-m", self.model, "-p", self.args.prompt, "-n", str(self.args.tokens), "-ngl", "99",
                "--temp", "0", "--seed", "1", "--ignore-eos", "--no-warmup", "-t", "1", "--no-mmap", *more]

    def summary(self, result):
        return f"{len(result)} characters"

    # ---- --rpc ----

    def measure(self, stage, say):
        """Prints medians of load, prompt and generation; whether all said the same."""
        key, place = stage.key("card"), f"{ADDRESSES['beta']}:{PORT}"
        for host, address in ADDRESSES.items():
            stage.lab("exec", host, "--", "ip", "address", "add", f"{address}/24", "dev", CABLE)
        server = subprocess.Popen([LAB, "exec", "--cards", GPUS["card"], "--", os.path.join(self.bin, "rpc-server"), "-H", "0.0.0.0", "-p",
                                   str(PORT), "-d", "Vulkan0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=stage.environment)
        under = ["exec", HOME, "--", "tbmesh", "run", "--gpu", key]
        ways = {
            "plain card": (["exec", "--cards", GPUS["card"], "--"], []),
            "RPC backend": (["exec", HOME, "--"], ["--rpc", place]),
            "tbmesh, strict": ([*under, "--mode", "strict", "--"], []),
            "tbmesh, relaxed": ([*under, "--mode", "relaxed", "--"], []),
        }
        try:
            self.wait_for_server(stage)
            figures, words = {way: [] for way in ways}, set()
            for number in range(self.args.rpc + 1):  # the first round fills caches of compiled shaders
                for way, (front, more) in ways.items():
                    seen, said = self.timed(stage, [LAB, *front, *self.command(*more)])
                    words.add(said)
                    if number:
                        figures[way].append(seen)
        finally:
            server.terminate()
            server.wait()
        say(f"  {'medians of ' + str(self.args.rpc):<20} {'model load':>12} {'prompt':>12} {'generation':>12}")
        for way, seen in figures.items():
            load, prompt, speed = (statistics.median(s[name] for s in seen) for name in MEASURED)
            say(f"  {way:<20} {load - prompt:9.0f} ms {prompt:9.0f} ms {speed:8.2f} t/s")
        if len(words) != 1:
            raise TryError("they did not all generate the same text")

    @staticmethod
    def wait_for_server(stage):
        probe = f"exec 3<>/dev/tcp/{ADDRESSES['beta']}/{PORT}"
        until = time.monotonic() + SERVER_TIMEOUT_S
        while subprocess.run([LAB, "exec", HOME, "--", "bash", "-c", probe], capture_output=True, env=stage.environment,
                             check=False).returncode != 0:
            if time.monotonic() > until:
                raise TryError(f"rpc-server does not listen within {SERVER_TIMEOUT_S} s")
            time.sleep(0.2)

    def timed(self, stage, words):
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=stage.environment,
                              timeout=stage.timeout_s, check=False)
        seen = {name: re.search(pattern, done.stderr) for name, pattern in MEASURED.items()}
        if done.returncode != 0 or not all(seen.values()):
            raise TryError(f"`{' '.join(words[1:6])} …` ended with {done.returncode}; its last words:\n{done.stderr[-2000:]}")
        return {name: float(match[1]) for name, match in seen.items()}, done.stdout
