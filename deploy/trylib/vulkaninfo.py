"""Debian's vulkaninfo: tbmesh must offer nothing that the card below lacks."""

import json
import tempfile

from .errors import TryError
from .program import Program

OWN = {"VK_EXT_memory_budget", "VK_EXT_tooling_info", "VK_KHR_shader_non_semantic_info"}  # no GPU takes part in these


class Vulkaninfo(Program):
    name = "vulkaninfo"
    text = "what tbmesh offers, held against what the card has"
    debian = ["vulkan-tools"]
    is_short = True

    def command(self):
        # It writes a file into its current directory and tells the name to nobody.
        return ["bash", "-c", 'cd "$(mktemp -d -p "$0")" && vulkaninfo --json >&2 && cat VP_VULKANINFO_*.json', self.scratch.name]

    def before_run(self):
        self.scratch = tempfile.TemporaryDirectory()

    def result(self, run):
        try:
            return json.loads("".join(run.out))["capabilities"]["device"]
        except (ValueError, KeyError):
            raise TryError(f"it wrote no capabilities; its last words:\n{run.last_words()}") from None

    def summary(self, result):
        return f"{len(result['extensions'])} extensions"

    @staticmethod
    def features(result):
        return {f"{name}.{field}" for name, fields in result["features"].items() for field, value in fields.items() if value is True}

    def difference(self, expected, got):
        more = sorted(set(got["extensions"]) - set(expected["extensions"]) - OWN)
        known = {name.rsplit(".", 1)[1] for name in self.features(expected)}  # a promoted one shows under several structures
        more += sorted(name for name in self.features(got) if name.rsplit(".", 1)[1] not in known)
        return f"offered, but the card lacks it: {', '.join(more)}" if more else None

    def remark(self, result):
        return f"offers {len(result['extensions'])} extensions"
