"""Shares of cloud, water and missing elevation of a patch, as the strata and the sampler of the kelp challenge want.

Columns have the names that they have there; `pct` is a share from 0 to 1. Pixels that pad a scene count nowhere.
`has_kelp` and `kelp_pixels_pct` are `not empty` and `positive_fraction` here, which every set has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from darts_train.dataset.columns import Cell, Column
from darts_train.features.masking import IndexRules, is_corrupted, is_water
from darts_train.preprocess.measures import Measure
from darts_train.raster.band import IGNORE_INDEX
from darts_train.scenes.scene import Scene

HIGH = 0.4  # share of corrupted or of positive pixels above which a patch is suspicious
ALMOST_ALL = 0.98


@dataclass(frozen=True)
class QualityShares:
    """How much of a patch is not of good quality."""

    rules: IndexRules

    columns = (
        Column("qa_ok", "flag"),
        Column("qa_corrupted_pixels_pct", "number"),
        Column("high_corrupted_pixels_pct", "flag"),
    )

    @property
    def needs(self) -> tuple[str, ...]:
        """The band of quality."""
        return (self.rules.qa_band,)

    def of(self, x: np.ndarray, y: np.ndarray, sources: Mapping[str, np.ndarray]) -> Mapping[str, Cell]:
        """Share of pixels whose quality is not 0 or missing; nothing where the scene has no quality."""
        if self.rules.qa_band not in sources:
            return {}
        share = float(is_corrupted(sources[self.rules.qa_band]).mean())
        return {"qa_ok": share == 0, "qa_corrupted_pixels_pct": share, "high_corrupted_pixels_pct": share > HIGH}


@dataclass(frozen=True)
class ElevationShares:
    """How much of a patch is water, and of which elevation says nothing."""

    rules: IndexRules

    columns = (
        Column("dem_has_nans", "flag"),
        Column("dem_nan_pixels_pct", "number"),
        Column("dem_zero_pixels_pct", "number"),
        Column("water_pixels_pct", "number"),
        Column("almost_all_water", "flag"),
    )

    @property
    def needs(self) -> tuple[str, ...]:
        """The band of elevation."""
        return (self.rules.dem_band,)

    def of(self, x: np.ndarray, y: np.ndarray, sources: Mapping[str, np.ndarray]) -> Mapping[str, Cell]:
        """Shares of pixels: elevation missing or negative, 0, not above 0; nothing where the scene has none."""
        if self.rules.dem_band not in sources:
            return {}
        dem = sources[self.rules.dem_band]
        missing, water = float((np.isnan(dem) | (dem < 0)).mean()), float(is_water(dem, self.rules.unknown).mean())
        return {
            "dem_has_nans": missing > 0,
            "dem_nan_pixels_pct": missing,
            "dem_zero_pixels_pct": float((dem == 0).mean()),
            "water_pixels_pct": water,
            "almost_all_water": water > ALMOST_ALL,
        }


@dataclass(frozen=True)
class HighPositive:
    """Whether so much of a patch is positive that its labels are doubtful."""

    columns = (Column("high_positive_pixels_pct", "flag"),)
    needs: tuple[str, ...] = ()

    def of(self, x: np.ndarray, y: np.ndarray, sources: Mapping[str, np.ndarray]) -> Mapping[str, Cell]:
        """Yes where more than 0.4 of all pixels are positive."""
        return {"high_positive_pixels_pct": float(((y > 0) & (y != IGNORE_INDEX)).mean()) > HIGH}


def quality_measures(scenes: Sequence[Scene], rules: IndexRules) -> tuple[Measure, ...]:
    """What can be measured where any of the scenes has quality or elevation; nothing where none has."""
    found: list[Measure] = []
    if any(rules.qa_band in scene.bands for scene in scenes):
        found.append(QualityShares(rules))
    if any(rules.dem_band in scene.bands for scene in scenes):
        found.append(ElevationShares(rules))
    return (*found, HighPositive()) if found else ()
