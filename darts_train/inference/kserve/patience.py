"""Waiting for a server, and sending again what brought no answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.inference.kserve.protocol import Client, ServerFault

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds
POLL = 0.25  # seconds between questions whether a server is ready
PROBE = 5.0  # seconds within which such a question is answered, at most
Answer = TypeVar("Answer")
_log = logger("inference")


@dataclass(frozen=True)
class Patience:
    """How often a request is sent again; each pause is twice the one before. Set `over`, and nothing is sent again."""

    retries: int
    over: Event = field(default_factory=Event)

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer; raises the last ServerFault where there is none."""
        for attempt in range(self.retries):
            try:
                return question()
            except ServerFault as fault:
                if not fault.again:
                    raise
                pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
                _log.info("%s Once more in %g s.", fault, pause)
                if self.over.wait(pause):
                    raise
        return question()


def wait_ready(client: Client, name: str, version: str, seconds: float, timeout: float) -> None:
    """Return when server and model are ready. Raises UserError, saying which is not, after some seconds."""
    until, told = time.monotonic() + seconds, False
    while True:
        fault: UserError | None = None
        try:
            if client.is_ready(name, version, min(timeout, PROBE)):
                return
        except ServerFault as error:
            if not error.again:
                raise
            fault = error
        if time.monotonic() + POLL > until:
            raise fault or _not_ready(client.url, name, version)
        if not told:
            told = True
            _log.info("waiting for %s on %s, at most %g s", name, client.url, seconds)
        time.sleep(POLL)


def _not_ready(url: str, name: str, version: str) -> UserError:
    which = f"{name}, version {version}," if version else name
    return UserError(f"--model-name: {which} is not there, or not ready, on {url}; --wait-seconds waits for it.")
