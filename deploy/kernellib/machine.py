"""The machine: QEMU, and what the guest asks of it. The guest's checks plug and pull cards by QMP commands that come, one JSON object
a line, over its second serial port; each is answered on the same way."""

import json
import os
import signal
import socket
import subprocess
import time

from .errors import KernelError, MachineDied

CONSOLE_TAIL = 60
END_TIMEOUT_S = 60  # behind the end of its sockets; a core file takes its time
START_TIMEOUT_S = 10

# Two ports with cables. Behind the second: a switch with a card, and below it another switch with a card. A card of the host's own,
# and two functions that stand for Thunderbolt controllers. guest/cases.py knows these addresses.
DEVICES = [
    "pcie-root-port,id=port0,bus=pcie.0,addr=3.0,chassis=1,slot=1",
    "pcie-root-port,id=port1,bus=pcie.0,addr=4.0,chassis=2,slot=2",
    "pci-testdev,bus=pcie.0,addr=5.0",
    "pci-testdev,bus=pcie.0,addr=6.0",
    "secondary-vga,id=internal,bus=pcie.0,addr=7.0",
    "x3130-upstream,id=up1,bus=port1",
    "xio3130-downstream,id=down1,bus=up1,chassis=3,slot=3",
    "xio3130-downstream,id=down2,bus=up1,chassis=4,slot=4",
    "x3130-upstream,id=up2,bus=down2",
    "xio3130-downstream,id=down3,bus=up2,chassis=5,slot=5",
    "secondary-vga,id=near,bus=down1",
    "secondary-vga,id=deep,bus=down3",
]


def quote(path):
    """In QEMU's options a comma is written twice."""
    return path.replace(",", ",,")


class Machine:
    def __init__(self, kernel, initrd, acpi_table, work):
        requests, qmp = os.path.join(work, "requests"), os.path.join(work, "qmp")
        self.console, self.said = os.path.join(work, "console"), os.path.join(work, "qemu")
        accelerator = "tcg,thread=multi"
        words = ["qemu-system-x86_64", "-machine", "q35", "-accel", accelerator, "-cpu", "max", "-m", "1024", "-smp", "2", "-nodefaults",
                 "-display", "none", "-no-reboot", "-kernel", kernel, "-initrd", initrd,
                 "-append", "console=ttyS0 loglevel=7 mitigations=off nokaslr tsc=reliable panic=-1 drm_kms_helper.fbdev_emulation=0",
                 "-serial", "file:" + quote(self.console),
                 "-chardev", f"socket,id=requests,path={quote(requests)},server=on,wait=off", "-serial", "chardev:requests",
                 "-qmp", f"unix:{quote(qmp)},server=on,wait=off",
                 "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off", "-acpitable", f"file={quote(acpi_table)}",
                 "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
                 "-device", "virtio-9p-pci,fsdev=host,mount_tag=host,bus=pcie.0,addr=8.0"]
        for device in DEVICES:
            words += ["-device", device]
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            self.requests = self.connect(requests)
            self.qmp = self.connect(qmp).makefile("rw", encoding="utf-8")
            self.qmp.readline()
            self.execute({"execute": "qmp_capabilities"})
        except BaseException:
            self.stop()
            raise

    def connect(self, path):
        until = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(path)
                return connection
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise KernelError("QEMU does not start:\n" + self.last_words()) from None
                time.sleep(0.05)

    def execute(self, command):
        try:
            self.qmp.write(json.dumps(command) + "\n")
            self.qmp.flush()
        except OSError:
            raise self.death(f"in front of {command['execute']}") from None
        while True:
            try:
                line = self.qmp.readline()
            except OSError:
                line = ""  # reset: it had not read all that was sent
            if not line:
                raise self.death(f"in the middle of {command['execute']} {command.get('arguments', '')}")
            answer = json.loads(line)
            if "event" not in answer:
                return answer

    def serve(self, heard, timeout_s):
        """Until the guest is done. heard(word, value): what it says that is no command."""
        until, pending = time.monotonic() + timeout_s, b""
        while True:
            self.requests.settimeout(max(0.001, until - time.monotonic()))
            try:
                data = self.requests.recv(65536)
            except TimeoutError:
                raise KernelError(f"the guest is not done after {timeout_s} s:\n" + self.last_words()) from None
            except OSError:
                data = b""
            if not data:
                raise self.death("while the guest was at work")
            pending += data
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                request = json.loads(line)
                if "execute" in request:
                    answer = json.dumps(self.execute(request)).encode() + b"\n"
                    try:
                        self.requests.sendall(answer)
                    except OSError:
                        raise self.death(f"behind {request['execute']}") from None
                    continue
                (word, value), = request.items()
                heard(word, value)
                if word == "done":
                    return

    def death(self, when):
        """What to raise when QEMU has hung up."""
        try:
            status = self.process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return KernelError(f"QEMU hung up {when}, and has not ended {END_TIMEOUT_S} s later:\n" + self.last_words())
        if status == 0:
            return KernelError(f"the guest ended early, {when} (its kernel panicked, or /init came to an end):\n" + self.last_words())
        if status > 0 or -status in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            how = f"status {status}" if status > 0 else f"{signal.Signals(-status).name}: somebody ended it, or there was no memory left"
            return KernelError(f"QEMU ended with {how}, {when}:\n" + self.last_words())
        with open(self.said, encoding="utf-8", errors="replace") as file:
            said = file.read().strip()
        return MachineDied(f"QEMU crashed ({signal.Signals(-status).name}), {when}. It said: {said or 'nothing'}")

    def lines(self):
        """What QEMU and the guest's console said."""
        lines = []
        for path in (self.said, self.console):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    lines += file.read().splitlines()
        return lines

    def last_words(self):
        return "\n".join(f"  | {line}" for line in self.lines()[-CONSOLE_TAIL:])

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
