"""The command deploy/try."""

import argparse
import os
import signal
import subprocess
import sys

from .command import Command
from .dawn import Dawn
from .errors import Missing, TryError
from .ffmpeg import Ffmpeg
from .gfxreconstruct import Gfxreconstruct
from .llama import Llama
from .llama_sources import LlamaSources
from .program import install_driver, setup
from .stage import GPUS, TOP, WAYS, Stage
from .trial import Trial
from .vulkaninfo import Vulkaninfo

PROGRAMS = [Llama, LlamaSources, Ffmpeg, Gfxreconstruct, Vulkaninfo, Dawn, Command]
SKIP = 77


def say(text):
    print(text, flush=True)


def parse_list(known):
    def parse(text):
        words = [] if text == "none" else list(known) if text == "all" else text.split(",")
        for word in words:
            if word not in known:
                raise argparse.ArgumentTypeError(f"'{word}' is none of: {', '.join(known)}")
        return words
    return parse


def make_parser():
    parser = argparse.ArgumentParser(prog="deploy/try", formatter_class=argparse.RawDescriptionHelpFormatter, description=(
        "Installs a program that nobody here wrote outside of this repository and runs it in the lab: on the plain\n"
        "driver, then under `tbmesh run` undisturbed, with its GPU unplugged in each way, with its executor killed at\n"
        "random moments. Exit status: 0 all results identical, 1 not, 77 it can't be tried here."), epilog="""examples:
  deploy/try list
  deploy/try llama
  deploy/try llama --other-driver lavapipe25 --gpu egpu --ways none --kills 0
  deploy/try llama-sources --rpc 5
  deploy/try command --run 'build/release/programs/images --rounds 3000' --mode relaxed
  deploy/try llama --model-mib 256 --tokens 16 --gpu card --kills 10""")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    names.add_parser("list", help="what can be tried")
    for program in PROGRAMS:
        p = names.add_parser(program.name, help=program.text, description=program.text,
                             formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        p.add_argument("--gpu", type=parse_list(GPUS), default="all", metavar="GPU,…",
                       help="egpu: on the program's own host; card: a peer's, over the cables; all")
        p.add_argument("--ways", type=parse_list(WAYS), default="all", metavar="WAY,…",
                       help=f"how its GPU goes: {', '.join(WAYS)}; all; none")
        p.add_argument("--kills", type=int, default=3, help="how often its executor is killed, once a run, at random moments")
        p.add_argument("--no-pair", dest="pair", action="store_false", help="don't try two of it at once")
        p.add_argument("--seed", type=int, default=1, help="of the moments")
        p.add_argument("--timeout", type=int, default=300, help="seconds that one run may take")
        p.add_argument("--dir", default=os.path.join(os.path.expanduser("~"), ".cache", "tbmesh", "try"),
                       help="where programs and models are kept")
        p.add_argument("--lab-dir", default="/run/tbmesh-try", help="where the lab lives")
        p.add_argument("--build", help="build directory of tbmesh (default: build/release, brought up to date)")
        p.add_argument("--mode", choices=["strict", "relaxed"], default="strict", help="of `tbmesh run`")
        p.add_argument("--driver", default=program.driver, help="Vulkan driver behind the cards, one that deploy/drivers knows "
                       "(None: the one that is installed)")
        p.add_argument("--other-driver", help="behind the other GPU; adds a run that moves there and back, unplugged twice")
        program.options(p)
        p.set_defaults(program=program)
    return parser


def try_program(args):
    program = args.program(os.path.join(args.dir, args.name), args)
    os.makedirs(program.place, exist_ok=True)
    if not args.build:
        setup("eval", 'install_packages "${packages_build[@]}" "${packages_lab[@]}" "${packages_test[@]}"; build release')
    build = os.path.abspath(args.build or os.path.join(TOP, "build", "release"))
    program.install()
    if args.driver:
        install_driver(args.driver)
    if args.other_driver:
        install_driver(args.other_driver)
    stage = Stage(args.lab_dir, build, args.timeout, args.mode)
    right, wrong = 0, []
    try:
        if getattr(args, "rpc", 0):
            stage.up({gpu: args.driver for gpu in GPUS})
            program.measure(stage, say)
            return 0
        for gpu in args.gpu:
            if args.other_driver or gpu == args.gpu[0]:
                stage.up({name: args.driver if name == gpu else args.other_driver or args.driver for name in GPUS})
            say(f"{args.name} on {GPUS[gpu]}'s {gpu}")
            trial = Trial(stage, program, gpu, args.seed, say)
            try:
                trial.play(args.ways, args.kills, args.pair, bool(args.other_driver))
            except TryError as error:
                if isinstance(error, Missing):
                    raise Missing(f"{args.name} on {gpu}: {error}") from None
                trial.wrong.append(f"{gpu}: {error}")
            right += trial.right
            wrong += trial.wrong
    finally:
        stage.down()
    for line in wrong:
        say(f"failed: {line}")
    say(f"{args.name}: {right} of {right + len(wrong)} runs under tbmesh gave what the plain driver gives")
    return 1 if wrong or not right else 0


def main():
    args = make_parser().parse_args()
    if args.name == "list":
        for program in PROGRAMS:
            say(f"{program.name:<14} {program.text}")
        return 0
    if os.geteuid() != 0:
        print("deploy/try needs root: it makes network namespaces for the lab", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    try:
        return try_program(args)
    except Missing as error:
        print(f"SKIP: {error}", file=sys.stderr)
        return SKIP
    except (TryError, OSError, subprocess.SubprocessError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
