#!/usr/bin/python3
"""The main job in the lab: hosts alpha (an eGPU) and beta (a GPU), two cables on two controllers. A Vulkan program runs on alpha's
eGPU, which is unplugged in mid-run; the program carries on on beta's GPU. Exit 0 only when its output is the plain driver's."""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
LAB = os.path.join(TOP, "deploy", "lab")


RATE = "8gbit"  # of a cable


class Failed(Exception):
    pass


def say(text=""):
    print(text, flush=True)


def title(text):
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else ("", "")
    say(f"\n{bold}── {text} {plain}")


class MainJob:
    def __init__(self, build, how, mib):
        self.build, self.how, self.mib = build, how, mib
        self.environment = dict(os.environ, TBMESH_BUILD=build)
        self.program = [os.path.join(build, "programs", "state"), "--mib", str(mib), "--rounds", "40"]

    def lab(self, *words, check=True):
        done = subprocess.run([LAB, *words], capture_output=True, text=True, env=self.environment, timeout=300, check=False)
        if check and done.returncode != 0:
            raise Failed(f"deploy/lab {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def on(self, host, *words):
        return self.lab("exec", host, "--", *words)

    def tbmesh(self, host, *words):
        return json.loads(self.on(host, "tbmesh", "--json", *words))

    def play(self):
        title("Two hosts, two Thunderbolt cables on two controllers")
        self.lab("up", "2", "--topology", "pair", "--cables", "2", "--rate", RATE, "--start")
        self.on("alpha", "tbmesh", "wait", "--peers", "1", "--links", "2", "--gpus", "2", "--measured", "--timeout", "60")
        for host, question in (("alpha", "peers"), ("alpha", "links"), ("beta", "peers"), ("alpha", "gpus")):
            say(f"{host}$ tbmesh {question}")
            say(self.on(host, "tbmesh", question).rstrip())

        title("The program on the plain driver, undisturbed")
        began = time.monotonic()
        plain = self.on("alpha", *self.program)
        say(f"{len(plain.splitlines())} lines in {time.monotonic() - began:.1f} s, the last: {plain.splitlines()[-2:]}")

        title(f"The same program by `tbmesh run`; the eGPU is pulled out in mid-run (--how {self.how})")
        output, times = self.run_and_unplug()
        self.timeline(times)

        title("Compared with the undisturbed run")
        if output != plain:
            raise Failed(f"the outputs differ: plain driver\n{plain}\nunder tbmesh\n{output}")
        say("identical")

    def run_and_unplug(self):
        gpu = next((g for g in self.tbmesh("alpha", "gpus")["gpus"] if g["egpu"] and g["local"]), None)
        if gpu is None:
            raise Failed("alpha lists no eGPU")
        run = subprocess.Popen([LAB, "exec", "alpha", "--", "tbmesh", "run", "--", *self.program], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=self.environment)
        errors = []
        reader = threading.Thread(target=lambda: errors.extend(run.stderr), daemon=True)
        reader.start()
        lines, unplugged = [], None
        for line in run.stdout:
            lines.append(line)
            if len(lines) == 12:
                for row in self.on("alpha", "tbmesh", "ps").rstrip().splitlines():
                    say(row)
                unplugged = float(self.lab("unplug", "alpha", gpu["id"], "--how", self.how, "--when"))
        status = run.wait()
        finished = time.clock_gettime(time.CLOCK_MONOTONIC)
        reader.join(5)
        if status != 0:
            raise Failed(f"the program ended with {status}\n{''.join(errors)}{''.join(lines)}")
        if unplugged is None:
            raise Failed("the program was over before the eGPU could be pulled")
        return "".join(lines), {"unplugged": unplugged, "finished": finished}

    def timeline(self, times):
        events = self.tbmesh("alpha", "events")["events"]
        started = [e for e in events if e["type"] == "MigrationStarted"]
        done = [e for e in events if e["type"] == "MigrationCompleted"]
        lost = [e for e in events if e["type"] == "Disconnected"]
        if not (started and done and lost):
            raise Failed("the node has no Disconnected, MigrationStarted and MigrationCompleted events:\n" + json.dumps(events, indent=1))
        fields = done[-1]["fields"]
        zero = times["unplugged"]

        def row(at, what):
            say(f"  {(at - zero) * 1000:9.1f} ms  {what}")

        row(zero, "unplugged")
        row(lost[-1]["monotonic_ns"] / 1e9, f"noticed: {lost[-1]['subject']} has disconnected")
        base = started[-1]["monotonic_ns"] / 1e9
        row(base, f"workload taken off it: {fields['cause']}")
        row(base + float(fields["ready_ms"]) / 1000, f"executor ready on {fields['to']}")
        row(base + float(fields["streamed_ms"]) / 1000,
            f"state streamed: {int(fields['streamed_bytes']) / 2**20:.1f} MiB, {float(fields['streamed_gbps']):.2f} Gb/s")
        row(base + float(fields["duration_ms"]) / 1000, "resumed: the first submission is complete again")
        row(times["finished"], "program finished")


def main():
    parser = argparse.ArgumentParser(prog="deploy/run", description=__doc__)
    parser.add_argument("--how", choices=["lost", "silent", "hang", "crash"], default="silent",
                        help="what the dying driver does (default: silent, fences signalled and memory garbage)")
    parser.add_argument("--mib", type=int, default=64, help="state of the program on the GPU (default 64)")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    job = MainJob(args.build, args.how, args.mib)
    try:
        job.play()
    except (Failed, subprocess.TimeoutExpired, KeyError) as error:
        print(f"\nfailed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        job.lab("down", check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
