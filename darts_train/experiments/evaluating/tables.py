"""The tables of a test: scores of regions and scenes, of every threshold, of every patch; as files, and as lines.

`test_scores.parquet` has a row for each part (`part` is all, region or scene; `name` which) and foreground class; where
there are several classes, one more for their mean. `test_thresholds.parquet`, of two classes, has a row per threshold.
`test_patches.parquet` has a row per patch: its loss, and its pixels over all foreground classes.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from darts_train.metrics.curves import curves
from darts_train.metrics.groups import Row, group_rows
from darts_train.training.evaluate import Evaluation

SCORES_FILE, SWEEP_FILE = "test_scores.parquet", "test_thresholds.parquet"
SHOWN = 8  # lines of a table on the terminal
_COLUMNS = ("JaccardIndex", "F1Score", "Precision", "Recall")


def score_rows(found: Evaluation, regions: Sequence[str], scenes: Sequence[str]) -> list[Row]:
    """Rows of test_scores.parquet; `regions` and `scenes` of each patch, in the order of the evaluation."""
    classes = found.counts.classes
    parts = {"all": ["all"] * len(regions), "region": regions, "scene": scenes}
    return [
        {"part": part, **row} for part, names in parts.items() for row in group_rows(found.by_group(names), classes)
    ]


def score_table(rows: Sequence[Row]) -> pa.Table:
    """The rows as a table; a score without support is null."""
    return pa.Table.from_pylist([{key: _known(value) for key, value in row.items()} for row in rows], _schema(rows))


def sweep_table(histogram: torch.Tensor) -> pa.Table:
    """Scores at every threshold of a histogram int64 [2, bins]: bins + 1 rows."""
    curve = curves(histogram)
    columns = {
        "threshold": curve.thresholds,
        "JaccardIndex": curve.iou,
        "F1Score": curve.f1,
        "Precision": curve.precision,
        "Recall": curve.recall,
        "fall_out": curve.fall_out,
    }
    return pa.table(columns)


def patch_table(found: Evaluation, metadata: pd.DataFrame) -> pa.Table:
    """A row per patch, in the order of the evaluation; `metadata` [n] are the rows of these patches in the set.

    `loss` is null where nothing is labelled. Pixels of another foreground class are both `fp` and `fn`.
    """
    matrix = found.per_patch.numpy()
    hits = np.diagonal(matrix, axis1=1, axis2=2)[:, 1:].sum(axis=1)
    columns = {
        "patch": found.rows.numpy(),
        "sample_id": metadata["sample_id"].astype(str).tolist(),
        "region": metadata["region"].astype(str).tolist(),
        "loss": [_known(loss) for loss in found.losses.tolist()],
        "labelled": matrix.sum(axis=(1, 2)),
        "tp": hits,
        "fp": matrix[:, :, 1:].sum(axis=(1, 2)) - hits,
        "fn": matrix[:, 1:, :].sum(axis=(1, 2)) - hits,
    }
    if "patch_id" in metadata:
        columns["patch_id"] = metadata["patch_id"].to_numpy(np.int64)
    return pa.table(columns)


def by_name(rows: Sequence[Row], part: str) -> dict[str, dict[str, float]]:
    """Name → scores and counts of the rows of one part, over all foreground classes."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["part"] == part:  # the mean over classes comes last, and stays
            found[str(row["name"])] = {k: v for k, v in row.items() if k not in ("part", "name", "class")}
    return found


def ranked(groups: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Names by IoU, the worst first; those with nothing to find and nothing found are left out."""
    scored = [name for name, scores in groups.items() if math.isfinite(scores["JaccardIndex"])]
    return sorted(scored, key=lambda name: (groups[name]["JaccardIndex"], -groups[name]["fn"] - groups[name]["fp"]))


def lines_of(title: str, groups: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A short table for the terminal, the worst first; says what it leaves out."""
    order = ranked(groups)
    shown = order[:SHOWN]
    width = max([len(title), *(len(name) for name in shown)])
    lines = [f"{title:<{width}}  patches     IoU      F1  precision  recall"]
    for name in shown:
        iou, f1, precision, recall = (groups[name][column] for column in _COLUMNS)
        patches = int(groups[name]["patches"])
        lines.append(f"{name:<{width}}  {patches:7d}  {iou:6.4f}  {f1:6.4f}  {precision:9.4f}  {recall:6.4f}")
    if len(order) > SHOWN:
        lines.append(f"… and {len(order) - SHOWN} better ones")
    empty = len(groups) - len(order)
    return [*lines, f"({empty} more have nothing to find, and nothing was found)"] if empty else lines


def without_nan(value: Any) -> Any:
    """JSON has no NaN: a metric without support becomes null."""
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    return _known(value)


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _schema(rows: Sequence[Row]) -> pa.Schema:
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    return pa.schema([(name, kinds[type(value)]) for name, value in rows[0].items()])
