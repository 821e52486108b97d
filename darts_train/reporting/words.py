"""Numbers and times as reports show them."""

import math
from typing import Any


def figure(value: Any) -> str:
    """A number in three digits; text as it is; a dash for what is missing."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.3f}" if 0.01 <= abs(value) < 10 and not float(value).is_integer() else f"{value:.6g}"


def score_figure(value: float | None) -> str:
    """A score in four decimals; a dash for what is missing."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"


def setting(value: Any) -> str:
    """A setting as it would be typed: lists with commas, none for nothing, numbers short."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(setting(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """`12 s`, `3 min 51 s`, `5 h 20 min`, or `4 d 3 h`; a dash for NaN."""
    if not math.isfinite(seconds):
        return "–"
    whole = round(seconds)
    for size, unit, part, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {name}"
    return f"{whole} s"
