"""Indices of reflectances."""

import numpy as np


def normalised_difference(one: np.ndarray, other: np.ndarray, greatest: float = 1.0) -> np.ndarray:
    """(one − other) / (one + other), float64 of the shape of both, within [−1, 1].

    Both are clipped to [0, `greatest`] first, as the operational models were trained: reflectances slightly below 0
    come from atmospheric correction. NaN in either, and 0 / 0, give NaN. With nir and red: the NDVI.
    """
    first, second = (np.clip(band.astype(np.float64), 0.0, greatest) for band in (one, other))
    total = first + second
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total == 0, np.nan, (first - second) / total)
