"""What SVG charts are drawn with: scales, ticks, texts and the colours of the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
INK, MUTED, RULE = "var(--ink, #1d2733)", "var(--muted, #5b6875)", "var(--rule, #d9dfe5)"
WIDTH = 520.0
LETTER = 6.6  # width of a letter of the labels, about


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart), about `count` of them, that enclose [low, high].

    Equal limits are widened. Raises ValueError where a limit is not finite.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"limits of an axis must be finite, not {low} and {high}")
    if high - low < 1e-290:
        low, high = low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next((m for m in (1.0, 2.0, 5.0) if m * power >= raw * 0.999), 10.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(12, 2 - math.floor(math.log10(step)))  # the dust of arithmetic goes, small steps stay
    return [round(i * step, digits) for i in range(first, last + 1)]


@dataclass(frozen=True)
class Scale:
    """Value → pixel, linear."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def document(title: str, height: float, parts: Sequence[str], width: float = WIDTH) -> str:
    """An SVG of `parts` under a heading, which is also what is read aloud."""
    name = escape(title)
    heading = f'<text x="0" y="16" font-size="14" font-weight="600" fill="{INK}">{name}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{name}" '
        f'font-family="system-ui, sans-serif" font-size="12">{heading}{"".join(parts)}</svg>'
    )


def draw_text(x: float, y: float, text: str, anchor: str, colour: str, bold: bool = False) -> str:
    """A piece of text, escaped; `anchor` is start, middle or end."""
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>'


def draw_rule(x1: float, y1: float, x2: float, y2: float) -> str:
    """A faint straight line."""
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{RULE}"/>'


def label_width(labels: Sequence[str]) -> float:
    """Room for the longest label, at most half the width."""
    return min(WIDTH / 2, 18 + LETTER * max((len(label) for label in labels), default=0))


def series_colour(index: int) -> str:
    """Colour of a series: that of the page, or of the palette."""
    place = index % len(PALETTE)
    return f"var(--series-{place + 1}, {PALETTE[place]})"


def short_number(value: float) -> str:
    """Four digits."""
    return f"{value:.4g}"


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Ticks in four digits, or as many more as tell them apart."""
    labels: list[str] = []
    for digits in (4, 5, 6, 7, 8):
        labels = [f"{tick:.{digits}g}" for tick in ticks]
        if len(set(labels)) == len(labels):
            break
    return labels
