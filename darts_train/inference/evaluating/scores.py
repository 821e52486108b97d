"""From counts to scores, of all scenes, of regions, of each scene; with intervals over scenes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from darts_train.inference.evaluating.counting import PixelCounts
from darts_train.metrics.curves import auroc, average_precision, best_thresholds, curves
from darts_train.metrics.groups import MEAN, SCORES, class_scores
from darts_train.metrics.instance import InstanceMetrics, Matched
from darts_train.metrics.intervals import Interval, intervals
from darts_train.metrics.names import BOUNDARY_METRIC, class_metric

OBJECT_SCORES = ("InstancePrecision", "InstanceRecall", "InstanceF1Score")
ALL_SCORES = (*SCORES, *OBJECT_SCORES, BOUNDARY_METRIC)
COUNTS = ("positive_pixels", "tp", "fp", "fn", "objects_tp", "objects_fp", "objects_fn")
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Row = dict[str, Any]


@dataclass(frozen=True)
class SceneScores:
    """What was counted in a scene: pixels, objects of each foreground class, outlines int64 [k - 1, 2]."""

    name: str
    region: str
    pixels: PixelCounts
    objects: tuple[Matched, ...]
    outlines: Counts

    def flat(self) -> Counts:
        """All counts in a row: confusion, objects found, made up and missed, outlines."""
        objects = np.array([matched.counts for matched in self.objects], np.int64)
        return np.concatenate([self.pixels.confusion.ravel(), objects.ravel(), self.outlines.ravel()])


def scored(flat: NDArray[Any], classes: int) -> Floats:
    """ALL_SCORES of sums of counts [n, …] (see `SceneScores.flat`): float64 [n, classes or one more, scores].

    Of each foreground class, and, where there are several, of their mean (last); its accuracy is that of all classes.
    NaN where nothing was to be measured.
    """
    confusion, objects, outlines = _parts(flat, classes)
    _, pixels = class_scores(confusion)
    tp, fp, fn = (objects[..., i] for i in range(3))
    seen = tp + fp + fn > 0
    instances = [
        np.where(seen, np.nan_to_num(_ratio(tp, tp + fp)), math.nan),
        np.where(seen, np.nan_to_num(_ratio(tp, tp + fn)), math.nan),
        _ratio(2 * tp, 2 * tp + fp + fn),
    ]
    outline = _ratio(outlines[..., 0], outlines[..., 1])
    found = np.concatenate([pixels, np.stack([*instances, outline], axis=-1)], axis=-1)
    if classes == 2:
        return found
    known = np.isfinite(found)
    mean = _ratio(np.where(known, found, 0.0).sum(1), known.sum(1))
    mean[:, SCORES.index("Accuracy")] = _ratio(np.trace(confusion, axis1=1, axis2=2), confusion.sum((1, 2)))
    return np.concatenate([found, mean[:, None]], axis=1)


def _parts(flat: NDArray[Any], classes: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    k, n = classes, len(flat)
    first, second = k * k, k * k + 3 * (k - 1)
    return (
        flat[:, :first].reshape(n, k, k),
        flat[:, first:second].reshape(n, k - 1, 3),
        flat[:, second:].reshape(n, k - 1, 2),
    )


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    quotient: Floats = np.divide(
        numerator, denominator, out=np.full(np.shape(denominator), math.nan), where=np.asarray(denominator) > 0
    )
    return quotient


def score_rows(scenes: Sequence[SceneScores], classes: Sequence[str], regions: bool) -> list[Row]:
    """Rows of scores.parquet: `part` all, region (where there are any) and scene; `name`; class; counts; scores.

    Rows of all and of regions have `…_low` and `…_high`, the 95 % interval over their scenes (null below two).
    """
    groups: list[tuple[str, str, list[SceneScores]]] = [("all", "all", list(scenes))]
    if regions:
        names = sorted({scene.region for scene in scenes})
        groups += [("region", name, [scene for scene in scenes if scene.region == name]) for name in names]
    groups += [("scene", scene.name, [scene]) for scene in scenes]
    return [row for group in groups for row in _rows(*group, classes)]


def _rows(part: str, name: str, members: Sequence[SceneScores], classes: Sequence[str]) -> list[Row]:
    flat = np.stack([scene.flat() for scene in members])
    total, k = flat.sum(0, keepdims=True), len(classes)
    confusion, objects, _ = _parts(total, k)
    counts = np.concatenate([class_scores(confusion)[0], objects], axis=2)[0]
    labels, scores = list(classes[1:]), scored(total, k)[0]
    if k > 2:
        labels, counts = [*labels, MEAN], np.concatenate([counts, counts.sum(0, keepdims=True)])
    limits = _limits(flat, k) if part != "scene" else [None] * scores.size
    rows = []
    for i, label in enumerate(labels):
        row: Row = {"part": part, "name": name, "class": label, "scenes": len(members), "pixels": int(confusion.sum())}
        row |= dict(zip(COUNTS, map(int, counts[i]), strict=True))
        row["unpredicted"] = sum(scene.pixels.unpredicted for scene in members)
        for j, score in enumerate(ALL_SCORES):
            interval = limits[i * len(ALL_SCORES) + j]
            row[score] = known(float(scores[i, j]))
            row[f"{score}_low"] = interval.low if interval else None
            row[f"{score}_high"] = interval.high if interval else None
        rows.append(row)
    return rows


def _limits(flat: Counts, classes: int) -> list[Interval | None]:
    return intervals(flat, partial(_flat_scores, classes=classes))


def _flat_scores(drawn: Floats, classes: int) -> Floats:
    return scored(drawn, classes).reshape(len(drawn), -1)


def score_table(rows: Sequence[Row]) -> pa.Table:
    """The rows as a table; what has no support is null."""
    texts, numbers = ("part", "name", "class"), ("scenes", "pixels", *COUNTS, "unpredicted")
    schema = [(name, pa.string()) for name in texts] + [(name, pa.int64()) for name in numbers]
    schema += [(name, pa.float64()) for score in ALL_SCORES for name in (score, f"{score}_low", f"{score}_high")]
    return pa.Table.from_pylist(list(rows), pa.schema(schema))


def pooled_histogram(scenes: Sequence[SceneScores]) -> Counts | None:
    """Probabilities of all scenes, int64 [k - 1, 2, bins]; None where a scene has none."""
    found = [scene.pixels.histogram for scene in scenes]
    return None if any(one is None for one in found) else np.sum([one for one in found if one is not None], axis=0)


def curve_scores(histogram: Counts, classes: Sequence[str]) -> dict[str, Any]:
    """Areas under the curves, and the best thresholds, of each foreground class."""
    return {
        name: {
            "AUROC": auroc(one) if bool((one.sum(1) > 0).all()) else None,
            "AveragePrecision": average_precision(one) if int(one[1].sum()) else None,
            "thresholds": best_thresholds(one),
        }
        for name, one in zip(classes[1:], histogram, strict=True)
    }


def threshold_table(histogram: Counts, classes: Sequence[str]) -> pa.Table:
    """Scores at every threshold: a row per foreground class and threshold."""
    parts = []
    for name, one in zip(classes[1:], histogram, strict=True):
        curve = curves(one)
        columns = {
            "class": [name] * len(curve.thresholds),
            "threshold": curve.thresholds,
            "JaccardIndex": curve.iou,
            "F1Score": curve.f1,
            "Precision": curve.precision,
            "Recall": curve.recall,
            "fall_out": curve.fall_out,
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def object_precision(
    scenes: Sequence[SceneScores], classes: Sequence[str], threshold: float
) -> dict[str, float | None]:
    """Average precision of objects over all scenes, of each foreground class; None where there is no object."""
    found: dict[str, float | None] = {}
    for index, name in enumerate(classes[1:]):
        state = InstanceMetrics(threshold)
        for scene in scenes:
            state.add(scene.objects[index])
        label = "InstanceAveragePrecision"
        key = label if len(classes) == 2 else class_metric(label, name)
        found[key] = known(state.compute()[label])
    return found


def known(value: float) -> float | None:
    """The value; None where it is not finite."""
    return value if math.isfinite(value) else None
