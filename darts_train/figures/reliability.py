"""Whether probabilities mean what they say: a reliability diagram."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from darts_train.figures.style import COLOURS, DPI, MUTED, tidy, to_png

Floats = NDArray[np.floating[Any]]


def reliability_panel(lines: Mapping[str, tuple[Floats, Floats, Floats, float]]) -> bytes:
    """What came true over what was said, above how many pixels were said so, PNG.

    Args:
        lines: name → mean probability, share that came true (NaN where there is nothing), pixels, all float [bins], and
            the expected calibration error.
    """
    figure = Figure(figsize=(5, 6.4), dpi=DPI, layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    tidy(top, ylabel="share that came true", title="reliability")
    top.plot([0, 1], [0, 1], ":", color=MUTED, lw=1.2, label="what is said comes true")
    tidy(bottom, xlabel="probability", ylabel="share of pixels", yscale="log")
    least = 0.1
    for index, (name, (said, true, pixels, error)) in enumerate(lines.items()):
        shown, colour = np.isfinite(true), COLOURS[index % len(COLOURS)]
        top.plot(said[shown], true[shown], "o-", color=colour, ms=4, lw=1.8, label=f"{name}: error {error:.4f}")
        shares = pixels / max(pixels.sum(), 1)
        shares = np.maximum(shares, 1e-6)
        least = min(least, float(shares.min()))
        bottom.stairs(shares, np.linspace(0, 1, len(shares) + 1), color=colour, lw=1.5)
    # Whole decades alone: of fewer than two matplotlib labels the steps between, on top of each other.
    bottom.set_ylim(10.0 ** np.floor(np.log10(least)), 1.2)
    bottom.yaxis.set_minor_formatter(NullFormatter())
    top.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    top.legend(fontsize=8, frameon=False, loc="upper left")
    return to_png(figure)
