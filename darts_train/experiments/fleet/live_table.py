"""A table that is redrawn in place on a terminal, and plain lines where there is none."""

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

from darts_train.base.log import logger
from darts_train.experiments.fleet.progress import Step, TrialEnd
from darts_train.experiments.fleet.standing import Standing, line, table, whole

SECONDS = 0.5  # between two drawings
_log = logger("experiments")


class LiveTable:
    """Shows where a search stands. `clock` gives seconds."""

    def __init__(
        self, standing: Standing, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.standing = standing
        self._out, self._clock = out or sys.stderr, clock
        self._is_terminal = self._out.isatty()
        self._height = 0
        self._drawn = -SECONDS

    def take(self, slot: int, step: Step) -> None:
        """Something was told by a slot."""
        self.standing.take(slot, step, self._clock())
        if self._is_terminal:
            self.draw()
        elif isinstance(step, TrialEnd):
            _log.info("%s: %s; %s", self.standing.slots[slot], line(step), whole(self.standing))
        elif step.seconds is not None:
            _log.info("%s: %s", self.standing.slots[slot], line(step))

    def say(self, text: str) -> None:
        """A line that stays."""
        self._wipe()
        _log.warning("%s", text)
        self.draw(now=True)

    def draw(self, now: bool = False) -> None:
        """Show the table as it is; not more often than one can read."""
        if not self._is_terminal or (not now and self._clock() - self._drawn < SECONDS):
            return
        width = shutil.get_terminal_size().columns - 1
        lines = [text[:width] for text in table(self.standing, self._clock())]
        self._wipe()
        self._out.write("".join(f"{text}\n" for text in lines))
        self._out.flush()
        self._height, self._drawn = len(lines), self._clock()

    def _wipe(self) -> None:
        if self._height:
            self._out.write(f"\x1b[{self._height}F\x1b[J")
            self._out.flush()
            self._height = 0
