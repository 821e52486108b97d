"""The numbers of a band that normalisations are made of; apart, so that who reads a model needs no reader of sets."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class BandNumbers:
    """Of one band, over all valid pixels of the training patches, in the unit of the band; NaN where there is none.

    Attributes:
        valid: number of these pixels.
        mean: mean.
        std: population standard deviation.
        minimum: least value.
        maximum: greatest value.
        q01: 1st percentile, interpolated as numpy.percentile does.
        q99: 99th percentile.
    """

    valid: int
    mean: float
    std: float
    minimum: float
    maximum: float
    q01: float
    q99: float

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "BandNumbers":
        """From the dictionary that `dataclasses.asdict` gives. Raises KeyError, TypeError or ValueError."""
        numbers = {f.name: float(values[f.name]) for f in dataclasses.fields(cls) if f.name != "valid"}
        if not all(map(math.isfinite, numbers.values())):
            raise ValueError("its statistics are not finite")
        return cls(valid=int(values["valid"]), **numbers)
