"""llama.cpp as npm's @fugood/llama.node, its prebuilt binary as it is."""

import os

from . import gguf
from .errors import TryError
from .program import Program, install_npm

VERSION = "1.7.15"
PROMPT = "Once upon a time"


class Llama(Program):
    name = "llama"
    text = "llama.cpp generates text; every token and probability is compared"

    @classmethod
    def options(cls, parser):
        parser.add_argument("--model", help="a GGUF file (default: one with random weights, made here)")
        parser.add_argument("--model-mib", type=int, default=8, help="size of the model that is made (%(default)s)")
        parser.add_argument("--tokens", type=int, default=48, help="tokens to generate (%(default)s)")
        parser.add_argument("--prompt", default=PROMPT, help="what to go on from")
        parser.add_argument("--release", default=VERSION, help="of its prebuilt binary (%(default)s)")

    def install(self):
        super().install()
        place = os.path.join(self.place, self.args.release)
        install_npm(place, {"@fugood/llama.node": VERSION, "@fugood/node-llama-linux-x64-vulkan": self.args.release})
        self.program = [os.path.join(os.path.dirname(os.path.realpath(__file__)), "llama.mjs"), place]
        self.model = os.path.abspath(self.args.model) if self.args.model else self.make_model()
        if not os.path.isfile(self.model):
            raise TryError(f"no model {self.model}")

    def make_model(self):
        path = os.path.join(self.place, f"random-{self.args.model_mib}MiB.gguf")
        if not os.path.exists(path):
            print(f"making a model of {self.args.model_mib} MiB with random weights: {path}", flush=True)
            gguf.write(path + ".new", self.args.model_mib)
            os.rename(path + ".new", path)
        return path

    def command(self):
        return ["node", *self.program, self.model, self.args.prompt, str(self.args.tokens)]

    def check(self, run):
        if not any("Vulkan0 model buffer size" in line for line in run.errors):
            raise TryError(f"it did not put its layers on Vulkan0; its last words:\n{run.last_words()}")

    def summary(self, result):
        return result.splitlines()[-1]
