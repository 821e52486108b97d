"""Maps as Cloud Optimized GeoTIFF: finished strips are laid together, and GDAL copies them into the layout.

That layout (overviews first, tiles in order) cannot be written while a scene goes by; strips can. The copy reads a
block at a time, so memory does not grow with the scene. The price is room for the strips beside the result.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from darts_train.raster.grid import Grid

NODATA = 255
COG_BLOCK = 512  # pixels, of the result; a map that is smaller has no overviews
PROBABILITIES, CLASSES = "probabilities.tif", "classes.tif"
_BLOCK = {"blockxsize": 512, "blockysize": 256}  # of a strip
_FAST = {"compress": "zstd", "zstd_level": 1}
_LARGE = 2**22  # pixels, from which compressing is worth threads of GDAL's, which no fork outlives
_COG = {"compress": "deflate", "level": "1", "blocksize": str(COG_BLOCK), "overviews": "auto", "bigtiff": "if_safer"}


def percent(probabilities: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Probabilities [k, h, w] as whole percent uint8, NODATA where not valid [h, w]."""
    whole = np.rint(np.clip(probabilities, 0, 1) * 100).astype(np.uint8)
    return np.where(valid, whole, np.uint8(NODATA))


def tiff(values: npt.NDArray[np.uint8]) -> bytes:
    """Values [k, h, w] as a tiled GeoTIFF without a place: rows of a map that wait for the others."""
    count, height, width = values.shape
    profile = {"driver": "GTiff", "width": width, "height": height, "count": count, "dtype": "uint8"}
    profile |= _threads(values.size)
    with _no_place_is_fine(), MemoryFile() as memory:
        with memory.open(**profile, tiled=True, interleave="band", **_BLOCK, **_FAST) as dataset:
            dataset.write(values)
        return bytes(memory.getbuffer())


@dataclass(frozen=True)
class Mosaic:
    """Strips of full width, one below the other, that are one raster.

    `strips`: files and their heights; `tables`: a value in the strips → value in the raster, by band alike (those
    between two are interpolated); `kind`: GDAL's name of the raster's type.
    """

    grid: Grid
    strips: tuple[tuple[Path, int], ...]
    bands: tuple[str, ...]
    tags: Mapping[str, str]
    nodata: int | None = NODATA
    table: Mapping[int, float] | None = None
    kind: str = "Byte"

    def write(self, path: Path) -> Path:
        """Write the raster as a VRT, a text that names the strips by where they lie from it."""
        root = ElementTree.Element("VRTDataset", rasterXSize=str(self.grid.width), rasterYSize=str(self.grid.height))
        if self.grid.crs is not None:
            _text(root, "SRS", CRS.from_user_input(self.grid.crs).to_wkt(), dataAxisToSRSAxisMapping="1,2")
        if self.grid.transform is not None:
            a, b, c, d, e, f = self.grid.transform
            _text(root, "GeoTransform", ", ".join(repr(number) for number in (c, a, b, f, d, e)))
        metadata = ElementTree.SubElement(root, "Metadata")
        for key, value in self.tags.items():
            _text(metadata, "MDI", value, key=key)
        for number, description in enumerate(self.bands, 1):
            self._band(root, number, description, path.parent)
        ElementTree.ElementTree(root).write(path, encoding="utf-8")
        return path

    def _band(self, root: ElementTree.Element, number: int, description: str, place: Path) -> None:
        band = ElementTree.SubElement(root, "VRTRasterBand", dataType=self.kind, band=str(number))
        _text(band, "Description", description)
        if self.nodata is not None:
            _text(band, "NoDataValue", str(self.nodata))
        top = 0
        for path, height in self.strips:
            source = ElementTree.SubElement(band, "SimpleSource" if self.table is None else "ComplexSource")
            _text(source, "SourceFilename", str(path.relative_to(place)), relativeToVRT="1")
            _text(source, "SourceBand", str(number))
            size = {"xSize": str(self.grid.width), "ySize": str(height)}
            ElementTree.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0"} | size)
            ElementTree.SubElement(source, "DstRect", {"xOff": "0", "yOff": str(top)} | size)
            if self.table is not None:
                _text(source, "LUT", ",".join(f"{key}:{value}" for key, value in self.table.items()))
            top += height


def _text(parent: ElementTree.Element, name: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, name, attributes).text = text


def write_cog(mosaic: Mosaic, vrt: Path, path: Path, resampling: str) -> None:
    """Copy a raster into a Cloud Optimized GeoTIFF with overviews by a resampling of GDAL (mode, average, nearest)."""
    threads = _threads(mosaic.grid.width * mosaic.grid.height)
    copy_raster(mosaic.write(vrt), path, "COG", resampling=resampling, **_COG, **threads)


def _threads(pixels: int) -> dict[str, str]:
    return {"num_threads": "all_cpus"} if pixels >= _LARGE else {}


def copy_raster(source: Path, path: Path, driver: str, **options: str) -> None:
    """Copy a raster into another format. Raises OSError where it could not be written."""
    with _no_place_is_fine():
        rasterio.shutil.copy(str(source), str(path), driver=driver, **options)


@contextmanager
def open_map(path: Path) -> Iterator[Any]:
    """A map of ours, to be read; that it may have no place on the earth is no reason for a warning."""
    with _no_place_is_fine(), rasterio.open(path) as dataset:
        yield dataset


@contextmanager
def _no_place_is_fine() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def band_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Descriptions of the bands of probabilities.tif: of the one foreground class, or of every class."""
    return tuple(f"probability of {name}, percent" for name in (classes[1:] if len(classes) == 2 else classes))


def class_tags(classes: Sequence[str]) -> dict[str, str]:
    """Tags of classes.tif that name the classes."""
    return {f"class_{i}": name for i, name in enumerate(classes)}
