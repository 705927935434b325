"""What the machine is made of: Debian's kernel (unpacked into the cache, never installed), our module, the first file system, and
an ACPI table."""

import os
import re
import shlex
import shutil
import subprocess

from .errors import KernelError, Missing

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
GUEST = os.path.join(TOP, "deploy", "kernellib", "guest")
PACKAGES = ["qemu-system-x86", "acpica-tools", "busybox-static", "udev", "kmod", "make", "iproute2"]
COMMAND_TIMEOUT_S = 600
# What the guest needs to have this machine's files as its own.
MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay"]
# Root ports behind which the firmware says that cables are: ACPI's names are S and the function's number in hexadecimal.
EXTERNAL_PORTS = {"S18": 1, "S20": 2}


def call(words, what, **options):
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelError(f"{what}: {error}") from None
    if done.returncode != 0:
        raise KernelError(f"{what}: `{' '.join(words)}` ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def setup(*words):
    """Shell words after deploy/setup.sh."""
    return subprocess.run(["bash", "-c", '. "$0"; eval "$*"', os.path.join(TOP, "deploy", "setup.sh"), *words],
                          check=False).returncode == 0


def install(with_build):
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Missing("no apt-get here: the machine is made of Debian's packages")
    if call(["dpkg", "--print-architecture"], "dpkg").strip() != "amd64":
        raise Missing("the machine is an amd64, this is none")
    if not setup("install_packages", *PACKAGES, *(['"${packages_build[@]}"'] if with_build else [])):
        raise Missing("packages cannot be had (see above)")


def kernel_package():
    """linux-image-VERSION that linux-image-amd64 stands for."""
    for attempt in (1, 2):
        text = call(["apt-cache", "depends", "linux-image-amd64"], "asking apt for Debian's kernel") if attempt == 2 else \
            subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"Depends: (linux-image-\S+)", text)
        if found:
            return found[1]
        if attempt == 1:
            subprocess.run(["apt-get", "-qq", "update"], stdout=subprocess.DEVNULL, check=False)
    raise Missing("apt knows no linux-image-amd64")


def get_kernel(cache, say):
    """(version, folder): the folder has boot/ and lib/modules/."""
    package = kernel_package()
    version = package.removeprefix("linux-image-")
    folder = os.path.join(cache, version)
    if not setup("install_packages", f"linux-headers-{version}"):
        raise Missing(f"linux-headers-{version} cannot be had (see above)")
    if os.path.exists(folder):
        return version, folder
    say(f"getting {package}")
    new = f"{folder}.new.{os.getpid()}"
    shutil.rmtree(cache, ignore_errors=True)  # older ones
    os.makedirs(new)
    try:
        call(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package], f"{package} cannot be had", cwd=new)
        deb = next(os.path.join(new, name) for name in os.listdir(new))
        call(["dpkg", "-x", deb, new], f"unpacking {package}")
        os.unlink(deb)
        call(["depmod", "-b", new, version], f"depmod for {package}")
        os.rename(new, folder)
    except KernelError as error:
        raise Missing(str(error)) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return version, folder


def build_module(version, work):
    """Our module's file."""
    for name in ("fake_thunderbolt.c", "Makefile"):
        shutil.copy(os.path.join(GUEST, name), work)
    call(["make", "-C", f"/usr/src/linux-headers-{version}", f"M={work}", "modules"], "building fake_thunderbolt.ko")
    return os.path.join(work, "fake_thunderbolt.ko")


def module_files(version, folder):
    files = []
    for module in MODULES:
        for line in call(["modprobe", "-d", folder, "-S", version, "--show-depends", module], f"module {module}").splitlines():
            if line.startswith("insmod ") and line.split()[1] not in files:
                files.append(line.split()[1])
    return files


def make_initrd(version, folder, work, environment):
    """busybox, a few modules in the order of their loading, guest/init; `environment` is for guest/start."""
    root = os.path.join(work, "initrd")
    shutil.rmtree(root, ignore_errors=True)  # of a guest before
    for name in ("bin", "dev", "proc", "sys", "modules", "lower", "upper", "root"):
        os.makedirs(os.path.join(root, name))
    shutil.copy("/bin/busybox", os.path.join(root, "bin"))
    shutil.copy(os.path.join(GUEST, "init"), root)
    os.chmod(os.path.join(root, "init"), 0o755)
    for number, path in enumerate(module_files(version, folder)):
        shutil.copy(path, os.path.join(root, "modules", f"{number:02}-{os.path.basename(path)}"))
    with open(os.path.join(root, "environment"), "w", encoding="utf-8") as file:
        file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    image = root + ".cpio"
    call(["sh", "-c", f"find . | busybox cpio -o -H newc >{shlex.quote(image)}"], "packing the initrd", cwd=root)
    return image


def make_acpi_table(work):
    """Marks root ports as external-facing, as Thunderbolt machines' firmware does: the kernel shows `removable` then."""
    source = os.path.join(work, "ports.dsl")
    scopes = "".join(f"""
  External (\\_SB.PCI0.{name}, DeviceObj)
  Scope (\\_SB.PCI0.{name}) {{
    Name (_DSD, Package () {{ ToUUID ("efcc06cc-73ac-4bc3-bff0-76143807c389"),
      Package () {{ Package (2) {{ "ExternalFacingPort", 1 }}, Package (2) {{ "UID", {uid} }} }} }})
  }}""" for name, uid in EXTERNAL_PORTS.items())
    with open(source, "w", encoding="ascii") as file:
        file.write(f'DefinitionBlock ("", "SSDT", 2, "TBMESH", "PORTS", 1) {{\n  External (\\_SB.PCI0, DeviceObj){scopes}\n}}\n')
    call(["iasl", "-p", os.path.join(work, "ports"), source], "making the ACPI table")
    return os.path.join(work, "ports.aml")
