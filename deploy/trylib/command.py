"""Any program that is here already: what it prints on the plain card is what it is to print under tbmesh."""

import shlex

from .program import Program


class Command(Program):
    name = "command"
    text = "a command of yours; what it prints on stdout is compared"

    @classmethod
    def options(cls, parser):
        parser.add_argument("--run", required=True, metavar="WORDS", help="the command, as a shell would split it")

    def install(self):
        pass

    def command(self):
        return shlex.split(self.args.run)

    def summary(self, result):
        return f"{len(result.splitlines())} lines"
