"""What an evaluation says: evaluation.json, and lines for the terminal."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from darts_train.inference.evaluating.scores import (
    ALL_SCORES,
    COUNTS,
    Row,
    SceneScores,
    curve_scores,
    object_precision,
    pooled_histogram,
)
from darts_train.metrics.groups import MEAN
from darts_train.metrics.intervals import LEVEL, RESAMPLES
from darts_train.metrics.names import class_metric

SHOWN = 8  # lines of a table on the terminal
FEW = 10  # scenes below which an interval is rather too narrow
_TITLES = {
    "JaccardIndex": "IoU", "F1Score": "F1", "Precision": "precision", "Recall": "recall", "Accuracy": "accuracy",
    "InstanceF1Score": "objects F1", "InstancePrecision": "objects precision", "InstanceRecall": "objects recall",
    "InstanceBoundaryIoU": "boundary IoU",
}  # fmt: skip


def record(
    rows: Sequence[Row], scenes: Sequence[SceneScores], classes: Sequence[str], match_iou: float
) -> dict[str, Any]:
    """All that is known, ready for JSON: null where nothing was to be measured."""
    several = len(classes) > 2
    every = [row for row in rows if row["part"] == "all"]
    metrics: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for row in every:
        for score in ALL_SCORES:
            name = class_metric(score, row["class"]) if several and row["class"] != MEAN else score
            metrics[name] = row[score]
            limits[name] = None if row[f"{score}_low"] is None else [row[f"{score}_low"], row[f"{score}_high"]]
    histogram = pooled_histogram(scenes)
    if histogram is not None:
        metrics |= object_precision(scenes, classes, match_iou)
    return {
        "classes": list(classes),
        "scenes": len(scenes),
        "pixels": every[0]["pixels"],
        "unpredicted_pixels": every[0]["unpredicted"],
        "metrics": metrics,
        "intervals": limits,
        "interval": {"over": "scenes", "level": LEVEL, "resamples": RESAMPLES, "method": "percentile bootstrap"},
        # Chosen on the very labels that they are scored on: a threshold for use comes from other scenes.
        "curves_on_these_labels": None if histogram is None else curve_scores(histogram, classes),
        "by_region": _by_name(rows, "region"),
        "by_scene": _by_name(rows, "scene"),
    }


def _by_name(rows: Sequence[Row], part: str) -> dict[str, dict[str, Any]]:
    """Name → scores and counts over all foreground classes: the mean of several comes last, and stays."""
    chosen = [row for row in rows if row["part"] == part]
    keys = ("pixels", *COUNTS, "unpredicted", *ALL_SCORES)
    return {row["name"]: {key: row[key] for key in keys} for row in chosen}


def lines(rows: Sequence[Row], facts: Mapping[str, Any]) -> list[str]:
    """Scores of all with intervals; then regions and scenes, the worst first."""
    scenes = facts["scenes"]
    found = [f"{scenes} scene{'s' * (scenes != 1)}, {facts['pixels']} pixels compared"]
    if len(facts["classes"]) > 2:
        found += _table("class", [row for row in rows if row["part"] == "all" and row["class"] != MEAN], "class")
    for score, title in _TITLES.items():
        found.append(f"{title:<18} {_number(facts['metrics'][score])}{_interval(facts['intervals'][score])}")
    if scenes < FEW and scenes > 1:
        found.append(f"(intervals of 95 % over {scenes} scenes; so few make them rather too narrow)")
    found += _thresholds(facts)
    for part in ("region", "scene"):
        of_part = [row for row in rows if row["part"] == part]
        last = {row["name"]: row for row in of_part}
        found += _table(part, list(last.values()), "name") if last else []
    return found


def _thresholds(facts: Mapping[str, Any]) -> list[str]:
    curves = facts["curves_on_these_labels"]
    if curves is None:
        return []
    return [
        f"best IoU of {name} on these labels: {one['thresholds']['best_iou']['JaccardIndex']:.4f} at a threshold of"
        f" {one['thresholds']['best_iou']['threshold']:.2f}"
        for name, one in curves.items()
    ]


def _table(title: str, rows: Sequence[Row], key: str) -> list[str]:
    scored = [row for row in rows if row["JaccardIndex"] is not None]
    order = sorted(scored, key=lambda row: (row["JaccardIndex"], -row["fp"] - row["fn"]))
    shown = order[:SHOWN]
    width = max([len(title), *(len(row[key]) for row in shown)])
    found = [f"{title:<{width}}     IoU      F1  precision  recall  objects F1  boundary IoU"]
    for row in shown:
        found.append(
            f"{row[key]:<{width}}  {_number(row['JaccardIndex'])}  {_number(row['F1Score'])}"
            f"  {_number(row['Precision']):>9}  {_number(row['Recall'])}  {_number(row['InstanceF1Score']):>10}"
            f"  {_number(row['InstanceBoundaryIoU']):>12}"
        )
    if len(order) > SHOWN:
        found.append(f"… and {len(order) - SHOWN} better ones")
    empty = len(rows) - len(order)
    return [*found, f"({empty} more have nothing to find, and nothing was found)"] if empty else found


def _number(value: float | None) -> str:
    return f"{value:6.4f}" if value is not None and math.isfinite(value) else "     –"


def _interval(limits: Sequence[float] | None) -> str:
    return "" if limits is None else f"  [{limits[0]:.4f}, {limits[1]:.4f}]"
