"""Charts as SVG text: lines, dots and bars, readable on light and dark pages.

Written by hand rather than drawn by matplotlib: a chart is 3 kB instead of 60, its words stay words (selectable, read
aloud), and it takes the colours of the page it stands in. Colours are CSS variables that fall back to the palette of
Okabe and Ito (2008), which people with any colour vision can tell apart; lines differ by dashes too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from darts_train.figures.svg import (
    INK,
    LETTER,
    MUTED,
    WIDTH,
    Scale,
    document,
    draw_rule,
    draw_text,
    label_width,
    nice_ticks,
    series_colour,
    short_number,
    tick_labels,
)

DASHES = ("none", "7 4", "2 3", "9 3 2 3", "12 5", "4 2")
HEIGHT = 300.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 16.0, 34.0, 44.0
ROW = 30.0  # height of a row of dots or bars


@dataclass(frozen=True)
class Series:
    """A line: x and y of equal length; a y that is not finite is a gap.

    `group` gives lines that belong together one colour, and draws them thin.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    group: int | None = None


@dataclass(frozen=True)
class DotRow:
    """A row of dots with their mean; `marked` draws it in the second colour."""

    label: str
    values: Sequence[float]
    marked: bool = False


def line_chart(series: Sequence[Series], title: str, x_label: str, y_label: str) -> str:
    """Lines over a common x as SVG. Without a single finite point the chart says so."""
    points = [(x, y) for s in series for x, y in zip(s.x, s.y, strict=True) if math.isfinite(y)]
    if not points:
        return document(title, HEIGHT, [draw_text(WIDTH / 2, HEIGHT / 2, "nothing to show", "middle", MUTED)])
    x_ticks = nice_ticks(min(x for x, _ in points), max(x for x, _ in points))
    y_ticks = nice_ticks(min(y for _, y in points), max(y for _, y in points))
    across = Scale(x_ticks[0], x_ticks[-1], LEFT, WIDTH - RIGHT)
    up = Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [draw_rule(LEFT, up(t), WIDTH - RIGHT, up(t)) for t in y_ticks]
    texts = zip(y_ticks, tick_labels(y_ticks), strict=True)
    parts += [draw_text(LEFT - 8, up(t) + 4, text, "end", MUTED) for t, text in texts]
    parts += x_axis(x_ticks, across, HEIGHT, x_label)
    parts.append(upright(y_label))
    for index, one in enumerate(series):
        parts += _line(one, index, across, up)
    names = [] if any(s.group is not None for s in series) else [s.name for s in series]
    return document(title, HEIGHT, [*parts, *_legend(names)])


def dot_chart(rows: Sequence[DotRow], title: str, x_label: str) -> str:
    """One row per label: a dot per finite value and a tick at their mean, as SVG."""
    values = [v for row in rows for v in row.values if math.isfinite(v)]
    height = TOP + ROW * max(len(rows), 1) + BOTTOM
    if not values:
        return document(title, height, [draw_text(WIDTH / 2, height / 2, "nothing to show", "middle", MUTED)])
    left = label_width([row.label for row in rows])
    ticks = nice_ticks(min(values), max(values))
    across = Scale(ticks[0], ticks[-1], left, WIDTH - RIGHT)
    parts = x_axis(ticks, across, height, x_label, grid=True)
    for index, row in enumerate(rows):
        y = TOP + ROW * (index + 0.5)
        colour = series_colour(1 if row.marked else 0)
        parts.append(draw_text(left - 10, y + 4, row.label, "end", INK, bold=row.marked))
        finite = [v for v in row.values if math.isfinite(v)]
        parts += [
            f'<circle cx="{across(v):.1f}" cy="{y:.1f}" r="5" fill="{colour}" fill-opacity="0.65"/>' for v in finite
        ]
        if finite:
            x = across(math.fsum(finite) / len(finite))
            parts.append(f'<path d="M{x:.1f} {y - 10:.1f}v20" stroke="{colour}" stroke-width="2.5"/>')
    return document(title, height, parts)


def bar_chart(bars: Sequence[tuple[str, float]], title: str, x_label: str) -> str:
    """Horizontal bars from zero with their values at the end, as SVG; a value that is not finite has no bar."""
    height = TOP + ROW * max(len(bars), 1) + BOTTOM
    finite = [value for _, value in bars if math.isfinite(value)]
    ticks = nice_ticks(0.0, max([*finite, 1e-9]))
    left = label_width([label for label, _ in bars])
    across = Scale(0.0, ticks[-1], left, WIDTH - RIGHT - 44)
    parts = x_axis(ticks, across, height, x_label, grid=True)
    for index, (label, value) in enumerate(bars):
        y = TOP + ROW * index
        parts.append(draw_text(left - 10, y + ROW / 2 + 4, label, "end", INK))
        if not math.isfinite(value):
            continue
        width = max(across(value) - left, 1.0)
        box = f'x="{left:.1f}" y="{y + 6:.1f}" width="{width:.1f}" height="{ROW - 12:.1f}"'
        parts.append(f'<rect {box} rx="3" fill="{series_colour(0)}"/>')
        parts.append(draw_text(left + width + 6, y + ROW / 2 + 4, short_number(value), "start", MUTED))
    return document(title, height, parts)


def x_axis(ticks: Sequence[float], across: Scale, height: float, label: str, grid: bool = False) -> list[str]:
    """Ticks with their numbers and a label below a plot; `grid` draws the ticks through it."""
    base = height - BOTTOM
    parts = [draw_rule(across(t), TOP if grid else base, across(t), base + 5) for t in ticks]
    texts = zip(ticks, tick_labels(ticks), strict=True)
    parts += [draw_text(across(t), base + 19, text, "middle", MUTED) for t, text in texts]
    return [*parts, draw_text((across.start + across.end) / 2, height - 6, label, "middle", MUTED)]


def upright(label: str) -> str:
    """The label of an axis of y."""
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<text transform="translate(13 {middle:g}) rotate(-90)" text-anchor="middle" fill="{MUTED}">'
        f"{escape(label)}</text>"
    )


def _line(series: Series, index: int, across: Scale, up: Scale) -> list[str]:
    path, broken = [], True
    for x, y in zip(series.x, series.y, strict=True):
        if math.isfinite(y):
            path.append(f"{'M' if broken else 'L'}{across(x):.1f} {up(y):.1f}")
        broken = not math.isfinite(y)
    width = 2.2 if series.group is None else 1.5
    index = index if series.group is None else series.group
    style = (
        f'fill="none" stroke="{series_colour(index)}" stroke-width="{width}" stroke-linejoin="round" '
        'stroke-linecap="round"'
    )
    parts = [f'<path d="{"".join(path)}" {style} stroke-dasharray="{DASHES[index % len(DASHES)]}"/>'] if path else []
    return parts + [_dot(across(x), up(y), index) for x, y in _alone(series)]


def _alone(series: Series) -> list[tuple[float, float]]:
    """Points without a neighbour, which a line would not show."""
    points = list(zip(series.x, series.y, strict=True))
    seen = [False, *(math.isfinite(y) for _, y in points), False]
    return [point for i, point in enumerate(points) if seen[i + 1] and not seen[i] and not seen[i + 2]]


def _dot(x: float, y: float, index: int) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{series_colour(index)}"/>'


def _legend(names: Sequence[str]) -> list[str]:
    """Names with a piece of their line, right-aligned above the plot; none for a single line."""
    if len(names) < 2:
        return []
    parts, x = [], WIDTH - RIGHT
    for index, name in reversed(list(enumerate(names))):
        parts.append(draw_text(x, 16, name, "end", MUTED))
        x -= len(name) * LETTER + 6
        dash = DASHES[index % len(DASHES)]
        stroke = f'stroke="{series_colour(index)}" stroke-width="2.2"'
        parts.append(f'<path d="M{x - 22:.1f} 12h22" {stroke} stroke-dasharray="{dash}"/>')
        x -= 36
    return parts
