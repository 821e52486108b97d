"""What reports of a cross-validation and of a search's best configuration have in common."""

import math
from collections.abc import Sequence

import pandas as pd

from darts_train.artifacts.baselines import BaselineRecord, matching_baseline
from darts_train.figures.charts import Series, line_chart
from darts_train.figures.folds import FoldRow, fold_chart
from darts_train.figures.svg import series_colour
from darts_train.reporting.content import Block, Charts, Section, Table, Text
from darts_train.reporting.evidence import CvEvidence, RunEvidence
from darts_train.reporting.scores import FEWEST_FOLDS, LEVEL, Interval, Rule, by_fold, interval, run_scores
from darts_train.reporting.words import duration, score_figure

IOU = "val/JaccardIndex"
SHOWN = (IOU, "val/Recall", "val/Precision", "val/F1Score", "val/AUROC", "val/loss")
KINDS = {
    "memory": "out of memory", "numbers": "numbers not finite", "machine": "process or machine",
    "configuration": "settings that cannot be", "bug": "mistake in a program",
}  # fmt: skip


def score_interval(cv: CvEvidence, rule: Rule) -> Interval | None:
    """The interval of a cross-validation's score over its folds; None for fewer than three, and without a score."""
    if not len(cv.table) or not math.isfinite(float(cv.table["score"].iloc[0])):
        return None
    total = int(cv.settings.get("total_folds") or 0) if cv.settings.get("fold_method") else 0
    folds = by_fold(cv.table, run_scores(cv.table, rule))
    return interval(folds, max(total, len(folds)))


def interval_note(found: Interval | None) -> str:
    """`95 %: 0.61 to 0.74`; empty where there is no interval."""
    return f"{LEVEL * 100:.0f} %: {found.low:.3g} to {found.high:.3g}" if found else ""


def interval_words(found: Interval | None, folds: int) -> str:
    """The interval in a sentence, or why there is none."""
    if found is None and folds >= FEWEST_FOLDS:
        return "Not every run has finished, so there is no score, and no confidence interval."
    if found is None:
        return f"{folds} {'fold is' if folds == 1 else 'folds are'} too few for a confidence interval."
    return (
        f"{LEVEL:.0%} confidence interval {score_figure(found.low)} to {score_figure(found.high)}: Student's, over "
        f"{found.folds} folds, seeds averaged, with the variance corrected for training sets that overlap (Nadeau and "
        "Bengio 2003). It says how the score would move on other folds of these data, not on other data."
    )


def folds_section(cv: CvEvidence, rule: Rule, baselines: Sequence[BaselineRecord], title: str) -> Section:
    """Folds × seeds: the dots, the table, the interval."""
    scores = run_scores(cv.table, rule)
    folds = by_fold(cv.table, scores)
    if not any(folds.values()):
        return Section(title, [Text("No run has finished yet.")])
    found = score_interval(cv, rule)
    beside = _baseline_of_folds(cv, baselines) if rule.names == [IOU] else {}
    rows = [FoldRow(f"fold {fold}", values, beside.get(fold, math.nan)) for fold, values in folds.items()]
    finite = [value for values in folds.values() for value in values]
    mean = math.fsum(finite) / len(finite)
    chart = fold_chart(rows, "Score of every run", rule.words(), mean, (found.low, found.high) if found else None)
    legend = [("run (a seed)", series_colour(0)), ("mean of all", series_colour(1))]
    legend += [("pixel baseline", series_colour(2))] if beside else []
    blocks: list[Block] = [
        Charts([chart], legend=legend),
        _fold_table(cv.table, scores),
        Text(_spread_words(folds, finite)),
        Text(interval_words(found, len(folds))),
    ]
    return Section(title, blocks)


def _fold_table(table: pd.DataFrame, scores: Sequence[float]) -> Table:
    """One row per fold: score of each seed, their mean, lowest and highest."""
    seeds = list(dict.fromkeys(int(seed) for seed in table["seed"]))
    pairs = zip(table["fold"], table["seed"], strict=True)
    known = {(int(fold), int(seed)): (score, status) for (fold, seed), score, status in
             zip(pairs, scores, table["status"], strict=True)}  # fmt: skip
    rows = []
    for fold in sorted({fold for fold, _ in known}):
        cells = [_cell(known.get((fold, seed))) for seed in seeds]
        rows.append([f"{fold}", *cells, *_spread([known.get((fold, seed), (math.nan, ""))[0] for seed in seeds])])
    rows.append(["all", *(_mean_of([known.get((f, s), (math.nan, ""))[0] for f in sorted({f for f, _ in known})])
                          for s in seeds), *_spread(list(scores))])  # fmt: skip
    columns = ("fold", *(f"seed {seed}" for seed in seeds), "mean", "lowest", "highest")
    return Table(columns, rows, frozenset(range(1, len(columns))), marked=len(rows) - 1)


def _cell(found: tuple[float, str] | None) -> str:
    if found is None:
        return "–"
    score, status = found
    return score_figure(score) if math.isfinite(score) else str(status)


def _mean_of(values: Sequence[float]) -> str:
    finite = [value for value in values if math.isfinite(value)]
    return score_figure(math.fsum(finite) / len(finite)) if finite else "–"


def _spread(values: Sequence[float]) -> tuple[str, str, str]:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "–", "–", "–"
    return _mean_of(finite), score_figure(min(finite)), score_figure(max(finite))


def _spread_words(folds: dict[int, list[float]], finite: Sequence[float]) -> str:
    """How far folds are apart, and how far seeds are, in a sentence."""
    means = [math.fsum(values) / len(values) for values in folds.values() if values]
    seeds = [max(values) - min(values) for values in folds.values() if len(values) > 1]
    said = f"Runs range from {score_figure(min(finite))} to {score_figure(max(finite))}"
    said += f"; means of folds are {score_figure(max(means) - min(means))} apart" if len(means) > 1 else ""
    said += f", seeds of a fold at most {score_figure(max(seeds))}" if seeds else ""
    return f"{said}."


def _baseline_of_folds(cv: CvEvidence, baselines: Sequence[BaselineRecord]) -> dict[int, float]:
    found = {run.record.fold: matching_baseline(baselines, run.record) for run in cv.runs}
    return {fold: baseline.iou("val") for fold, baseline in found.items() if baseline}


def held_out_section(cv: CvEvidence) -> Section | None:
    """What each fold validates on: patches, positives, regions, beside its scores; None without split tables."""
    rows = []
    for fold in sorted({run.record.fold for run in cv.runs}):
        splits = [run.split for run in cv.runs if run.record.fold == fold and run.split is not None]
        if splits and {"val", "empty", "region"} <= set(splits[0]):
            part = splits[0][splits[0]["val"]]
            metrics = cv.table[(cv.table["fold"] == fold) & (cv.table["status"] == "finished")]
            scores = [_mean_of(metrics[name].tolist()) if name in metrics else "–" for name in SHOWN[:4]]
            positive = int((~part["empty"]).sum())
            rows.append([f"{fold}", _names(part["region"]), f"{len(part):,}", f"{positive:,}", *scores])
    if not rows:
        return None
    columns = ("fold", "regions that validate", "patches", "with positives", "IoU", "recall", "precision", "F1")
    caption = (
        "Means over the seeds of a fold, on patches that did not train. What is hard for all seeds is worth a look."
    )
    return Section("Regions of the folds", [Table(columns, rows, frozenset(range(2, 8)), caption=caption)])


def _names(regions: pd.Series) -> str:
    names = sorted(str(name) for name in regions.unique())
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def curves_section(runs: Sequence[RunEvidence], title: str) -> Section | None:
    """Learning curves of all runs, a colour for each fold; None where there are none."""
    folds = sorted({run.record.fold for run in runs})
    charts = [
        chart
        for column, heading, label in (
            (IOU, "IoU on the validation patches", "IoU"),
            ("val/loss", "Loss on the validation patches", "loss"),
            ("train/loss_epoch", "Loss on the training patches", "loss"),
        )
        if (chart := _curves(runs, folds, column, heading, label))
    ]
    if not charts:
        return None
    legend = [(f"fold {fold}", series_colour(place)) for place, fold in enumerate(folds)] if len(folds) > 1 else []
    return Section(title, [Charts(charts, legend=legend)])


def _curves(runs: Sequence[RunEvidence], folds: Sequence[int], column: str, title: str, label: str) -> str | None:
    series = []
    for run in runs:
        if column not in run.curves or "epoch" not in run.curves:
            continue
        rows = run.curves.dropna(subset=[column])
        x, y = [int(epoch) + 1 for epoch in rows["epoch"]], [float(value) for value in rows[column]]
        series.append(Series(run.record.run_name, x, y, group=folds.index(run.record.fold)))
    return line_chart(series, title, "epoch", label) if any(one.x for one in series) else None


def trouble_section(table: pd.DataFrame, planned: int) -> Section | None:
    """Runs that did not finish, with their reasons; None where all did."""
    rows = [_trouble(row) for row in table.to_dict("records") if row["status"] != "finished"]
    missing = planned - len(table)
    if not rows and missing <= 0:
        return None
    blocks: list[Block] = []
    if rows:
        blocks.append(Table(("run", "status", "kind", "after", "reason"), rows, frozenset({3})))
    if missing > 0:
        blocks.append(Text(f"{missing} of {planned} runs have not been done."))
    return Section("Runs without a result", blocks)


def _trouble(row: dict[object, object]) -> list[str]:
    kind = KINDS.get(str(row.get("kind")), "–")
    reason = row.get("error")
    words = " ".join(str(reason).split())[:400] if isinstance(reason, str) else "–"
    return [str(row["run_name"]), str(row["status"]), kind, duration(float(str(row["duration"]))), words]
