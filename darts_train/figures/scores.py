"""Pictures of how a test went: scores over the threshold, and the scenes that were hardest, as PNG bytes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from darts_train.figures.panels import DPI, to_png

STYLES = ("-", "--", ":", "-.")
LETTERS = 40  # of a scene's name that fit


def threshold_panel(
    thresholds: NDArray[np.float64], lines: Mapping[str, NDArray[np.float64]], marks: Mapping[str, float]
) -> bytes:
    """Scores over the threshold, PNG.

    Args:
        thresholds: float [n].
        lines: name → scores, float [n] each.
        marks: name → threshold, drawn as an upright line.
    """
    figure = Figure(figsize=(7, 5), dpi=DPI, layout="constrained")
    axis = figure.subplots()
    for index, (name, values) in enumerate(lines.items()):
        axis.plot(thresholds, values, STYLES[index % len(STYLES)], label=name)
    for index, (name, place) in enumerate(marks.items()):
        label = f"{name} ({place:.3f})"
        axis.axvline(place, color="black", alpha=0.6, lw=1, ls=STYLES[index % len(STYLES)], label=label)
    axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="threshold", ylabel="score", title="scores over the threshold")
    axis.grid(alpha=0.3)
    axis.legend(loc="lower center", ncols=2, fontsize=8)
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
    figure = Figure(figsize=(9, 1.4 + 0.32 * max(len(names), 1)), dpi=DPI, layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(names))
    axis.barh(places, scores, color="tab:blue")
    for place, (score, count) in enumerate(zip(scores, positives, strict=True)):
        axis.text(score + 0.01, place, f"{score:.3f}, {count:,} px", va="center", fontsize=8)
    axis.axvline(overall, color="black", lw=1, ls="--", label=f"all pixels ({overall:.3f})")
    axis.set(xlim=(0, 1.2), ylim=(max(len(names), 1) - 0.4, -0.6), yticks=places, xlabel="IoU", title=title)
    axis.set_xticks(np.linspace(0, 1, 6))
    axis.set_yticklabels([_shortened(name) for name in names], fontsize=8)
    axis.legend(loc="lower right", fontsize=8)
    return to_png(figure)


def _shortened(name: str) -> str:
    """A name with its middle left out where it is long: both ends tell scenes apart."""
    if len(name) <= LETTERS:
        return name
    half = (LETTERS - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
