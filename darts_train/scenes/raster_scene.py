"""Any raster as a scene: a GeoTIFF, a mosaic, a photograph. Georeference is welcome but not needed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
class HeldPixels:
    """All bands of a window, as the file has them: counts [b, h, w] and where they are valid."""

    window: Window
    counts: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class RasterScene:
    """A raster file as a scene; see `Scene` for what its methods promise.

    `declared` is the step and offset in which float bands are stored (None: measured); `zero_bands` are positions of
    bands that say no data where all of them are 0 (none: 0 is a value).
    """

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
    declared: tuple[float, float] | None = None
    zero_bands: tuple[int, ...] = ()
    held: HeldPixels | None = field(default=None, repr=False, compare=False)

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
        opener: Callable[[Path], RasterFile] = RasterFile.open,
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
            opener: looks at the file.

        Raises:
            UserError: the file cannot be read, or the number of names is not that of its bands.
        """
        file = opener(Path(path))
        count = len(file.indexes)
        names = tuple(name.strip().lower() for name in band_names) if band_names else _names(file)
        if len(names) != count:
            raise UserError(
                f"{path}: {count} band{'s' * (count > 1)} in the file, {len(names)} names given ({listing(names, 8)})."
            )
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

    def with_steps(self, scale: float | None, offset: float | None) -> "RasterScene":
        """The scene, its bands stored in a declared step and offset if the file holds floats; values stay.

        Integers have counts, whose value `open` is told. Raises UserError for an offset without a scale.
        """
        if (scale is None and offset is None) or any(
            not np.issubdtype(dtype, np.floating) for dtype in self.file.dtypes
        ):
            return self
        if scale is None:
            raise UserError(f"{self.file.path}: --offset of a float image wants --scale, the step of its values, too.")
        kept = self.file.scales, self.file.offsets
        return replace(self, scales=kept[0], offsets=kept[1], declared=(scale, offset or 0.0))

    def without_zeros(self, names: Sequence[str] | None = None) -> "RasterScene":
        """The scene, without data where all of these bands (those that it has; else all) are 0.

        A 0 that the file itself declares as no data then is a value, where another band is not 0.
        """
        wanted = tuple(self.names.index(name) for name in names or () if name in self.names)
        return replace(self, zero_bands=wanted or tuple(range(len(self.names))))

    def holding(self, window: Window) -> "RasterScene":
        """The scene with the pixels of a window in memory: whatever is asked within it is read once."""
        counts, valid = self._counts(range(len(self.names)), window)
        found = replace(self, held=HeldPixels(window, counts, valid))
        if "bands" in self.__dict__:  # looked at once: the copy need not look again
            found.__dict__["bands"] = self.bands
        return found

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

    @property
    def dtypes(self) -> Mapping[str, str]:
        """NumPy names of the types of the bands in the file, by name."""
        return dict(zip(self.names, self.file.dtypes, strict=True))

    @property
    def gaps_by_band(self) -> bool:
        """Whether a band can lack data where another has some: no data is a value, not a mask or alpha for all."""
        return self.nodata is not None or any(value is not None for value in self.file.nodata)

    @cached_property
    def bands(self) -> Mapping[str, Band]:
        """Encodings of the bands, by name; the first call looks at some of the pixels."""
        found = sample_values(self._counts, self.grid, len(self.names))
        columns = zip(self.names, self.file.dtypes, self.scales, self.offsets, found, strict=True)
        try:
            return {column[0]: native_band(*column, self.declared) for column in columns}
        except UserError as error:
            raise UserError(f"{self.source}: {error}") from None

    def read(self, names: Sequence[str], window: Window) -> np.ndarray:
        """See `Scene.read`."""
        if any(name not in self.names for name in names):
            require_bands(self, names)
        positions = [self.names.index(name) for name in names]
        counts, valid = self._counts(positions, window)
        values = np.empty(counts.shape, np.float32)
        for i, position in enumerate(positions):
            _convert(counts[i], self.scales[position], self.offsets[position], values[i])
            if not valid[i].all():
                values[i][~valid[i]] = np.nan
        return values

    def quality(self, window: Window) -> np.ndarray:
        """See `Scene.quality`: invalid where no band has data, high elsewhere."""
        _, valid = self._counts(range(len(self.names)), window)
        return np.where(valid.any(axis=0), np.uint8(HIGH_QUALITY), np.uint8(INVALID))

    def _counts(self, positions: Sequence[int], window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Counts [b, h, w] of bands by position, and where they are valid."""
        if self.held is not None and window.intersection(self.held.window) == window:
            place = window.slices(self.held.window)
            whole = list(positions) == list(range(len(self.names)))
            bands = slice(None) if whole else list(positions)  # a view where all are asked for
            return self.held.counts[bands][:, *place], self.held.valid[bands][:, *place]
        if not self.zero_bands:
            return self.file.read(positions, window, self.nodata)
        everything = range(len(self.names))
        zero_declared = self.nodata is None and 0 in self.file.nodata
        counts, valid = self.file.read(everything, window, float("nan") if zero_declared else self.nodata)
        valid &= counts[list(self.zero_bands)].any(axis=0)
        return counts[list(positions)], valid[list(positions)]


def _convert(counts: np.ndarray, scale: float, offset: float, values: np.ndarray) -> None:
    """Write the values float32 [h, w] of counts [h, w]."""
    if (scale, offset) == (1, 0):
        values[:] = counts
        return
    rows = max(1, _BLOCK_PIXELS // max(1, counts.shape[1]))
    for top in range(0, len(counts), rows):  # float64 for the line, within the processor's cache
        part = slice(top, top + rows)
        values[part] = counts[part] * np.float64(scale) + offset


def _names(file: RasterFile) -> tuple[str, ...]:
    given = tuple((text or "").strip().lower() for text in file.descriptions)
    if all(given) and len(set(given)) == len(given):
        return given
    if file.colours == _PICTURE and set(file.dtypes) == {"uint8"}:
        return _PICTURE
    return tuple(f"band_{i + 1}" for i in range(len(given)))
