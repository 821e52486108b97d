"""The report of a nested cross-validation: the honest score beside what the searches say."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from darts_train.artifacts.lookup import NESTED_FILE
from darts_train.figures.folds import FoldRow, fold_chart
from darts_train.figures.svg import series_colour
from darts_train.reporting.content import Block, Charts, Headline, Page, Section, Table, Text
from darts_train.reporting.cv_blocks import interval_note, interval_words
from darts_train.reporting.evidence import LEAKAGE_FILE, read_json, read_or
from darts_train.reporting.leakage import leakage_section
from darts_train.reporting.scores import Rule, interval
from darts_train.reporting.words import score_figure

OWN = ("outer", "inner_score", "outer_score", "random_score", "best_cv", "checkpoint")


def nested_page(directory: Path, footer: list[str]) -> Page:
    """The page of a nested cross-validation, as far as it is."""
    table = read_or(directory / f"{directory.name}.parquet", pd.read_parquet, pd.DataFrame(columns=list(OWN)))
    settings = read_json(directory / NESTED_FILE).get("settings") or {}
    rule = Rule.of(settings)
    folds = {int(row["outer"]): [float(row["outer_score"])] for row in table.to_dict("records")
             if math.isfinite(float(row["outer_score"]))}  # fmt: skip
    found = interval(folds, int(settings.get("outer_folds") or len(folds)))
    inner, outer, drawn = (_mean(table[name].tolist()) for name in ("inner_score", "outer_score", "random_score"))
    sign = -1 if rule.minimised else 1
    headlines = [
        Headline("Honest score", score_figure(outer), interval_note(found) or "mean over the outer folds"),
        Headline("The searches say", score_figure(inner), f"too good by {score_figure(sign * (inner - outer))}"),
    ]
    if math.isfinite(drawn):
        note = f"too good by {score_figure(sign * (drawn - outer))}"
        headlines.append(Headline("A random split would claim", score_figure(drawn), note))
    rows = [FoldRow(f"outer {f}", values, _inner(table, f)) for f, values in folds.items()]
    ends = (found.low, found.high) if found else None
    legend = [("tested on the outer fold", series_colour(0)), ("the search's own score", series_colour(2))]
    blocks: list[Block] = [
        Charts([fold_chart(rows, "Score of every outer fold", rule.words(), outer, ends)], legend=legend),
        _table(table, sign),
        Text(interval_words(found, len(folds))),
    ]
    certificates = [leakage_section(read_json(path)) for path in sorted(directory.glob(f"outer*/{LEAKAGE_FILE}"))]
    lead = (
        "In each outer fold a search sees the rest of the data; its winner is trained again on that rest and tested on "
        f"the outer fold, which nothing before has seen. The score is the mean over these of {rule.words()}. Each "
        "search has a report of its own."
    )
    sections = [Section("Outer folds", blocks), *(section for section in certificates if section)]
    return Page(f"Nested cross-validation {directory.name}", lead, headlines, sections, footer)


def _table(table: pd.DataFrame, sign: int) -> Table:
    searched = [str(name) for name in table.columns if name not in OWN and not str(name).startswith("test/")]
    rows = [
        [str(row["outer"]), *(score_figure(_number(row[name])) for name in OWN[1:4]),
         score_figure(sign * (_number(row["inner_score"]) - _number(row["outer_score"]))), str(row["best_cv"] or "–"),
         *(str(row[name]) for name in searched)]
        for row in table.to_dict("records")
    ]  # fmt: skip
    columns = ("outer", "inner score", "tested", "random split", "optimism", "winner", *searched)
    return Table(columns, rows, frozenset(range(1, 5)))


def _inner(table: pd.DataFrame, outer: int) -> float:
    return float(table.loc[table["outer"] == outer, "inner_score"].iloc[0])


def _mean(values: Sequence[object]) -> float:
    numbers = [_number(value) for value in values]
    return math.fsum(numbers) / len(numbers) if numbers and all(map(math.isfinite, numbers)) else math.nan


def _number(value: object) -> float:
    return math.nan if value is None or value is pd.NA else float(str(value))
