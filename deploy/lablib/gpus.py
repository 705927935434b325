"""The GPUs of a host: copies of CPU drivers, of which some wear a recorded card (tests/fault/card.c) and can be taken away
(tests/fault/fault.c). The loader makes one driver of each manifest, even when they name the same library."""

import glob
import os
import re
import struct
import subprocess

from .errors import LabError
from .layout import DATA, TOP

KINDS = {  # kind: (card, device tree); cpu is the plain driver
    "egpu": ("aorus5090", "aorus5090"),
    "card": ("rx7900", "rx7900"),
    "cpu": (None, None),
}
WAYS = {"lost": b"l", "silent": b"s", "hang": b"h", "crash": b"c"}  # tests/fault/fault_page.h
PAGE_SIZE = 4096
PAGE = struct.Struct("<cB2xI")  # struct fault_page


def default_kinds(number):
    return [["egpu", "cpu"], ["card", "cpu"]][number] if number < 2 else ["cpu"]


def kind_of(word):
    return word.split("@")[0]


def parse_kinds(text):
    """["egpu@swiftshader", "cpu"] of "egpu@swiftshader,cpu"."""
    words = [] if text == "none" else text.replace("+", ",").split(",")
    kinds = [kind_of(word) for word in words]
    for kind in kinds:
        if kind not in KINDS:
            raise LabError(f"'{kind}' is no kind of GPU; there are none, {', '.join(KINDS)} (several: egpu,cpu)")
    if len(set(kinds)) != len(kinds) or {"egpu", "card"} <= set(kinds):
        raise LabError(f"'{text}': a host has at most one card or eGPU and one cpu")
    for word in words:
        driver_of(word)
    return words


def driver_of(word):
    """The manifest of the Vulkan driver behind a GPU: what follows the @ (deploy/drivers), else the one that TBMESH_LAB_DRIVER names,
    else lavapipe's."""
    name = word.partition("@")[2]
    if name and name != "lavapipe":
        done = subprocess.run([os.path.join(TOP, "deploy", "drivers"), "--have", name], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(done.stderr.strip())
        if not done.stdout:
            raise LabError(f"the driver {name} is not here; get it with: deploy/drivers {name}")
        return done.stdout.split()[1]
    chosen = os.environ.get("TBMESH_LAB_DRIVER")
    if chosen and not name:
        if not os.path.isfile(chosen):
            raise LabError(f"TBMESH_LAB_DRIVER names no Vulkan driver manifest: {chosen}")
        return os.path.realpath(chosen)
    found = sorted(glob.glob("/usr/share/vulkan/icd.d/lvp_icd*.json"))
    if not found:
        raise LabError("no CPU Vulkan driver here; install the package mesa-vulkan-drivers")
    return found[0]


def real_name(manifest):
    """What the driver says of itself, as tests/fault/card.c compares it. The loader does not keep the order of manifests."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VK_") and k != "LD_PRELOAD"}
    said = subprocess.run(["vulkaninfo", "--summary"], env={**environment, "VK_DRIVER_FILES": manifest, "NODEVICE_SELECT": "1"},
                          capture_output=True, text=True, check=False).stdout
    words = [re.search(rf"^\s*{key}\s*= ?(.*)$", said, re.M) for key in ("driverName", "driverInfo")]
    if not all(words):
        raise LabError(f"{manifest}: the driver has no device, or vulkaninfo (package vulkan-tools) is missing")
    return " ".join(w[1].strip() for w in words)


def read_card(name):
    with open(os.path.join(DATA, name + ".card"), encoding="utf-8") as file:
        return file.read()


def make_gpus(words, folder):
    """Writes manifests, the cards file and the fault pages into folder; returns the GPUs' part of the state."""
    faults = os.path.join(folder, "faults")
    os.makedirs(faults)
    gpus, cards = [], ""
    drivers = [driver_of(word) for word in words]
    for number, word in enumerate(sorted(words, key=lambda w: kind_of(w) == "cpu")):  # cards first: card.c counts from the front
        kind, driver = kind_of(word), driver_of(word)
        manifest = os.path.join(folder, f"driver{number}.json")
        os.symlink(driver, manifest)
        gpu = {"kind": kind, "manifest": manifest, "driver": driver, "pci": None, "name": "cpu", "present": True, "tree": KINDS[kind][1]}
        if KINDS[kind][0]:
            card = read_card(KINDS[kind][0])
            gpu["pci"] = re.search(r"^pci (\S+)$", card, re.M)[1]
            gpu["name"] = re.search(r"^name (.+)$", card, re.M)[1]
            cards += card + (f"real {real_name(driver)}\n" if len(set(drivers)) > 1 else "")
            with open(os.path.join(faults, gpu["pci"]), "wb") as page:
                page.write(bytes(PAGE_SIZE))
        gpus.append(gpu)
    with open(os.path.join(folder, "cards"), "w", encoding="utf-8") as file:
        file.write(cards)
    return gpus


def write_page(folder, pci, present, way=None):
    """In place: processes have the page mapped. A way counts as one more loss."""
    with open(os.path.join(folder, "faults", pci), "r+b", buffering=0) as page:
        old_way, _, losses = PAGE.unpack(page.read(PAGE.size))
        page.seek(0)
        page.write(PAGE.pack(WAYS[way] if way else old_way, not present, losses + 1 if way else losses))


def find_gpu(host_name, host, wanted):
    """By kind, by PCI address, as pci-ADDRESS or HOST/pci-ADDRESS."""
    key = wanted.split("/", 1)[1] if wanted.startswith(host_name + "/") else wanted
    key = key[len("pci-"):] if key.startswith("pci-") else key
    for gpu in host["gpus"]:
        if gpu["pci"] and key in (gpu["kind"], gpu["pci"]):
            return gpu
    known = [f"{g['kind']} (pci-{g['pci']})" for g in host["gpus"] if g["pci"]]
    raise LabError(f"{host_name} has no GPU '{wanted}' that could be unplugged; it has {', '.join(known) or 'none'}")


def plain_environment(host):
    """For programs that see the plain CPU driver, or none on a host without a GPU."""
    manifests = [g["manifest"] for g in host["gpus"]][:1]
    return {"VK_DRIVER_FILES": manifests[0] if manifests else os.path.join(host["gpu_dir"], "none.json"), "NODEVICE_SELECT": "1"}


def card_environment(host, build):
    """For the node and its executors: each driver, dressed by the layers."""
    layers = os.path.join(build, "lib", "vulkan-layers")
    environment = plain_environment(host)
    if host["gpus"]:
        environment["VK_DRIVER_FILES"] = ":".join(g["manifest"] for g in host["gpus"])
        environment["VK_LAYER_PATH"] = f"{layers}/fault:{layers}/card"
        environment["VK_INSTANCE_LAYERS"] = "VK_LAYER_TBMESH_fault:VK_LAYER_TBMESH_card"
        environment["TBMESH_CARDS"] = os.path.join(host["gpu_dir"], "cards")
        environment["TBMESH_FAULT_DIR"] = os.path.join(host["gpu_dir"], "faults")
    return environment
