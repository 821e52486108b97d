"""What augmentation makes of real patches, as PNG bytes: each row a patch, first as it is, then draws of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from darts_train.figures.panels import CLASS_COLOURS, GAMMA, rgb_channels, thinned
from darts_train.figures.style import DPI, INK, close_layout, frame, to_png

CELL = 1.9  # inches


def augmentation_panel(
    x: npt.NDArray[np.floating[Any]],
    y: npt.NDArray[np.integer[Any]],
    names: Sequence[str],
    ignore_index: int,
    title: str,
) -> bytes:
    """Rows of patches; labels are outlines, and a row has one stretch, so that brightness can be compared. PNG.

    Args:
        x: Network input float [rows, draws, c, h, w]; draw 0 is the patch as it is.
        y: Class indices [rows, draws, h, w].
        names: The bands.
        ignore_index: Value of `y` that has no outline.
        title: Heading.
    """
    rows, draws = x.shape[:2]
    figure = Figure(figsize=(CELL * draws + 0.2, CELL * rows + 0.75), dpi=DPI, layout=close_layout(0.01))
    axes = figure.subplots(rows, draws, squeeze=False)
    channels = rgb_channels(names)
    for row in range(rows):
        shown = thinned(np.nan_to_num(x[row][:, channels]))
        low, high = (np.percentile(shown[0], q, axis=(1, 2))[:, None, None] for q in (2, 98))
        for draw in range(draws):
            unit = np.clip((shown[draw] - low) / np.where(high > low, high - low, 1.0), 0, 1) ** GAMMA
            heading = ("as it is" if draw == 0 else f"draw {draw}") if row == 0 else ""
            frame(axes[row, draw], heading).imshow(unit.transpose(1, 2, 0), interpolation="nearest")
            _outline(axes[row, draw], thinned(y[row, draw]), ignore_index)
    figure.suptitle(title, fontsize=11, color=INK)
    return to_png(figure)


def _outline(axis: Any, labels: npt.NDArray[np.integer[Any]], ignore_index: int) -> None:
    for value in np.unique(labels):
        if value in (0, ignore_index):
            continue
        mask = labels == value
        if not mask.all():
            colour = CLASS_COLOURS[(int(value) - 1) % len(CLASS_COLOURS)]
            for line, width in (("white", 2.4), (colour, 1.2)):  # seen on dark and on bright ground
                axis.contour(mask.astype(float), levels=[0.5], colors=[line], linewidths=width)
