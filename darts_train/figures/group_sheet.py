"""Groups as lines of small pictures, so that a person sees what was put together. Arrays → PNG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from darts_train.figures.sheet import stretched
from darts_train.figures.style import INK, MUTED, close_layout, frame, to_png

SIDE_INCHES, DPI = 1.35, 90


@dataclass(frozen=True, eq=False)
class GroupLine:
    """One group.

    Attributes:
        title: above the pictures.
        pictures: some of its members, float32 [3, h, w] or [1, h, w] each, NaN no data.
        names: of these.
    """

    title: str
    pictures: Sequence[NDArray[np.float32]]
    names: Sequence[str]


def group_sheet(lines: Sequence[GroupLine], together: bool) -> bytes:
    """PNG, a line for each group; at least one. `together`: one stretch for all bands (red, green, blue)."""
    columns = max(len(line.pictures) for line in lines)
    size = (columns * SIDE_INCHES + 0.2, len(lines) * (SIDE_INCHES + 0.5) + 0.1)
    figure = Figure(figsize=size, dpi=DPI, layout=close_layout(0.04))
    parts = figure.subfigures(len(lines), 1, squeeze=False)[:, 0]
    for part, line in zip(parts, lines, strict=True):
        part.suptitle(line.title, fontsize=9, color=INK, x=0.01, ha="left")
        axes = part.subplots(1, columns, squeeze=False)[0]
        for axis in axes[len(line.pictures) :]:
            axis.set_axis_off()
        for axis, picture, name in zip(axes, line.pictures, line.names, strict=False):
            axis.imshow(stretched(picture, together), interpolation="nearest")
            frame(axis)
            axis.set_xlabel(name if len(name) <= 22 else f"…{name[-21:]}", fontsize=6, color=MUTED)
    return to_png(figure)
