#!/usr/bin/python3
"""Two nodes, each in a network namespace of its own, two cables between them: what the mesh promises about finding, measuring, losing
and refusing. Usage: pair.py MESH_NODE"""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

A, B = f"tbm{os.getpid()}a", f"tbm{os.getpid()}b"
RATE_BPS = 1e9
WAIT_S = 30  # for what must come at all; how soon it came is read off its own stamps
PORT = 21990


def skip(why):
    print("SKIP:", why)
    sys.exit(77)


def sh(*args, check=True):
    return subprocess.run(args, check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ip(namespace, *args, check=True):
    return sh("ip", "-n", namespace, *args, check=check)


def cable(k):
    """Both ends with the same index, as far as the kernel lets us: then carrier changes are told late, as on real cables."""
    index = str(100 + k)
    sh("ip", "link", "add", f"cable{k}", "netns", A, "index", index, "type", "veth", "peer", "name", f"cable{k}", "netns", B, "index", index)
    for n in (A, B):
        sh("ip", "netns", "exec", n, "tc", "qdisc", "add", "dev", f"cable{k}", "root", "tbf", "rate", "1gbit", "burst", "256kb", "limit", "1mb")


def mesh_key(seed):
    key = hashlib.sha256(seed).digest()
    bits = "".join(f"{x:08b}" for x in key) + f"{hashlib.sha256(key).digest()[0] >> 4:04b}"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    symbols = "".join(alphabet[int(bits[i:i + 5], 2)] for i in range(0, 260, 5))
    return "tbmesh-" + "-".join(symbols[i:i + 4] for i in range(0, 52, 4))


class Node:
    def __init__(self, program, namespace, name, key, directory, *options, cables=("cable0", "cable1")):
        self.name, self.lines, self.lock = name, [], threading.Lock()
        command = ["ip", "netns", "exec", namespace, program, "-n", name, "-k", key, "-i", os.path.join(directory, name + ".key"),
                   *[word for c in cables for word in ("-c", c)], *options]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            with self.lock:
                self.lines.append(json.loads(line))

    def all(self, kind, since=0):
        with self.lock:
            return [l for l in self.lines[since:] if kind in l]

    def mark(self):
        with self.lock:
            return len(self.lines)

    def state(self):
        states = self.all("state")
        return states[-1] if states else None

    def event(self, name, since=0):
        return next((e for e in self.all("event", since) if e["event"] == name), None)

    def expect(self, what, condition, timeout):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            got = condition()
            if got:
                return got
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        with self.lock:
            tail = self.lines[-12:]
        raise AssertionError(f"{self.name}: {what} not within {timeout} s; last lines:\n" + "\n".join(map(json.dumps, tail)))

    def expect_event(self, name, since, timeout):
        return self.expect(name, lambda: self.event(name, since), timeout)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.thread.join(2)


def latency(event, at_ns):
    return (event["monotonic_ns"] - at_ns) / 1e9


def within(took_s, promised_s, text):
    """A promise about time. Where this very machine stood still meanwhile, the promise is not this node's to keep."""
    check(took_s < promised_s + 2 * stalls.worst_since(took_s), text)


class Stalls(threading.Thread):
    """How late this machine lets a thread run that wanted to."""
    STEP_S = 0.02

    def __init__(self):
        super().__init__(daemon=True)
        self.late = []  # (when, by how much)

    def run(self):
        while True:
            before = time.monotonic()
            time.sleep(self.STEP_S)
            now = time.monotonic()
            self.late.append((now, now - before - self.STEP_S))

    def worst_since(self, seconds):
        since = time.monotonic() - seconds - 5
        return max((late for when, late in list(self.late) if when > since), default=0)


stalls = Stalls()


def check(condition, text):
    if not condition:
        raise AssertionError(text)
    print("ok:", text)


def links_up(node, count):
    state = node.state()
    return state and len(state["peers"]) == 1 and state["peers"][0]["links_up"] == count and state


def find_each_other(a, b):
    for n in (a, b):
        up = n.expect_event("PeerUp", 0, WAIT_S)
        check(up, f"{n.name} found {up['subject']} after {up['at']:.2f} s")
        n.expect("two links with round trips", lambda n=n: links_up(n, 2) and all(l["samples"] for l in n.state()["links"]) or None, WAIT_S)
    for l in a.state()["links"]:
        check(0 < l["min"] <= l["p50"] <= l["p99"], f"{l['id']}: p50 {l['p50']} µs, p99 {l['p99']} µs of {l['samples']}")


def well_measured(s):
    good = all(abs(l[way] / RATE_BPS - 1) < 0.25 for l in s["links"] for way in ("up", "down"))
    return s if good and all(1.4 < s["peers"][0][way] / RATE_BPS < 2.4 for way in ("aggregate_up", "aggregate_down")) else None


def measure(a, b):
    for n in (a, b):
        # A busy machine disturbs a probe. The node repeats it by itself, but not for more than 1 % of the time: so ask.
        asked = [time.monotonic()]

        def measured_at_last(n=n, asked=asked):
            if time.monotonic() - asked[0] > 4:
                asked[0] = time.monotonic()
                a.signal(signal.SIGUSR1)
            return well_measured(n.state())
        s = n.expect("bandwidth as the cables are shaped", measured_at_last, 2 * WAIT_S)
        for l in s["links"]:
            check(True, f"{n.name} {l['id']}: {l['up'] / 1e9:.2f} up, {l['down'] / 1e9:.2f} Gb/s down of a cable of 1 Gb/s")
        check(True, f"{n.name}: {s['peers'][0]['aggregate_up'] / 1e9:.2f} Gb/s up over two cables")


def lose_one(a, b):
    marks = a.mark(), b.mark()
    at = time.monotonic_ns()
    ip(A, "link", "set", "cable0", "down")
    for n, mark in zip((a, b), marks):
        down = n.expect_event("LinkDown", mark, WAIT_S)
        within(latency(down, at), 1.7, f"{n.name}: {down['subject']} down after {latency(down, at):.2f} s ({down['reason']})")
    for n, mark in zip((a, b), marks):  # a suspicion would have come by then
        n.expect("goes on", lambda n=n, mark=mark: len(n.all("state", mark)) > 2, WAIT_S)
    check(not a.event("PeerSuspect", marks[0]) and not b.event("PeerSuspect", marks[1]), "nobody suspects anybody: the other cable is there")
    # manage_links sets it up again by itself.
    a.expect("two links again", lambda: links_up(a, 2), WAIT_S)


def cut_both(a, b):
    marks = a.mark(), b.mark()
    at = time.monotonic_ns()
    for k in (0, 1):
        ip(A, "link", "del", f"cable{k}")
    for n, mark in zip((a, b), marks):
        suspect = n.expect_event("PeerSuspect", mark, WAIT_S)
        within(latency(suspect, at), 0.6, f"{n.name}: suspect {latency(suspect, at):.2f} s after the cut")
        down = n.expect_event("PeerDown", mark, WAIT_S)
        within(latency(down, at), 2.1, f"{n.name}: dead {latency(down, at):.2f} s after the cut")
    marks = a.mark(), b.mark()
    for k in (0, 1):
        cable(k)
    for n, mark in zip((a, b), marks):
        n.expect_event("PeerUp", mark, WAIT_S)
        n.expect("two links again", lambda n=n: links_up(n, 2), WAIT_S)


def stop_and_continue(a, b):
    mark = a.mark()
    at = time.monotonic_ns()
    b.signal(signal.SIGSTOP)
    suspect = a.expect_event("PeerSuspect", mark, WAIT_S)
    within(latency(suspect, at), 0.8, f"silent peer is suspect after {latency(suspect, at):.2f} s")
    down = a.expect_event("PeerDown", mark, WAIT_S)
    within(latency(down, at), 2.1, f"silent peer is dead after {latency(down, at):.2f} s")
    mark, mark_b = a.mark(), b.mark()
    b.signal(signal.SIGCONT)
    a.expect_event("PeerUp", mark, WAIT_S)
    # Another half second of its life, by its own states: a blame for the time that it was stopped would have come by then.
    b.expect("goes on", lambda: len(b.all("state", mark_b)) > 1, WAIT_S)
    check(not b.event("PeerDown", mark_b), "who was stopped does not blame the others")


def messages_once(a, b):
    for n in (a, b):
        numbers = n.expect("six messages", lambda: (got := [l["message"] for l in n.all("message")]) and len(got) > 5 and got, WAIT_S)
        check(numbers == sorted(set(numbers)), f"{n.name}: {len(numbers)} control messages, each once and in order")


def restart(program, a, b, key, directory):
    mark = a.mark()
    b.process.kill()
    b.process.wait()
    b = Node(program, B, "beta", key, directory)
    down = a.expect_event("PeerDown", mark, WAIT_S)
    check(down["reason"] in ("restarted", "silent"), f"a restart is seen ({down['reason']})")
    a.expect_event("PeerUp", mark, WAIT_S)
    a.expect("messages of the new incarnation", lambda: a.all("message", mark), WAIT_S)
    mark = a.mark()
    b.stop()
    down = a.expect_event("PeerDown", mark, WAIT_S)
    check(down["reason"] == "goodbye", "who leaves says goodbye")
    return b


def stranger(program, a, directory):
    mark = a.mark()
    other = Node(program, B, "mallory", mesh_key(b"another"), directory)
    # Long enough for the bursts of beacons of both: by its own word it runs, and for a second and a half.
    other.expect("runs", lambda: len(other.all("state")) > 3, WAIT_S)
    check(not other.all("event") and not a.all("event", mark), "another mesh key: neither sees the other")
    other.stop()
    # Bytes of no sense at the beacon's port: no answer.
    probe = (
        "import socket,os,sys\n"
        "s=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM)\n"
        "s.settimeout(1)\n"
        "i=socket.if_nametoindex('cable0')\n"
        "s.bind(('::',0))\n"
        "for n in (0,1,8,120,220,221,1400):\n"
        "  for head in (b'',b'tbm1\\x01\\0\\0\\0',b'tbm1\\x02\\0\\0\\0'):\n"
        "    s.sendto((head+os.urandom(n))[:n],('ff02::7462:6d65',21847,0,i))\n"
        "try:\n"
        "  s.recvfrom(2000); sys.exit(1)\n"
        "except socket.timeout: pass\n")
    r = sh("ip", "netns", "exec", B, "/usr/bin/python3", "-c", probe, check=False)
    check(r.returncode == 0, "noise at the beacon's port is met with silence " + r.stdout)
    check(a.process.poll() is None, "and does no harm")


def unknown_curve_key(a):
    refused = a.state()["refused"]
    client = (
        "import zmq,sys,json,socket\n"
        "c=zmq.Context();s=c.socket(zmq.DEALER);s.linger=0;s.ipv6=1\n"
        "s.curve_publickey,s.curve_secretkey=zmq.curve_keypair()\n"
        "s.curve_serverkey=sys.argv[1].encode()\n"
        "m=s.get_monitor_socket()\n"
        f"s.connect('tcp://[::1]:{PORT}')\n"
        "s.send(b'x')\n"
        "import zmq.utils.monitor as mon\n"
        "seen=[]\n"
        "while m.poll(5000):\n"
        "  e=mon.recv_monitor_message(m)['event'];seen.append(int(e))\n"
        "  if e==zmq.EVENT_HANDSHAKE_FAILED_AUTH: break\n"
        "sys.exit(0 if zmq.EVENT_HANDSHAKE_SUCCEEDED not in seen else 1)\n")
    raw = (
        "import socket,os,sys\n"
        f"s=socket.create_connection(('::1',{PORT}))\n"
        "s.settimeout(25)\n"
        "s.sendall(b'\\xff'+b'\\xff'*8+b'\\x7f'+os.urandom(4000))\n"
        "try:\n"
        "  while s.recv(4096): pass\n"
        "except OSError as e: sys.exit(0 if isinstance(e,ConnectionError) else 1)\n")
    r = sh("ip", "netns", "exec", A, "/usr/bin/python3", "-c", client, a.all("curve")[0]["curve"], check=False)
    check(r.returncode == 0, "an unknown CURVE key gets no handshake " + r.stdout)
    a.expect("the refusal is counted", lambda: a.state()["refused"] > refused, WAIT_S)
    r = sh("ip", "netns", "exec", A, "/usr/bin/python3", "-c", raw, check=False)
    check(r.returncode == 0 and a.process.poll() is None, "noise at the control port ends that connection, nothing else " + r.stdout)


def static_peers(program, directory, key):
    """Another network, no Thunderbolt: one of them has the other's address, nobody was given an interface."""
    for n, address in ((A, "10.99.0.1/24"), (B, "10.99.0.2/24")):
        ip(n, "addr", "add", address, "dev", "cable0")
    nodes = [Node(program, A, "alpha", key, directory, "-s", "10.99.0.2", cables=()),
             Node(program, B, "beta", key, directory, "-s", "10.99.0.1:21847", cables=())]
    try:
        for n in nodes:
            n.expect_event("PeerUp", 0, WAIT_S)
            n.expect("round trips", lambda n=n: (s := links_up(n, 1)) and s["links"][0]["samples"], WAIT_S)
        check(nodes[0].state()["links"][0]["id"] == "beta:static", "static peers reach each other by address")
    finally:
        for n in nodes:
            n.stop()


def need_namespaces():
    if os.geteuid() != 0:
        skip("needs root for network namespaces")
    for tool in ("ip", "tc"):
        if not shutil.which(tool):
            skip(f"needs {tool}")
    if sh("ip", "netns", "add", A, check=False).returncode != 0:
        skip("cannot make network namespaces here")


def main():
    program = sys.argv[1]
    stalls.start()
    need_namespaces()
    nodes = []
    directory = tempfile.mkdtemp(prefix="tbmesh-pair-")
    try:
        sh("ip", "netns", "add", B)
        for n in (A, B):
            ip(n, "link", "set", "lo", "up")
        for k in (0, 1):
            cable(k)
        key = mesh_key(os.urandom(16))
        a = Node(program, A, "alpha", key, directory, "-p", str(PORT))
        b = Node(program, B, "beta", key, directory)
        nodes += [a, b]
        find_each_other(a, b)
        measure(a, b)
        lose_one(a, b)
        cut_both(a, b)
        messages_once(a, b)
        stop_and_continue(a, b)
        messages_once(a, b)
        b = restart(program, a, b, key, directory)
        nodes.append(b)
        stranger(program, a, directory)
        unknown_curve_key(a)
        a.stop()
        static_peers(program, directory, key)
    finally:
        for n in nodes:
            n.stop()
        for n in (A, B):
            sh("ip", "netns", "del", n, check=False)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
