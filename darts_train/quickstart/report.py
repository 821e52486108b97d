"""The report of a quickstart: what its steps left on the disk becomes the content of a page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from darts_train.base.provenance import now, package_versions
from darts_train.figures import maps
from darts_train.figures.charts import DotRow, Series, bar_chart, dot_chart, line_chart
from darts_train.quickstart.score import MapScore
from darts_train.quickstart.task import Task
from darts_train.reporting.content import Charts, Code, Headline, Page, Picture, Pictures, Section, Table, Text
from darts_train.reporting.words import duration, figure

IOU = "val/JaccardIndex"
BASELINE = 0.807  # gradient-boosted trees on single pixels, same scenes (docs/benchmarks.md)
SHOWN_VERSIONS = ("darts-train", "torch", "segmentation-models-pytorch")
SOURCE = (
    "Scenes and masks: ukis-csmask, German Aerospace Center (DLR), Apache License 2.0; "
    "Landsat: U.S. Geological Survey; Copernicus Sentinel-2 data, European Space Agency."
)


@dataclass(frozen=True, eq=False)
class Findings:
    """All that the page tells.

    Attributes:
        task: classes.
        score: the map against the truth.
        test: `test/…` metrics over patches.
        baseline: test IoU of a pixel baseline that was made in the same directory; None without one.
        patches: patches that trained.
        trials: the search's table, one row per run.
        best: name of the best cross-validation, and its settings.
        curves: rows of the final run's metrics.csv.
        steps: (what, seconds).
        picture: uint8 [h, w, 3], the scene.
        truth: uint8 [h, w], class index.
        found: uint8 [h, w], class index.
        commands: one per step.
    """

    task: Task
    score: MapScore
    test: Mapping[str, float]
    patches: int
    trials: pd.DataFrame
    best: tuple[str, Mapping[str, Any]]
    curves: pd.DataFrame
    steps: Sequence[tuple[str, float]]
    picture: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    found: NDArray[np.uint8]
    commands: Sequence[str]
    baseline: float | None = None


def page(findings: Findings) -> Page:
    """The page of a finished quickstart."""
    versions = package_versions()
    used = ", ".join(f"{name} {versions[name]}" for name in SHOWN_VERSIONS if name in versions)
    return Page(
        title="Clouds over three satellites",
        lead="Trained on one Landsat-7 and one Sentinel-2 scene; tested on a Landsat-5 scene that no step before the "
        "test has seen. Everything here was computed on this machine.",
        headlines=_headlines(findings),
        sections=[_map(findings), _search(findings), _learning(findings), _own_data(findings)],
        footer=[f"Made {now()} with {used}.", SOURCE],
    )


def _headlines(findings: Findings) -> list[Headline]:
    binary = len(findings.task.classes) == 2
    first = Headline(
        "IoU of the map" if binary else "Mean IoU of the map",
        f"{findings.score.mean:.3f}",
        "held-out scene, all pixels",
    )
    if findings.baseline is not None:
        compared = Headline("Baseline", f"{findings.baseline:.3f}", "pixel baseline of yours, held-out patches")
    elif binary:
        compared = Headline("Baseline", f"{BASELINE:.3f}", "boosted trees on single pixels")
    else:
        compared = Headline("IoU of cloud", figure(findings.score.per_class.get("cloud", math.nan)), "held-out scene")
    recall, precision = findings.test.get("test/Recall", math.nan), findings.test.get("test/Precision", math.nan)
    quality = Headline("Precision, recall", f"{precision:.2f}, {recall:.2f}", "held-out patches")
    seconds = sum(s for _, s in findings.steps)
    return [first, compared, quality, Headline("Time", duration(seconds), f"{len(findings.steps)} steps")]


def _map(findings: Findings) -> Section:
    names = findings.task.classes
    truth, found = (maps.with_classes(findings.picture, mask) for mask in (findings.truth, findings.found))
    pictures = [
        Picture("The scene", maps.png(findings.picture), "Landsat-5 scene in true colour"),
        Picture("Truth, drawn by hand", maps.png(truth), "the same scene with the hand-drawn classes in colour"),
        Picture("Map, predicted", maps.png(found), "the same scene with the predicted classes in colour"),
    ]
    legend = [(name, maps.hex_colour(maps.class_colour(i))) for i, name in enumerate(names) if i > 0]
    if len(names) == 2:
        compared = maps.agreement(findings.picture, findings.truth == 1, findings.found == 1)
        pictures.append(Picture("Map against truth", maps.png(compared), "pixels found, missed and wrongly found"))
        legend += [(name, maps.hex_colour(colour)) for name, colour in maps.AGREEMENT.items()]
    rows = [(name, figure(value)) for name, value in findings.score.per_class.items()]
    caption = "Intersection over union of each class, over the whole scene."
    table = Table(("class", "IoU"), rows, frozenset({1}), caption=caption)
    return Section("The map beside the truth", [Pictures(pictures, legend), table])


def _search(findings: Findings) -> Section:
    best, chosen = findings.best
    table = findings.trials
    groups = list(table.groupby("cv_name", sort=False))
    varied = list(chosen)
    labels = {str(name): ", ".join(figure(rows[key].iloc[0]) for key in varied) for name, rows in groups}
    dots = [DotRow(labels[str(name)], tuple(rows[IOU]), str(name) == best) for name, rows in groups]
    chart = dot_chart(
        dots, "IoU of every run of the search", f"IoU on the fold that did not train; rows: {', '.join(varied)}"
    )
    rows = [
        (
            str(name),
            *(figure(part[key].iloc[0]) for key in varied),
            *_spread(part[IOU]),
            figure(part["score"].iloc[0]),
        )
        for name, part in groups
    ]
    columns = ("configuration", *varied, "IoU, mean", "lowest", "highest", "score")
    marked = next((i for i, (name, _) in enumerate(groups) if str(name) == best), None)
    text = (
        "Each configuration is trained on one satellite and validated on the other, then the other way round. "
        "Few epochs are enough to rank them; the scores are below those of the final training."
    )
    numeric = frozenset(range(1, len(columns)))
    return Section("The search", [Text(text), Charts([chart]), Table(columns, rows, numeric, marked)])


def _learning(findings: Findings) -> Section:
    curves = findings.curves
    charts = [
        line_chart(
            [_series(curves, "train/loss_epoch", "training")], "Loss of the final training", "epoch", "focal loss"
        ),
        line_chart([_series(curves, IOU, "IoU")], "IoU on the training scenes", "epoch", "IoU"),
        bar_chart(list(findings.steps), "Where the time went", "seconds"),
    ]
    text = f"The best configuration, trained on all {findings.patches} patches of both training scenes."
    return Section("The final training", [Text(text), Charts(charts)])


def _own_data(findings: Findings) -> Section:
    return Section(
        "The same by hand, and on your own data",
        [
            Text(
                "These commands do what the quickstart did, inside its directory. For your own scenes, write a table "
                "with the columns image, label and region, name your classes, and take a larger network "
                "and more epochs."
            ),
            Code("\n\n".join(findings.commands)),
        ],
    )


def _series(curves: pd.DataFrame, column: str, name: str) -> Series:
    """A column of metrics.csv over epochs, from 1; empty where the file lacks it."""
    if column not in curves:
        return Series(name, [], [])
    rows = curves.dropna(subset=[column])
    return Series(name, [int(epoch) + 1 for epoch in rows["epoch"]], [float(v) for v in rows[column]])


def _spread(values: "pd.Series[float]") -> tuple[str, str, str]:
    return figure(values.mean()), figure(values.min()), figure(values.max())
