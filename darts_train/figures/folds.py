"""Scores of a cross-validation: folds in rows, a dot for every seed, the mean and its interval below."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from darts_train.figures.charts import BOTTOM, RIGHT, ROW, TOP, x_axis
from darts_train.figures.svg import (
    INK,
    MUTED,
    WIDTH,
    Scale,
    document,
    draw_rule,
    draw_text,
    label_width,
    nice_ticks,
    series_colour,
)


@dataclass(frozen=True)
class FoldRow:
    """A fold: the scores of its seeds, and what a baseline reaches on the same patches (NaN without one)."""

    label: str
    values: Sequence[float]
    baseline: float = math.nan


def fold_chart(
    rows: Sequence[FoldRow], title: str, x_label: str, mean: float, ends: tuple[float, float] | None = None
) -> str:
    """The chart as SVG. `mean` is a line through all rows, `ends` are those of its interval, a band."""
    values = [v for row in rows for v in (*row.values, row.baseline) if math.isfinite(v)]
    height = TOP + ROW * (max(len(rows), 1) + 1) + BOTTOM
    if not values:
        return document(title, height, [draw_text(WIDTH / 2, height / 2, "nothing to show", "middle", MUTED)])
    low, high = min(values), max(values)
    if ends:  # an interval of few folds may be wider than the scale: it is cut at the edge
        reach = max(high - low, 1e-9)
        low, high = max(min(low, ends[0]), low - reach), min(max(high, ends[1]), high + reach)
    left = label_width([row.label for row in rows] + ["all folds"])
    ticks = nice_ticks(low, high)
    across = Scale(ticks[0], ticks[-1], left, WIDTH - RIGHT)
    parts = x_axis(ticks, across, height, x_label, grid=True)
    for index, row in enumerate(rows):
        parts += _row(row, TOP + ROW * (index + 0.5), across, left)
    if math.isfinite(mean):
        parts += _mean(mean, ends, across, left, TOP + ROW * (len(rows) + 0.5))
    return document(title, height, parts)


def _row(row: FoldRow, y: float, across: Scale, left: float) -> list[str]:
    parts = [draw_rule(left, y, WIDTH - RIGHT, y), draw_text(left - 10, y + 4, row.label, "end", INK)]
    colour = series_colour(0)
    finite = [v for v in row.values if math.isfinite(v)]
    if math.isfinite(row.baseline):
        x = across(row.baseline)
        diamond = f"M{x - 6:.1f} {y:.1f}l6 -6l6 6l-6 6z"
        parts.append(f'<path d="{diamond}" fill="none" stroke="{series_colour(2)}" stroke-width="2"/>')
    parts += [f'<circle cx="{across(v):.1f}" cy="{y:.1f}" r="5.5" fill="{colour}" fill-opacity="0.6"/>' for v in finite]
    if len(finite) > 1:
        x = across(math.fsum(finite) / len(finite))
        parts.append(f'<path d="M{x:.1f} {y - 9:.1f}v18" stroke="{colour}" stroke-width="2.5"/>')
    return parts


def _mean(mean: float, ends: tuple[float, float] | None, across: Scale, left: float, y: float) -> list[str]:
    colour = series_colour(1)
    parts = [draw_text(left - 10, y + 4, "all folds", "end", INK, bold=True)]
    if ends:
        start, end = max(across(ends[0]), left), min(across(ends[1]), across.end)
        box = f'x="{start:.1f}" y="{y - 8:.1f}" width="{max(end - start, 1):.1f}" height="16" rx="3"'
        parts.append(f'<rect {box} fill="{colour}" fill-opacity="0.25"/>')
    x = across(mean)
    parts.append(f'<path d="M{x:.1f} {TOP:.1f}V{y - 11:.1f}" stroke="{colour}" stroke-dasharray="3 4"/>')
    return [*parts, f'<path d="M{x:.1f} {y - 11:.1f}v22" stroke="{colour}" stroke-width="3"/>']
