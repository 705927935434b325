"""The command deploy/test-kernel."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from .errors import KernelError, Missing
from .machine import Machine
from .parts import TOP, build_module, get_kernel, install, make_acpi_table, make_initrd, setup

SKIP = 77
NOT_COVERED = """not covered: Thunderbolt controllers, tunnels and firmware (a module of ours stands in for the bus); GPU drivers with
  queues of their own (the cards are QEMU's, their driver is bochs-drm, no Vulkan); D3cold, AER, DPC and links that train down; WEDGED
  uevents (Linux 6.15); `removable` by the rule of Linux 6.13; delays as on real machines (QEMU emulates the processor)"""


def say(text):
    print(text, flush=True)


def make_parser():
    parser = argparse.ArgumentParser(prog="deploy/test-kernel", formatter_class=argparse.RawDescriptionHelpFormatter, description=(
        "Boots Debian's own kernel in QEMU with the built node, plugs and pulls PCI display cards, enclosures and peers, and checks what\n"
        "the node makes of it. Installs what is missing; the kernel is kept in ~/.cache/tbmesh/kernel. Takes some minutes.\n"
        "Exit status: 0 all passed, 1 not, 77 it can't be tested here."), epilog=NOT_COVERED)
    parser.add_argument("case", nargs="*", help="only these; guest/cases.py has their names and order")
    parser.add_argument("--build", help="build directory of tbmesh (default: build/release, brought up to date)")
    parser.add_argument("--timeout", type=int, default=600, help="seconds that the guest may take (default: %(default)s)")
    parser.add_argument("--console", metavar="FILE", help="write what the guest's console said there")
    return parser


def test(args, work):
    install(with_build=not args.build)
    if not args.build and not setup("build release"):
        raise KernelError("tbmesh does not build (see above)")
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tbmesh", "kernel")
    version, kernel = get_kernel(cache, say)
    environment = {"TBMESH_TOP": TOP, "TBMESH_BUILD": os.path.abspath(args.build or os.path.join(TOP, "build", "release")),
                   "TBMESH_KERNEL": kernel, "TBMESH_MODULE": build_module(version, work), "TBMESH_CASES": " ".join(args.case)}
    initrd = make_initrd(version, kernel, work, environment)
    result = {}

    def heard(word, value):
        if word == "say":
            say(value)
        elif word == "done":
            result.update(value)
    machine = Machine(os.path.join(kernel, "boot", f"vmlinuz-{version}"), initrd, make_acpi_table(work), work)
    try:
        machine.serve(heard, args.timeout)
    finally:
        machine.stop()
        if args.console:
            with open(args.console, "w", encoding="utf-8") as file:
                file.write("\n".join(machine.lines()) + "\n")
    if result["failed"]:
        say("the guest's console said last:\n" + machine.last_words())
    return result


def main():
    args = make_parser().parse_args()
    if os.geteuid() != 0:
        print("deploy/test-kernel needs root: it installs Debian packages, and the guest reads this machine's files. "
              "Try: sudo deploy/test-kernel", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    began = time.monotonic()
    # Not in /tmp: the guest, which reads this machine's files, has its own there.
    work = tempfile.mkdtemp(prefix="tbmesh-kernel-", dir="/var/tmp")
    try:
        result = test(args, work)
    except Missing as error:
        print(f"SKIP: {error}", file=sys.stderr)
        return SKIP
    except (KernelError, OSError, subprocess.SubprocessError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(work, ignore_errors=True)
    say(f"{NOT_COVERED}\n{result['passed']} passed, {result['failed']} failed ({time.monotonic() - began:.0f} s)")
    return 1 if result["failed"] or not result["passed"] else 0
