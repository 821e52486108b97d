"""What a nested cross-validation found: one row per outer fold, and what they say together."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from darts_train.artifacts.run_infos import write_table
from darts_train.dataset.splitting.certificate import Certificate
from darts_train.experiments.scoring import Direction
from darts_train.metrics.combine import mean
from darts_train.metrics.intervals import LEVEL, mean_interval

_NUMBERS = ("inner_score", "outer_score", "random_score")


@dataclass(frozen=True)
class OuterFold:
    """One outer fold. Scores are NaN, and the rest None, where no configuration came to a score.

    Attributes:
        outer: from 0.
        n_trials: as it was asked for.
        inner_score: of the winner, by the folds within.
        outer_score: of the winner, trained again on all that is not the outer fold, on the outer fold.
        random_score: of the same configuration on a fold of patches drawn one by one; None where not asked for.
        best_cv: name of the winner's cross-validation.
        parameters: what was searched, plain values.
        checkpoint: of the network that was tested.
        metrics: `test/…` of it.
    """

    outer: int
    n_trials: int | Literal["grid"]
    inner_score: float = math.nan
    outer_score: float = math.nan
    random_score: float | None = None
    best_cv: str | None = None
    parameters: Mapping[str, Any] | None = None
    checkpoint: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    def words(self) -> str:
        """One line for the log."""
        if self.parameters is None:
            return f"outer fold {self.outer}: no winner"
        return f"outer fold {self.outer}: {self.best_cv}, inner {self.inner_score:.4f}, tested {self.outer_score:.4f}"

    def to_json(self) -> dict[str, Any]:
        """Plain values; numbers that are not finite as text."""
        metrics = {name: _to_text(value) for name, value in self.metrics.items()}
        return asdict(self) | {name: _to_text(getattr(self, name)) for name in _NUMBERS} | {"metrics": metrics}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "OuterFold":
        """The row that `to_json` gave; raises TypeError, KeyError or ValueError where it did not."""
        numbers = {name: None if values[name] is None else float(values[name]) for name in _NUMBERS}
        metrics = {name: float(value) for name, value in values["metrics"].items()}
        return cls(**{**values, **numbers, "metrics": metrics})


@dataclass(frozen=True)
class NestedResult:
    """A nested cross-validation. `folds` are the outer ones, `table` is the file with their rows."""

    name: str
    directory: Path
    folds: tuple[OuterFold, ...]
    direction: Direction
    certificate: Certificate
    table: Path

    @property
    def complete(self) -> bool:
        """Whether every outer fold has a score."""
        return all(math.isfinite(fold.outer_score) for fold in self.folds)

    @property
    def inner_score(self) -> float:
        """What the searches say of their winners: the mean over the outer folds."""
        return mean([fold.inner_score for fold in self.folds])

    @property
    def score(self) -> float:
        """The honest estimate: the mean of the outer scores; NaN where one is missing."""
        return mean([fold.outer_score for fold in self.folds])

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of `score` over the outer folds; None where a score is missing."""
        return mean_interval([fold.outer_score for fold in self.folds])

    @property
    def random_score(self) -> float | None:
        """What folds drawn patch by patch would have claimed; None where that was not asked for."""
        found = [fold.random_score for fold in self.folds]
        return mean([score for score in found if score is not None]) if None not in found else None

    def optimism(self, inner: float, outer: float) -> float:
        """How much better the inner score is: the difference, turned round where less is better."""
        return outer - inner if self.direction == "minimize" else inner - outer

    def summary(self) -> str:
        """A small table and what it means."""
        lines = [f"nested cross-validation {self.name}: {len(self.folds)} outer folds", self._head()]
        lines += [self._line(str(fold.outer), fold.inner_score, fold.outer_score, fold.random_score, fold.best_cv)
                  for fold in self.folds]  # fmt: skip
        lines.append(self._line("mean", self.inner_score, self.score, self.random_score, None))
        lines += self._meaning()
        return "\n".join([*lines, self.certificate.summary(), f"all of it: {self.table}"])

    def _meaning(self) -> list[str]:
        if not self.complete:
            return ["incomplete: an outer fold has no score; call it again to try it again"]
        doubt = ""
        if self.interval:
            low, high = self.interval
            doubt = f", {LEVEL:.0%} interval over the outer folds {low:.4f} to {high:.4f}"
        lines = [
            f"honest estimate {self.score:.4f}{doubt}",
            f"the searches themselves say {self.inner_score:.4f}: {self._too_good(self.inner_score)}",
        ]
        if self.random_score is not None:
            claimed = self._too_good(self.random_score)
            lines.append(f"a random split would have claimed {self.random_score:.4f}: {claimed}")
        return lines

    def _too_good(self, claimed: float) -> str:
        gap = self.optimism(claimed, self.score)
        if gap >= 0:
            return f"too good by {gap:.4f}"
        return f"worse by {-gap:.4f}; networks within the searches learn from less data"

    def _head(self) -> str:
        random = f" {'random':>8}" if self.random_score is not None else ""
        return f"{'outer':>5} {'inner':>8} {'tested':>8} {'optimism':>9}{random}  winner"

    def _line(self, name: str, inner: float, outer: float, random: float | None, winner: str | None) -> str:
        drawn = f" {random:8.4f}" if random is not None and self.random_score is not None else ""
        line = f"{name:>5} {inner:8.4f} {outer:8.4f} {self.optimism(inner, outer):+9.4f}{drawn}  {winner or ''}"
        return line.rstrip()


def write_nested_table(directory: Path, name: str, folds: Sequence[OuterFold]) -> Path:
    """Write `{name}.parquet`: one row per outer fold with scores, winner, hyperparameters (lists as JSON), metrics."""
    path = directory / f"{name}.parquet"
    rows = []
    for fold in folds:
        searched = {
            key: json.dumps(value) if isinstance(value, list | dict) else value
            for key, value in (fold.parameters or {}).items()
        }
        own = {key: getattr(fold, key) for key in ("outer", *_NUMBERS, "best_cv", "checkpoint")}
        rows.append(own | searched | dict(fold.metrics))
    table = pd.DataFrame(rows)
    for key in table.columns:
        if table[key].map(type).nunique() > 1 and table[key].map(lambda value: isinstance(value, str)).any():
            table[key] = table[key].map(lambda value: value if isinstance(value, str) or value is None else str(value))
    write_table(path, table.astype({"random_score": "float64"}))
    return path


def _to_text(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(float(value))
