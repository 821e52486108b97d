"""Histograms of a column and the matrix of correlations, as SVG text that takes the colours of its page."""

import math
from collections.abc import Sequence
from html import escape

from darts_train.figures.charts import x_axis
from darts_train.figures.svg import (
    INK,
    LETTER,
    MUTED,
    RULE,
    WIDTH,
    Scale,
    document,
    draw_rule,
    draw_text,
    nice_ticks,
    series_colour,
    tick_labels,
)

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 220.0, 58.0, 16.0, 34.0, 44.0
TITLE = 62  # letters of a heading that fit
CELL_WIDTH, CELL_HEIGHT = 46.0, 26.0
NAME = 34  # letters of a name beside the matrix
COLD, WARM = "#3b4cc0", "#b40426"  # the ends of Moreland's (2009) coolwarm
FULL = 0.7  # from this strength on numbers are white


def histogram_chart(counts: Sequence[int], low: float, high: float, title: str, x_label: str, y_label: str) -> str:
    """Upright bars of equal width between two finite numbers, from zero, as SVG.

    Without a single count, or where `low` is not below `high`, the chart says so.
    """
    heading = _cut(title, TITLE)
    if not sum(counts) or not low < high:
        return document(heading, HEIGHT, [draw_text(WIDTH / 2, HEIGHT / 2, "nothing to show", "middle", MUTED)])
    x_ticks = [t for t in nice_ticks(low, high, 6) if low - 1e-9 * (high - low) <= t <= high + 1e-9 * (high - low)]
    y_ticks = [t for t in nice_ticks(0.0, max(counts), 4) if t.is_integer()]
    if y_ticks[-1] < max(counts):  # of a peak of one or two
        y_ticks.append(float(max(counts)))
    across, up = Scale(low, high, LEFT, WIDTH - RIGHT), Scale(0.0, y_ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [draw_rule(LEFT, up(t), WIDTH - RIGHT, up(t)) for t in y_ticks]
    texts = zip(y_ticks, tick_labels(y_ticks), strict=True)
    parts += [draw_text(LEFT - 8, up(t) + 4, text, "end", MUTED) for t, text in texts]
    parts += [*x_axis(x_ticks, across, HEIGHT, x_label), _upright(y_label)]
    step, base = (across.end - across.start) / len(counts), HEIGHT - BOTTOM
    gap = 1.0 if step > 4 else 0.0
    path = "".join(
        f"M{LEFT + i * step:.1f} {base:g}V{min(up(count), base - 1):.1f}h{step - gap:.2f}V{base:g}z"
        for i, count in enumerate(counts)
        if count
    )
    return document(heading, HEIGHT, [*parts, f'<path d="{path}" fill="{series_colour(0)}"/>'])


def correlation_matrix(
    names: Sequence[str], matrix: Sequence[Sequence[float]], title: str, width: float = WIDTH
) -> str:
    """The lower half of a matrix of correlations with its numbers, as SVG; a dash where one is unknown.

    Names stand on the diagonal, where they run into the empty half: so they stay level, and never meet.
    The stronger, the more colour: cold below 0, warm above.

    Args:
        names: of n ≥ 1 columns.
        matrix: n rows of n numbers from -1 to 1, or NaN.
        title: heading.
        width: least width of the drawing; it is wider where that is too narrow.
    """
    names = [_cut(name, NAME) for name in names]
    parts: list[str] = []
    for i, name in enumerate(names):
        y = TOP + i * CELL_HEIGHT
        for j in range(i):
            parts += _cell(matrix[i][j], j * CELL_WIDTH, y, f"{name} and {names[j]}")
        x = i * CELL_WIDTH + (8 if i else 1)
        parts.append(draw_text(x, y + CELL_HEIGHT / 2 + 4, name, "start", INK))
        width = max(width, x + 1.1 * LETTER * len(name))
    return document(title, TOP + CELL_HEIGHT * len(names) + 8, parts, width)


def _cell(value: float, x: float, y: float, pair: str) -> list[str]:
    known = math.isfinite(value)
    strength = min(abs(value), 1.0) if known else 0.0
    words = f"{round(value, 2) + 0.0:+.2f}".replace("+0.00", "0.00") if known else "-"
    box = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{CELL_WIDTH - 2:g}" height="{CELL_HEIGHT - 2:g}" rx="3"'
    fill = f'fill="{WARM if value > 0 else COLD}" fill-opacity="{strength:.2f}"' if known else 'fill="none"'
    ink = "#ffffff" if strength > FULL else INK
    told = f"<title>{escape(pair)}: {words}</title>"
    return [
        f'<rect {box} {fill} stroke="{RULE}">{told}</rect>',
        draw_text(x + CELL_WIDTH / 2, y + CELL_HEIGHT / 2 + 4, words, "middle", ink),
    ]


def _upright(label: str) -> str:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<text transform="translate(13 {middle:g}) rotate(-90)" text-anchor="middle" fill="{MUTED}">'
        f"{escape(label)}</text>"
    )


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"
