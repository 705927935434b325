"""What all groups of benchmarks share: the lab, running programs on its hosts, printing figures."""

import json
import os
import re
import subprocess
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
LAB = os.path.join(TOP, "deploy", "lab")


class LabBench:
    def __init__(self, build, as_json):
        self.build = build
        self.as_json = as_json
        self.environment = dict(os.environ, TBMESH_BUILD=build)

    def emit(self, name, value, unit, baseline, baseline_name, better):
        ratio = value / baseline if baseline else None
        if self.as_json:
            print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "baseline": round(baseline, 4),
                              "ratio": None if ratio is None else round(ratio, 4), "better": better}), flush=True)
            return
        times = "" if ratio is None else f", ratio {ratio:.3f}"
        print(f"{name:<34} {value:10.3f} {unit:<5} | {baseline_name}: {baseline:.3f} {unit}{times} ({better} is better)", flush=True)

    # the lab

    def lab(self, *words, check=True, timeout=180):
        return subprocess.run([LAB, *words], check=check, timeout=timeout, capture_output=True, text=True, env=self.environment)

    def on(self, host, *words, timeout=900):
        done = self.lab("exec", host, "--", *words, check=False, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"{host}: {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, host, *words):
        return subprocess.Popen([LAB, "exec", host, "--", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env=self.environment)

    def up(self, cables):
        self.lab("down", check=False)
        self.lab("up", "2", "--topology", "pair", "--cables", str(cables), "--start")
        self.on("alpha", "tbmesh", "wait", "--peers", "1", "--gpus", "1", "--measured", "--timeout", "60")

    def timed(self, *words):
        began = time.monotonic()
        self.on("alpha", *words)
        return time.monotonic() - began

    def tbmesh(self, host, *words):
        return json.loads(self.on(host, "tbmesh", "--json", *words))

    def target(self):
        """beta's address, as alpha reaches it over the first cable"""
        text = self.on("beta", "ip", "-6", "-o", "addr", "show", "dev", "thunderbolt0", "scope", "link")
        return re.search(r"inet6 (fe80::[0-9a-f:]+)", text).group(1) + "%thunderbolt0"

    def pid_of(self, host, name):
        inside = self.on(host, "readlink", "/proc/self/ns/net").strip()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                    if comm.read().strip() == name and os.readlink(f"/proc/{pid}/ns/net") == inside:
                        return int(pid)
            except OSError:
                continue
        raise RuntimeError(f"no {name} on {host}")
