"""Sections of the report of a search: what was tried, what came of it, what mattered."""

import math
import random

from darts_train.figures.charts import bar_chart
from darts_train.figures.history import Mark, Point, history_chart, slice_chart
from darts_train.figures.parallel import Line, parallel_coordinates
from darts_train.figures.stacked import stacked_bars
from darts_train.figures.svg import MUTED, series_colour
from darts_train.reporting.content import Block, Charts, Section, Table, Text
from darts_train.reporting.importance import Column, importance
from darts_train.reporting.scores import Behind, behind
from darts_train.reporting.search_axes import Parameter
from darts_train.reporting.search_evidence import SearchEvidence, State, Trial
from darts_train.reporting.words import score_figure, setting

RANKED, SLICES, AXES, ENDED = 30, 6, 10, 40
DRAWN, SEED = 1500, 42  # trials of a chart
STATES: dict[State, str] = {
    "finished": "var(--series-1, #0072b2)", "pruned": "var(--rest, #b8c4ce)", "unstable": "var(--series-5, #9a6a00)",
    "failed": "var(--series-2, #d55e00)", "unfinished": "var(--series-4, #a8508a)",
}  # fmt: skip


def partial_score(trial: Trial) -> float:
    """The score of a trial; of one that was stopped, the mean of the runs it had."""
    if math.isfinite(trial.score):
        return trial.score
    finite = [score for score in trial.scores if math.isfinite(score)]
    return math.fsum(finite) / len(finite) if finite else math.nan


def history_section(search: SearchEvidence) -> Section:
    """Scores by trial, and how trials ended."""
    points = [Point(float(t.number), partial_score(t), _mark(search, t)) for t in drawn(search)]
    chart = history_chart(points, "Score by trial", "score", search.rule.minimised)
    states = [state for state in STATES if search.state_count(state)]
    counts = [float(search.state_count(state)) for state in states]
    bar = stacked_bars(
        [("trials", counts, f"{len(search.trials)}")], [STATES[s] for s in states], "How trials ended", "trials"
    )
    total = len(search.trials)
    legend = [(f"{s}: {search.state_count(s)} ({search.state_count(s) / total:.0%})", STATES[s]) for s in states]
    caption = f"The line is the best so far, the large dot the best of all.{_thinned(search)}"
    crosses = any(point.mark == "cross" and math.isfinite(point.score) for point in points)
    caption += " Crosses are trials that did not finish, at the mean of the runs they had." if crosses else ""
    return Section("History", [Charts([chart, bar], caption, legend)])


def drawn(search: SearchEvidence) -> list[Trial]:
    """The trials that charts show: of a large search a sample, and every one that became the best."""
    if len(search.trials) <= DRAWN:
        return search.trials
    kept, best = set(random.Random(SEED).sample(range(len(search.trials)), DRAWN)), math.nan
    for index, trial in enumerate(search.trials):
        if trial.state == "finished" and (math.isnan(best) or search.rule.better(trial.score, best)):
            best = trial.score
            kept.add(index)
    return [search.trials[index] for index in sorted(kept)]


def _thinned(search: SearchEvidence) -> str:
    hidden = len(search.trials) - len(drawn(search))
    return f" {hidden:,} trials, drawn at random, are not shown." if hidden else ""


def _mark(search: SearchEvidence, trial: Trial) -> Mark:
    if search.best is not None and trial.number == search.best.number:
        return "best"
    return "dot" if trial.state == "finished" else "cross"


def parallel_section(search: SearchEvidence, parameters: list[Parameter]) -> Section | None:
    """Every configuration as a line; None where nothing varies."""
    shown = [parameter for parameter in parameters if parameter.varied][:AXES]
    if not shown:
        return None
    best = search.best.number if search.best else None
    lines = [Line([p.places[t.number] for p in shown], t.score, t.number == best) for t in drawn(search)]
    score_name = "score"
    chart = parallel_coordinates(
        [p.axis for p in shown], lines, "Parallel coordinates", score_name, search.rule.minimised
    )
    legend = [("best", series_colour(1)), ("scored, the stronger the better", series_colour(0))]
    legend += [("without a score", MUTED)] if any(not math.isfinite(line.score) for line in lines) else []
    caption = f"A line is a configuration: its values from left to right, its score at the end.{_thinned(search)}"
    hidden = sum(parameter.varied for parameter in parameters) - len(shown)
    caption += f" {hidden} more parameters are not shown." if hidden else ""
    return Section("All configurations", [Charts([chart], caption, legend, wide=True)])


def importance_section(search: SearchEvidence, parameters: list[Parameter]) -> Section:
    """How much the scores depend on each parameter, and scores over its values."""
    trials = [trial for trial in search.trials if trial.state == "finished"]
    columns = [Column(p.axis.name, [_place(p, t) for t in trials], len(p.axis.levels)) for p in parameters]
    found = importance(columns, [trial.score for trial in trials])
    order = list(found.shares) if found else [p.axis.name for p in parameters]
    blocks: list[Block] = []
    if found is None:
        blocks.append(Text(f"{len(trials)} scored configurations are too few to tell what mattered."))
    elif found.explained <= 0:
        blocks.append(
            Text(
                "From the parameters alone the score of a configuration could not be predicted at all: what differs is "
                "as good as noise, or there are too few configurations."
            )
        )
    else:
        bars = bar_chart(list(found.shares.items())[:12], "Importance", "share of the scores' variance due to it")
        blocks += [Charts([bars]), Text(_caveat(found.explained, found.configurations))]
    by_name = {p.axis.name: p for p in parameters if p.varied}
    slices = [_slice(search, by_name[name]) for name in order if name in by_name][:SLICES]
    return Section("What mattered", [*blocks, *([Charts(slices)] if slices else [])])


def _caveat(explained: float, configurations: int) -> str:
    return (
        f"Permutation importance of a random forest over {configurations} scored configurations, measured on those "
        f"it has not seen; it explains {explained:.0%} of their variance. It holds for the values that were tried: a "
        "range that was too narrow looks unimportant, a sampler that learns tries good values more often, and "
        "what parameters do together counts for each of them."
    )


def _place(parameter: Parameter, trial: Trial) -> float:
    place = parameter.places[trial.number]
    return math.nan if place is None else math.log10(place) if parameter.axis.log else place


def _slice(search: SearchEvidence, parameter: Parameter) -> str:
    points = [
        Point(place, partial_score(trial), _mark(search, trial))
        for trial in drawn(search)
        if (place := parameter.places[trial.number]) is not None
    ]
    return slice_chart(points, parameter.axis, f"Score over {parameter.axis.name}", "score")


def ranking_section(search: SearchEvidence) -> Section:
    """The best configurations, how far they are behind the best, and in how many runs."""
    scored = [trial for trial in search.trials if trial.state in ("finished", "unstable")]
    ordered = sorted(scored, key=lambda t: (t.state != "finished", _key(search, t), t.number))
    rows = [_row(search, trial) for trial in ordered[:RANKED]]
    fronts = any(trial.front is not None for trial in search.trials)
    columns = ["trial", *search.parameters, "score", "lowest", "highest", "behind", "worse in"]
    columns += ["Pareto front"] if fronts else []
    caption = (
        "Lowest, highest: of its runs. Behind: mean difference to the best over runs of the same fold and seed; worse "
        "in: how many of these are worse. A configuration that is worse in half of them is as good as the best."
    )
    more = f" {len(ordered) - RANKED} more are in {search.name}.parquet." if len(ordered) > RANKED else ""
    numeric = frozenset(range(1 + len(search.parameters), len(columns))) | {0}
    table = Table(columns, rows, numeric, 0 if search.best else None, caption + more)
    return Section("The best configurations", [table] if rows else [Text("No configuration has a score yet.")])


def _key(search: SearchEvidence, trial: Trial) -> float:
    if not math.isfinite(trial.score):
        return math.inf
    return trial.score if search.rule.minimised else -trial.score


def _row(search: SearchEvidence, trial: Trial) -> list[str]:
    scores = [score for score in trial.scores if math.isfinite(score)]
    ends = [score_figure(min(scores)), score_figure(max(scores))] if scores else ["–", "–"]
    gap: Behind | None = behind(search.best.runs, trial.runs, search.rule) if search.best else None
    beside = ["–", "–"] if gap is None or trial is search.best else [
        score_figure(gap.difference), f"{gap.worse} of {gap.runs}",
    ]  # fmt: skip
    unstable = " (unstable)" if trial.state == "unstable" else ""
    values = [setting(trial.values.get(name)) for name in search.parameters]
    front = [] if trial.front is None else ["yes" if trial.front else ""]
    return [f"{trial.number}", *values, score_figure(trial.score) + unstable, *ends, *beside, *front]


def ended_section(search: SearchEvidence) -> Section | None:
    """Trials that were stopped, have failed or go on, with the reason; None where all have a score."""
    trials = [trial for trial in search.trials if trial.state in ("failed", "pruned", "unfinished")]
    if not trials:
        return None
    rank = {"failed": 0, "unfinished": 1, "pruned": 2}
    trials.sort(key=lambda trial: (rank[trial.state], trial.number))
    rows = [
        [f"{t.number}", t.state, f"{len(t.runs)} of {search.planned}", score_figure(partial_score(t)),
         " ".join(t.reason.split())[:400], ", ".join(f"{name} {setting(value)}" for name, value in t.values.items())]
        for t in trials[:ENDED]
    ]  # fmt: skip
    done = sum(len(trial.runs) for trial in search.trials)
    saved = sum(search.planned - len(t.runs) for t in trials if t.state == "pruned")
    text = f"Pruning saved {saved} of {done + saved} runs. " if saved > 0 else ""
    columns = ("trial", "state", "runs", "mean of runs", "reason", "configuration")
    blocks: list[Block] = [Table(columns, rows, frozenset({0, 2, 3}))]
    hidden = len(trials) - ENDED
    text += f"{hidden} more are not shown." if hidden > 0 else ""
    return Section("Trials without a score", [*blocks, *([Text(text)] if text else [])])
