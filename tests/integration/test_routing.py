#!/usr/bin/python3
"""Four hosts in a ring, babeld with the sample of deploy/routing: who shares no cable is reached all the same, the path is shown; with
a cable pulled it is a line, and its two ends still reach one another."""

import shutil
import sys
import unittest

from labtest import SKIP, LabCase, eventually, events, lab, main, on, tbmesh


def peer(host, name):
    return next((p for p in tbmesh(host, "peers")["peers"] if p["name"] == name), {"state": "unknown", "route": []})


class Routing(LabCase):
    UP = ["4", "--topology", "ring", "--babeld", "--start", *[w for n in ("alpha", "beta", "gamma", "delta") for w in ("--gpu", n + "=none")]]
    READY = ["--peers", "3", "--timeout", "60"]

    def test_ring_then_line(self):
        across = eventually(lambda: (p := peer("alpha", "gamma"))["route"] and p, 30, "alpha knows the way to gamma")
        self.assertEqual(across["best_link"], "gamma:routed")
        self.assertIn(across["route"], (["beta"], ["delta"]))
        self.assertEqual(peer("alpha", "delta")["route"], [])

        def total_is_of_cables():  # gamma's way takes those of the others: it adds nothing
            rates = {p["name"]: (p["aggregate_up"] or {"bps": 0})["bps"] for p in tbmesh("alpha", "peers")["peers"]}
            return all(rates.values()) and tbmesh("alpha", "status")["mesh_up_bps"] == rates["beta"] + rates["delta"]
        eventually(total_is_of_cables, 45, "the total is that of the cables")
        lab("cut", "alpha", "delta")
        eventually(lambda: peer("alpha", "delta")["route"] == ["beta", "gamma"], 45, "alpha reaches delta over beta and gamma")
        eventually(lambda: peer("alpha", "delta")["state"] == "up", 20, "alpha believes delta alive")
        line = {"alpha": 0, "beta": 1, "gamma": 2, "delta": 3}
        eventually(lambda: {n["name"]: n["hops"] for n in tbmesh("alpha", "topo")["nodes"]} == line, 20, "alpha knows of the line")
        eventually(lambda: on("alpha", "tbmesh", "ping", "-c", "3", "delta", check=False).returncode == 0, 20, "pings arrive")
        eventually(lambda: events("alpha", "PathDegraded"), 20, "the worse way is told")
        lab("mend", "alpha", "delta")
        eventually(lambda: peer("alpha", "delta")["best_link"].startswith("delta:thunderbolt"), 20, "the cable is used again")
        eventually(lambda: events("alpha", "PathRestored"), 20, "and that it is, is told")


if __name__ == "__main__":
    if not shutil.which("babeld"):
        print("SKIP: no babeld here")
        sys.exit(SKIP)
    unittest.TestCase.maxDiff = 2000
    main()
