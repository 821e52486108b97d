"""Many runs, several metrics, one score. Arithmetic only.

Combine, then reduce: the scoring metrics of each run become one number, and the score is the arithmetic mean of
those numbers. The rules, and which runs count as unstable, are in `score_runs`. What a strategy makes of a metric
that may exceed 1 or fall below 0 is its user's concern; nothing here is clipped to [0, 1].
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.metrics.combine import combine, mean, reciprocal
from darts_train.metrics.names import canonical_metric
from darts_train.options.searching import DEFAULT_METRICS, Strategy

SKIPPING: tuple[Strategy, ...] = ("harmonic", "geometric")  # strategies that leave unstable runs out
Direction = Literal["maximize", "minimize"]
_log = logger("experiments")


@dataclass(frozen=True)
class ScoringMetric:
    """A metric of the score, and whether less of it is better."""

    name: str
    lower: bool = False

    def __str__(self) -> str:
        return f"{self.name}:lower" if self.lower else self.name


@dataclass(frozen=True)
class ScoringRule:
    """How runs become a score."""

    metrics: tuple[ScoringMetric, ...]
    strategy: Strategy = "harmonic"

    @property
    def direction(self) -> Direction:
        """Which way a search goes: a single `:lower` metric is minimised, all else is maximised."""
        return "minimize" if len(self.metrics) == 1 and self.metrics[0].lower else "maximize"

    def better(self, a: float, b: float) -> bool:
        """Whether score `a` is better than score `b`."""
        return a < b if self.direction == "minimize" else a > b


@dataclass(frozen=True)
class Score:
    """The score of a cross-validation; NaN where a run failed."""

    value: float
    unstable: bool
    run_is_unstable: tuple[bool, ...]


def parse_scoring(
    metrics: Sequence[str] | None, strategy: Strategy, classes: Sequence[str] | None = None
) -> ScoringRule:
    """Read scoring metrics such as `val/JaccardIndex` or `val/loss:lower`; None means JaccardIndex and Recall.

    Names are made canonical (`val0/JaccardIndex` → `val/JaccardIndex`, with one warning). With `classes`, those of
    the train data, a metric of one class must be of one of them. Raises UserError for an unknown metric or
    direction, for a stage that is not validation, for a metric named twice, and for none at all.
    """
    parsed = tuple(_parse_metric(text) for text in (DEFAULT_METRICS if metrics is None else metrics))
    names = [metric.name for metric in parsed]
    if not parsed:
        raise UserError("--scoring-metric: name at least one metric, such as val/JaccardIndex.")
    if len(set(names)) < len(names):
        raise UserError(f"--scoring-metric: {', '.join(names)}: a metric comes twice.")
    for name in names:
        _check_class(name, classes)
    return ScoringRule(parsed, strategy)


def _parse_metric(text: str) -> ScoringMetric:
    name, colon, direction = text.strip().partition(":")
    if colon and direction not in ("higher", "lower"):
        raise UserError(f"--scoring-metric: {text!r} must end in :higher or :lower, or in neither.")
    canonical = canonical_metric(name)
    if not canonical.startswith("val/"):
        raise UserError(f"--scoring-metric: {text!r} is not of the validation; use val/{canonical.split('/')[1]}.")
    if "/" in name and not name.startswith("val/"):
        _log.warning("the metric %s is read as %s", name, canonical)
    return ScoringMetric(canonical, direction == "lower")


def _check_class(name: str, classes: Sequence[str] | None) -> None:
    _, _, class_name = name.removeprefix("val/").partition("_")
    if classes is not None and class_name and class_name not in classes:
        raise UserError(f"--scoring-metric: {name}: the train data has no class {class_name!r}: {', '.join(classes)}.")


def score_runs(runs: Sequence[Mapping[str, float | None] | None], rule: ScoringRule) -> Score:
    """Score the runs of one cross-validation; None stands for a run that failed.

    A run is *unstable* where a scoring metric is missing, not finite or exactly 0.

    * A failed run, or no run: the score is NaN, for a mean over fewer runs is the score of something else.
    * One metric: its mean over the runs, whichever direction it has. A value that is not finite makes the score so.
    * Several: combined within each run, then the mean. `:lower` metrics enter as 1/value. harmonic and geometric
      leave unstable runs out, and are 0.0 where none is left; arithmetic and min use them as they are (1/0 is inf).
      Both are means of positive numbers: a run with a negative value (Cohen's kappa can be) counts 0.0 there.
    """
    values = [None if run is None else _values(run, rule) for run in runs]
    unstable = tuple(run is not None and any(is_unstable(value) for value in run) for run in values)
    finished = [run for run in values if run is not None]
    if len(finished) < len(values) or not values:
        return Score(math.nan, any(unstable), unstable)
    return Score(_score(finished, rule), any(unstable), unstable)


def is_unstable(value: float) -> bool:
    """Whether a scoring metric says that training went wrong: not finite, or exactly 0."""
    return not math.isfinite(value) or value == 0


def _values(run: Mapping[str, float | None], rule: ScoringRule) -> list[float]:
    found = [run.get(metric.name) for metric in rule.metrics]
    return [math.nan if value is None else float(value) for value in found]


def _score(runs: list[list[float]], rule: ScoringRule) -> float:
    if len(rule.metrics) == 1:
        return mean([values[0] for values in runs])
    if rule.strategy in SKIPPING:
        runs = [values for values in runs if not any(is_unstable(value) for value in values)]
    directed = [
        [reciprocal(value) if metric.lower else value for value, metric in zip(values, rule.metrics, strict=True)]
        for values in runs
    ]
    return mean([combine(values, rule.strategy) for values in directed]) if directed else 0.0
