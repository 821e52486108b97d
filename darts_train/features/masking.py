"""Where indices mean nothing: under cloud, and on land where only water is looked at; and what they are computed on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

QA, DEM = "qa", "dem"  # usual names of the bands
Unknown = Literal["water", "land"]


@dataclass(frozen=True)
class IndexRules:
    """How indices are computed, and where they are no data.

    Attributes:
        qa_band: band of quality; 0 is good, all else (missing, too) is not.
        dem_band: band of elevation, metres; what is not above 0 is water.
        by_qa: indices are no data where the quality is not good.
        by_water: indices are no data on land.
        unknown: what missing elevation counts as, in masks, in DEMWM and in shares of water.
        optional: stored bands whose missing pixels change no label and drop no patch.
        counts: indices are computed on counts as the files have them, not on values.
    """

    qa_band: str = QA
    dem_band: str = DEM
    by_qa: bool = False
    by_water: bool = False
    unknown: Unknown = "water"
    optional: tuple[str, ...] = ()
    counts: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """The bands that masks are made of."""
        return (self.qa_band,) * self.by_qa + (self.dem_band,) * self.by_water

    def hidden(self, sources: Mapping[str, np.ndarray]) -> np.ndarray:
        """Where indices are no data, bool [h, w], by the bands of `needs`, float [h, w] with NaN."""
        found = [is_corrupted(sources[self.qa_band])] if self.by_qa else []
        found += [~is_water(sources[self.dem_band], self.unknown)] if self.by_water else []
        return np.asarray(np.logical_or.reduce(found))

    @property
    def marks(self) -> tuple[str, str]:
        """The bands that are no light: no option of scaling is meant for them."""
        return (self.qa_band, self.dem_band)


USUAL = IndexRules()
SETTINGS = (
    "qa_band", "dem_band", "mask_indices_by_qa", "mask_indices_by_water", "unknown_elevation", "optional_bands",
    "indices_on",
)  # fmt: skip


def rules_of(settings: Mapping[str, Any]) -> IndexRules:
    """The rules of a set or a model by the options behind it (those of `SETTINGS`); the usual ones without."""
    return IndexRules(
        qa_band=str(settings.get("qa_band", QA)),
        dem_band=str(settings.get("dem_band", DEM)),
        by_qa=bool(settings.get("mask_indices_by_qa", False)),
        by_water=bool(settings.get("mask_indices_by_water", False)),
        unknown="land" if settings.get("unknown_elevation") == "land" else "water",
        optional=tuple(settings.get("optional_bands") or ()),
        counts=settings.get("indices_on") == "counts",
    )


def is_corrupted(qa: np.ndarray) -> np.ndarray:
    """Where quality is not good: anything but 0."""
    return np.asarray(~(qa == 0))


def is_water(dem: np.ndarray, unknown: Unknown) -> np.ndarray:
    """Where elevation, m, is not above 0; missing elevation (NaN) counts as `unknown` says."""
    return np.asarray((dem <= 0) | (np.isnan(dem) & (unknown == "water")))
