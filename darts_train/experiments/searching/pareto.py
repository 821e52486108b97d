"""Several scores of a trial, none of which outweighs another."""

import math
from collections.abc import Sequence

import pandas as pd

from darts_train.experiments.scoring import Direction, ScoringRule, score_runs


def directions(rule: ScoringRule) -> list[Direction]:
    """Which way each metric of a rule goes."""
    return ["minimize" if metric.lower else "maximize" for metric in rule.metrics]


def objectives(infos: pd.DataFrame, rule: ScoringRule) -> list[float]:
    """The mean of each metric over the runs of run_infos.parquet; NaN where a run failed or has none."""
    runs = [
        {metric.name: _number(row.get(metric.name)) for metric in rule.metrics} if row["status"] == "finished" else None
        for row in infos.to_dict("records")
    ]
    return [score_runs(runs, ScoringRule((metric,), "arithmetic")).value for metric in rule.metrics]


def non_dominated(points: Sequence[Sequence[float]], ways: Sequence[Direction]) -> list[bool]:
    """For each point whether no other is at least as good in all objectives and better in one (equals both stay)."""
    signs = [-1.0 if way == "minimize" else 1.0 for way in ways]
    goods = [tuple(sign * value for sign, value in zip(signs, point, strict=True)) for point in points]
    return [not any(_dominates(other, good) for other in goods) for good in goods]


def _dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return a != b and all(x >= y for x, y in zip(a, b, strict=True))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
