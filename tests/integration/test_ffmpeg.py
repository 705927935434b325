#!/usr/bin/python3
"""ffmpeg's Vulkan filters, unmodified, on one node and one CPU driver: each frame's checksum is that of the plain driver, while
executors are killed under it. ffmpeg 5.1 does not wait for its uploads in filters of two inputs: on the plain driver frames differ
from run to run. Theirs are compared with the software filter, or else with an undisturbed run. `--all` tries every filter; prints the seed."""

import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from test_executor_loss import BUILD, DRIVER, Node

FILTERS = {  # name: filter graph between upload and download; two inputs where it says [a][b]
    "gblur": "gblur_vulkan=sigma=3",
    "avgblur": "avgblur_vulkan",
    "chromaber": "chromaber_vulkan=dist_x=2:dist_y=2",
    "scale": "scale_vulkan=w=64:h=80",
    "hflip": "hflip_vulkan",
    "vflip": "vflip_vulkan",
    "flip": "flip_vulkan",
    "transpose": "transpose_vulkan",
    "overlay": "[a][b]overlay_vulkan=x=20:y=30",
    "blend": "[a][b]blend_vulkan=all_mode=multiply",
}
SOFTWARE = {"overlay": "[a][b]overlay=x=20:y=30:format=yuv420"}
IN_CI = ("chromaber", "overlay")


def command(graph, frames):
    source = ["-f", "lavfi", "-i", "testsrc=size=128x96:rate=25"]
    words = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-init_hw_device", "vulkan=v:0", "-filter_hw_device", "v"]
    if graph.startswith("[a][b]"):
        words += source + ["-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25"]
        whole = f"[0:v]format=yuv420p,hwupload[a];[1:v]format=yuv420p,hwupload[b];{graph},hwdownload,format=yuv420p"
    else:
        words += source
        whole = f"[0:v]format=yuv420p,hwupload,{graph},hwdownload,format=yuv420p"
    return words + ["-frames:v", str(frames), "-filter_complex", whole, "-f", "framemd5", "-"]


def in_software(words, graph):
    """The same command without Vulkan."""
    words = [w for i, w in enumerate(words) if not {w, words[i - 1]} & {"-init_hw_device", "-filter_hw_device"}]
    at = words.index("-filter_complex") + 1
    words[at] = f"[0:v]format=yuv420p[a];[1:v]format=yuv420p[b];{graph}"
    return words


def frames_of(text):
    return [line.split(",")[-1].strip() for line in text.splitlines() if line and not line.startswith("#")]


def plain(words):
    environment = dict(os.environ, VK_DRIVER_FILES=str(DRIVER))
    return frames_of(subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout)


def on_mesh(node, words, rng):
    """Its frames, and how many executors were killed under it; without rng none."""
    run = subprocess.Popen([BUILD / "bin/tbmesh", "--root", node.root, "run", "--", *words], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    killed = set()
    deadline = time.monotonic() + 60
    while rng and run.poll() is None and time.monotonic() < deadline and len(killed) < 3:
        time.sleep(rng.uniform(0.1, 0.6))
        pid = node.executor(run.pid)
        if pid and pid not in killed and run.poll() is None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed.add(pid)
    try:
        out, err = run.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        run.kill()
        out, err = run.communicate()
        err += "\nTIMED OUT"
    if run.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))}: exit {run.returncode} after {len(killed)} losses\n{err}")
    return frames_of(out), len(killed)


def why_not():
    if not DRIVER.exists():
        return f"no driver {DRIVER}"
    if not shutil.which("ffmpeg"):
        return "no ffmpeg here (package ffmpeg)"
    filters = subprocess.run(["ffmpeg", "-hide_banner", "-filters"], capture_output=True, text=True).stdout
    return None if "gblur_vulkan" in filters else "this ffmpeg has no Vulkan filters"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = parser.parse_args()
    reason = why_not()
    if reason:
        print(f"SKIP: {reason}")
        sys.exit(77)
    print(f"seed {arguments.seed}", flush=True)
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="tbmesh-ffmpeg-", ignore_cleanup_errors=True) as directory:
        node = Node(pathlib.Path(directory))
        try:
            for name in FILTERS if arguments.all else IN_CI:
                words = command(FILTERS[name], arguments.frames)
                if name in SOFTWARE:
                    expected = plain(in_software(words, SOFTWARE[name]))
                elif FILTERS[name].startswith("[a][b]"):
                    expected, _ = on_mesh(node, words, None)
                else:
                    expected = plain(words)
                start = time.monotonic()
                frames, losses = on_mesh(node, words, rng)
                if frames != expected or len(frames) != arguments.frames:
                    raise SystemExit(f"{name}: after {losses} losses frames differ:\n{frames}\nexpected\n{expected}")
                print(f"{name}: {len(frames)} frames right after {losses} losses, {time.monotonic() - start:.1f} s", flush=True)
        finally:
            node.stop()


if __name__ == "__main__":
    main()
