"""How a run went, epoch by epoch, as PNG bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from darts_train.figures.style import COLOURS, DPI, INK, MUTED, tidy, to_png

Line = tuple[Sequence[float], Sequence[float]]  # epochs, values


def epochs_panel(losses: Mapping[str, Line], scores: Mapping[str, Line], rate: Line, title: str) -> bytes:
    """Losses, scores and the learning rate over epochs; values that are not finite are gaps. PNG.

    Args:
        losses: name → epochs and values; drawn on a logarithmic axis where all are above 0 and they span a decade.
        scores: likewise, between 0 and 1; the highest of the first is marked.
        rate: epochs and learning rates.
        title: heading.
    """
    figure = Figure(figsize=(11, 3.8), dpi=DPI, layout="constrained")
    titles = ("loss", "validation", "learning rate")
    axes = figure.subplots(1, 3, width_ratios=(1, 1.25, 0.75))
    left, middle, right = (tidy(axis, title=t, xlabel="epoch") for axis, t in zip(axes, titles, strict=True))
    _draw(left, losses)
    known = np.concatenate([_finite(line)[1] for line in losses.values()]) if losses else np.zeros(0)
    if len(known) and known.min() > 0 and known.max() > 10 * known.min():
        left.set_yscale("log")
    _draw(middle, scores)
    _mark_best(middle, scores)
    middle.set_ylim(0, 1.02)
    _draw(right, {"learning rate": rate}, legend=False)
    right.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    right.yaxis.get_offset_text().set(fontsize=8, color=MUTED)
    for axis in (left, middle, right):
        axis.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(title, fontsize=11, color=INK)
    return to_png(figure)


def _draw(axis: Any, lines: Mapping[str, Line], legend: bool = True) -> None:
    for index, (name, line) in enumerate(lines.items()):
        x, y = _finite(line)
        marker = "o" if len(x) < 30 else None
        axis.plot(x, y, color=COLOURS[index % len(COLOURS)], lw=1.8, marker=marker, ms=3, label=name)
    if legend and lines:
        axis.legend(fontsize=8, frameon=False, labelcolor=INK)


def _mark_best(axis: Any, scores: Mapping[str, Line]) -> None:
    name, line = next(iter(scores.items()), ("", ((), ())))
    x, y = _finite(line)
    if len(y):
        best = int(y.argmax())
        axis.plot(x[best], y[best], "*", ms=12, color=COLOURS[0], mec="white", zorder=4)
        place = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center"}
        axis.annotate(f"{name} {y[best]:.3f}", (x[best], y[best]), fontsize=8, color=INK, **place)


def _finite(line: Line) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = (np.asarray(part, np.float64) for part in line)
    return x[np.isfinite(y)], y[np.isfinite(y)]
