"""All checks, in their order: each stands on what those before it left. Tells kernellib/cli.py how they went."""

import os
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from cases import CASES, Field  # noqa: E402
from field import Host, Wrong  # noqa: E402


def main():
    host = Host()
    host.tell("say", f"Linux {os.uname().release}, {time.monotonic():.0f} s after its start")
    wanted, over = os.environ["TBMESH_CASES"].split(), os.environ["TBMESH_DONE"].split()
    passed = failed = 0
    try:
        field = Field(host)
        for case in CASES:
            if (wanted and case.__name__ not in wanted) or case.__name__ in over:
                continue
            began, remarks = time.monotonic(), None
            field.last_words()
            try:
                remarks = case(field) or ""
            except Exception as error:
                failed += 1
                text = str(error) if isinstance(error, Wrong) else traceback.format_exc()
                host.tell("say", f"FAILED  {case.__name__}: {case.__doc__}\n  {text}\n" + field.last_words())
                field.recover()
            if remarks is not None:
                passed += 1
                host.tell("end", case.__name__)
                host.tell("say", f"passed  {case.__name__}: {case.__doc__} {remarks and f'[{remarks}] '}"
                                 f"({time.monotonic() - began:.1f} s)")
        field.stop()
    except Exception:
        host.tell("say", traceback.format_exc())
        failed += 1
    host.tell("done", {"passed": passed, "failed": failed})


if __name__ == "__main__":
    main()
