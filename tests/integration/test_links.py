#!/usr/bin/python3
"""Interfaces as they behave on real hosts: all of them down and all hosts starting at once, one that the configuration names before
it exists, renamed, flapping; cables pulled again and again; hosts that bridge."""

import json
import subprocess
import unittest

from labtest import LabCase, eventually, events, lab, main, on, start, state, tbmesh

HOSTS = ("alpha", "beta", "gamma")


def links(host, name=None):
    """Those that are up, to that peer."""
    return [k for k in tbmesh(host, "links")["links"] if k["state"] == "up" and name in (None, k["peer_name"])]


def ids(host, name=None):
    return sorted(k["id"] for k in links(host, name))


def doctor(host, check, subject=None):
    done = on(host, "tbmesh", "--json", "doctor", check=False)  # its exit tells of warnings
    return next((c for c in json.loads(done.stdout)["checks"] if c["id"] == check and subject in (None, c["subject"])), None)


class Links(LabCase):
    UP = ["3", "--topology", "ring", "--set", "interface = late0", "--set", "peer = 10.9.9.9", *[w for n in HOSTS for w in ("--gpu", n + "=none")]]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        key = tbmesh("alpha", "init")["key"]
        for host in HOSTS[1:]:
            on(host, "tbmesh", "join", key)
        for host in HOSTS:
            for name in ("thunderbolt0", "thunderbolt1"):
                on(host, "ip", "link", "set", name, "down", "mtu", "1500")
        for host in HOSTS:  # all boot at once, and nobody has set an interface up
            node = start(host, "tbmeshd", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            cls.addClassCleanup(node.wait)
            cls.addClassCleanup(node.terminate)
        for host in HOSTS:
            eventually(lambda host=host: on(host, "tbmesh", "wait", "--peers", "2", "--links", "2", "--timeout", "45",
                                            check=False).returncode == 0, 60, f"{host} found the others")

    def test_all_at_once(self):
        for host in HOSTS:
            self.assertEqual({k["peer_name"] for k in links(host)}, set(HOSTS) - {host})
            for name in ("thunderbolt0", "thunderbolt1"):
                self.assertIn("mtu 65520", on(host, "ip", "link", "show", "dev", name))
        self.assertEqual(doctor("alpha", "peer.static", "10.9.9.9")["result"], "warn")

    def test_named_before_it_is_there(self):
        spaces = {host: state()["hosts"][host]["namespace"] for host in HOSTS}

        def plug():
            on("alpha", "ip", "link", "add", "late0", "type", "veth", "peer", "name", "late0", "netns", spaces["beta"])
        plug()  # down on both sides: the nodes set it up
        for host, other in (("alpha", "beta"), ("beta", "alpha")):
            eventually(lambda host=host, other=other: f"{other}:late0" in ids(host), 30, f"{host} uses late0")
        self.assertIn("mtu 1500", on("alpha", "ip", "link", "show", "dev", "late0"))  # no Thunderbolt: its MTU is nobody's business
        on("beta", "ip", "link", "set", "late0", "down")
        eventually(lambda: "alpha:late0" in ids("beta"), 30, "set up again")
        for _ in range(4):  # flapping
            on("alpha", "ip", "link", "del", "late0")
            plug()
        eventually(lambda: "beta:late0" in ids("alpha") and "alpha:late0" in ids("beta"), 30, "late0 is back")
        downs = len(events("alpha", "LinkDown"))
        on("alpha", "ip", "link", "set", "late0", "name", "wan7")
        eventually(lambda: "beta:wan7" in ids("alpha"), 30, "the link has its new name")
        self.assertEqual(len(events("alpha", "LinkDown")), downs)  # the same link all the while
        on("alpha", "ip", "link", "del", "wan7")
        eventually(lambda: "beta:wan7" not in ids("alpha"), 30, "it is gone")
        self.assertEqual([e for e in events("alpha", "PeerDown")], [])  # the cable was there

    def test_a_cable_that_comes_and_goes(self):
        before = ids("alpha", "beta")
        for _ in range(2):  # more often is flapping: then it is let in later
            lab("cut", "alpha", "beta")
            lab("mend", "alpha", "beta")
        eventually(lambda: ids("alpha", "beta") == before and ids("beta", "alpha") == before_beta(before), 45, "one link, as before")
        everything = [k["id"] for k in tbmesh("alpha", "links")["links"] if k["peer_name"] == "beta" and k["interface"] != "late0"]
        self.assertEqual(sorted(set(everything)), sorted(everything))

    def test_no_ipv6(self):
        before = ids("gamma")
        on("gamma", "sysctl", "-qw", "net.ipv6.conf.thunderbolt0.disable_ipv6=1")
        told = eventually(lambda: doctor("gamma", "link.address", "thunderbolt0"), 20, "it is told")
        eventually(lambda: "thunderbolt0" in "".join(tbmesh("gamma", "status")["warnings"]), 20, "the status warns")
        on("gamma", "sh", "-c", told["fix"])  # as a person would type it
        eventually(lambda: ids("gamma") == before, 30, "the link is back")
        eventually(lambda: not tbmesh("gamma", "status")["warnings"], 20, "nothing to warn of any more")
        self.assertEqual(doctor("gamma", "link.up", "thunderbolt0")["result"], "ok")

    def test_rings_of_bridges(self):
        self.assertEqual(doctor("alpha", "mesh.ring")["result"], "ok")
        for host in ("beta", "gamma"):
            lab("bridge", host)
            self.addCleanup(lab, "bridge", host, "off")
        ring = eventually(lambda: events("alpha", "BridgeRing"), 20, "alpha hears itself")[-1]
        self.assertEqual({ring["fields"]["sent_on"], ring["fields"]["heard_on"]}, {"thunderbolt0", "thunderbolt1"})
        self.assertIn("beta", ring["fields"]["hosts"])
        self.assertIn("gamma", ring["fields"]["hosts"])
        told = doctor("alpha", "mesh.ring")
        self.assertEqual(told["result"], "fail")
        self.assertRegex(told["what"], "ring of bridges through (beta, gamma|gamma, beta)")
        self.assertIn("ring of bridges", on("alpha", "tbmesh", "status"))


def before_beta(before):
    return [k.replace("beta:", "alpha:") for k in before]


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
