"""Programs and single Vulkan calls under tbmesh beside the plain driver: the group `apps`.

Every figure is the median of pairs that ran one after the other; the first pair warms caches and does not count. `local` is alpha's
own card, `cable` beta's over one cable; both are the same CPU driver, so they compare with the plain driver on alpha. Without --whole
there is one pair of each whole program but llama.cpp, and that runs one model only."""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

from lab_bench import TOP

sys.path.insert(0, os.path.join(TOP, "deploy"))
from trylib.errors import Missing, TryError  # noqa: E402: deploy/try's programs are benchmarks, too
from trylib.llama import PROMPT, VERSION, Llama  # noqa: E402
from trylib.stage import Stage  # noqa: E402

PROGRAMS = {
    "xorshift": ["--rounds", "2000"],
    "stencil": ["--steps", "2000", "--side", "256"],
    "mapped": ["--rounds", "500"],
    "neighbours": ["--rounds", "300"],
    "signals": ["--rounds", "400"],
}
PAIRS = 3
STATE_MIB = 1024
SMALL_MIB = 64
MODEL_MIB = 256
QUICK_MODEL_MIB = 8
TOKENS = 32
LLAMA_TIMEOUT_S = 900
LLAMA_PHASES = ["load", "prompt", "generation"]
CARDS = {"local": "egpu", "cable": "card"}  # as deploy/try calls them


class Apps:
    def apps(self):
        self.up(1)
        self.places = {"local": self.gpu_of("alpha"), "cable": self.gpu_of("beta")}
        self.app_programs()
        self.app_calls()
        self.app_starts()
        self.app_llama()

    def gpu_of(self, host):
        """the card of that host as `tbmesh run` takes it"""
        return next(g["key"] for g in self.tbmesh("alpha", "gpus")["gpus"] if g["host"] == host and g["type"] != "cpu")

    def modes(self):
        """(suffix of the figure's name, words for `tbmesh run`)"""
        return [("", ["--mode", "strict"]), (":relaxed", ["--mode", "relaxed"])]

    def under(self, place, words):
        return ["tbmesh", "run", "--gpu", self.places[place], *words, "--"]

    def paired(self, ours, plain, warm=True, pairs=PAIRS):
        """Medians of what both commands answer, run in turns; the ratio is the median of the pairs' ratios."""
        results = []
        for turn in range(warm + pairs):
            pair = (ours(), plain())
            if turn >= warm:
                results.append(pair)
        results.sort(key=lambda p: p[0] / p[1])
        return results[len(results) // 2]

    def app_programs(self):
        for name, words in PROGRAMS.items():
            program = os.path.join(self.build, "programs", name)
            for place in self.places:
                for suffix, mode in self.modes():
                    ours, plain = self.paired(lambda: self.timed(*self.under(place, mode), program, *words),
                                              lambda: self.timed(program, *words), pairs=PAIRS if self.whole else 1)
                    self.emit(f"apps_overhead:{name}:{place}{suffix}", ours, "s", plain, "plain driver", "lower")

    # single calls

    def call(self, figure, mode, *words, prefix=()):
        text = self.on("alpha", *prefix, os.path.join(self.build, "bin", "tbmesh-bench-calls"), mode, *words)
        if "right" not in text:
            raise RuntimeError(f"calls {mode}: wrong results\n{text}")
        return {key: float(value) for key, value in re.findall(r"^(\w+) ([0-9.]+)$", text, re.M)}[figure]

    def hop(self, processes):
        """Microseconds of one round through so many sleeping processes."""
        return float(self.on("alpha", os.path.join(self.build, "bin", "tbmesh-bench-hop"), str(processes)))

    def app_calls(self):
        for place in self.places:
            for suffix, mode in self.modes():
                self.one_call("submit_cpu_us", place, suffix, mode, "us", "lower", "cpu_us", "submit")
                self.signal(place, suffix, mode, "submit")
                self.signal(place, suffix, mode, "readback")
                self.one_call("upload_gbps", place, suffix, mode, "GB/s", "higher", "gbps", "upload", "--mib", str(SMALL_MIB))
                self.one_call("download_gbps", place, suffix, mode, "GB/s", "higher", "gbps", "download", "--mib", str(SMALL_MIB))
                self.one_call(f"paced_readback_us:{STATE_MIB}MiB", place, suffix, mode, "us", "lower", "readback_us",
                              "paced", "--mib", str(STATE_MIB), "--rounds", "20")

    def one_call(self, name, place, suffix, mode, unit, better, figure, call, *words):
        ours, plain = self.paired(lambda: self.call(figure, call, *words, prefix=self.under(place, mode)),
                                  lambda: self.call(figure, call, *words), warm=False)  # it warms up by itself
        self.emit(f"{name}:{place}{suffix}", ours, unit, plain, "plain driver", better)

    def signal(self, place, suffix, mode, call):
        """Beside the plain driver, and beside it with the floor of the processes on the way: program, executor, session, program."""
        floors = []

        def plain():
            floors.append(self.hop(3))
            return self.call("signal_us", call)
        ours, base = self.paired(lambda: self.call("signal_us", call, prefix=self.under(place, mode)), plain, warm=False)
        name = "submit_signal_us" if call == "submit" else "readback_signal_us"
        self.emit(f"{name}:{place}{suffix}", ours, "us", base, "plain driver", "lower")
        self.emit(f"{name}_over_floor:{place}{suffix}", ours, "us", base + statistics.median(floors), "plain driver + hops", "lower")

    # llama.cpp

    def app_llama(self):
        """llama.cpp as npm has it: load, prompt and generation, each beside the same on the card itself."""
        place = os.path.join(os.path.expanduser("~"), ".cache", "tbmesh", "try", "llama")
        if not self.model:
            print("SKIP: llama on a given model: none was named (--model PATH)", file=sys.stderr)
        models = [self.model] if self.model else []
        if self.whole or not models:
            models.append(None)
        for model in models:
            args = argparse.Namespace(model=model, model_mib=MODEL_MIB if self.whole else QUICK_MODEL_MIB, tokens=TOKENS,
                                      prompt=PROMPT, release=VERSION)
            try:
                os.makedirs(place, exist_ok=True)
                program = Llama(place, args)
                program.install()
            except (Missing, TryError, OSError, subprocess.SubprocessError) as error:
                print(f"SKIP: llama: {error}", file=sys.stderr)
                return
            name = os.path.splitext(os.path.basename(program.model))[0]
            for where in CARDS:
                for suffix, mode in self.modes():
                    self.llama_pairs(program, name, where, suffix, mode[1])

    def llama_pairs(self, program, name, where, suffix, mode):
        stage = Stage(self.lab_directory(), self.build, LLAMA_TIMEOUT_S, mode)
        pairs = []
        for turn in range(1 + PAIRS):
            ours = stage.start(CARDS[where], program.command(), program.environment())
            ours.finish(LLAMA_TIMEOUT_S)
            program.check(ours)
            plain = stage.plain(CARDS[where], program.command(), program.environment())
            if ours.out != plain.out:
                raise RuntimeError(f"llama {name} {where}: its output differs from the plain driver's")
            if turn:
                pairs.append((ours.spans(), plain.spans()))
        for phase in LLAMA_PHASES:
            ours, plain = sorted(((o[phase], p[phase]) for o, p in pairs), key=lambda x: x[0] / x[1])[len(pairs) // 2]
            self.emit(f"apps_overhead:llama-{phase}:{name}:{where}{suffix}", ours, "s", plain, "plain driver", "lower")

    # starts

    @staticmethod
    def lab_directory():
        return os.environ.get("TBMESH_LAB_DIR", "/run/tbmesh-lab")

    def caches(self):
        return [os.path.join(self.lab_directory(), host, "var", "cache") for host in ("alpha", "beta")]

    def app_starts(self):
        """From nothing to the first result: the whole of a short program, with empty and with filled pipeline caches. The plain
        driver's own cache is emptied and kept in the same way."""
        program = os.path.join(self.build, "programs", "breadth")
        plain_cache = os.path.join(self.caches()[0], "plain")
        plain = ["env", f"MESA_SHADER_CACHE_DIR={plain_cache}", program]
        for place in self.places:
            cold, warm, base_cold, base_warm, new = [], [], [], [], []
            for _ in range(PAIRS if self.whole else 1):
                for cache in self.caches():
                    shutil.rmtree(cache, ignore_errors=True)
                cold.append(self.timed(*self.under(place, []), program))
                time.sleep(1)  # the executor saves its pipelines when it is idle or ends
                before = self.cached_files()
                warm.append(self.timed(*self.under(place, []), program))
                new.append(self.cached_files() - before)
                base_cold.append(self.timed(*plain))
                base_warm.append(self.timed(*plain))
            self.emit(f"cold_start_s:{place}", statistics.median(cold), "s", statistics.median(base_cold), "plain driver", "lower")
            self.emit(f"warm_start_s:{place}", statistics.median(warm), "s", statistics.median(base_warm), "plain driver", "lower")
            self.emit(f"warm_start_compiled:{place}", max(new), "", 0, "shaders that were not in the cache", "lower")

    def cached_files(self):
        """Compiled shaders that the executors' drivers have kept, all of them."""
        return sum(len(files) for cache in self.caches() for _, _, files in os.walk(cache) if "plain" not in cache)
