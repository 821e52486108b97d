"""The report of one run."""

import math

from darts_train.artifacts.baselines import BaselineRecord, matching_baseline
from darts_train.reporting.commands import run_command
from darts_train.reporting.content import Block, Code, Headline, Page, Section, Table, Text
from darts_train.reporting.cv_blocks import IOU, curves_section
from darts_train.reporting.evidence import RunEvidence
from darts_train.reporting.run_blocks import environment_section, pictures_section, settings_section, tested_blocks
from darts_train.reporting.words import duration, figure


def run_page(run: RunEvidence, baselines: list[BaselineRecord], footer: list[str]) -> Page:
    """The page of a run, in whatever state it is."""
    record = run.record
    tested = tested_blocks(run)
    sections = [
        _result(run),
        curves_section([run], "Learning curves"),
        Section("Test", tested) if tested else None,
        pictures_section([run]),
        settings_section(run),
        environment_section(run),
        repeat_section(run_command(record, f"{record.run_name}-again")),
    ]
    return Page(
        title=f"Run {record.run_name}",
        lead=_lead(run),
        headlines=_headlines(run, baselines),
        sections=[section for section in sections if section],
        footer=footer,
    )


def repeat_section(command: str | None, more: str = "") -> Section:
    """The command that repeats what the page shows."""
    text = f"The same settings under a new name; the same data, versions and device give the same numbers.{more}"
    if command is None:
        return Section("Again", [Text("The settings are of another version; this one cannot write the command.")])
    return Section("Again", [Text(text), Code(command)])


def _lead(run: RunEvidence) -> str:
    record = run.record
    network = record.settings.get("hyperparameters") or {}
    part = f" of {record.cv_name}" if record.cv_name else f" of {record.tune_name}" if record.tune_name else ""
    how = {"finished": "finished", "failed": "failed", "pruned": "was stopped early", "running": "is still running"}
    said = how.get(run.status, f"is {run.status}")
    return (
        f"{network.get('model_arch', 'A network')} with {network.get('model_encoder', 'its encoder')}, fold "
        f"{record.fold}, seed {record.seed}{part}. It {said} after {duration(record.duration)}."
    )


def _headlines(run: RunEvidence, baselines: list[BaselineRecord]) -> list[Headline]:
    record = run.record
    iou = record.best_metrics.get(IOU)
    folded = (record.settings.get("split") or {}).get("fold_method", "kfold") is not None
    patches = "validation patches" if folded else "patches that trained, too"
    found = [Headline("IoU", figure(iou), f"{patches}, best checkpoint")]
    tested = (run.test.get("metrics") or {}).get("test/JaccardIndex")
    if tested is not None:
        found.insert(0, Headline("Test IoU", figure(float(tested)), f"{run.test.get('patches', '')} test patches"))
    baseline = matching_baseline(baselines, record)
    if baseline:
        found.append(Headline("Pixel baseline", figure(baseline.iou("val")), f"{baseline.pixel_model}, same patches"))
    recall, precision = (record.best_metrics.get(f"val/{name}") for name in ("Recall", "Precision"))
    found.append(Headline("Precision, recall", f"{_short(precision)}, {_short(recall)}", patches))
    epochs = run.curves["epoch"].max() if "epoch" in run.curves and len(run.curves) else math.nan
    said = f"{int(epochs) + 1} epochs" if math.isfinite(epochs) else ""
    return [*found, Headline("Time", duration(record.duration), said)]


def _short(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _result(run: RunEvidence) -> Section:
    record = run.record
    blocks: list[Block] = []
    if record.error:
        blocks.append(Text(f"Error: {' '.join(record.error.split())[:600]}"))
    names = dict.fromkeys([*record.best_metrics, *record.last_metrics])
    rows = [[name, figure(record.best_metrics.get(name)), figure(record.last_metrics.get(name))] for name in names]
    if rows:
        blocks.append(Table(("metric", "best checkpoint", "last validation"), rows, frozenset({1, 2})))
    else:
        blocks.append(Text("No validation has been done yet."))
    return Section("Metrics", blocks)
