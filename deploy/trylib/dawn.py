"""Dawn as npm's webgpu, its prebuilt binary as it is: WebGPU compute shaders and draws into textures."""

import os

from .program import Program, install_npm

VERSION = "0.6.2"


class Dawn(Program):
    name = "dawn"
    text = "WebGPU through Dawn computes and draws; the checksum of every result is compared"
    driver = "lavapipe25"  # Dawn wants shaderUniformBufferArrayDynamicIndexing, lavapipe 22 has none

    @classmethod
    def options(cls, parser):
        parser.add_argument("--rounds", type=int, default=400, help="of the computation")

    def install(self):
        super().install()
        install_npm(self.place, {"webgpu": VERSION})

    def command(self):
        return ["node", os.path.join(os.path.dirname(os.path.realpath(__file__)), "dawn.mjs"), self.place, str(self.args.rounds)]
