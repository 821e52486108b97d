"""metrics.csv: a row per logged step and per epoch, appended as they come, repaired when a run goes on.

A row is one write of one line, so a kill leaves at most one torn line at the end. Before a run goes on, that line and
all rows of epochs beyond its checkpoint are dropped: they will be written again, the same.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from darts_train.base.files import write_text

Value = float | int | str


class MetricsFile:
    """Rows under fixed columns, of which `epoch` (from 0) and `step` come first.

    Args:
        path: The file.
        columns: All columns there can be.
        epochs_done: Completed epochs; earlier rows of these are kept, all others dropped. 0 begins anew.
        steps_done: Where a run goes on within an epoch: rows of that epoch below this step are kept, too.
    """

    def __init__(self, path: Path, columns: Sequence[str], epochs_done: int = 0, steps_done: int = 0) -> None:
        self.path = path
        self.columns = list(columns)
        rows = read_rows(path) if epochs_done or steps_done else []
        done = (epochs_done, steps_done)
        kept = [row for row in rows if (_number(row, "epoch"), _number(row, "step")) < done]
        write_text(path, "".join(self._line(row) for row in [dict(zip(columns, columns, strict=True)), *kept]))

    def append(self, row: Mapping[str, Value], durable: bool = False) -> None:
        """Add a row; values of unknown columns are left out. `durable` waits until the disk has it."""
        with self.path.open("ab") as file:
            file.write(self._line(row).encode("utf-8"))
            if durable:
                file.flush()
                os.fsync(file.fileno())

    def _line(self, row: Mapping[str, Value]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([row.get(column, "") for column in self.columns])
        return text.getvalue()


def read_rows(path: Path) -> list[dict[str, str]]:
    """The whole rows of a metrics.csv as text; a torn last line is left out. Empty where there is no file."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    return list(csv.DictReader(io.StringIO(whole)))


def _number(row: Mapping[str, str], column: str) -> float:
    value = row.get(column) or ""
    return int(value) if value.isdecimal() else float("inf")
