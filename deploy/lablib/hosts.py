"""What runs on a host: its environment, its processes, its node."""

import os
import signal
import subprocess
import time

from . import gpus, network
from .errors import LabError
from .layout import TOP

CLASSES = {"node": "tbmeshd", "session": "tbmesh-session", "executor": "tbmesh-exec"}
PRELOAD = "libumockdev-preload.so.0"
NODE_START_S = 15


def environment(state, host_name, with_cards):
    host = state["hosts"][host_name]
    values = {k: v for k, v in os.environ.items() if not k.startswith(("VK_", "TBMESH_", "UMOCKDEV_"))}
    preload = [p for p in values.get("LD_PRELOAD", "").split(":") if p and "umockdev" not in p]
    values.update({
        "TBMESH_ROOT": host["root"],
        "TBMESH_LAB_HOST": host_name,
        "UMOCKDEV_DIR": host["bed"],
        "LD_PRELOAD": ":".join(preload + [PRELOAD]),
        "PATH": os.path.join(state["build"], "bin") + ":" + values.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    })
    values.update(gpus.card_environment(host, state["build"]) if with_cards else gpus.plain_environment(host))
    return values


def execute(state, host_name, command, with_cards):
    """Becomes that command on that host; comes back only with an error."""
    values = environment(state, host_name, with_cards)
    network.enter(state["hosts"][host_name]["namespace"])
    try:
        os.execvpe(command[0], command, values)
    except OSError as error:
        raise LabError(f"{command[0]}: {error.strerror}") from None


def spawn(state, host_name, command, with_cards, **options):
    # nsenter, not a preexec_fn: the keeper has threads of umockdev's, no code of Python's may run in its forked child.
    words = network.inside(state["hosts"][host_name]["namespace"], command)
    return subprocess.Popen(words, env=environment(state, host_name, with_cards), **options)


def command_name(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.path.basename(file.read().split(b"\0")[0].decode(errors="replace"))
    except OSError:
        return ""


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return "X"


def processes(state, host_name, wanted=None):
    """[(pid, name)] of that host: all, or of one class."""
    if wanted is not None and wanted not in CLASSES:
        raise LabError(f"'{wanted}' is no class of processes; there are {', '.join(CLASSES)}")
    found = [(pid, command_name(pid)) for pid in sorted(network.pids_in(state["hosts"][host_name]["namespace"]))]
    found = [(pid, name) for pid, name in found if name and state_of(pid) != "Z"]
    return [(pid, name) for pid, name in found if wanted is None or name == CLASSES[wanted]]


def send(state, host_name, wanted, number, only=None):
    """Signals processes of a host; returns those that it reached."""
    own = {os.getpid(), os.getppid()}
    reached = []
    for pid, name in processes(state, host_name, wanted):
        if pid in own or (only is not None and pid != only):
            continue
        try:
            os.kill(pid, number)
            reached.append((pid, name))
        except ProcessLookupError:
            pass
    return reached


def kill_all(namespace):
    """Everything in the namespace, however often it forks meanwhile."""
    for _ in range(50):
        pids = network.pids_in(namespace)
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)


def program(state, name):
    path = os.path.join(state["build"], "bin", name)
    if not os.access(path, os.X_OK):
        raise LabError(f"{path} is not built; try: cmake --build {state['build']}")
    return path


def tell(state, host_name, *words):
    """A command of that host that must succeed; its output."""
    done = spawn(state, host_name, list(words), False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                 text=True)
    out, errors = done.communicate(timeout=60)
    if done.returncode != 0:
        raise LabError(f"{host_name}: `{' '.join(words)}` ended with {done.returncode}: {errors.strip() or out.strip()}")
    return out


def configure_node(root, name, settings):
    os.makedirs(os.path.join(root, "etc"), exist_ok=True)
    with open(os.path.join(root, "etc", "tbmesh.conf"), "w", encoding="utf-8") as file:
        file.write(f"name = {name}\n" + "".join(f"{s}\n" for s in settings))


def start_babeld(state, host_name, log_path):
    """Routing as the sample of deploy/routing has it. It ends with its namespace."""
    root = state["hosts"][host_name]["root"]
    for folder in ("run", "var"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    with open(log_path, "ab") as log:
        return spawn(state, host_name, ["babeld", "-c", os.path.join(TOP, "deploy", "routing", "babeld.conf"),
                                        "-I", os.path.join(root, "run", "babeld.pid"), "-S", os.path.join(root, "var", "babel-state")],
                     False, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def start_node(state, host_name, log_path):
    """Starts tbmeshd and returns its pid when it answers, or tells what its log says."""
    if processes(state, host_name, "node"):
        raise LabError(f"{host_name}: a node runs already; stop it first with: deploy/lab stop {host_name}")
    daemon = program(state, "tbmeshd")
    cli = program(state, "tbmesh")
    with open(log_path, "ab") as log:
        node = spawn(state, host_name, [daemon, "--verbose"], True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    until = time.monotonic() + NODE_START_S
    while time.monotonic() < until:
        if node.poll() is not None:
            with open(log_path, encoding="utf-8", errors="replace") as log:
                raise LabError(f"{host_name}: tbmeshd ended with {node.returncode}:\n{log.read()[-2000:]}")
        done = spawn(state, host_name, [cli, "status"], False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)
        if done.wait() == 0:
            return node
        time.sleep(0.05)
    node.kill()
    raise LabError(f"{host_name}: tbmeshd did not answer within {NODE_START_S} s; its log is {log_path}")
