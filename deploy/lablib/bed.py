"""A host's sysfs: recorded trees in an umockdev testbed, which lives as long as this process. Traps of umockdev 0.17 that are met
here: the sender looks devices up through libudev in its own process, so this process runs under umockdev's preload library and
points UMOCKDEV_DIR at one bed after the other; remove_device sends no uevent; each reader's queue holds
net.unix.max_dgram_qlen events."""

import os
import shutil
import tempfile

import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import UMockdev  # noqa: E402

from .errors import LabError  # noqa: E402
from .layout import DATA  # noqa: E402


class Device:
    def __init__(self, text):
        self.text = text
        self.path = text.split("\n", 1)[0][len("P: "):]


def load_tree(name, values=None):
    """The devices of tests/data/lab/NAME.tree in their order; @key@ stands for values["key"]."""
    with open(os.path.join(DATA, name + ".tree"), encoding="utf-8") as file:
        text = file.read()
    for key, value in (values or {}).items():
        text = text.replace(f"@{key}@", str(value))
    blocks = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith("#")]
        if lines and not lines[0].startswith("P: "):
            raise LabError(f"{name}.tree: a device must start with a P: line, not '{lines[0]}'")
        if lines:
            blocks.append(Device("\n".join(lines) + "\n\n"))
    return blocks


class Bed:
    def __init__(self):
        # A testbed sets this beside threads that read the environment: the name must be there by then, or setenv moves the whole.
        os.environ.setdefault("UMOCKDEV_DIR", tempfile.gettempdir())
        self.testbed = UMockdev.Testbed.new()
        self.root = self.testbed.get_root_dir()

    def select(self):
        os.environ["UMOCKDEV_DIR"] = self.root

    def add(self, devices):
        """Each with its add uevent."""
        self.select()
        for device in devices:
            self.testbed.add_from_string(device.text)

    def remove(self, paths):
        """In that order, each with its uevent first, as the kernel tells while the device is still there."""
        self.select()
        for path in paths:
            syspath = "/sys" + path
            if not os.path.isdir(self.root + syspath):
                continue
            self.testbed.uevent(syspath, "remove")
            self.testbed.remove_device(syspath)
            shutil.rmtree(self.root + syspath, ignore_errors=True)

    def set(self, path, attribute, value):
        self.select()
        self.testbed.set_attribute("/sys" + path, attribute, value + "\n")
