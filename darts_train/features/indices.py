"""An index of a window by its name, on values or on counts as the files have them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from darts_train.features import kelp
from darts_train.features.known import index_of, of_kelp
from darts_train.features.masking import IndexRules
from darts_train.scenes.scene import Scene

_COUNTS = 65535.0  # an upper end that says: no reflectance


def compute_index(
    name: str, needs: Sequence[str], read: Mapping[str, np.ndarray], scene: Scene, rules: IndexRules
) -> np.ndarray:
    """An index of what was read.

    Args:
        name: of the index, which must be known.
        needs: names of its bands in this scene, in the order of the formula.
        read: those bands, float32 [h, w] in physical units, NaN where there is no data.
        scene: where they were read.
        rules: whether counts are wanted, and what missing elevation counts as.

    Returns:
        float32 [h, w], NaN where there is no data.
    """
    index = index_of(name, rules.counts)
    assert index is not None
    values, bands = [read[need] for need in needs], [scene.bands[need] for need in needs]
    if rules.counts:
        values = [_counts(scene, need, value) for need, value in zip(needs, values, strict=True)]
        bands = [replace(band, high=_COUNTS) if band.optical else band for band in bands]
    found = index.of(values, bands)
    if is_elevation_of_land(name) and rules.unknown == "water":
        found[np.isnan(found)] = 0
    return found


def is_elevation_of_land(name: str) -> bool:
    """Whether a name means the elevation of land, 0 on water."""
    return of_kelp(name) and kelp.spelled(name) == kelp.ELEVATION


def brightest(scene: Scene) -> float:
    """The count up to which light reaches in a scene: the next power of two, so that most scenes have the same."""
    found = [_count(scene, name, band.high) for name, band in scene.bands.items() if band.optical]
    return float(2 ** math.ceil(math.log2(max(1.0, *found)))) if found else 1.0


def _count(scene: Scene, name: str, value: float) -> float:
    scale, offset = lines_of(scene).get(name, (1.0, 0.0))
    return (value - offset) / scale


def _counts(scene: Scene, name: str, values: np.ndarray) -> np.ndarray:
    """Values [h, w] back to the counts of the file, float64."""
    scale, offset = lines_of(scene).get(name, (1.0, 0.0))
    return np.rint((values.astype(np.float64) - offset) / scale) if scale != 1.0 or offset else values


def lines_of(scene: Scene) -> Mapping[str, tuple[float, float]]:
    """Value of one count and of count 0 by band, where a scene says them; none of a satellite's scene does."""
    lines: Mapping[str, tuple[float, float]] = getattr(scene, "lines", {})
    return lines
