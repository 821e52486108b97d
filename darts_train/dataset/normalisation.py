"""What the training patches of a split hold, band by band: the numbers that normalisations are made of.

Every stored code is counted (`describe_bands`), so mean, deviation and quantiles are those of all valid pixels sorted,
in float64, whatever the order of patches. No data is left out. Validation and test patches are never looked at.
"""

import hashlib
from collections import OrderedDict
from typing import Protocol

import numpy as np
import numpy.typing as npt

from darts_train.base.progress import track
from darts_train.dataset.band_numbers import BandNumbers
from darts_train.dataset.describing.bands import BandCounts
from darts_train.dataset.reader import TrainData
from darts_train.raster.band import Band

_KEPT = 16
_found: "OrderedDict[tuple[str, tuple[str, ...], str], tuple[BandNumbers, ...]]" = OrderedDict()


class Deriving(Protocol):
    """What makes a network's bands of those that are read (`features.derived.Derivation`)."""

    @property
    def bands(self) -> tuple[Band, ...]:
        """The network's."""
        ...

    def __call__(self, codes: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        """Codes of the bands that are read [c, h, w] to those of the network's [k, h, w]."""
        ...


def training_numbers(
    data: TrainData, rows: npt.NDArray[np.int64], derive: Deriving | None = None
) -> tuple[BandNumbers, ...]:
    """Numbers of the bands of a set over the given patches, or of what is made of them.

    Reads each of these patches once, and never again in this process for the same data, bands and rows: a search asks
    for every run. Raises UserError where a patch is damaged.
    """
    names = tuple(band.name for band in (data.bands if derive is None else derive.bands))
    key = (data.data_hash, names, hashlib.blake2b(np.sort(rows).tobytes(), digest_size=16).hexdigest())
    if key not in _found:
        _found[key] = _counted(data, rows, derive)
        while len(_found) > _KEPT:
            _found.popitem(last=False)
    return _found[key]


def _counted(data: TrainData, rows: npt.NDArray[np.int64], derive: Deriving | None) -> tuple[BandNumbers, ...]:
    counts = BandCounts(data, None if derive is None else derive.bands)
    for row in track(rows, "statistics of the training patches", len(rows)):
        x = data.read(int(row))[0]
        counts.add(x if derive is None else derive(x))
    numbers = []
    for profile in counts.profiles():
        s, (q01, _, q99) = profile.statistics, profile.quantiles
        numbers.append(BandNumbers(s.valid, s.mean, s.std, s.minimum, s.maximum, q01, q99))
    return tuple(numbers)
