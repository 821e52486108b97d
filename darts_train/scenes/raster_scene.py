"""Any raster as a scene: a GeoTIFF, a mosaic, a photograph. Georeference is welcome but not needed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError, listing
from darts_train.raster.band import Band
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.measure import native_band, sample_values
from darts_train.scenes.raster_file import RasterFile
from darts_train.scenes.scene import HIGH_QUALITY, INVALID, NO_REGION, require_bands

_BLOCK_PIXELS = 2**16
_PICTURE = ("red", "green", "blue")


@dataclass(frozen=True)
class RasterScene:
    """A raster file as a scene; see `Scene` for what its methods promise."""

    file: RasterFile
    scene_id: str
    names: tuple[str, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    nodata: float | None = None
    region: str = NO_REGION
    group: str | None = None
    date: str | None = None
    sun: tuple[float, float] | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        band_names: Sequence[str] | None = None,
        scale: float | None = None,
        offset: float | None = None,
        nodata: float | None = None,
        scene_id: str | None = None,
        region: str = NO_REGION,
        group: str | None = None,
        date: str | None = None,
    ) -> "RasterScene":
        """Open a raster.

        Args:
            path: any format that GDAL reads.
            band_names: names of its bands, in order; None: its descriptions in lower case where every band has
                one of its own, red, green, blue for a picture of three bytes, else band_1, band_2, ….
            scale: value of one count; None: as the file says, else 1.
            offset: value of count 0; None: as the file says, else 0.
            nodata: count that means no data; None: as the file says by value, mask or alpha.
            scene_id: None: the stem of the file's name.
            region: where the scene lies.
            group: what the scene belongs to (a site, a flight).
            date: when it was taken, ISO 8601.

        Raises:
            UserError: the file cannot be read, or the number of names is not that of its bands.
        """
        file = RasterFile.open(Path(path))
        count = len(file.indexes)
        names = tuple(name.strip().lower() for name in band_names) if band_names else _names(file)
        if len(names) != count:
            raise UserError(f"{path}: {count} bands in the file, {len(names)} names given ({listing(names, 8)}).")
        if len(set(names)) != count:
            raise UserError(f"{path}: a band name is given twice ({listing(names, 8)}).")
        return cls(
            file,
            scene_id or Path(path).stem,
            names,
            file.scales if scale is None else (scale,) * count,
            file.offsets if offset is None else (offset,) * count,
            nodata, region, group, date,
        )  # fmt: skip

    @property
    def lines(self) -> Mapping[str, tuple[float, float]]:
        """Value of one count and of count 0, by band."""
        return dict(zip(self.names, zip(self.scales, self.offsets, strict=True), strict=True))

    def as_stored(self, names: Collection[str]) -> "RasterScene":
        """The scene with some bands (quality, elevation) scaled as its file says, not as `open` was told."""
        own = [name in names for name in self.names]
        scales = (
            of_file if kept else told for kept, of_file, told in zip(own, self.file.scales, self.scales, strict=True)
        )
        offsets = (
            of_file if kept else told for kept, of_file, told in zip(own, self.file.offsets, self.offsets, strict=True)
        )
        return replace(self, scales=tuple(scales), offsets=tuple(offsets))

    @property
    def grid(self) -> Grid:
        """Size and place."""
        return self.file.grid

    @property
    def source(self) -> str:
        """Path of the file, as given."""
        return str(self.file.path)

    @property
    def files(self) -> tuple[RasterFile, ...]:
        """The file."""
        return (self.file,)

    @cached_property
    def bands(self) -> Mapping[str, Band]:
        """Encodings of the bands, by name; the first call looks at some of the pixels."""
        counts = sample_values(self.file, self.nodata)
        bands = map(native_band, self.names, self.file.dtypes, self.scales, self.offsets, counts)
        return {band.name: band for band in bands}

    def read(self, names: Sequence[str], window: Window) -> np.ndarray:
        """See `Scene.read`."""
        if any(name not in self.names for name in names):
            require_bands(self, names)
        positions = [self.names.index(name) for name in names]
        counts, valid = self.file.read(positions, window, self.nodata)
        values = np.empty(counts.shape, np.float32)
        rows = max(1, _BLOCK_PIXELS // max(1, window.width))
        for i, position in enumerate(positions):
            for top in range(0, window.height, rows):  # float64 for the line, within the processor's cache
                part = slice(top, top + rows)
                values[i, part] = counts[i, part] * np.float64(self.scales[position]) + self.offsets[position]
        values[~valid] = np.nan
        return values

    def quality(self, window: Window) -> np.ndarray:
        """See `Scene.quality`: invalid where no band has data, high elsewhere."""
        _, valid = self.file.read(range(len(self.names)), window, self.nodata)
        return np.where(valid.any(axis=0), HIGH_QUALITY, INVALID).astype(np.uint8)


def _names(file: RasterFile) -> tuple[str, ...]:
    given = tuple((text or "").strip().lower() for text in file.descriptions)
    if all(given) and len(set(given)) == len(given):
        return given
    if file.colours == _PICTURE and set(file.dtypes) == {"uint8"}:
        return _PICTURE
    return tuple(f"band_{i + 1}" for i in range(len(given)))
