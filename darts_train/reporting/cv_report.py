"""The report of one cross-validation."""

import math

from darts_train.artifacts.baselines import BaselineRecord, Beside, beside_baselines
from darts_train.reporting.commands import cross_validation_command
from darts_train.reporting.content import Block, Headline, Page, Section, Table, Text
from darts_train.reporting.cv_blocks import (
    SHOWN,
    curves_section,
    folds_section,
    held_out_section,
    interval_note,
    score_interval,
    trouble_section,
)
from darts_train.reporting.evidence import CvEvidence
from darts_train.reporting.leakage import leakage_section
from darts_train.reporting.run_blocks import environment_section, pictures_section, settings_section, tested_blocks
from darts_train.reporting.run_report import repeat_section
from darts_train.reporting.scores import Rule
from darts_train.reporting.words import duration, figure, score_figure


def cv_page(cv: CvEvidence, baselines: list[BaselineRecord], footer: list[str]) -> Page:
    """The page of a cross-validation, as far as it is."""
    rule = Rule.of(cv.settings)
    beside = beside_baselines(baselines, [run.record for run in cv.runs])
    tests = [(run.record.run_name, blocks) for run in cv.runs if (blocks := tested_blocks(run))]
    command = cross_validation_command(cv.runs[0].record, cv.settings, f"{cv.name}-again") if cv.runs else None
    sections = [
        folds_section(cv, rule, baselines, "Folds and seeds"),
        _baseline(beside),
        trouble_section(cv.table, cv.planned),
        held_out_section(cv),
        _runs(cv),
        curves_section(cv.runs, "Learning curves of all runs"),
        *(Section(f"Test of {name}", blocks) for name, blocks in tests[:3]),
        pictures_section(cv.runs),
        leakage_section(cv.leakage),
        *([settings_section(cv.runs[0]), environment_section(cv.runs[0])] if cv.runs else []),
        repeat_section(command) if cv.runs else None,
    ]
    return Page(
        title=f"Cross-validation {cv.name}",
        lead=_lead(cv, rule),
        headlines=_headlines(cv, rule, beside),
        sections=[section for section in sections if section],
        footer=footer,
    )


def _lead(cv: CvEvidence, rule: Rule) -> str:
    folds, seeds = cv.settings.get("n_folds"), len(cv.settings.get("seeds") or ())
    finished = int((cv.table["status"] == "finished").sum())
    if folds is None:
        return f"{finished} runs; the score is the mean over runs of {rule.words()}."
    size = f"{folds} {'fold' if folds == 1 else 'folds'} by {seeds} {'seed' if seeds == 1 else 'seeds'}"
    state = "all finished" if finished == cv.planned else f"{finished} of {cv.planned} runs finished"
    network = f"{cv.settings.get('model_arch', 'A network')} with {cv.settings.get('model_encoder', 'its encoder')}"
    return f"{network}: {size}, {state}. The score is the mean over runs of {rule.words()}."


def _headlines(cv: CvEvidence, rule: Rule, beside: Beside | None) -> list[Headline]:
    score = float(cv.table["score"].iloc[0]) if len(cv.table) else math.nan
    found = score_interval(cv, rule)
    doubt = interval_note(found) or rule.words()
    statuses = cv.table["status"].value_counts()
    others = [f"{statuses[name]} {name}" for name in ("failed", "pruned") if name in statuses]
    unstable = int(cv.table["is_unstable"].sum()) if "is_unstable" in cv.table else 0
    others += [f"{unstable} unstable"] if unstable else []
    incomplete = "incomplete: there is no score" if not math.isfinite(score) else ""
    headlines = [
        Headline("Score", score_figure(score), incomplete or doubt),
        Headline("Runs", f"{statuses.get('finished', 0)} of {cv.planned}", ", ".join(others) or "finished"),
    ]
    if beside:
        headlines.append(Headline("Pixel baseline", figure(beside.baseline), f"IoU; the networks {beside.network:.3f}"))
    return [*headlines, Headline("Time", duration(float(cv.table["duration"].sum())), "of all runs together")]


def _baseline(beside: Beside | None) -> Section | None:
    return Section("What pixels alone would give", [Text(f"{beside.summary()}.")]) if beside else None


def _runs(cv: CvEvidence) -> Section | None:
    if not len(cv.table):
        return None
    shown = [name for name in SHOWN if name in cv.table]
    rows = [
        [str(row["run_name"]), str(row["status"]), *(figure(row[name]) for name in shown), duration(row["duration"])]
        for row in cv.table.to_dict("records")
    ]
    columns = ("run", "status", *(name.removeprefix("val/") for name in shown), "time")
    blocks: list[Block] = [Table(columns, rows, frozenset(range(2, len(columns))), caption="Of the best checkpoints.")]
    return Section("All runs", blocks)
