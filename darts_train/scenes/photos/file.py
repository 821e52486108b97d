"""Pictures as cameras and drawing programs write them: turned by a tag, with a palette, cut off in the middle.

A picture that needs nothing stays a plain `RasterFile`. Pixels are read by window here too: the window is turned back,
read, and its pixels are turned and coloured.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.photos.whole import require_whole
from darts_train.scenes.raster_file import RasterFile, open_dataset

_ORIENTATION = 0x0112  # the tag of EXIF and TIFF


@dataclass(frozen=True)
class PictureFile(RasterFile):
    """A picture as a viewer shows it.

    `orientation` is that of EXIF, 1 to 8; `palette` [256] are the colours (red, green, blue, 0 to 255) of the values
    in the file, None where it has no palette; `inks` says that it is printed colour (CMYK), which GDAL reads as red,
    green and blue.
    """

    orientation: int = 1
    palette: tuple[tuple[int, int, int], ...] | None = None
    inks: bool = False

    def _read_inside(self, bands: Sequence[int], window: Window, nodata: float | None) -> tuple[np.ndarray, np.ndarray]:
        stored = stored_window(window, self.grid, self.orientation)
        if self.palette is None:
            values, valid = super()._read_inside(bands, stored, nodata)
        else:
            index, valid = super()._read_inside([0], stored, nodata)
            values = np.array(self.palette, np.uint8).T[list(bands)][:, index[0]]
        values, valid = turned(values, self.orientation), turned(valid, self.orientation)
        return values, np.broadcast_to(valid, values.shape)


def open_picture(path: Path) -> RasterFile:
    """Look at an image: turned as its tag says, palettes as colours, the rest as `RasterFile.open`.

    Files that have a place on the earth are never turned. Raises UserError as `RasterFile.open`, and where a JPG or
    PNG is cut off.
    """
    file = RasterFile.open(path)
    require_whole(path)
    if file.colours == ("palette",) and file.dtypes == ("uint8",):
        file = coloured(file)
    return upright(file)


def upright(file: RasterFile) -> RasterFile:
    """The file turned as its tag says; itself where nothing is to be turned."""
    orientation, inks = _header(file)
    if orientation == 1 and not inks:
        return file
    size = (file.grid.height, file.grid.width) if orientation >= 5 else (file.grid.width, file.grid.height)
    picture = file if isinstance(file, PictureFile) else PictureFile(**vars(file))
    return replace(picture, orientation=orientation, inks=inks, grid=Grid(*size))


def coloured(file: RasterFile) -> PictureFile:
    """The picture of a palette in three bands. Entries beyond the palette are black."""
    palette = palette_of(file.path)
    facts = vars(file) | {
        "indexes": file.indexes * 3,
        "dtypes": ("uint8",) * 3,
        "descriptions": (None,) * 3,
        "colours": ("red", "green", "blue"),
        "scales": (1.0,) * 3,
        "offsets": (0.0,) * 3,
        "nodata": (None,) * 3,
    }
    return PictureFile(**facts, palette=palette)


def palette_of(path: Path) -> tuple[tuple[int, int, int], ...]:
    """The 256 colours of a palette file, black beyond its palette. UserError where it cannot be read."""
    with open_dataset(path) as dataset:
        colours = dataset.colormap(1)
    return tuple(tuple(int(part) for part in colours.get(i, (0, 0, 0))[:3]) for i in range(256))  # type: ignore[misc]


def _header(file: RasterFile) -> tuple[int, bool]:
    """EXIF orientation, 1 where there is none or the file has a place on the earth; whether its colours are inks."""
    if file.grid.crs is not None or file.grid.transform is not None:
        return 1, False
    from PIL import Image  # the headers of JPG, PNG, WEBP and TIF; pixels are read by GDAL

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # pixels are not read here
            picture = Image.open(file.path)
        with picture:
            value, inks = picture.getexif().get(_ORIENTATION, 1), picture.mode == "CMYK"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 1, False  # a format that only GDAL reads, or a mosaic rather than a photo
    return (value if value in range(2, 9) else 1), inks


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels [..., h, w] as they are to be shown; from orientation 5 on rows and columns change places."""
    if orientation >= 5:
        pixels = pixels.swapaxes(-1, -2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[..., :, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[..., ::-1, :]
    return pixels


def stored_window(window: Window, grid: Grid, orientation: int) -> Window:
    """Where the pixels of a window of the shown picture, of the size of `grid`, lie in the stored one."""
    x, y = window.x, window.y
    if orientation in (2, 3, 6, 7):
        x = grid.width - window.right
    if orientation in (3, 4, 7, 8):
        y = grid.height - window.bottom
    if orientation >= 5:
        return Window(y, x, window.height, window.width)
    return Window(x, y, window.width, window.height)
