"""Parallel coordinates: every configuration of a search as a line through its values, to its score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from darts_train.figures.svg import (
    INK,
    LETTER,
    MUTED,
    Scale,
    document,
    draw_text,
    nice_ticks,
    short_number,
    tick_labels,
)

WIDE, HEIGHT, TOP, BOTTOM = 1040.0, 360.0, 62.0, 24.0
RIGHT = 64.0
BEST, LINE = "var(--series-2, #d55e00)", "var(--series-1, #0072b2)"
LOG_FROM = 20.0  # greatest to least value, from which a positive axis is logarithmic
LETTERS = 15  # of a name or a level


@dataclass(frozen=True)
class Axis:
    """A parameter: numbers, or the names of levels of which values are indices. `log` axes are of positive numbers."""

    name: str
    levels: Sequence[str] = ()
    log: bool = False


@dataclass(frozen=True)
class Line:
    """A configuration: a value for each axis (None where it has none), and its score, NaN where it has none."""

    values: Sequence[float | None]
    score: float
    best: bool = False


def wants_log(values: Sequence[float]) -> bool:
    """Whether numbers are all positive and so far apart that a logarithmic axis shows them better."""
    return bool(values) and min(values) > 0 and max(values) >= LOG_FROM * min(values)


def parallel_coordinates(axes: Sequence[Axis], lines: Sequence[Line], title: str, score_name: str, lower: bool) -> str:
    """The chart as SVG. Better scores are drawn stronger and last, the best in a colour of its own.

    Args:
        axes: parameters from left to right; the score is a further axis.
        lines: configurations; those without a score are dashed and end before its axis.
        title: heading.
        score_name: of the last axis.
        lower: whether a smaller score is better (the axis is turned: better is up).
    """
    scores = [line.score for line in lines if math.isfinite(line.score)]
    if not axes or not lines:
        return document(title, 80, [draw_text(WIDE / 2, 50, "nothing to show", "middle", MUTED)], WIDE)
    left = 20 + LETTER * max((len(_cut(level)) for level in axes[0].levels), default=6)
    places = [left + i * (WIDE - RIGHT - left) / len(axes) for i in range(len(axes) + 1)]
    scales = [_scale(axis, [line.values[i] for line in lines]) for i, axis in enumerate(axes)]
    score_scale = _numbers(scores or [0.0], turned=lower)
    ordered = sorted(lines, key=lambda line: _rank(line, scores, lower))
    parts = [_path(line, axes, scales, score_scale, places, _rank(line, scores, lower)) for line in ordered]
    for axis, scale, x in zip(axes, scales, places, strict=False):
        parts += _axis(axis, scale, x)
    parts += _axis(Axis(score_name), score_scale, places[-1], bold=True)
    return document(title, HEIGHT, parts, WIDE)


def _rank(line: Line, scores: Sequence[float], lower: bool) -> float:
    """-1 without a score, else the share of scores that are no better, and 2 for the best line."""
    if line.best:
        return 2.0
    if not math.isfinite(line.score):
        return -1.0
    return sum(s >= line.score if lower else s <= line.score for s in scores) / len(scores)


def _scale(axis: Axis, values: Sequence[float | None]) -> Scale:
    if axis.levels:
        return Scale(-0.5, len(axis.levels) - 0.5, HEIGHT - BOTTOM, TOP)
    known = [math.log10(v) if axis.log else v for v in values if v is not None]
    return _numbers(known or [0.0])


def _numbers(values: Sequence[float], turned: bool = False) -> Scale:
    low, high = min(values), max(values)
    margin = (high - low) * 0.04 or abs(high) * 0.05 or 0.5
    ends = (TOP, HEIGHT - BOTTOM) if turned else (HEIGHT - BOTTOM, TOP)
    return Scale(low - margin, high + margin, *ends)


def _path(
    line: Line, axes: Sequence[Axis], scales: Sequence[Scale], score: Scale, places: Sequence[float], rank: float
) -> str:
    points = []
    for axis, scale, value, x in zip(axes, scales, line.values, places, strict=False):
        if value is not None:
            points.append((x, scale(math.log10(value) if axis.log else value)))
    if math.isfinite(line.score):
        points.append((places[-1], score(line.score)))
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    if rank > 1:
        return f'<path d="{path}" fill="none" stroke="{BEST}" stroke-width="3.2" stroke-linejoin="round"/>'
    if rank < 0:
        return f'<path d="{path}" fill="none" stroke="{MUTED}" stroke-opacity="0.35" stroke-dasharray="3 4"/>'
    opacity, width = 0.12 + 0.7 * rank**3, 1.0 + 0.9 * rank
    return f'<path d="{path}" fill="none" stroke="{LINE}" stroke-opacity="{opacity:.2f}" stroke-width="{width:.1f}"/>'


def _axis(axis: Axis, scale: Scale, x: float, bold: bool = False) -> list[str]:
    rule = f'<path d="M{x:.1f} {TOP - 6:.1f}V{HEIGHT - BOTTOM + 6:.1f}" stroke="{MUTED}" stroke-opacity="0.6"/>'
    parts = [rule, draw_text(x, TOP - 16, _cut(axis.name, 22), "middle", INK, bold=bold)]
    side, anchor = (8, "start") if bold else (-8, "end")
    for value, label in _ticks(axis, scale):
        y = scale(value)
        text = draw_text(x + side, y + 4, label, anchor, MUTED)
        halo = ' stroke="var(--card, #ffffff)" stroke-width="3" paint-order="stroke"'
        parts.append(text.replace("<text", f"<text{halo}", 1))
    return parts


def _ticks(axis: Axis, scale: Scale) -> list[tuple[float, str]]:
    if axis.levels:
        return [(float(i), _cut(level)) for i, level in enumerate(axis.levels)]
    if not axis.log:
        ticks = [t for t in nice_ticks(scale.low, scale.high) if scale.low <= t <= scale.high]
        return list(zip(ticks, tick_labels(ticks), strict=True))
    whole = [float(p) for p in range(math.ceil(scale.low), math.floor(scale.high) + 1)]
    if len(whole) >= 2:
        return [(p, f"1e{p:.0f}" if abs(p) > 2 else short_number(10.0**p)) for p in whole]
    between = [scale.low + (scale.high - scale.low) * share for share in (0.1, 0.5, 0.9)]
    return [(p, f"{10.0**p:.1g}") for p in between]


def _cut(text: str, letters: int = LETTERS) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"
