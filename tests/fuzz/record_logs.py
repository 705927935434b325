#!/usr/bin/python3
"""Records the logs of programs for the executor's fuzzer: record_logs.py OUTPUT_DIRECTORY NAME PROGRAM [ARGUMENT…]

Runs the program under a node of its own and keeps the log that its driver writes: the ring's file, from its start. TBMESH_BUILD names
the build."""

import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from test_executor_loss import BUILD, Node  # noqa: E402

PAGE = 4096


def open_log(pid):
    """A descriptor of the log of that program, as soon as it has one."""
    while True:
        directory = pathlib.Path(f"/proc/{pid}/fd")
        for name in os.listdir(directory):
            try:
                if "memfd:tbmesh-log" in os.readlink(directory / name):
                    return os.open(directory / name, os.O_RDONLY)
            except FileNotFoundError:
                pass
        time.sleep(0.001)


def main():
    output, name, *words = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="tbmesh-record-", ignore_cleanup_errors=True) as directory:
        node = Node(pathlib.Path(directory))
        try:
            run = subprocess.Popen([BUILD / "bin/tbmesh", "--root", node.root, "run", "--", *words])
            log = open_log(run.pid)
            assert run.wait(60) == 0
        finally:
            node.stop()
    head = struct.unpack("<Q", os.pread(log, 8, 0))[0]
    pathlib.Path(output, f"{name}.log").write_bytes(os.pread(log, head, PAGE))
    print(f"{name}: {head} bytes")


if __name__ == "__main__":
    main()
