"""The score of each run, its spread over folds and seeds, and how far it can be trusted. Arithmetic only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from darts_train.metrics.combine import combine, reciprocal
from darts_train.options.searching import DEFAULT_METRICS, Strategy

LEVEL = 0.95
FEWEST_FOLDS = 3  # below, an interval is as wide as the scale
LOWER = ":lower"


@dataclass(frozen=True)
class Rule:
    """How runs are scored: metrics (those that end in `:lower` are better when smaller), and the strategy."""

    metrics: tuple[str, ...] = DEFAULT_METRICS
    strategy: Strategy = "harmonic"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Rule":
        """The rule that the settings of a cross-validation tell; the default one where they do not."""
        metrics = tuple(settings.get("scoring_metric") or DEFAULT_METRICS)
        return cls(metrics, settings.get("multi_score_strategy", "harmonic"))

    @property
    def names(self) -> list[str]:
        """Names of the metrics, without directions."""
        return [metric.removesuffix(LOWER) for metric in self.metrics]

    @property
    def minimised(self) -> bool:
        """Whether a smaller score is better: a single metric that ends in `:lower`."""
        return len(self.metrics) == 1 and self.metrics[0].endswith(LOWER)

    def better(self, a: float, b: float) -> bool:
        """Whether score `a` is better than score `b`; what is not finite is worse than all else."""
        if not (math.isfinite(a) and math.isfinite(b)):
            return math.isfinite(a)
        return a < b if self.minimised else a > b

    def words(self) -> str:
        """`val/JaccardIndex`, or `harmonic mean of val/JaccardIndex and val/Recall`."""
        said = [
            name + (" (less is better)" if LOWER in m else "") for name, m in zip(self.names, self.metrics, strict=True)
        ]
        if len(said) == 1:
            return said[0]
        how = "minimum" if self.strategy == "min" else f"{self.strategy} mean"
        return f"{how} of {', '.join(said[:-1])} and {said[-1]}"


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a mean."""

    mean: float
    low: float
    high: float
    folds: int


def run_scores(runs: pd.DataFrame, rule: Rule) -> list[float]:
    """What each row of run_infos adds to the score; NaN for a run that has not finished, or that the score leaves out.

    One metric: its value. Several: combined, `:lower` ones as 1/value; the harmonic and geometric means leave a run out
    where a metric is 0 or not finite.
    """
    unknown = [math.nan] * len(runs)
    columns = [runs[name].to_numpy(np.float64, na_value=math.nan) if name in runs else unknown for name in rule.names]
    rows = zip(runs["status"], zip(*columns, strict=True), strict=True)
    return [_run_score([float(v) for v in values], rule) if status == "finished" else math.nan
            for status, values in rows]  # fmt: skip


def _run_score(values: Sequence[float], rule: Rule) -> float:
    if len(values) == 1:
        return values[0]
    if rule.strategy in ("harmonic", "geometric") and any(not math.isfinite(v) or v == 0 for v in values):
        return math.nan
    directed = [reciprocal(v) if LOWER in m else v for v, m in zip(values, rule.metrics, strict=True)]
    return combine(directed, rule.strategy)


def by_fold(runs: pd.DataFrame, scores: Sequence[float]) -> dict[int, list[float]]:
    """Finite scores of each fold, folds ascending."""
    folds: dict[int, list[float]] = {int(fold): [] for fold in sorted(runs["fold"].unique())}
    for fold, score in zip(runs["fold"], scores, strict=True):
        if math.isfinite(score):
            folds[int(fold)].append(score)
    return folds


def interval(folds: Mapping[int, Sequence[float]], total_folds: int) -> Interval | None:
    """Student's interval of the mean over folds, with the variance corrected for training sets that overlap.

    The values of a fold are averaged first: seeds of a fold share their patches and are no further evidence. The
    variance of the mean of J folds is s² (1/J + 1/(K - 1)) instead of s²/J, K being `total_folds`: Nadeau and Bengio,
    Inference for the generalization error, Machine Learning 52 (2003). None for fewer than three folds.
    """
    means = [math.fsum(values) / len(values) for values in folds.values() if values]
    if len(means) < FEWEST_FOLDS:
        return None
    count, centre = len(means), math.fsum(means) / len(means)
    error = float(np.std(means, ddof=1)) * math.sqrt(1 / count + 1 / max(total_folds - 1, 1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * error
    return Interval(centre, centre - half, centre + half, count)


@dataclass(frozen=True)
class Behind:
    """How far a configuration is behind the best: mean difference over common runs, and how many of them are worse."""

    difference: float
    worse: int
    runs: int


def behind(best: pd.DataFrame, other: pd.DataFrame, rule: Rule) -> Behind | None:
    """A configuration beside the best one, run by run of the same fold and seed; None without a common run.

    A positive difference means worse, whichever direction the score has.
    """
    first, second = _keyed(best, rule), _keyed(other, rule)
    sign = -1 if rule.minimised else 1
    gaps = [sign * (first[key] - second[key]) for key in first.keys() & second.keys()]
    if not gaps:
        return None
    return Behind(math.fsum(gaps) / len(gaps), sum(gap > 0 for gap in gaps), len(gaps))


def _keyed(runs: pd.DataFrame, rule: Rule) -> dict[tuple[int, int], float]:
    scored = zip(runs["fold"], runs["seed"], run_scores(runs, rule), strict=True)
    return {(int(fold), int(seed)): score for fold, seed, score in scored if math.isfinite(score)}
