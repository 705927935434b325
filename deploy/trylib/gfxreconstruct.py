"""Debian's gfxreconstruct: records every Vulkan call of one of tests/programs on the plain card, and plays them again as a program of
its own. It tells no result beyond errors and warnings: the same calls must succeed."""

import os

from .errors import TryError
from .program import Program

LAYERS = "/usr/share/vulkan/explicit_layer.d"


class Gfxreconstruct(Program):
    name = "gfxreconstruct"
    text = "a recording of tests/programs/stencil is played again; every call must succeed"
    debian = ["gfxreconstruct"]

    @classmethod
    def options(cls, parser):
        parser.add_argument("--steps", type=int, default=3000, help="of the program that is recorded")

    def prepare(self, stage, gpu):
        """Records on that card without tbmesh."""
        self.capture = os.path.join(self.place, f"{gpu}.gfxr")
        program = os.path.join(stage.build, "programs", "stencil")
        script = ('export VK_LAYER_PATH="$VK_LAYER_PATH:$0" VK_INSTANCE_LAYERS="VK_LAYER_LUNARG_gfxreconstruct:$VK_INSTANCE_LAYERS"; '
                  'exec "$@"')
        run = stage.plain(gpu, ["bash", "-c", script, LAYERS, program, "--steps", str(self.args.steps)], {
            "GFXRECON_CAPTURE_FILE": self.capture, "GFXRECON_CAPTURE_FILE_TIMESTAMP": "false",
            "GFXRECON_MEMORY_TRACKING_MODE": "unassisted", "GFXRECON_LOG_LEVEL": "warning"})
        if "right" not in "".join(run.out):
            raise TryError(f"the recorded program failed:\n{run.last_words()}")

    def command(self):
        # Remapped: under tbmesh the memory types are the virtual GPU's.
        return ["gfxrecon-replay", "-m", "remap", "--log-level", "warning", self.capture]

    def check(self, run):
        bad = ("[gfxrecon] ERROR", "[gfxrecon] FATAL", "fatal error")
        wrong = [line for line in run.out + run.errors if any(word in line for word in bad)]
        if wrong:
            raise TryError("".join(wrong))
