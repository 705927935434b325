"""One program tried on one GPU: the plain driver first, then under tbmesh undisturbed, unplugged, killed, twice at once."""

import json
import random
import time

from .errors import Missing, TryError
from .stage import GPUS, HOME, kill_executor

MOMENTS_TRIED = 4  # a run that is over before it could be disturbed is tried again, disturbed earlier


class Trial:
    def __init__(self, stage, program, gpu, seed, say):
        self.stage, self.program, self.gpu, self.say = stage, program, gpu, say
        self.source = random.Random(f"{seed} {gpu}")
        self.expected, self.spans = None, {}
        self.right, self.wrong = 0, []

    def row(self, what, seconds, verdict):
        self.say(f"  {what:<44} {seconds:7.1f} s  {verdict}")

    def judge(self, what, runs):
        """Ends the runs and compares what they printed with the plain driver's."""
        seconds, remark = 0, ""
        try:
            for run in runs:
                run.finish(self.stage.timeout_s)
                seconds = max(seconds, run.seconds)
                self.program.check(run)
                result = self.program.result(run)
                difference = self.program.difference(self.expected, result)
                remark = self.program.remark(result)
                if difference:
                    raise TryError(difference)
        except Missing:
            raise
        except TryError as error:
            self.row(what, seconds, "FAILED")
            self.say("    " + str(error).rstrip().replace("\n", "\n    "))
            self.wrong.append(f"{self.gpu}: {what}: {str(error).splitlines()[0]}")
            return
        self.right += 1
        self.row(what, seconds, "as on the plain driver" + (", " + remark if remark else ""))

    def start(self):
        self.program.before_run()
        return self.stage.start(self.gpu, self.program.command(), self.program.environment())

    def plain(self):
        self.program.before_run()
        run = self.stage.plain(self.gpu, self.program.command(), self.program.environment())
        self.program.check(run)
        self.expected = self.program.result(run)
        self.row("plain driver", run.seconds, self.program.summary(self.expected))

    def undisturbed(self):
        run = self.start()
        self.judge("tbmesh run, undisturbed", [run])
        if self.wrong:
            return False
        self.spans = run.spans()
        return True

    def moves(self):
        return sum(1 for e in self.stage.tbmesh(HOME, "events")["events"] if e["type"] == "MigrationStarted")

    def disturbed(self, what, phase, act, copies=1):
        """act(runs) at a random moment of that phase; it returns whether it could."""
        moment = self.source.random()
        for _ in range(MOMENTS_TRIED):
            before = self.moves()
            runs = [self.start() for _ in range(copies)]
            try:
                when = runs[0].wait_for_phase(phase, self.stage.timeout_s)
                if when is not None:
                    time.sleep(max(0.0, when + moment * self.spans[phase] - time.monotonic()))
                    done = not any(run.is_over() for run in runs) and act(runs)
                    if done:
                        time.sleep(0.1)
                    if done and (not all(run.is_over() for run in runs) or self.moves() > before):
                        self.judge(f"{what}, at {moment:.0%} of {phase or 'the run'}", runs)
                        return
            finally:
                for run in runs:
                    run.stop()
                self.mend()
            moment /= 3
        self.wrong.append(f"{self.gpu}: {what}: the program was over too soon each time; make it work longer")
        self.row(what, 0, "FAILED: over too soon")

    def mend(self):
        for gpu in self.unplugged():
            self.stage.plug(gpu)

    def unplugged(self):
        hosts = json.loads(self.stage.lab("status", "--json"))["hosts"]
        return [g["kind"] for host in hosts.values() for g in host["gpus"] if not g["present"]]

    def phase(self, number):
        """The phases in turn, so that few runs meet them all."""
        phases = list(self.spans)
        return phases[number % len(phases)]

    def there_and_back(self, runs):
        """Moves it to the other GPU, and back while that goes. False: it was over before."""
        other = next(gpu for gpu in GPUS if gpu != self.gpu)
        for gone, target in ((self.gpu, other), (other, self.gpu)):
            if runs[0].wait_for_executor() is None:
                return False
            self.stage.unplug(gone, "lost")
            if runs[0].wait_for_executor(self.stage.timeout_s, self.stage.key(target)) is None:
                if runs[0].is_over():
                    return False
                raise TryError(f"it did not move from {self.stage.key(gone)} to {self.stage.key(target)}")
            self.stage.plug(gone)
        return True

    def play(self, ways, kills, pair, other):
        """other: there is another driver behind the other GPU."""
        self.program.prepare(self.stage, self.gpu)
        self.plain()
        if not self.undisturbed() or self.program.is_short:
            return

        def unplug(how):
            def act(runs):
                if any(run.wait_for_executor() is None for run in runs):
                    return False
                self.stage.unplug(self.gpu, how)
                return True
            return act

        for number, how in enumerate(ways):
            self.disturbed(f"unplugged ({how})", self.phase(-1 - number), unplug(how))
        for number in range(kills):
            self.disturbed("executor killed", self.phase(number), lambda runs: kill_executor(runs[0]))
        if other:
            self.disturbed("to the other driver and back", self.phase(0), self.there_and_back)
        if pair:
            self.judge("two at once, undisturbed", [self.start(), self.start()])
            self.disturbed("two at once, unplugged (silent)", self.phase(-1), unplug("silent"), copies=2)
