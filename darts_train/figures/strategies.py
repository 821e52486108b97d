"""How strategies combine two metrics to one score: contours over both, one panel each, as SVG."""

from collections.abc import Callable, Sequence
from html import escape

from darts_train.figures.svg import INK, MUTED, Scale, draw_rule, draw_text

SIDE, GAP, LEFT, TOP, BOTTOM = 190.0, 62.0, 48.0, 34.0, 46.0
STEPS, HALVINGS = 24, 16  # points of a line; steps of its search
LEVELS = tuple(round(0.1 * i, 1) for i in range(1, 10))
LOW, HIGH = (247, 251, 255), (8, 81, 156)  # from pale to deep blue
Point = tuple[float, float]
Combine = Callable[[float, float], float]


def strategy_panels(panels: Sequence[tuple[str, Combine]], x_label: str, y_label: str, marks: Sequence[Point]) -> str:
    """Panels side by side: the score of two metrics in [0, 1], with lines of equal score a tenth apart.

    A strategy may not fall where a metric rises. `marks` are runs, shown in every panel with their score.
    """
    width = LEFT + len(panels) * (SIDE + GAP) - GAP + 30
    height = TOP + SIDE + BOTTOM
    parts = []
    for index, (name, combine) in enumerate(panels):
        parts += _panel(LEFT + index * (SIDE + GAP), name, combine, marks)
        parts.append(draw_text(LEFT + index * (SIDE + GAP) + SIDE / 2, height - 8, x_label, "middle", MUTED))
    upright = f'<text transform="translate(14 {TOP + SIDE / 2:g}) rotate(-90)" text-anchor="middle" fill="{MUTED}">'
    parts.append(f"{upright}{escape(y_label)}</text>")
    said = escape(f"Scores of {x_label} and {y_label}: {', '.join(name for name, _ in panels)}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{said}" '
        f'font-family="system-ui, sans-serif" font-size="12">{"".join(parts)}</svg>'
    )


def _panel(left: float, name: str, combine: Combine, marks: Sequence[Point]) -> list[str]:
    across, up = Scale(0, 1, left, left + SIDE), Scale(0, 1, TOP + SIDE, TOP)
    parts = [draw_text(left + SIDE / 2, 20, name, "middle", INK, bold=True)]
    parts.append(f'<rect x="{left:g}" y="{TOP:g}" width="{SIDE:g}" height="{SIDE:g}" fill="{_colour(0)}"/>')
    for level in LEVELS:
        line = [f"{across(x):.1f} {up(y):.1f}" for x, y in boundary(combine, level)]
        if line:
            area = f"M{line[0].split()[0]} {TOP:g}L{'L'.join(line)}V{TOP:g}z"
            edge = f'stroke="#ffffff" stroke-width="{1.8 if level == 0.5 else 0.7}"'
            parts.append(f'<path d="{area}" fill="{_colour(level)}" {edge}/>')
    for tick in (0.0, 0.5, 1.0):
        parts.append(draw_rule(across(tick), TOP + SIDE, across(tick), TOP + SIDE + 4))
        parts.append(draw_text(across(tick), TOP + SIDE + 17, f"{tick:g}", "middle", MUTED))
        parts.append(draw_text(left - 6, up(tick) + 4, f"{tick:g}", "end", MUTED))
    return [*parts, *(part for mark in marks for part in _mark(mark, combine, across, up))]


def _mark(mark: Point, combine: Combine, across: Scale, up: Scale) -> list[str]:
    x, y = across(mark[0]), up(mark[1])
    side, anchor = (-8, "end") if mark[0] > 0.7 else (8, "start")
    text = draw_text(x + side, y + 4, f"{combine(*mark):.2f}", anchor, "#1d2733", bold=True)
    halo = '<text stroke="#ffffff" stroke-width="3" paint-order="stroke"'
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="#d55e00" stroke="#ffffff"/>'
    return [dot, text.replace("<text", halo, 1)]


def _colour(score: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * score):02x}" for a, b in zip(LOW, HIGH, strict=True))


def boundary(combine: Combine, level: float) -> list[Point]:
    """The line in [0, 1]² above and to the right of which the score is at least `level`; empty where it never is.

    For x from the least one that can reach the level, the least y that does.
    """
    if combine(1.0, 1.0) < level:
        return []
    start = _least(lambda x: combine(x, 1.0) >= level)
    xs = [start + (1 - start) * (i / STEPS) ** 2 for i in range(STEPS + 1)]  # closer where the line is steep
    return [(start, 1.0), *((x, _least(lambda y, x=x: combine(x, y) >= level)) for x in xs)]  # type: ignore[misc]


def _least(reached: Callable[[float], bool]) -> float:
    """The least number in [0, 1] for which `reached` holds, as it does for all greater ones, and for 1."""
    low, high = 0.0, 1.0
    if reached(low):
        return low
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
