"""How a search went: scores by trial with the best so far, and scores over one parameter."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from darts_train.figures.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, upright, x_axis
from darts_train.figures.parallel import Axis
from darts_train.figures.svg import (
    MUTED,
    WIDTH,
    Scale,
    document,
    draw_rule,
    draw_text,
    nice_ticks,
    series_colour,
    tick_labels,
)

Mark = Literal["dot", "cross", "best"]


@dataclass(frozen=True)
class Point:
    """A configuration at x with its score; a cross is one that was stopped, whose score is that of the runs it had."""

    x: float
    score: float
    mark: Mark = "dot"


def history_chart(points: Sequence[Point], title: str, y_label: str, lower: bool) -> str:
    """Scores over the number of the trial with a line along the best so far; `lower`: a smaller score is better."""
    finite = [p for p in points if math.isfinite(p.score)]
    if not finite:
        return document(title, HEIGHT, [draw_text(WIDTH / 2, HEIGHT / 2, "nothing to show", "middle", MUTED)])
    ticks = [t for t in nice_ticks(min(p.x for p in finite), max(p.x for p in finite)) if t.is_integer()]
    across = Scale(*_ends([p.x for p in finite]), LEFT, WIDTH - RIGHT)
    up, parts = _upward([p.score for p in finite], y_label)
    ticks = [t for t in ticks if across.low <= t <= across.high]
    parts += x_axis(ticks, across, HEIGHT, "trial")
    parts.append(_best_so_far(sorted(finite, key=lambda p: p.x), across, up, lower))
    return document(title, HEIGHT, [*parts, *(_mark(p, across, up) for p in finite)])


def slice_chart(points: Sequence[Point], axis: Axis, title: str, y_label: str) -> str:
    """Scores over the values of one parameter; the values of levels are their indices."""
    finite = [p for p in points if math.isfinite(p.score)]
    if not finite:
        return document(title, HEIGHT, [draw_text(WIDTH / 2, HEIGHT / 2, "nothing to show", "middle", MUTED)])
    up, parts = _upward([p.score for p in finite], y_label)
    if axis.levels:
        across = Scale(-0.5, len(axis.levels) - 0.5, LEFT, WIDTH - RIGHT)
        letters = max(4, int((WIDTH - LEFT - RIGHT) / len(axis.levels) / 7))
        base = HEIGHT - BOTTOM + 19
        parts += [draw_text(across(i), base, _cut(n, letters), "middle", MUTED) for i, n in enumerate(axis.levels)]
        spread = [Point(p.x + 0.16 * math.sin(7.3 * i), p.score, p.mark) for i, p in enumerate(finite)]
        return document(title, HEIGHT, [*parts, *(_mark(p, across, up) for p in spread)])
    placed = [Point(math.log10(p.x) if axis.log else p.x, p.score, p.mark) for p in finite]
    across = Scale(*_ends([p.x for p in placed]), LEFT, WIDTH - RIGHT)
    ticks = [t for t in nice_ticks(across.low, across.high) if across.low <= t <= across.high]
    parts += [draw_rule(across(t), HEIGHT - BOTTOM, across(t), HEIGHT - BOTTOM + 5) for t in ticks]
    labels = [f"{10**t:.2g}" for t in ticks] if axis.log else tick_labels(ticks)
    parts += [
        draw_text(across(t), HEIGHT - BOTTOM + 19, label, "middle", MUTED)
        for t, label in zip(ticks, labels, strict=True)
    ]
    return document(title, HEIGHT, [*parts, *(_mark(p, across, up) for p in placed)])


def _upward(scores: Sequence[float], label: str) -> tuple[Scale, list[str]]:
    ticks = nice_ticks(min(scores), max(scores))
    up = Scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [draw_rule(LEFT, up(t), WIDTH - RIGHT, up(t)) for t in ticks]
    texts = zip(ticks, tick_labels(ticks), strict=True)
    parts += [draw_text(LEFT - 8, up(t) + 4, text, "end", MUTED) for t, text in texts]
    return up, [*parts, upright(label)]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.03 or 0.5
    return low - margin, high + margin


def _best_so_far(points: Sequence[Point], across: Scale, up: Scale, lower: bool) -> str:
    """A staircase along the best of the trials so far that were not stopped; nothing where all were."""
    path, best = "", math.nan
    for point in points:
        if point.mark == "cross" or not (math.isnan(best) or (point.score < best if lower else point.score > best)):
            continue
        best = point.score
        path += f"M{across(point.x):.1f} {up(best):.1f}" if not path else f"H{across(point.x):.1f}V{up(best):.1f}"
    if not path:
        return ""
    return f'<path d="{path}H{across.end:.1f}" fill="none" stroke="{series_colour(1)}" stroke-width="2.2"/>'


def _mark(point: Point, across: Scale, up: Scale) -> str:
    x, y = across(point.x), up(point.score)
    if point.mark == "cross":
        return f'<path d="M{x - 3.5:.1f} {y - 3.5:.1f}l7 7m0 -7l-7 7" stroke="{MUTED}" stroke-width="1.6" fill="none"/>'
    best = point.mark == "best"
    radius, colour, opacity = (6.5, series_colour(1), 1) if best else (4, series_colour(0), 0.6)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}" fill-opacity="{opacity}"/>'


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"
