"""The command deploy/test-kernel."""

import argparse
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from .errors import KernelError, MachineDied, Missing
from .machine import Machine
from .parts import TOP, build_module, get_kernel, install, make_acpi_table, make_initrd, setup

SKIP = 77
WORK_BYTES, KERNEL_BYTES = 200 << 20, 900 << 20  # initrd, module, logs; the kernel's package and what is in it
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
    need_room(work, WORK_BYTES, "the guest's first file system")
    if not os.path.isdir(cache) or not os.listdir(cache):
        need_room(cache, KERNEL_BYTES, "Debian's kernel (XDG_CACHE_HOME says where)")
    version, kernel = get_kernel(cache, say)
    module = build_module(version, work)
    environment = {"TBMESH_TOP": TOP, "TBMESH_BUILD": os.path.abspath(args.build or os.path.join(TOP, "build", "release")),
                   "TBMESH_KERNEL": kernel, "TBMESH_MODULE": module}
    table, total, done = make_acpi_table(work), {"passed": 0, "failed": 0}, []
    for attempt in (1, 2):
        environment["TBMESH_CASES"], environment["TBMESH_DONE"] = " ".join(args.case), " ".join(done)
        initrd = make_initrd(version, kernel, work, environment)
        try:
            result = run_guest(args, work, os.path.join(kernel, "boot", f"vmlinuz-{version}"), initrd, table, done)
        except MachineDied as error:
            if attempt == 2:
                raise
            # The emulator's own bug is not what is tested. (Seen with QEMU 7.2 when it takes a card out.)
            total["passed"] += len(done)
            say(f"{error}\nThat is a bug of the emulator's; a new guest goes on with the case at hand, once.")
            continue
        return {key: total[key] + result[key] for key in total}
    raise AssertionError


def run_guest(args, work, kernel, initrd, table, done):
    """Boots it and listens; adds the names of cases that are over to `done`."""
    result = {}

    def heard(word, value):
        if word == "say":
            say(value)
        elif word == "end":
            done.append(value)
        elif word == "done":
            result.update(value)
    machine = Machine(kernel, initrd, table, work)
    try:
        machine.serve(heard, args.timeout)
    finally:
        machine.stop()
        if args.console:
            with open(args.console, "a", encoding="utf-8") as file:
                file.write("\n".join(machine.lines()) + "\n")
    if result["failed"]:
        say("the guest's console said last:\n" + machine.last_words())
    return result


def need_room(folder, size, what):
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise Missing(f"{folder} has {free >> 20} MiB of room, {what} needs {size >> 20}: make room there")


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
    try:
        work = tempfile.mkdtemp(prefix="tbmesh-kernel-", dir="/var/tmp")
    except OSError as error:
        print(f"failed: no folder can be made in /var/tmp: {error.strerror}; make room there", file=sys.stderr)
        return 1
    try:
        result = test(args, work)
    except Missing as error:
        print(f"SKIP: {error}", file=sys.stderr)
        return SKIP
    except OSError as error:
        hint = f"; {work} or ~/.cache/tbmesh/kernel is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        print(f"failed: {error}{hint}", file=sys.stderr)
        return 1
    except (KernelError, subprocess.SubprocessError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(work, ignore_errors=True)
    say(f"{NOT_COVERED}\n{result['passed']} passed, {result['failed']} failed ({time.monotonic() - began:.0f} s)")
    return 1 if result["failed"] or not result["passed"] else 0
