"""A map at a glance: the scene, the classes laid over it, the probability, side by side as one PNG."""

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from darts_train.figures.maps import class_colour, hex_colour, with_classes
from darts_train.figures.style import to_png

PANEL_INCHES, DPI = 5.0, 110


def quicklook(
    picture: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    probability: NDArray[np.float32],
    names: Sequence[str],
    title: str,
) -> bytes:
    """PNG of three panels.

    Args:
        picture: the scene, uint8 [h, w, 3].
        classes: class index uint8 [h, w], 255 no data.
        probability: float32 [h, w] in 0…1, NaN no data: of the positive class, or of the chosen one.
        names: classes, the background first.
        title: above the panels.
    """
    height, width = classes.shape
    figure = Figure(figsize=(3 * PANEL_INCHES, PANEL_INCHES * min(2.0, height / width) + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    axes = figure.subplots(1, 3)
    axes[0].imshow(picture, interpolation="nearest")
    axes[0].set_title("scene")
    axes[1].imshow(with_classes(picture, classes), interpolation="nearest")
    axes[1].set_title("map")
    shown = axes[2].imshow(probability, vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
    axes[2].set_title(f"probability of {names[1]}" if len(names) == 2 else "probability of the chosen class")
    figure.colorbar(shown, ax=axes[2], shrink=0.8)
    for axis in axes:
        axis.set_axis_off()
    keys = [Patch(color=hex_colour(class_colour(i)), label=name) for i, name in enumerate(names) if i]
    axes[1].legend(handles=keys, loc="lower left", fontsize=8, framealpha=0.8)
    figure.suptitle(title)
    return to_png(figure)
