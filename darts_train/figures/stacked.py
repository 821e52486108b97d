"""Bars of several parts, and the small drawings that stand in the cells of a table, as SVG text."""

from collections.abc import Sequence

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
    label_width,
    nice_ticks,
    short_number,
)

ROW, TOP, BOTTOM, RIGHT = 24.0, 34.0, 44.0, 16.0
CELL_WIDTH, CELL_HEIGHT = 144.0, 34.0
BAR_WIDTH, BAR_HEIGHT = 144.0, 10.0


def stacked_bars(
    rows: Sequence[tuple[str, Sequence[float], str]], colours: Sequence[str], title: str, x_label: str
) -> str:
    """Horizontal bars whose parts stand one after the other, from zero.

    Args:
        rows: label, parts (each at least 0, one for each colour), and the words at the end of the bar.
        colours: of the parts.
        title: heading.
        x_label: what the lengths are.
    """
    height = TOP + ROW * max(len(rows), 1) + BOTTOM
    labels = [_cut(label) for label, _, _ in rows]
    left, beside = label_width(labels), LETTER * max((len(words) for *_, words in rows), default=0) + 8
    ticks = nice_ticks(0.0, max([sum(parts) for _, parts, _ in rows] + [1e-9]), 4)
    if all(float(part).is_integer() for _, parts, _ in rows for part in parts):
        ticks = [t for t in ticks if t.is_integer()]  # no half patches
    across = Scale(0.0, ticks[-1], left, WIDTH - RIGHT - beside)
    base = height - BOTTOM
    drawn = [draw_rule(across(t), TOP, across(t), base + 5) for t in ticks]
    drawn += [draw_text(across(t), base + 19, short_number(t), "middle", MUTED) for t in ticks]
    drawn.append(draw_text((across.start + across.end) / 2, height - 6, x_label, "middle", MUTED))
    for index, (label, (_, parts, words)) in enumerate(zip(labels, rows, strict=True)):
        y = TOP + ROW * index
        drawn.append(draw_text(left - 10, y + ROW / 2 + 4, label, "end", INK))
        drawn += _bar(parts, colours, across, y)
        drawn.append(draw_text(across(sum(parts)) + 6, y + ROW / 2 + 4, words, "start", MUTED))
    return document(title, height, drawn)


def small_histogram(counts: Sequence[int], low: str, high: str, name: str) -> str:
    """A histogram for a table cell: `low` and `high` below its ends; nothing but a line where all counts are 0."""
    base, peak = CELL_HEIGHT - 12.0, max([*counts, 1])
    step = CELL_WIDTH / max(len(counts), 1)
    path = "".join(
        f"M{i * step:.1f} {base:g}v{-(base - 1) * count / peak:.1f}h{step:.1f}V{base:g}z"
        for i, count in enumerate(counts)
        if count
    )
    bars = f'<path d="{path}" fill="var(--series-1, #0072b2)"/>' if path else ""
    parts = [bars, draw_rule(0, base, CELL_WIDTH, base)]
    parts += [
        draw_text(0, CELL_HEIGHT - 1, low, "start", MUTED),
        draw_text(CELL_WIDTH, CELL_HEIGHT - 1, high, "end", MUTED),
    ]
    return _cell(CELL_HEIGHT, f"histogram of {name}", parts)


def small_bar(share: float, colour: str, name: str) -> str:
    """A share, 0 to 1, as a bar for a table cell."""
    box = f'height="{BAR_HEIGHT:g}" rx="3"'
    length = BAR_WIDTH * min(max(share, 0.0), 1.0)
    parts = [f'<rect width="{BAR_WIDTH:g}" {box} fill="{RULE}"/>']
    if length:
        parts.append(f'<rect width="{max(length, 1.5):.1f}" {box} fill="{colour}"/>')
    return _cell(BAR_HEIGHT, f"share of {name}", parts)


def _bar(parts: Sequence[float], colours: Sequence[str], across: Scale, y: float) -> list[str]:
    drawn, done = [], 0.0
    for value, colour in zip(parts, colours, strict=True):
        start, done = across(done), done + value
        if value:
            box = f'x="{start:.1f}" y="{y + 4:.1f}" width="{max(across(done) - start, 0.8):.1f}" height="{ROW - 8:g}"'
            drawn.append(f'<rect {box} fill="{colour}"/>')
    return drawn


def _cell(height: float, name: str, parts: Sequence[str]) -> str:
    from html import escape

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CELL_WIDTH:g} {height:g}" width="{CELL_WIDTH:g}" '
        f'height="{height:g}" role="img" aria-label="{escape(name)}" font-family="system-ui, sans-serif" '
        f'font-size="10">{"".join(parts)}</svg>'
    )


def _cut(label: str, letters: int = 34) -> str:
    return label if len(label) <= letters else label[: letters - 1] + "…"
