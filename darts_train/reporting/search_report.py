"""The report of a search: tune-smp and optuna-sweep-smp alike."""

import math
from collections.abc import Sequence

from darts_train.artifacts.baselines import BaselineRecord, beside_baselines
from darts_train.options.learning import Data, Hyperparameters, Split, Training
from darts_train.reporting.commands import cross_validation_command
from darts_train.reporting.content import Block, Headline, Page, Section, Table, Text
from darts_train.reporting.cv_blocks import (
    curves_section,
    folds_section,
    held_out_section,
    interval_note,
    score_interval,
)
from darts_train.reporting.evidence import CvEvidence, RunEvidence
from darts_train.reporting.leakage import leakage_section
from darts_train.reporting.run_blocks import environment_section, pictures_section, tested_blocks
from darts_train.reporting.run_report import repeat_section
from darts_train.reporting.search_axes import Parameter, parameters_of
from darts_train.reporting.search_blocks import (
    ended_section,
    history_section,
    importance_section,
    parallel_section,
    ranking_section,
)
from darts_train.reporting.search_evidence import SearchEvidence
from darts_train.reporting.words import duration, figure, score_figure, setting

NO_BEST = "No configuration has a score yet: all that ended have failed, are unstable, or were stopped."


def search_page(search: SearchEvidence, baselines: list[BaselineRecord], footer: list[str]) -> Page:
    """The page of a search, as far as it is."""
    parameters = parameters_of(search.trials, search.parameters)
    best = search.best_cv
    runs = [*search.retrained, *(best.runs if best else [])]
    sections: list[Section | None] = [_best(search, parameters)]
    if search.best is not None:
        cv = best or _of_table(search)
        sections.append(folds_section(cv, search.rule, baselines, "Folds and seeds of the best configuration"))
    sections += [
        history_section(search) if search.trials else None,
        parallel_section(search, parameters),
        importance_section(search, parameters) if search.trials else None,
        ranking_section(search) if search.trials else None,
        ended_section(search),
        _regions(search),
        held_out_section(best) if best else None,
        curves_section(best.runs, "Learning curves of the best configuration") if best else None,
        pictures_section(runs),
        leakage_section(search.leakage),
        environment_section(runs[0]) if runs else None,
        _again(search),
    ]
    return Page(
        title=f"Search {search.name}",
        lead=_lead(search),
        headlines=_headlines(search, baselines),
        sections=[section for section in sections if section],
        footer=footer,
    )


def _of_table(search: SearchEvidence) -> CvEvidence:
    """The best trial where its directory is on another machine: its rows of the table."""
    assert search.best is not None
    return CvEvidence(search.name, search.directory, search.best.runs, search.settings, [])


def _lead(search: SearchEvidence) -> str:
    ended = len(search.trials) - search.state_count("unfinished")
    tried = f"{ended} {'configuration' if ended == 1 else 'configurations'} of {_listed(search.parameters)}"
    runs = f", each cross-validated in {search.planned} runs" if search.planned > 1 else ""
    going = search.state_count("unfinished")
    more = f" {going} more {'is' if going == 1 else 'are'} not finished." if going else ""
    return f"{tried}{runs}. The score is the mean over runs of {search.rule.words()}.{more}"


def _listed(names: Sequence[str]) -> str:
    if len(names) > 6:
        return f"{len(names)} parameters"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "no parameter"


def _headlines(search: SearchEvidence, baselines: list[BaselineRecord]) -> list[Headline]:
    total = len(search.trials)
    ends = [f"{search.state_count(s)} {s}" for s in ("pruned", "failed", "unstable", "unfinished")
            if search.state_count(s)]  # fmt: skip
    seconds = sum(float(trial.runs["duration"].sum()) for trial in search.trials if "duration" in trial.runs)
    runs = sum(len(trial.runs) for trial in search.trials)
    score = search.best.score if search.best else math.nan
    found = score_interval(search.best_cv or _of_table(search), search.rule) if search.best else None
    doubt = interval_note(found) or "mean over its runs"
    headlines = [
        Headline("Best score", score_figure(score), doubt if search.best else "none yet"),
        Headline("Configurations", f"{total:,}", ", ".join(ends) or "all have a score"),
        Headline("Runs", f"{runs:,}", f"{duration(seconds)} of training"),
    ]
    tested = [run.test["metrics"].get("test/JaccardIndex") for run in search.retrained if run.test.get("metrics")]
    if tested and tested[-1] is not None:
        headlines.insert(1, Headline("Test IoU", figure(float(tested[-1])), "best configuration, trained on all"))
    beside = beside_baselines(baselines, [run.record for run in search.best_cv.runs]) if search.best_cv else None
    if beside:
        headlines.append(Headline("Pixel baseline", figure(beside.baseline), f"IoU; the best has {beside.network:.3f}"))
    return headlines


def _best(search: SearchEvidence, parameters: list[Parameter]) -> Section:
    if search.best is None:
        return Section("Best configuration", [Text(NO_BEST)])
    by_name = {parameter.axis.name: parameter for parameter in parameters}
    rows = [
        [name, setting(search.best.values.get(name)), _tried(search, by_name[name]), _default(name)]
        for name in search.parameters
    ]
    name = f"Trial {search.best.number}, {search.name}-cv{search.best.number}, score {score_figure(search.best.score)}."
    edges = [row[0] for row, parameter in zip(rows, parameters, strict=True) if _at_edge(search, parameter)]
    blocks: list[Block] = [Text(name), Table(("parameter", "best", "tried", "default"), rows)]
    if edges:
        verb = "is" if len(edges) == 1 else "are"
        blocks.append(Text(f"{_listed(edges)} {verb} at the edge of what was tried: a wider range may hold better."))
    return Section("Best configuration", blocks)


def _tried(search: SearchEvidence, parameter: Parameter) -> str:
    """The values of a parameter in few words: its levels, or its least and greatest."""
    if parameter.axis.levels:
        levels = parameter.axis.levels
        return ", ".join(levels) if len(levels) <= 6 else f"{', '.join(levels[:5])} and {len(levels) - 5} more"
    known = sorted({place for place in parameter.places.values() if place is not None})
    if len(known) <= 5:
        return ", ".join(setting(value) for value in known)
    return f"{setting(known[0])} to {setting(known[-1])}" + (", logarithmic" if parameter.axis.log else "")


def _at_edge(search: SearchEvidence, parameter: Parameter) -> bool:
    """Whether the best value lies in the outer twentieth of many numbers."""
    known = [math.log10(p) if parameter.axis.log else p for p in parameter.places.values() if p is not None]
    if parameter.axis.levels or len(set(known)) < 8 or search.best is None:
        return False
    place = parameter.places[search.best.number]
    if place is None:
        return False
    share = ((math.log10(place) if parameter.axis.log else place) - min(known)) / (max(known) - min(known))
    return not 0.05 <= share <= 0.95


def _default(name: str) -> str:
    for group in (Hyperparameters, Training, Data, Split):
        field = group.__dataclass_fields__.get(name)
        if field is not None:
            return setting(field.default)
    return "–"


def _regions(search: SearchEvidence) -> Section | None:
    """Tests by region: of the best configuration trained on all training data, or of one of its runs."""
    tested: list[RunEvidence] = [run for run in [*reversed(search.retrained), *_best_runs(search)] if run.test]
    if not tested:
        return None
    blocks = tested_blocks(tested[0])
    return Section(f"Test of {tested[0].record.run_name}", blocks) if blocks else None


def _best_runs(search: SearchEvidence) -> list[RunEvidence]:
    return search.best_cv.runs if search.best_cv else []


def _again(search: SearchEvidence) -> Section | None:
    runs = _best_runs(search)
    if search.best_cv is None or not runs:
        return None
    command = cross_validation_command(runs[0].record, search.best_cv.settings, f"{search.name}-best-again")
    more = " This is the cross-validation of the best configuration; the search itself goes on with its own command."
    return repeat_section(command, more)
