"""Masks of pictures: grey values with a threshold, colours, channels that all say the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError
from darts_train.raster.band import IGNORE_INDEX
from darts_train.raster.patches import Window
from darts_train.scenes.class_values import IGNORED
from darts_train.scenes.photos.file import coloured, upright
from darts_train.scenes.photos.whole import require_whole
from darts_train.scenes.raster_file import RasterFile, open_dataset

_LOOK_ROWS = 1024  # rows looked at at once


@dataclass(frozen=True)
class MaskFile(RasterFile):
    """A mask of one band made of a picture; its facts are those of that band.

    With `threshold` values are 0 and 1 (greater than the threshold), counts of fewer than eight bits taken times
    `stretch` so that the brightest is 255; with `colours` they are red · 65536 + green · 256 + blue; else the grey
    values themselves.
    """

    picture: RasterFile | None = None
    threshold: float | None = None
    colours_as_values: bool = False
    stretch: float = 1.0

    def _read_inside(self, bands: Sequence[int], window: Window, nodata: float | None) -> tuple[np.ndarray, np.ndarray]:
        assert self.picture is not None
        values, valid = self.picture.read(range(len(self.picture.indexes)), window, nodata)
        present: np.ndarray = np.logical_and.reduce(valid, axis=0, keepdims=True)
        if self.colours_as_values:
            red, green, blue = values.astype(np.uint32)
            return (red << 16 | green << 8 | blue)[None], present
        if (values != values[:1]).any():
            is_palette = getattr(self.picture, "palette", None) is not None
            raise UserError(
                f"{self.path}: a mask in colours; say with --mask-colours which colour is which class (RRGGBB:0,…)"
                f"{', or with --remap alone which palette index' if is_palette else ''}."
            )
        grey = values[:1]
        if self.threshold is None:
            return grey, present
        return (grey * self.stretch > self.threshold).astype(np.uint8), present

    def greatest(self) -> float:
        """The greatest grey value that is valid, before the threshold, whole mask by parts; 0 without any."""
        assert self.picture is not None
        found = 0.0
        for top in range(0, self.grid.height, _LOOK_ROWS):
            part = Window(0, top, self.grid.width, _LOOK_ROWS).intersection(self.grid.extent)
            values, valid = self.picture.read([0], part)
            found = max(found, float(values[valid].max(initial=0)) * self.stretch)
        return found


def open_mask(path: Path, threshold: float | None = None, by_colour: bool = False) -> RasterFile:
    """Look at a mask: turned by its own tag. The values of a palette are read as they are, but for colours and grey.

    Raises UserError as `RasterFile.open`, where the file is cut off, and where colours are asked of a file that has
    none.
    """
    file = RasterFile.open(path)
    require_whole(path)
    has_palette = file.colours == ("palette",) and file.dtypes == ("uint8",)
    if has_palette and (by_colour or threshold is not None):
        file = coloured(file)
    picture = upright(file)
    if by_colour and (len(picture.indexes) != 3 or set(picture.dtypes) != {"uint8"}):
        raise UserError(f"{path}: --mask-colours needs three bands of bytes, or a palette; this has none of these.")
    if len(picture.indexes) not in (1, 3) or (threshold is None and len(picture.indexes) == 1):
        return picture  # of which two or more than three bands are refused, as of any label raster
    dtype = "uint32" if by_colour else picture.dtypes[0] if threshold is None else "uint8"
    return MaskFile(
        path=picture.path,
        grid=picture.grid,
        indexes=picture.indexes[:1],
        dtypes=(dtype,),
        descriptions=picture.descriptions[:1],
        colours=picture.colours[:1],
        scales=picture.scales[:1],
        offsets=picture.offsets[:1],
        nodata=picture.nodata[:1],
        block=picture.block,
        picture=picture,
        threshold=threshold,
        colours_as_values=by_colour,
        stretch=1.0 if threshold is None else _stretch(path),
    )


def _stretch(path: Path) -> float:
    """What brings counts of fewer than eight bits to 255; 1 for all others."""
    with open_dataset(path) as dataset:
        bits = int(dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 8))
    return 255 / (2**bits - 1) if bits < 8 else 1.0


def parse_colours(text: str, classes: int) -> dict[int, int]:
    """`000000:0,ff0000:1` → {red · 65536 + green · 256 + blue: class index or IGNORE_INDEX}.

    Raises UserError where the text has another form, a colour comes twice, or an index is that of no class.
    """
    found: dict[int, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        colour, _, index = part.partition(":")
        digits = colour.strip().removeprefix("#")
        try:
            value, number = int(digits, 16), int(index)
        except ValueError:
            value = number = -1
        if len(digits) != 6 or not (number == IGNORED or 0 <= number < classes) or value in found:
            raise UserError(
                f"--mask-colours: {part!r} is not RRGGBB:CLASS, each colour once, classes 0 to {classes - 1} or -100."
            )
        found[value] = IGNORE_INDEX if number == IGNORED else number
    if not found:
        raise UserError("--mask-colours: no colour is given.")
    return found


def colour_names(counts: Mapping[float, int]) -> list[str]:
    """Colours with their pixels in words, the most frequent first."""
    return [f"{int(value):06x} ({n} pixels)" for value, n in sorted(counts.items(), key=lambda item: -item[1])]
