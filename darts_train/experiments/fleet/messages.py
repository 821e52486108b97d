"""What a process that trains and the one that started it say to each other, as pickles over a pipe."""

import pickle
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darts_train.experiments.failures import KIND, MachineError, failure_kind

if TYPE_CHECKING:
    from darts_train.artifacts.run_infos import FailureKind


@dataclass(frozen=True)
class Task:
    """A run that is to be done: a function, as `module:name`, and what it is called with."""

    function: str
    arguments: tuple[Any, ...]
    asks: bool  # whether validations are to be shown


@dataclass(frozen=True)
class Validated:
    """So many epochs are done; the answer, an `Answer`, is waited for."""

    epochs: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Answer:
    """Why to stop, or None."""

    reason: str | None


@dataclass(frozen=True)
class Outcome:
    """What a run gave, as much of it as a cross-validation keeps; fields as in `one_run.job.RunResult`."""

    status: str
    best_checkpoint: Path
    metrics: Mapping[str, float]
    last_metrics: Mapping[str, float]
    duration: float

    @classmethod
    def of(cls, result: Any) -> "Outcome":
        """Of what the function gave."""
        return cls(
            result.status, Path(result.best_checkpoint), dict(result.metrics), dict(result.last_metrics),
            result.duration,
        )  # fmt: skip


@dataclass(frozen=True)
class Left:
    """The process was told to leave; everything is saved. `code`: 130 for Ctrl+C, 143 for SIGTERM."""

    code: int


class RemoteError(Exception):
    """An error that cannot be sent as it is; its type stands in its text."""


@dataclass(frozen=True)
class Failed:
    """The error that ended a run, its kind, and where it was raised."""

    kind: "FailureKind"
    pickled: bytes
    trace: str

    @classmethod
    def of(cls, error: Exception) -> "Failed":
        """Of an error as it was caught."""
        kind = failure_kind(error)
        trace = "".join(traceback.format_exception(error))
        return cls(kind, _pickled(error), trace)

    def error(self) -> Exception:
        """The error, of its own type where that can be; it says its kind, and its traceback is a note."""
        error: Exception = pickle.loads(self.pickled)
        error.add_note(self.trace)
        setattr(error, KIND, self.kind)
        return error


def _pickled(error: Exception) -> bytes:
    """An error that is the same when it is read; else its words in one that is."""
    try:
        data = pickle.dumps(error)
        if str(pickle.loads(data)) == str(error):
            return data
    except Exception:  # an error's own way of being pickled may fail in any way
        pass
    kind = MachineError if isinstance(error, OSError) else RemoteError
    return pickle.dumps(kind(f"{type(error).__name__}: {error}"))
