"""The command deploy/lab."""

import argparse
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

from . import gpus, hosts, network
from .cleanup import clean
from .errors import LabError
from .layout import DEFAULT_DIR, HOST_NAMES, Layout, find_host

TOPOLOGIES = ["pair", "line", "ring", "full"]
REPLY_TIMEOUT_S = 120


def ask(layout, command, **arguments):
    if not layout.is_alive():
        raise LabError(f"no lab is up in {layout.dir}; try: deploy/lab up 2")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(REPLY_TIMEOUT_S)
        try:
            connection.connect(layout.socket)
            connection.sendall(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
            with connection.makefile() as answer:
                reply = json.loads(answer.readline() or '{"error": "the keeper went away"}')
        except OSError as error:
            raise LabError(f"the lab's keeper does not answer: {error}") from None
    if "error" in reply:
        raise LabError(reply["error"])
    return reply["result"]


def read_live_state(layout):
    if not layout.is_alive():
        raise LabError(f"no lab is up in {layout.dir}; try: deploy/lab up 2")
    return layout.read_state()


def wait_for_end(layout):
    """Until the keeper has let go of its lock."""
    try:
        with open(layout.lock, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        pass


# ---- commands ----

def up(layout, args):
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces: run it as root")
    if not 1 <= args.hosts <= len(HOST_NAMES):
        raise LabError(f"a lab has 1 to {len(HOST_NAMES)} hosts")
    if args.rate and args.shared_rate:
        raise LabError("--rate shapes each cable, --shared-rate all of a controller together: which?")
    if not 0 <= args.delay <= 1000:
        raise LabError("--delay takes milliseconds, at most 1000")
    names = HOST_NAMES[:args.hosts]
    wanted = {}
    for text in args.gpu:
        host, _, kinds = text.partition("=")
        if host not in names:
            raise LabError(f"--gpu {text}: no host '{host}' in this lab")
        wanted[host] = gpus.parse_kinds(kinds)
    plan = {"hosts": names, "topology": args.topology, "cables": args.cables,
            "shared_domain": args.shared_domain or bool(args.shared_rate),
            "rates_bps": network.parse_rates(args.rate) if args.rate else [0, 0], "delay_us": round(args.delay * 1000),
            "shared_rate_bps": network.parse_rate(args.shared_rate) if args.shared_rate else 0,
            "gpus": wanted, "build": args.build, "start": args.start, "settings": args.set,
            "babeld": args.babeld}
    layout.check_usable()
    if layout.is_alive():
        raise LabError(f"a lab is up in {layout.dir}; take it down with: deploy/lab down")
    clean(layout)
    os.makedirs(layout.dir, exist_ok=True)
    with open(layout.lock, "ab"):
        pass
    reader, writer = os.pipe()
    environment = dict(os.environ, LD_PRELOAD=hosts.PRELOAD)
    with open(layout.keeper_log, "ab") as log:
        child = subprocess.Popen([sys.executable, sys.argv[0], "--dir", layout.dir, "keep", str(writer), json.dumps(plan)],
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[writer], env=environment,
                                 start_new_session=True)
    os.close(writer)
    try:
        with os.fdopen(reader) as pipe:
            answer = pipe.read()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGTERM)
        child.wait()
        clean(layout)  # where the signal came before the keeper could catch it
        raise
    if answer != "ready":
        child.wait()
        raise LabError(answer or f"the lab's keeper died; its log was in {layout.keeper_log}")


def keep(layout, args):
    """The keeper's process; `up` starts it."""
    os.environ.pop("LD_PRELOAD", None)  # it is loaded; our children get their own

    from . import keeper  # here: it loads GObject and umockdev, which the other commands do without
    answer = os.fdopen(args.ready_fd, "w")

    def ready():
        answer.write("ready")
        answer.close()
    try:
        keeper.main(layout, json.loads(args.plan), ready)
    except Exception as error:
        if not answer.closed:
            answer.write(f"{error}" if isinstance(error, LabError) else f"{type(error).__name__}: {error}")
            answer.close()
        raise


def down(layout, _args):
    if layout.is_alive():
        ask(layout, "down")
        wait_for_end(layout)
    layout.check_usable()
    clean(layout)


def execute(layout, args):
    state = read_live_state(layout)
    find_host(state, args.host)
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise LabError("exec: which command? deploy/lab exec HOST -- COMMAND")
    hosts.execute(state, args.host, command, args.cards)


def send_signal(number):
    def command(layout, args):
        state = read_live_state(layout)
        find_host(state, args.host)
        signum = getattr(args, "signal", None) or number
        reached = hosts.send(state, args.host, args.process, signum, getattr(args, "pid", None))
        if not reached:
            raise LabError(f"{args.host} has no such process")
        for pid, name in reached:
            print(pid, name)
    return command


def parse_signal(text):
    name = text.upper() if text.upper().startswith("SIG") else "SIG" + text.upper()
    if text.isdigit():
        return int(text)
    if not hasattr(signal, name):
        raise argparse.ArgumentTypeError(f"no signal {text}")
    return int(getattr(signal, name))


def forward(name, *keys):
    """A command for the keeper; with --when, prints the time at which it began (CLOCK_MONOTONIC, seconds)."""
    def command(layout, args):
        began = ask(layout, name, **{k: getattr(args, k) for k in keys})
        if getattr(args, "when", False):
            print(f"{began:.9f}")
    return command


def carrier(layout, args):
    ask(layout, "carrier", a=args.a, b=args.b, on=args.on == "on", cable=args.cable)


def bridge(layout, args):
    ask(layout, "bridge", host=args.host, on=args.on == "on")


def status(layout, args):
    state = read_live_state(layout)
    for name in state["hosts"]:
        state["hosts"][name]["processes"] = [{"pid": p, "name": n} for p, n in hosts.processes(state, name)]
    if args.json:
        print(json.dumps({"schema": "tbmesh.lab/1", **state}, indent=1))
        return
    print(f"lab in {state['dir']}, keeper {state['keeper']}, programs of {state['build']}")
    for name, host in state["hosts"].items():
        cards = [gpu["name"] + ("" if gpu["present"] else " (unplugged)") for gpu in host["gpus"]]
        running = [f"{p['name']} {p['pid']}" for p in host["processes"]]
        print(f"{name}: namespace {host['namespace']}; GPUs: {', '.join(cards) or 'none'}; "
              f"processes: {', '.join(running) or 'none'}")
    for cable in state["cables"]:
        a, b = cable["a"], cable["b"]
        how = "pulled" if not cable["plugged"] else f"{a['interface']} = {b['interface']}, index {cable['index']}"
        print(f"cable {a['host']} {b['host']} {cable['number']}: {how}{'' if cable['carrier'] else ', carrier off'}")


def make_parser():
    parser = argparse.ArgumentParser(prog="deploy/lab", description=(
        "Hosts on this one machine: a network namespace each, veth pairs as Thunderbolt cables, devices\n"
        "from recorded sysfs trees (umockdev), GPUs that are a CPU driver dressed as recorded cards and\n"
        "that can be unplugged."),
        formatter_class=argparse.RawDescriptionHelpFormatter, epilog="""examples:
  deploy/lab up 2 --cables 2 --start                     two hosts, two cables, a node on each
  deploy/lab exec alpha -- tbmesh gpus                   what alpha knows
  deploy/lab exec alpha -- tbmesh run -- PROGRAM         runs on alpha's eGPU
  deploy/lab unplug alpha egpu --how silent              pull it out meanwhile
  deploy/lab cut alpha beta 0; deploy/lab mend alpha beta 0
  deploy/lab down""")
    parser.add_argument("--dir", default=os.environ.get("TBMESH_LAB_DIR", DEFAULT_DIR), help=f"where the lab lives ({DEFAULT_DIR})")
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    def add(name, function, text, **options):
        command = commands.add_parser(name, help=text, description=text, **options)
        command.set_defaults(function=function)
        return command

    c = add("up", up, "build a lab")
    c.add_argument("hosts", type=int, help="how many; they are named alpha, beta, gamma, …")
    c.add_argument("--topology", choices=TOPOLOGIES, default="line", help="which hosts are cabled (line)")
    c.add_argument("--cables", type=int, default=1, help="cables between two cabled hosts (1)")
    c.add_argument("--shared-domain", action="store_true", help="all cables of a host on one controller")
    c.add_argument("--rate", help="shape each cable to this rate, e.g. 8gbit, or 8gbit/2gbit: the first host's way, the second's")
    c.add_argument("--shared-rate", metavar="RATE", help="all cables of a host on one controller that sends this in all (1gbit, not "
                                                         "much more: these cables are a process each)")
    c.add_argument("--delay", type=float, default=0, metavar="MS", help="each cable takes so many milliseconds each way (up to 2 Gb/s)")
    c.add_argument("--gpu", action="append", default=[], metavar="HOST=KINDS",
                   help="none, cpu, egpu, card, or egpu,cpu …; default: alpha egpu,cpu, beta card,cpu, others cpu. KIND@DRIVER: "
                        "another driver behind it: lavapipe, lavapipe25, swiftshader (deploy/drivers)")
    c.add_argument("--build", help="build directory whose programs the hosts run (the newest, or TBMESH_BUILD)")
    c.add_argument("--set", action="append", default=[], metavar="'KEY = VALUE'", help="a line for each node's configuration")
    c.add_argument("--babeld", action="store_true", help="babeld on each host, with the sample of deploy/routing")
    c.add_argument("--start", "--with-nodes", action="store_true", help="start tbmeshd on each host, all in one mesh")
    add("down", down, "take the lab away, or what a dead one left")
    c = commands.add_parser("keep")
    c.add_argument("ready_fd", type=int)
    c.add_argument("plan")
    c.set_defaults(function=keep)

    c = add("exec", execute, "run a command on a host")
    c.add_argument("--cards", action="store_true", help="with the host's dressed GPUs, as its node sees them")
    c.add_argument("host")
    c.add_argument("command", nargs=argparse.REMAINDER)
    for name, text in (("start", "start tbmeshd on a host or all"), ("stop", "stop tbmeshd on a host or all")):
        c = add(name, forward(name, "host"), text)
        c.add_argument("host", nargs="?")
    for name, text in (("cut", "pull a cable, or all between two hosts"), ("mend", "plug it in again")):
        c = add(name, forward(name, "a", "b", "cable"), text)
        c.add_argument("a")
        c.add_argument("b")
        c.add_argument("cable", type=int, nargs="?", help="its number, from 0")
        c.add_argument("--when", action="store_true", help="print when it happened: CLOCK_MONOTONIC in seconds")
    c = add("carrier", carrier, "A's carrier off or on, by B's interface going and coming")
    c.add_argument("a")
    c.add_argument("b")
    c.add_argument("cable", type=int, nargs="?")
    c.add_argument("on", choices=["on", "off"])
    c = add("bridge", bridge, "let a host bridge its cables, as macOS does: two of them in a ring make the others hear themselves")
    c.add_argument("host")
    c.add_argument("on", choices=["on", "off"], nargs="?", default="on")
    for name, text in (("unplug", "take a GPU away"), ("fail", "let a GPU's driver fail; the device stays")):
        c = add(name, forward(name, "host", "gpu", "how"), text)
        c.add_argument("host")
        c.add_argument("gpu", help="egpu, card, or its id")
        c.add_argument("--when", action="store_true", help="print when it happened: CLOCK_MONOTONIC in seconds")
        c.add_argument("--how", choices=list(gpus.WAYS), default="silent" if name == "unplug" else "lost",
                       help="how its driver behaves from then on (%(default)s)")
    c = add("plug", forward("plug", "host", "gpu"), "plug a GPU in again")
    c.add_argument("host")
    c.add_argument("gpu")

    for name, number, text in (("kill", signal.SIGKILL, "signal processes of a host"), ("pause", signal.SIGSTOP, "stop them"),
                               ("resume", signal.SIGCONT, "let them go on")):
        c = add(name, send_signal(number), text)
        c.add_argument("host")
        c.add_argument("process", nargs=None if name == "kill" else "?", choices=list(hosts.CLASSES),
                       help="class" if name == "kill" else "class; default: all of the host")
        c.add_argument("--pid", type=int, help="only this one")
        if name == "kill":
            c.add_argument("--signal", type=parse_signal, help="default: KILL")
    c = add("status", status, "what stands")
    c.add_argument("--json", action="store_true")
    return parser


def main():
    args = make_parser().parse_args()
    try:
        args.function(Layout(args.dir), args)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
