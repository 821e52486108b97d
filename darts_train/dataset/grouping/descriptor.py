"""What a sample looks like in few numbers, without a network: low frequencies of its bands, each weighted by itself.

A picture of 32 x 32 area means is centred, scaled by its own spread and clipped (brightness, contrast and single bright
spots drop out), and its cosine transform is cut off at 8 half-waves, so that small shifts hardly count. Amplitudes of
natural scenes fall with one over the frequency (Field 1987, "Relations between the statistics of natural images and the
response properties of cortical cells"), so that one broad slope would outweigh all the rest: each is multiplied by its
frequency. Measured in docs/guides/groups.md: beside plain thumbnails, and what shifts and illumination do.

A band of one value has no direction and is left out of the sample's numbers. Where all bands are like that, or hardly a
pixel is valid, the sample is unknown: zeros, and like no other.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from darts_train.base.progress import track
from darts_train.dataset.grouping.mosaic import Cells, Mosaics
from darts_train.dataset.grouping.units import Units
from darts_train.dataset.reader import TrainData

GRID = 32  # cells along a side
WAVES = 8  # half-waves along a side, below which frequencies count
CLIP = 2.5  # standard deviations
LEAST_CELL = 0.25  # share of a cell that must be valid
LEAST_VALID = 0.1  # share of cells that must be
LEAST_WAVE = 1e-3  # amplitude below which only rounding is left; the whole picture has the length GRID
FLAT_CODES, FLAT_FLOAT = 0.5, 1e-5  # spread of cells below which a band is flat: half a step


def _weights() -> np.ndarray:
    """Frequency of each coefficient in half-waves, 0 where it does not count; float32 [WAVES, WAVES]."""
    frequency = np.hypot(*np.meshgrid(np.arange(WAVES), np.arange(WAVES)))
    return np.asarray(np.where(frequency < WAVES, frequency, 0.0), np.float32)


def _half_waves() -> np.ndarray:
    """The first WAVES rows of the orthonormal cosine transform (DCT-II) of GRID numbers, float32 [WAVES, GRID]."""
    middles = (np.arange(GRID) + 0.5) / GRID
    rows = np.sqrt(2 / GRID) * np.cos(np.pi * np.arange(WAVES)[:, None] * middles[None, :])
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, np.float32)


HALF_WAVES = _half_waves()
WEIGHTS = _weights()
KEPT = WEIGHTS > 0
NUMBERS = int(KEPT.sum())  # of each band


def describe(cells: Cells, flat: float = FLAT_CODES) -> np.ndarray:
    """Unit vector float32 [c · NUMBERS] of a sample, or zeros where nothing is known; see above.

    `flat`: standard deviation, in the unit of the cells, below which a band has no direction.
    """
    parts = [_band(means, valid, flat) for means, valid in zip(cells.means, cells.valid, strict=True)]
    return unit_vectors(np.concatenate(parts)[None]).ravel()


def _band(means: np.ndarray, valid: np.ndarray, flat: float) -> np.ndarray:
    known = valid >= LEAST_CELL
    if known.mean() < LEAST_VALID:
        return np.zeros(NUMBERS, np.float32)
    values = means[known].astype(np.float64)
    spread = values.std()
    if spread < flat:
        return np.zeros(NUMBERS, np.float32)
    scaled = np.clip((values - values.mean()) / spread, -CLIP, CLIP)
    picture = np.zeros(means.shape, np.float32)
    picture[known] = scaled - scaled.mean()  # cells without data are as the mean
    waves = HALF_WAVES @ picture @ HALF_WAVES.T * WEIGHTS
    if abs(waves).max() < LEAST_WAVE:
        return np.zeros(NUMBERS, np.float32)
    return unit_vectors(waves[KEPT][None]).ravel()


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1, float32 [n, d]; zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros(vectors.shape, np.float32), where=length > 1e-12))


def descriptors(data: TrainData, units: Units, threads: int = 2) -> np.ndarray:
    """Descriptors of all units, float32 [n, c · NUMBERS]; each patch is read once.

    Raises UserError where a patch is damaged, or the set does not say where the patches of a sample lie.
    """
    mosaics = Mosaics(data, units, GRID)
    flat = FLAT_CODES if data.encoded else FLAT_FLOAT
    vectors = np.empty((len(units), len(data.bands) * NUMBERS), np.float32)
    for number, vector in enumerate(track(_each(mosaics, len(units), flat, threads), "descriptors", len(units))):
        vectors[number] = vector
    return vectors


def _each(mosaics: Mosaics, count: int, flat: float, threads: int) -> Iterator[np.ndarray]:
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda unit: describe(mosaics.cells(unit), flat), range(count))
