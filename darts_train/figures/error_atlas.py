"""The worst places of maps: image, labels, map and errors side by side, tile by tile. Arrays → PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from darts_train.figures.panels import CLASS_COLOURS, EXTRA, HIT, IGNORED, MISSED, agreement_image, class_image
from darts_train.figures.style import DPI, INK, MUTED, to_png

SIDE, GAP = 168, 4  # pixels of a panel, and between panels
HEAD, TITLE, LEGEND = 16, 20, 30  # pixels above all, above each tile, and below all
ACROSS = 2  # tiles in a line
_BLANK, _GAP_GREY = 0.92, 0.6  # where there is no image, and between panels
Picture = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class AtlasTile:
    """One place.

    Attributes:
        image: float [h, w, 3] in 0…1; None: no image.
        target: true classes uint8 [h, w], `ignore_index` where nothing counts.
        predicted: classes of the map uint8 [h, w], `ignore_index` where it says nothing.
        title: above the tile.
    """

    image: Picture | None
    target: NDArray[np.uint8]
    predicted: NDArray[np.uint8]
    title: str


def error_atlas(tiles: Sequence[AtlasTile], classes: Sequence[str], ignore_index: int) -> bytes:
    """PNG of at least one tile, in the order given, two in a line."""
    strips = [_strip(tile, ignore_index) for tile in tiles]
    width, height = max(strip.shape[1] for strip in strips), SIDE
    lines = -(-len(tiles) // ACROSS)
    across = min(ACROSS, len(tiles))
    size = across * width + (across + 1) * 3 * GAP, HEAD + lines * (height + TITLE) + LEGEND
    figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    for number, (tile, strip) in enumerate(zip(tiles, strips, strict=True)):
        line, column = divmod(number, ACROSS)
        left, top = 3 * GAP + column * (width + 3 * GAP), HEAD + line * (height + TITLE) + TITLE
        place = (left / size[0], 1 - (top + height) / size[1], strip.shape[1] / size[0], height / size[1])
        axis = figure.add_axes(place)
        axis.set_axis_off()
        axis.imshow(strip, interpolation="nearest", aspect="auto")
        axis.set_title(tile.title, fontsize=7.5, color=INK, pad=2, loc="left")
        for panel, text in enumerate(_heads(tile) if line == 0 else ()):
            middle = left + panel * (SIDE + GAP) + SIDE / 2
            figure.text(middle / size[0], 1 - 4 / size[1], text, fontsize=8, color=MUTED, ha="center", va="top")
    figure.legend(
        handles=_handles(classes), loc="lower center", ncols=len(_handles(classes)), fontsize=8, frameon=False,
        handlelength=1, handleheight=1, columnspacing=1.2, handletextpad=0.4, labelcolor=INK,
    )  # fmt: skip
    return to_png(figure)


def _heads(tile: AtlasTile) -> list[str]:
    return ["image"] * (tile.image is not None) + ["labels", "map", "errors"]


def _handles(classes: Sequence[str]) -> list[Patch]:
    errors = {"found": HIT, "missed": MISSED, "extra": EXTRA, "not counted": IGNORED}
    names = {name: CLASS_COLOURS[i % len(CLASS_COLOURS)] for i, name in enumerate(classes[1:])}
    return [Patch(color=colour, label=name) for name, colour in (names | errors).items()]


def _strip(tile: AtlasTile, ignore_index: int) -> Picture:
    """The panels of a tile in a row, float [SIDE, w, 3]: image where there is one, labels, map, errors."""
    below = np.full((*tile.target.shape, 3), _BLANK) if tile.image is None else tile.image
    panels = [] if tile.image is None else [tile.image]
    panels += [_classes(tile.target, ignore_index), _classes(tile.predicted, ignore_index)]
    panels.append(agreement_image(below, tile.target, tile.predicted, ignore_index))
    gap = np.full((SIDE, GAP, 3), _GAP_GREY)
    parts = [part for panel in panels for part in (fitted(panel), gap)]
    return np.concatenate(parts[:-1], axis=1)


def _classes(labels: NDArray[np.uint8], ignore_index: int) -> Picture:
    picture = class_image(np.where(labels == ignore_index, 0, labels).astype(np.int64))
    picture[labels == ignore_index] = IGNORED
    return picture


def fitted(picture: Picture) -> Picture:
    """A picture [h, w, 3] as [SIDE, SIDE, 3]: thinned out or repeated, its longer side filling the panel."""
    longer = max(picture.shape[:2])
    places = np.minimum(np.arange(SIDE) * longer // SIDE, longer - 1)
    whole = np.ones((longer, longer, 3))
    whole[: picture.shape[0], : picture.shape[1]] = picture
    return np.asarray(whole[np.ix_(places, places)])
