"""Patches one below the other: the picture, its labels, what networks say. Arrays → PNG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from darts_train.figures.sheet import labels_over, stretched
from darts_train.figures.style import to_png

SIDE_INCHES, DPI = 2.2, 90


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One patch.

    Attributes:
        bands: float32 [3, h, w] or [1, h, w], NaN no data.
        together: one stretch for all bands (red, green, blue); else one for each.
        y: labels, uint8 [h, w].
        probability: of any foreground class, float32 [h, w] in 0…1.
        title: above the row.
    """

    bands: NDArray[np.float32]
    together: bool
    y: NDArray[np.uint8]
    probability: NDArray[np.float32]
    title: str


def contact_sheet(rows: Sequence[SheetRow], ignore_index: int) -> bytes:
    """PNG of at least one row, two patches side by side."""
    lines = -(-len(rows) // 2)
    figure = Figure(figsize=(6 * SIDE_INCHES + 0.4, lines * (SIDE_INCHES + 0.35) + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    axes = figure.subplots(lines, 6, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for number, row in enumerate(rows):
        line = axes[number // 2, 3 * (number % 2) : 3 * (number % 2) + 3]
        picture = stretched(row.bands, row.together)
        line[0].imshow(picture, interpolation="nearest")
        line[1].imshow(labels_over(picture, row.y, ignore_index), interpolation="nearest")
        line[2].imshow(row.probability, vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
        line[1].set_title(row.title, fontsize=8)
    return to_png(figure)
