#!/usr/bin/python3
"""Events between hosts: as they come, each once and in order, over cut cables, restarts and bursts; in the mesh, on one line."""

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
import unittest

from labtest import BUILD, DIR, SKIP, LabCase, eventually, lab, main, on, start, tbmesh

try:
    import zmq
except ImportError:
    print("SKIP: no python3-zmq here")
    raise SystemExit(SKIP) from None

BURST = 2000  # events
EXAMPLE = os.path.join(BUILD, "bin", "tbmesh-example")


def field(number, value):
    """Of a protobuf message: length-delimited."""
    value = value.encode() if isinstance(value, str) else value
    size = len(value)
    length = bytes([size]) if size < 128 else bytes([size & 0x7f | 0x80]) + (
        bytes([size >> 7]) if size < 1 << 14 else bytes([size >> 7 & 0x7f | 0x80, size >> 14]))
    key = number << 3 | 2
    return (bytes([key]) if key < 128 else bytes([key & 0x7f | 0x80, key >> 7])) + length + value


def ask(host, *bodies):
    """Requests at the control socket of a host, one after the other, without a process for each. Were all granted?"""
    granted = True
    with zmq.Context.instance().socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"ipc://{DIR}/{host}/run/control")
        for body in bodies:
            socket.send(b"\x08\x01" + body)  # Request { id: 1, … }
            if not socket.poll(20000):
                raise AssertionError(f"the node of {host} does not answer")
            granted &= socket.recv()[2:3] != b"\x10"  # Reply { id: 1, code: not 0, … }
    return granted


def happen(host):
    """Takes its CPU driver out and puts it back: two events, Ejected and Plugged. When, in microseconds."""
    began_us = time.time_ns() // 1000
    gpu = field(1, f"{host}/cpu-llvmpipe")  # EjectRequest { gpu, plug }
    eventually(lambda: ask(host, field(45, gpu)), 60, f"{host} knows its CPU driver")
    ask(host, field(45, gpu + b"\x18\x01"))
    return began_us


def burst(host):
    """So many events in one message to its node, as a session reports them."""
    events = b"".join(field(2, field(2, "CheckpointTaken") + field(6, f"burst-{i}")) for i in range(BURST))
    ask(host, field(19, field(1, field(1, "burst") + field(6, "finished")) + events))  # WorkloadReport { workload, events }


class Follow:
    """`tbmesh events --follow WORDS` on a host; its documents, with the time at which each line was there."""

    def __init__(self, case, host, *words):
        self.process = start(host, "tbmesh", "--json", "events", "--follow", *words, stderr=subprocess.DEVNULL)
        self.lines, self.read = queue.Queue(), []
        thread = threading.Thread(target=self.reader, daemon=True)
        thread.start()
        case.addCleanup(self.end, thread)

    def reader(self):
        for line in self.process.stdout:
            self.lines.put((time.time(), json.loads(line)))

    def end(self, thread):
        self.process.kill()
        self.process.wait()
        thread.join()
        self.process.stdout.close()

    def documents(self):
        with contextlib.suppress(queue.Empty):
            while True:
                self.read.append(self.lines.get_nowait())
        return self.read

    def events(self, node=None):
        return [e for _, e in self.documents() if e["schema"] == "tbmesh.event/1" and node in (None, e["node"])]

    def gaps(self):
        return [g for _, g in self.documents() if g["schema"] == "tbmesh.events_gap/1"]

    def wait_for(self, holds, what, timeout_s=30):
        """Until an event holds; the time between its happening and its line."""
        def there():
            for at, e in self.documents():
                if e["schema"] == "tbmesh.event/1" and holds(e):
                    return at - e["realtime_us"] / 1e6, e
            return None
        return eventually(there, timeout_s, what)

    def wait_for_new(self, node):
        """Something happens there, and comes; the time that it took, and the event."""
        began_us = happen(node)
        return self.wait_for(lambda e: e["node"] == node and e["type"] == "Plugged" and e["realtime_us"] >= began_us,
                             f"what happens on {node} comes")


def newest(host):
    return tbmesh(host, "events")["last"]


def is_gapless(events):
    numbers = [e["number"] for e in events]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


class Events(LabCase):
    """A line: alpha and gamma see one another's events only when they ask; beta sees both."""
    UP = ["3", "--topology", "line", "--gpu", "alpha=cpu", "--gpu", "beta=cpu", "--gpu", "gamma=cpu", "--start"]
    READY = ["--peers", "1", "--gpus", "1", "--cpu", "--timeout", "30"]

    def setUp(self):
        on("beta", "tbmesh", "wait", "--peers", "2", "--gpus", "1", "--cpu", "--timeout", "30")

    def test_as_they_come(self):
        """Long before the peer's own word (its state, each 2 s) they are there; filters are kept to; by time over all hosts."""
        beta, some = Follow(self, "alpha", "--host", "beta"), Follow(self, "alpha", "--host", "beta", "--type", "plugged")
        mesh = Follow(self, "beta", "--all-hosts")
        delays = []
        for _ in range(8):
            delays += [follow.wait_for_new("beta")[0] for follow in (beta, some)]
        delays = sorted(delays[2:])  # without the first: it may be asked for
        self.assertLess(delays[len(delays) // 4], 0.3, delays)  # a busy machine makes some late
        self.assertTrue(is_gapless(beta.events()))
        self.assertEqual({e["type"] for e in some.events()}, {"Plugged"})
        for host in ("alpha", "beta", "gamma"):
            mesh.wait_for_new(host)
            self.assertTrue(is_gapless(mesh.events(host)))
        self.assertEqual([g for g in beta.gaps() + some.gaps() + mesh.gaps() if g["lost"]], [])
        document = tbmesh("beta", "events", "--all-hosts")
        self.assertEqual([h["node"] for h in document["hosts"]], ["beta", "alpha", "gamma"])
        times = [e["realtime_us"] for e in document["events"]]
        self.assertLess(sum(a > b for a, b in zip(times, times[1:])), len(times) / 4)  # but for what was noticed late
        self.assertEqual({e["node"] for e in document["events"]}, {"alpha", "beta", "gamma"})
        since = [w for h in document["hosts"] for w in ("--since", f"{h['node']}:{h['last']}")]
        known = {(e["node_id"], e["number"]) for e in document["events"]}
        later = tbmesh("beta", "events", "--all-hosts", *since)["events"]
        self.assertFalse(known & {(e["node_id"], e["number"]) for e in later})

    def test_library(self):
        """A program with libtbmesh hears all hosts, or one type of one, on its own loop."""
        programs = [start("alpha", EXAMPLE, "60", *words) for words in ([], ["beta", "Plugged"])]
        lines = [[], []]
        for program, heard in zip(programs, lines):
            thread = threading.Thread(target=lambda p=program, h=heard: h.extend(iter(p.stdout.readline, "")), daemon=True)
            thread.start()

            def end(p=program, t=thread):
                p.kill()
                p.wait()
                t.join()
                p.stdout.close()
                p.stderr.close()
            self.addCleanup(end)
        before = newest("beta")
        happen("beta")
        happen("alpha")

        def hears(heard, words):
            return any(line.split()[:2] + line.split()[3:4] == words and int(line.split()[2]) > before
                       for line in heard if line.startswith("event "))
        for heard in lines:
            eventually(lambda h=heard: hears(h, ["event", "beta", "Plugged"]), 30, "the event of beta")
        eventually(lambda: any(line.startswith("event alpha") and "Ejected" in line and "moved=0" in line for line in lines[0]), 30,
                   "the event of alpha, with its fields")
        events = [line for line in lines[1] if line.startswith("event")]
        self.assertTrue(all(line.split()[1] == "beta" and line.split()[3] == "Plugged" for line in events))
        nobody = on("alpha", EXAMPLE, "1", "nobody", check=False)
        self.assertIn("no events of nobody: No such file", nobody.stderr)
        self.assertEqual(nobody.returncode, 1)

    def test_cut_cable(self):
        follow = Follow(self, "alpha", "--host", "beta")
        follow.wait_for_new("beta")
        lab("cut", "alpha", "beta")
        eventually(lambda: any(g["unreached"] for g in follow.gaps()), 20, "alpha says that it does not reach beta")
        began_us = happen("beta")
        lab("mend", "alpha", "beta")
        follow.wait_for(lambda e: e["type"] == "Plugged" and e["realtime_us"] >= began_us, "what happened meanwhile comes")
        follow.wait_for_new("beta")
        self.assertTrue(is_gapless(follow.events()))
        self.assertFalse(follow.gaps()[-1]["unreached"])
        self.assertEqual({g["lost"] for g in follow.gaps()}, {0})

    def test_restarts(self):
        """Of the one that is followed, orderly and not; and of the one that follows for the client."""
        follow = Follow(self, "alpha", "--host", "beta")
        follow.wait_for_new("beta")
        before = newest("beta")
        for words in (["stop", "beta"], ["kill", "beta", "node"]):
            lab(*words)
            lab("start", "beta")
            on("beta", "tbmesh", "wait", "--gpus", "1", "--cpu", "--timeout", "30")
            follow.wait_for_new("beta")
            # Numbers go on; those of what nobody can say any more (and, behind a kill, those that are skipped) are told as lost.
            numbers = [e["number"] for e in follow.events()]
            self.assertEqual(numbers, sorted(set(numbers)))
            self.assertIn(before, numbers)
            self.assertEqual(numbers[-1] - numbers[0] + 1 - len(numbers), sum(g["lost"] for g in follow.gaps()))
        self.assertEqual(len({e["incarnation"] for e in follow.events()}), 3)
        self.assertTrue(any(g["restarted"] and g["lost"] for g in follow.gaps()))
        since = tbmesh("beta", "events", "--since", before)
        self.assertGreater(min(since["lost"], since["first"] - before), 0)
        self.assertIn("started anew", on("beta", "tbmesh", "events", "--since", before, check=False).stderr)
        lab("kill", "alpha", "node")
        lab("start", "alpha")
        on("alpha", "tbmesh", "wait", *self.READY)
        last = newest("beta")
        follow = Follow(self, "alpha", "--host", "beta", "--since", last)
        follow.wait_for_new("beta")
        self.assertEqual(follow.events()[0]["number"], last + 1)
        self.assertTrue(is_gapless(follow.events()))

    def test_burst(self):
        """More events at once than a queue between nodes holds: none is lost, none comes twice."""
        follows = [Follow(self, "alpha", "--host", "beta"), Follow(self, "beta"), Follow(self, "gamma", "--all-hosts")]
        for follow in follows:
            follow.wait_for_new("beta")
        burst("beta")
        for follow in follows:
            follow.wait_for(lambda e: e["subject"] == f"burst-{BURST - 1}", "the last of the burst is there")
            heard = [e for e in follow.events("beta") if e["type"] == "CheckpointTaken"]
            first = heard[0]["number"]
            self.assertEqual([e["number"] for e in heard], list(range(first, first + BURST)))
            self.assertEqual([e["subject"] for e in heard], [f"burst-{i}" for i in range(BURST)])
            self.assertEqual([g for g in follow.gaps() if g["lost"]], [])
        whole = tbmesh("alpha", "events", "--host", "beta", "--type", "CheckpointTaken", "--since", first)
        self.assertEqual(len(whole["events"]), BURST - 1)
        for _ in range(2):
            burst("beta")  # now the first ones are no longer kept, and that is said
        here, there = tbmesh("beta", "events", "--since", first), tbmesh("alpha", "events", "--host", "beta", "--since", first)
        for document, lost in ((here, here["lost"]), (there, there["hosts"][0]["lost"])):
            self.assertGreater(lost, 0)
            self.assertEqual(lost, document["events"][0]["number"] - first - 1)
        self.assertFalse(there["hosts"][0]["restarted"])
        known = {e["number"]: e for e in here["events"]}
        self.assertTrue(all(known.get(e["number"], e) == e for e in there["events"]))
        last = there["events"][-1]["number"]
        Follow(self, "alpha", "--host", "beta").wait_for(lambda e: e["number"] == last, "who comes late catches up")
        self.assertIn("no longer kept", on("alpha", "tbmesh", "events", "--host", "beta", "--since", first, check=False).stderr)


if __name__ == "__main__":
    main()
