"""What the training patches of a split hold, band by band: the numbers that normalisations are made of.

Every stored code is counted (`describe_bands`), so mean, deviation and quantiles are those of all valid pixels sorted,
in float64, whatever the order of patches. No data is left out. Validation and test patches are never looked at.
"""

import hashlib
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from darts_train.base.progress import track
from darts_train.dataset.band_numbers import BandNumbers
from darts_train.dataset.describe_bands import BandCounts
from darts_train.dataset.reader import TrainData

_KEPT = 16
_found: "OrderedDict[tuple[str, tuple[str, ...], str], tuple[BandNumbers, ...]]" = OrderedDict()


def training_numbers(data: TrainData, rows: npt.NDArray[np.int64]) -> tuple[BandNumbers, ...]:
    """Numbers of the bands of a set over the given patches.

    Reads each of these patches once, and never again in this process for the same data, bands and rows: a search asks
    for every run. Raises UserError where a patch is damaged.
    """
    names = tuple(band.name for band in data.bands)
    key = (data.data_hash, names, hashlib.blake2b(np.sort(rows).tobytes(), digest_size=16).hexdigest())
    if key not in _found:
        _found[key] = _counted(data, rows)
        while len(_found) > _KEPT:
            _found.popitem(last=False)
    return _found[key]


def _counted(data: TrainData, rows: npt.NDArray[np.int64]) -> tuple[BandNumbers, ...]:
    counts = BandCounts(data)
    for row in track(rows, "statistics of the training patches", len(rows)):
        counts.add(data.read(int(row))[0])
    numbers = []
    for profile in counts.profiles():
        s, (q01, _, q99) = profile.statistics, profile.quantiles
        numbers.append(BandNumbers(s.valid, s.mean, s.std, s.minimum, s.maximum, q01, q99))
    return tuple(numbers)
