"""Charts as SVG text: lines, dots and bars, readable on light and dark pages.

Written by hand rather than drawn by matplotlib: a chart is 3 kB instead of 60, its words stay words (selectable, read
aloud), and it takes the colours of the page it stands in. Colours are CSS variables that fall back to the palette of
Okabe and Ito (2008), which people with any colour vision can tell apart; lines differ by dashes too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("none", "7 4", "2 3", "9 3 2 3", "12 5", "4 2")
INK, MUTED, RULE = "var(--ink, #1d2733)", "var(--muted, #5b6875)", "var(--rule, #d9dfe5)"
WIDTH, HEIGHT = 520.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 16.0, 34.0, 44.0
ROW = 30.0  # height of a row of dots or bars
LETTER = 6.6  # width of a letter of the labels, about


@dataclass(frozen=True)
class Series:
    """A line: x and y of equal length; a y that is not finite is a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class DotRow:
    """A row of dots with their mean; `marked` draws it in the second colour."""

    label: str
    values: Sequence[float]
    marked: bool = False


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart), about `count` of them, that enclose [low, high].

    Equal limits are widened. Raises ValueError where a limit is not finite.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"limits of an axis must be finite, not {low} and {high}")
    if high <= low:
        low, high = low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next((m for m in (1.0, 2.0, 5.0) if m * power >= raw * 0.999), 10.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def line_chart(series: Sequence[Series], title: str, x_label: str, y_label: str) -> str:
    """Lines over a common x as SVG. Without a single finite point the chart says so."""
    points = [(x, y) for s in series for x, y in zip(s.x, s.y, strict=True) if math.isfinite(y)]
    if not points:
        return _svg(title, HEIGHT, [_text(WIDTH / 2, HEIGHT / 2, "nothing to show", "middle", MUTED)])
    x_ticks = nice_ticks(min(x for x, _ in points), max(x for x, _ in points))
    y_ticks = nice_ticks(min(y for _, y in points), max(y for _, y in points))
    across = _Scale(x_ticks[0], x_ticks[-1], LEFT, WIDTH - RIGHT)
    up = _Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [_rule(LEFT, up(t), WIDTH - RIGHT, up(t)) for t in y_ticks]
    parts += [_text(LEFT - 8, up(t) + 4, _number(t), "end", MUTED) for t in y_ticks]
    parts += _x_axis(x_ticks, across, HEIGHT, x_label)
    parts.append(_upright(y_label))
    for index, one in enumerate(series):
        parts += _line(one, index, across, up)
    return _svg(title, HEIGHT, [*parts, *_legend([s.name for s in series])])


def dot_chart(rows: Sequence[DotRow], title: str, x_label: str) -> str:
    """One row per label: a dot per finite value and a tick at their mean, as SVG."""
    values = [v for row in rows for v in row.values if math.isfinite(v)]
    height = TOP + ROW * max(len(rows), 1) + BOTTOM
    if not values:
        return _svg(title, height, [_text(WIDTH / 2, height / 2, "nothing to show", "middle", MUTED)])
    left = _label_width([row.label for row in rows])
    ticks = nice_ticks(min(values), max(values))
    across = _Scale(ticks[0], ticks[-1], left, WIDTH - RIGHT)
    parts = _x_axis(ticks, across, height, x_label, grid=True)
    for index, row in enumerate(rows):
        y = TOP + ROW * (index + 0.5)
        colour = _colour(1 if row.marked else 0)
        parts.append(_text(left - 10, y + 4, row.label, "end", INK, bold=row.marked))
        finite = [v for v in row.values if math.isfinite(v)]
        parts += [
            f'<circle cx="{across(v):.1f}" cy="{y:.1f}" r="5" fill="{colour}" fill-opacity="0.65"/>' for v in finite
        ]
        if finite:
            x = across(math.fsum(finite) / len(finite))
            parts.append(f'<path d="M{x:.1f} {y - 10:.1f}v20" stroke="{colour}" stroke-width="2.5"/>')
    return _svg(title, height, parts)


def bar_chart(bars: Sequence[tuple[str, float]], title: str, x_label: str) -> str:
    """Horizontal bars from zero with their values at the end, as SVG; a value that is not finite has no bar."""
    height = TOP + ROW * max(len(bars), 1) + BOTTOM
    finite = [value for _, value in bars if math.isfinite(value)]
    ticks = nice_ticks(0.0, max([*finite, 1e-9]))
    left = _label_width([label for label, _ in bars])
    across = _Scale(0.0, ticks[-1], left, WIDTH - RIGHT - 44)
    parts = _x_axis(ticks, across, height, x_label, grid=True)
    for index, (label, value) in enumerate(bars):
        y = TOP + ROW * index
        parts.append(_text(left - 10, y + ROW / 2 + 4, label, "end", INK))
        if not math.isfinite(value):
            continue
        width = max(across(value) - left, 1.0)
        box = f'x="{left:.1f}" y="{y + 6:.1f}" width="{width:.1f}" height="{ROW - 12:.1f}"'
        parts.append(f'<rect {box} rx="3" fill="{_colour(0)}"/>')
        parts.append(_text(left + width + 6, y + ROW / 2 + 4, _number(value), "start", MUTED))
    return _svg(title, height, parts)


@dataclass(frozen=True)
class _Scale:
    """Value → pixel, linear."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    name = escape(title)
    heading = f'<text x="0" y="16" font-size="14" font-weight="600" fill="{INK}">{name}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{name}" '
        f'font-family="system-ui, sans-serif" font-size="12">{heading}{"".join(parts)}</svg>'
    )


def _x_axis(ticks: Sequence[float], across: _Scale, height: float, label: str, grid: bool = False) -> list[str]:
    base = height - BOTTOM
    parts = [_rule(across(t), TOP if grid else base, across(t), base + 5) for t in ticks]
    parts += [_text(across(t), base + 19, _number(t), "middle", MUTED) for t in ticks]
    return [*parts, _text((across.start + across.end) / 2, height - 6, label, "middle", MUTED)]


def _upright(label: str) -> str:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<text transform="translate(13 {middle:g}) rotate(-90)" text-anchor="middle" fill="{MUTED}">'
        f"{escape(label)}</text>"
    )


def _line(series: Series, index: int, across: _Scale, up: _Scale) -> list[str]:
    path, broken = [], True
    for x, y in zip(series.x, series.y, strict=True):
        if math.isfinite(y):
            path.append(f"{'M' if broken else 'L'}{across(x):.1f} {up(y):.1f}")
        broken = not math.isfinite(y)
    style = f'fill="none" stroke="{_colour(index)}" stroke-width="2.2" stroke-linejoin="round" stroke-linecap="round"'
    parts = [f'<path d="{"".join(path)}" {style} stroke-dasharray="{DASHES[index % len(DASHES)]}"/>'] if path else []
    return parts + [_dot(across(x), up(y), index) for x, y in _alone(series)]


def _alone(series: Series) -> list[tuple[float, float]]:
    """Points without a neighbour, which a line would not show."""
    points = list(zip(series.x, series.y, strict=True))
    seen = [False, *(math.isfinite(y) for _, y in points), False]
    return [point for i, point in enumerate(points) if seen[i + 1] and not seen[i] and not seen[i + 2]]


def _dot(x: float, y: float, index: int) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_colour(index)}"/>'


def _legend(names: Sequence[str]) -> list[str]:
    """Names with a piece of their line, right-aligned above the plot; none for a single line."""
    if len(names) < 2:
        return []
    parts, x = [], WIDTH - RIGHT
    for index, name in reversed(list(enumerate(names))):
        parts.append(_text(x, 16, name, "end", MUTED))
        x -= len(name) * LETTER + 6
        dash = DASHES[index % len(DASHES)]
        parts.append(
            f'<path d="M{x - 22:.1f} 12h22" stroke="{_colour(index)}" stroke-width="2.2" stroke-dasharray="{dash}"/>'
        )
        x -= 36
    return parts


def _text(x: float, y: float, text: str, anchor: str, colour: str, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{RULE}"/>'


def _label_width(labels: Sequence[str]) -> float:
    return min(WIDTH / 2, 18 + LETTER * max((len(label) for label in labels), default=0))


def _colour(index: int) -> str:
    place = index % len(PALETTE)
    return f"var(--series-{place + 1}, {PALETTE[place]})"


def _number(value: float) -> str:
    return f"{value:.4g}"
