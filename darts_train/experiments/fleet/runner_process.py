"""`python -m darts_train.experiments.fleet.runner_process FD`: one of several runners of a search (see `pool.py`).

It owns a connection to the database and the leases of its trials, and asks before each trial whether there is to be
another one. What it logs is in its own file; what it does, it also tells to the process that started it, with which it
ends.
"""

import logging
import os
import signal
import sys
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from darts_train.base.errors import UserError
from darts_train.base.log import ROOT
from darts_train.experiments.failures import BugError
from darts_train.experiments.fleet.child import INTERRUPTED, Line, leave_with_parent
from darts_train.experiments.fleet.messages import Failed
from darts_train.experiments.fleet.posts import Ended, MayGoOn, Post
from darts_train.options.learning import Device


def main() -> int:
    """Work, and say how it went; the exit code."""
    os.dup2(2, 1)
    line = Line(Connection(int(sys.argv[1])))
    leave_with_parent()
    try:
        post = line.connection.recv()
        _log_to(post.log_file)
        _work(post, line)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if not isinstance(error, UserError | BugError):
            logging.getLogger(ROOT).exception("the runner failed")
        line.say(Failed.of(error))
        return 2 if isinstance(error, UserError) else 1
    line.say(Ended())
    return 0


def _work(post: Post, line: Line) -> None:
    from darts_train.experiments.database.storage import open_database
    from darts_train.experiments.fleet.lanes import Lanes
    from darts_train.experiments.searching.runner import open_runner

    signal.signal(signal.SIGTERM, _terminate)
    database, fields = open_database(post.url), dict(post.fields)
    lanes = Lanes([post.device], post.function, line.say)

    def may_go_on() -> bool:
        lanes.leave_if_told()
        line.say(MayGoOn())
        return bool(line.connection.recv())

    try:
        runner = open_runner(
            fields["search"], database, Device(device=post.device), fields["tracking"], lanes, post.lease_seconds,
            keeping=fields["keeping"],
        )  # fmt: skip
        replace(runner, **fields, watch=line.say).run(None, post.total, post.wait, may_go_on)
    finally:
        lanes.close()


def _terminate(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _log_to(path: Path) -> None:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger(ROOT)
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
