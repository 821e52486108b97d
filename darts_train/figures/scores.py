"""Pictures of how a network does: confusion, curves, scores over the threshold and of scenes, as PNG bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from darts_train.figures.style import COLOURS, DASHES, DPI, INK, MUTED, RULE, tidy, to_png

LETTERS = 40  # of a scene's name that fit
Floats = NDArray[np.floating[Any]]


def confusion_panel(
    matrix: NDArray[np.integer[Any]], classes: Sequence[str], what: str = "pixels", of_all: bool = False
) -> bytes:
    """A confusion matrix [k, k] (rows true, columns predicted), coloured by the share of each row, PNG.

    A class that does not occur has an empty row (share 0). `what` is counted; `of_all`: shares of everything instead,
    where nothing can be counted as true background.
    """
    counts = np.asarray(matrix, np.float64)
    totals = np.broadcast_to(counts.sum(None if of_all else 1, keepdims=True), (len(counts), 1))
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    size = 2.6 + 0.9 * len(classes)
    figure = Figure(figsize=(size + 1.2, size), dpi=DPI, layout="constrained")
    title = f"{what}, as a share of {'all' if of_all else 'what is true'}"
    ticks = range(len(classes))
    settings = {"xlabel": "predicted", "ylabel": "true", "xticks": ticks, "yticks": ticks, "title": title}
    axis = tidy(figure.subplots(), grid=False, **settings)
    axis.spines[:].set_visible(False)
    shown = axis.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    for row, column in np.ndindex(*shares.shape):
        colour = "white" if shares[row, column] > 0.5 else INK
        known = totals[row, 0] > 0 and not (of_all and row == column == 0)
        share = f"{shares[row, column]:.1%}" if known else "–"
        axis.text(column, row - 0.1, share, ha="center", va="center", color=colour, fontsize=11)
        number = f"{int(counts[row, column]):,}" if known else ""
        axis.text(column, row + 0.16, number, ha="center", va="center", color=colour, fontsize=7, alpha=0.85)
    axis.set_xticklabels(classes, rotation=30 if len(classes) > 2 else 0, ha="right" if len(classes) > 2 else "center")
    axis.set_yticklabels(classes)
    axis.set_xticks(np.arange(len(classes) - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(len(classes) - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", lw=3)
    axis.tick_params(which="both", length=0)
    bar = figure.colorbar(shown, ax=axis, fraction=0.046, pad=0.03)
    bar.ax.tick_params(labelsize=7, colors=MUTED, length=2)
    bar.outline.set_visible(False)
    return to_png(figure)


def curve_panel(
    lines: Mapping[str, tuple[Floats, Floats]],
    labels: tuple[str, str],
    title: str,
    marks: Mapping[str, tuple[float, float]] | None = None,
    chance: tuple[Sequence[float], Sequence[float]] | None = None,
) -> bytes:
    """Curves in the unit square (ROC, precision over recall), PNG.

    Args:
        lines: name → x and y, float [n] each.
        labels: of both axes.
        title: heading.
        marks: name → a point on a curve.
        chance: x and y of what guessing would give, dotted.
    """
    figure = Figure(figsize=(5, 5.2), dpi=DPI, layout="constrained")
    axis = tidy(figure.subplots(), xlabel=labels[0], ylabel=labels[1], title=title)
    if chance is not None:
        axis.plot(*chance, ":", color=MUTED, lw=1.2, label="chance")
    for index, (name, (x, y)) in enumerate(lines.items()):
        colour = COLOURS[index % len(COLOURS)]
        axis.plot(x, y, DASHES[index // len(COLOURS) % len(DASHES)], color=colour, lw=2, label=name)
    for index, (name, (px, py)) in enumerate((marks or {}).items()):
        axis.plot(px, py, "os^D"[index % 4], color=INK, ms=6, mec="white", label=name, zorder=3)
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03), aspect="equal")
    if len(lines) > 1 or marks or chance is not None:
        axis.legend(fontsize=8, frameon=True, framealpha=0.9, edgecolor=RULE, loc="best")
    return to_png(figure)


def threshold_panel(
    thresholds: NDArray[np.float64], lines: Mapping[str, NDArray[np.float64]], marks: Mapping[str, float]
) -> bytes:
    """Scores over the threshold, PNG.

    Args:
        thresholds: float [n].
        lines: name → scores, float [n] each.
        marks: name → threshold, drawn as an upright line.
    """
    figure = Figure(figsize=(7, 4.6), dpi=DPI, layout="constrained")
    axis = tidy(figure.subplots(), xlabel="threshold", ylabel="score", title="scores over the threshold")
    for index, (name, values) in enumerate(lines.items()):
        axis.plot(thresholds, values, color=COLOURS[index % len(COLOURS)], lw=2, label=name)
    for index, (name, place) in enumerate(marks.items()):
        label = f"{name} ({place:.3f})"
        axis.axvline(place, color=INK, alpha=0.7, lw=1.2, ls=DASHES[1 + index % 3], label=label)
    axis.set(xlim=(0, 1), ylim=(0, 1.02))
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8, frameon=False)
    return to_png(figure)


def scenes_panel(
    names: Sequence[str], scores: Sequence[float], positives: Sequence[int], overall: float, title: str
) -> bytes:
    """Scores of scenes as bars, the first on top, beside the pixels of the class that each has; PNG.

    Args:
        names: Of the scenes.
        scores: Between 0 and 1.
        positives: True pixels of the class in each: a bad score on few of them weighs little.
        overall: The score of all pixels together, an upright line.
        title: Heading.
    """
    rows = max(len(names), 1)
    figure = Figure(figsize=(9, 1.4 + 0.32 * rows), dpi=DPI, layout="constrained")
    axis = tidy(figure.subplots(), xlabel="IoU", title=title)
    axis.grid(visible=False, axis="y")
    places = np.arange(len(names))
    axis.barh(places, scores, color=COLOURS[0], height=0.7)
    for place, (score, count) in enumerate(zip(scores, positives, strict=True)):
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        axis.text(score + 0.01, place, f"{score:.3f}   {count:,} px", va="center", fontsize=8, color=MUTED, bbox=box)
    axis.axvline(overall, color=INK, lw=1.2, ls="--", label=f"all pixels ({overall:.3f})")
    axis.set(xlim=(0, 1.2), ylim=(rows - 0.4, -0.6), yticks=places)
    axis.set_xticks(np.linspace(0, 1, 6))
    axis.set_yticklabels([_shortened(name) for name in names], fontsize=8)
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
    return to_png(figure)


def _shortened(name: str) -> str:
    """A name with its middle left out where it is long: both ends tell scenes apart."""
    if len(name) <= LETTERS:
        return name
    half = (LETTERS - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
