#!/usr/bin/python3
"""Benchmarks in the lab, each figure beside its baseline from the same run. Called by deploy/bench."""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from bench_mesh import MeshBench  # noqa: E402

from apps import Apps, PROGRAMS
from lab_bench import LabBench

STATE_ROUNDS = {16: 400, 256: 40, 1024: 12}  # MiB of state: rounds, so that the unplug meets the middle


class Bench(LabBench, Apps):
    def bulk(self):
        self.up(1)
        target = self.target()
        sealed, plain = [], []
        for _ in range(3):
            server = self.start("beta", "iperf3", "-s", "-1", "--forceflush")
            while "listening" not in server.stdout.readline():
                pass
            report = json.loads(self.on("alpha", "iperf3", "-6", "-c", target, "-t", "3", "-J"))
            server.communicate(timeout=20)
            plain.append(report["end"]["sum_received"]["bits_per_second"] / 1e9)
            sealed.append(self.bulk_once(target))
        self.emit("bulk_gbps", statistics.median(sealed), "Gb/s", statistics.median(plain), "iperf3", "higher")

    def bulk_once(self, target):
        tool = os.path.join(self.build, "bin", "tbmesh-bench-bulk")
        server = self.start("beta", tool, "listen", "5301")
        server.stdout.readline()
        gbps = float(self.on("alpha", tool, "send", target, "5301", "3"))
        server.communicate(timeout=20)
        return gbps

    def rtt(self):
        self.up(1)
        target = self.target()
        ours, pings = [], []
        for _ in range(3):  # interleaved, at the node's own pacing within a burst
            text = self.on("alpha", "ping", "-6", "-c", "100", "-i", "0.01", target)
            pings.append(statistics.median(float(x) * 1000 for x in re.findall(r"time=([0-9.]+) ms", text)))
            time.sleep(3)
            ours.append(self.tbmesh("alpha", "links")["links"][0]["rtt"]["p50_us"])
        self.emit("rtt_p50_us", statistics.median(ours), "us", statistics.median(pings), "ping -i 0.01", "lower")

    def mesh(self):
        MeshBench(self, rss_mib).run()

    def overhead(self):
        self.up(2)
        for name, words in PROGRAMS.items():
            program = os.path.join(self.build, "programs", name)
            pairs = []
            for turn in range(4):
                pair = (self.timed("tbmesh", "run", "--", program, *words), self.timed(program, *words))
                if turn:  # the first one fills the shader caches
                    pairs.append(pair)
            ours, plain = sorted(pairs, key=lambda p: p[0] / p[1])[1]
            self.emit(f"overhead:{name}", ours, "s", plain, "plain driver", "lower")

    def recovery(self):
        for mib, rounds in STATE_ROUNDS.items():
            self.up(2)
            program = os.path.join(self.build, "programs", "state")
            goodput = max(link["up"]["bps"] for link in self.tbmesh("alpha", "links")["links"])
            run = self.start("alpha", "tbmesh", "run", "--", program, "--mib", str(mib), "--rounds", str(rounds))
            seen = 0
            for line in run.stdout:
                seen += line.startswith("state round=")
                if seen == 4:
                    break
            gpu = next(g["id"] for g in self.tbmesh("alpha", "gpus")["gpus"] if g["egpu"] and g["local"])
            self.lab("unplug", "alpha", gpu)
            text = run.communicate(timeout=600)[0]
            if run.returncode != 0 or "right" not in text:
                raise RuntimeError(f"state --mib {mib} after the unplug: exit {run.returncode}\n{text}")
            events = self.tbmesh("alpha", "events")["events"]
            done = [e for e in events if e["type"] == "MigrationCompleted"][-1]["fields"]
            floor = float(done["streamed_bytes"]) * 8 / goodput * 1000
            self.emit(f"recovery_seeded_ms:{mib}MiB", float(done["started_ms"]), "ms", floor, "state / goodput of a cable", "lower")
            self.emit(f"recovery_ms:{mib}MiB", float(done["duration_ms"]), "ms", floor, "state / goodput of a cable", "lower")

    def idle(self):
        self.up(1)
        server = self.start("alpha", "iperf3", "-s")
        time.sleep(5)  # past the bursts of a new link
        pids = {"node": self.pid_of("alpha", "tbmeshd"), "iperf3": self.pid_of("alpha", "iperf3")}
        before = {k: cpu_seconds(p) for k, p in pids.items()}
        time.sleep(10)
        cpu = {k: (cpu_seconds(p) - before[k]) * 10 for k, p in pids.items()}
        self.emit("idle_cpu_percent", cpu["node"], "%", cpu["iperf3"], "idle iperf3 -s", "lower")
        self.emit("idle_rss_mib", rss_mib(pids["node"]), "MiB", rss_mib(pids["iperf3"]), "idle iperf3 -s", "lower")
        os.kill(pids["iperf3"], 15)
        server.wait(5)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


GROUPS = ["bulk", "rtt", "overhead", "apps", "recovery", "idle", "mesh"]


def main():
    parser = argparse.ArgumentParser(prog="deploy/bench", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"one or more of: {' '.join(GROUPS)}; all by default")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--model", help="a GGUF file: apps measures llama.cpp on it, too")
    parser.add_argument("--whole", action="store_true", help="apps: medians of several pairs, and llama.cpp on a model of 256 MiB")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    unknown = [g for g in args.groups if g not in GROUPS]
    if unknown:
        parser.error(f"unknown group {unknown[0]}; there are: {' '.join(GROUPS)}")
    bench = Bench(args.build, args.json)
    bench.whole = args.whole
    bench.model = args.model and os.path.abspath(args.model)
    status = 0
    try:
        for group in args.groups or GROUPS:
            try:
                getattr(bench, group)()
            except (RuntimeError, subprocess.SubprocessError, KeyError, IndexError, StopIteration, OSError) as error:
                print(f"{group}: {error}", file=sys.stderr)
                status = 1
    finally:
        bench.lab("down", check=False)
    return status


if __name__ == "__main__":
    sys.exit(main())
