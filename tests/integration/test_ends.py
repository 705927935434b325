#!/usr/bin/python3
"""How things end, with one node and no lab: a session or a program is killed, or nothing is left to run on."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from test_executor_loss import BUILD, DRIVER, Node


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(question, what):
    until = time.monotonic() + 20
    while not question():
        assert time.monotonic() < until, f"not within 20 s: {what}"
        time.sleep(0.05)


def wait_until_dead(*pids):
    eventually(lambda: not any(is_alive(pid) for pid in pids), f"{pids} have ended")


def workload(node, program_pid):
    for w in json.loads(node.tbmesh("ps", "--json"))["workloads"]:
        if w["pid"] == program_pid:
            return w
    return None


def start(node):
    """A long program in mid-run, and its workload."""
    run = subprocess.Popen([BUILD / "bin/tbmesh", "--root", node.root, "run", "--", BUILD / "programs/xorshift", "--rounds", "100000"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while True:
        w = workload(node, run.pid)
        if w and w["completed_seq"] > 3 and w["executor_pid"]:
            return run, w
        assert run.poll() is None and time.monotonic() < until, "the program does not get going"
        time.sleep(0.05)


def expect_lost(run, within_s):
    begun = time.monotonic()
    _, errors = run.communicate(timeout=30)
    assert run.returncode != 0 and "VkResult -4" in errors, f"exit {run.returncode}: {errors}"
    assert time.monotonic() - begun < within_s, f"it took {time.monotonic() - begun:.1f} s"
    return errors


def session_killed(node):
    run, w = start(node)
    os.kill(w["session_pid"], signal.SIGKILL)
    assert "its session ended" in expect_lost(run, 2)
    wait_until_dead(w["executor_pid"])


def program_killed(node):
    run, w = start(node)
    run.kill()
    run.communicate()
    wait_until_dead(w["session_pid"], w["executor_pid"])
    eventually(lambda: workload(node, run.pid)["state"] == "finished", "the node knows that it is finished")


def executor_stuck(node):
    run, w = start(node)
    os.kill(w["executor_pid"], signal.SIGSTOP)
    run.kill()
    run.communicate()
    wait_until_dead(w["session_pid"], w["executor_pid"])


def nothing_left(node):
    run, w = start(node)
    node.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(w["executor_pid"], signal.SIGKILL)
        assert "no executor can carry on" in expect_lost(run, 8)
    finally:
        node.process.send_signal(signal.SIGCONT)
    wait_until_dead(w["session_pid"])
    eventually(lambda: any(e["type"] == "MigrationFailed" and "the node does not answer" in e["fields"]["reason"]
                           for e in json.loads(node.tbmesh("events", "--json"))["events"]), "the event that says why")


def main():
    if not DRIVER.exists():
        print(f"SKIP: no driver {DRIVER}")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="tbmesh-ends-", ignore_cleanup_errors=True) as directory:
        root = pathlib.Path(directory)
        (root / "etc").mkdir()
        (root / "etc/tbmesh.conf").write_text("migration_timeout = 3\n")
        node = Node(root)
        try:
            for case in session_killed, program_killed, executor_stuck, nothing_left:
                case(node)
                print(f"{case.__name__}: ok", flush=True)
        finally:
            node.stop()


if __name__ == "__main__":
    main()
