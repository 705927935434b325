#!/usr/bin/python3
"""Programs that misbehave, one node, no lab: each ends in a clear way, and nothing of it is left behind: no process, no socket, no
record. `--long`: more of each."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from test_executor_loss import BUILD, DRIVER, Node
from test_ends import eventually

HOSTILE = BUILD / "programs/hostile"
GONE_S = 6  # from the end of a program until nothing of it is left


def processes_of(root):
    """Sessions and executors below that root, by pid."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(root) in b" ".join(words) and words[0].rsplit(b"/", 1)[-1] in (b"tbmesh-session", b"tbmesh-exec"):
            found[int(path.parent.name)] = b" ".join(words).decode(errors="replace")
    return found


def leftovers(root):
    files = [str(p) for p in (root / "run/sessions").glob("*.sock")]
    files += [str(p) for p in (root / "run/exec").iterdir() if p.suffix in (".sock", ".pid")]
    return processes_of(root), files


def nothing_left(root, case):
    until = time.monotonic() + GONE_S
    while any(leftovers(root)):
        assert time.monotonic() < until, f"{case}: after {GONE_S} s there is still {leftovers(root)}"
        time.sleep(0.05)


def run(node, *words, expected=(0,), stdin=None, close=False, prefix=(), timeout=60, environment=None):
    command = [*prefix, BUILD / "bin/tbmesh", "--root", node.root, "run", "--", HOSTILE, *words]
    if close:
        command = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    done = subprocess.run(command, capture_output=True, text=True, stdin=stdin, timeout=timeout, check=False,
                          env=dict(os.environ, **(environment or {})))
    assert done.returncode in expected, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def bad_shader(node, _):
    done = run(node, "bad-shader")
    assert "shader module" in done.stderr and "not valid" in done.stderr, done.stderr


def forks(node, _):
    run(node, "forks")


def orphan(node, _):
    run(node, "orphan")


def leak(node, _):
    run(node, "leak")


def exit_in_thread(node, scale):
    for _ in range(2 * scale):
        run(node, "exit-in-thread")


def aborts(node, _):
    run(node, "abort", expected=(-signal.SIGABRT,))


def cycles(node, scale):
    run(node, "cycles", "--rounds", str(12 * scale), timeout=600)


def many(node, scale):
    run(node, "many", "--rounds", str(4 * min(scale, 16)), timeout=300)


def storm(node, scale):
    run(node, "storm", "--rounds", str(8 * scale), timeout=300)


def thin(node, _):
    print(run(node, "thin").stdout.splitlines()[-1])


def limits(node, _):
    """Too little of something: a word from the driver, no crash."""
    few = run(node, "few-descriptors", expected=(0,))
    assert "tbmesh:" in few.stderr, few.stderr
    little = run(node, "little-address-space", expected=(0,))
    assert "log" in little.stderr, little.stderr


def closed_descriptors(node, _):
    run(node, "leak", close=True)


def no_temporary_directory(node, _):
    run(node, "leak", environment={"TMPDIR": "/nonexistent", "HOME": "/nonexistent", "XDG_RUNTIME_DIR": ""})


def killed_at_random(node, scale):
    rng = random.Random(7)
    for _ in range(4 * scale):
        command = [BUILD / "bin/tbmesh", "--root", node.root, "run", "--", HOSTILE, "cycles", "--rounds", "100000"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(rng.uniform(0.02, 1.2))
            process.kill()


CASES = [bad_shader, forks, orphan, leak, exit_in_thread, aborts, cycles, many, storm, thin, limits, closed_descriptors,
         no_temporary_directory, killed_at_random]


def main():
    if not DRIVER.exists():
        print(f"SKIP: no driver {DRIVER}")
        sys.exit(77)
    words = [w for w in sys.argv[1:] if not w.startswith("-")]
    scale = 25 if "--long" in sys.argv else 1
    with tempfile.TemporaryDirectory(prefix="tbmesh-hostile-", ignore_cleanup_errors=True) as directory:
        root = pathlib.Path(directory)
        node = Node(root)
        try:
            for case in CASES:
                if words and case.__name__ not in words:
                    continue
                begun = time.monotonic()
                case(node, scale)
                nothing_left(root, case.__name__)
                print(f"{case.__name__}: ok, {time.monotonic() - begun:.1f} s", flush=True)
            eventually(lambda: node.process.poll() is None, "the node lives")
        finally:
            node.stop()


if __name__ == "__main__":
    main()
