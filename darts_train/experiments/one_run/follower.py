"""`python -m darts_train.experiments.one_run.follower`: a process of a run whose rank 0 is another (see `mates.py`).

Its place comes through its standard input, which then stays open as long as the process that started it lives. It says
on its standard output, in lines of JSON, when it is ready, and what ended it.
"""

import json
import os
import pickle
import sys
import threading
from typing import Any


def main() -> int:
    """Take part, and say how it went; the exit code."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is nothing that we say
    say = _Sayer(out)
    world = pickle.load(sys.stdin.buffer)  # from the process that started this one
    threading.Thread(target=_leave_with_parent, name="parent", daemon=True).start()

    from darts_train.experiments.one_run.job import follow_run
    from darts_train.experiments.one_run.mates import READY

    say(READY)
    try:
        follow_run(world)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        say({"kind": type(error).__name__, "error": reason})
        return 1
    return 0


class _Sayer:
    def __init__(self, out: Any) -> None:
        self.out = out

    def __call__(self, said: dict[str, str]) -> None:
        print(json.dumps(said), file=self.out, flush=True)


def _leave_with_parent() -> None:
    sys.stdin.buffer.read()  # ends when nobody holds the other end
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
