"""Options of mending maps: what of a map is trusted, what is smoothed, which objects stay."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.base.errors import UserError
from darts_train.options.fields import OptionGroup, option

MapValues = Literal["auto", "classes", "percent", "unit"]
USUAL_EROSION = 10  # pixels, where a quality level is asked for


@dataclass(frozen=True, kw_only=True)
class MapFiles(OptionGroup):
    """Maps to be mended, and where the results go."""

    maps: tuple[Path, ...] = option("Map directories of predict, a directory of them, or rasters.", commas=False)
    map_values: MapValues = option(
        "What a raster holds: classes, probabilities as percent, or 0 to 1 (unit); auto: as it says.", "auto"
    )
    out_dir: Path = option("Directory of the maps.")
    threshold: float | None = option(
        "Probability that makes a positive; none: the classes as they are.", None, above=0, high=1
    )
    merge: bool = option("Also write merged.gpkg: objects of all maps, joined where they meet.", False)
    overwrite: bool = option("Replace maps that are there.", False)


@dataclass(frozen=True, kw_only=True)
class Trusted(OptionGroup):
    """Which pixels of a map are trusted; all others become no data."""

    quality: tuple[Path, ...] | None = option(
        "Quality of the scenes (0 invalid, 1 low, 2 high, or a UDM2): a raster or a directory, by name.",
        None,
        commas=False,
    )
    quality_level: Literal["none", "low", "high"] = option("Least quality of a pixel that is kept.", "low")
    mask_erosion_size: int | None = option(
        "Radius by which the valid area is shrunk, pixels; none: 10, or 0 without a quality level.",
        None,
        low=0,
        high=1000,
        aliases=("--mask-erosion",),
    )
    edge_erosion_size: int | None = option(
        "Width of the frame that is cleared, pixels; none: as the mask erosion.",
        None,
        low=0,
        high=1000,
        aliases=("--edge-erosion",),
    )

    @property
    def erosion(self) -> int:
        """Radius of the erosion, pixels."""
        if self.mask_erosion_size is not None:
            return self.mask_erosion_size
        return 0 if self.quality_level == "none" else USUAL_EROSION

    @property
    def frame(self) -> int:
        """Width of the frame, pixels."""
        return self.erosion if self.edge_erosion_size is None else self.edge_erosion_size


@dataclass(frozen=True, kw_only=True)
class Mending(OptionGroup):
    """What is done to classes, in this order."""

    median: int = option("Side of the median (majority) filter, odd, pixels; 0: none.", 0, low=0, high=101)
    opening: int = option("Side of the opening: narrower objects vanish; odd; 0: none.", 0, low=0, high=101)
    closing: int = option("Side of the closing: narrower gaps are filled; odd; 0: none.", 0, low=0, high=101)
    fill_holes: int = option("Fill holes of at most so many pixels; 0: none.", 0, low=0)
    remove_touching_mask: bool = option("Drop objects that touch what is not trusted.", False)
    min_object_size: int = option("Drop objects of fewer pixels.", 32, low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("median", "opening", "closing"):
            side = getattr(self, name)
            if side and side % 2 == 0:
                raise UserError(f"--{name}: {side} is even; a square has its pixel in the middle, so take {side + 1}.")
