"""What a network sees of a scene: which bands, which values become 0 and 1, what stands for no data.

Train data hold uint16 codes (`raster/encoding.py`); the network wants float32 between 0 and 1. The way
from one to the other is one multiplication and one addition per band, in float32, on the device that
trains. The same arithmetic is here twice, in torch (`InputLayer`) and in NumPy (`InputSpecification.normalise`,
for ONNX Runtime), and both give the same bits: multiply and add are rounded separately in either,
so no fused multiply-add may replace them. Never bfloat16: it has 8 bits of mantissa, a code has 16.

Which values become 0 and 1 is kept in each band's `low` and `high` (`raster/catalogue.py` for known names, or what
`normalisation.py` makes of a set's statistics). Two kinds look at each patch instead.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.dataset.band_numbers import BandNumbers
from darts_train.models.normalisation import (
    KINDS,
    OF_SAMPLE,
    OF_SET,
    Kind,
    fitted_bands,
    kind_of,
    scaled_by_sample,
    scaled_by_sample_numpy,
)
from darts_train.raster.band import NODATA, Band, parse_optical_range, with_optical_range

NODATA_INT16 = -1  # the code 65535 seen through the int16 view that torch gets
_BLOCK = 2**20  # values that one thread of a CPU decodes at a time: 4 MB, so that they stay in its cache

FloatArray = npt.NDArray[np.float32]
_log = logger("models")


@dataclasses.dataclass(frozen=True)
class InputSpecification:
    """The bands of a network in its order, each with its encoding and its range, and the value for no data.

    A band's `low` becomes 0 and its `high` 1; values beyond are clipped, but with `zscore`. The kinds of OF_SAMPLE take
    both from the patch instead. `nodata_fill` is what the network sees where there is no data, after normalisation; it
    is not clipped, so -1 can set it apart. `numbers` are the statistics that `low` and `high` were made of, if any.
    Raises UserError where there is no band, one appears twice, or the fill is not finite.
    """

    bands: tuple[Band, ...]
    nodata_fill: float = 0.0
    normalisation: Kind = "range"
    numbers: tuple[BandNumbers, ...] = ()

    def __post_init__(self) -> None:
        if not self.bands:
            raise UserError("a network needs at least one band.")
        names = [band.name for band in self.bands]
        if len(set(names)) < len(names):
            raise UserError(f"a band is named twice: {', '.join(names)}.")
        if not abs(self.nodata_fill) <= float(np.finfo(np.float32).max):  # nor NaN
            raise UserError(f"--nodata-fill: {self.nodata_fill} is not a finite number.")

    @classmethod
    def from_set(
        cls,
        bands: Sequence[Band],
        optical_range: str | None,
        nodata_fill: float,
        normalisation: str = "ranges",
        numbers: Callable[[], tuple[BandNumbers, ...]] = tuple,
    ) -> "InputSpecification":
        """The specification of a train data set: its bands, optical ones with another range where one is given.

        `numbers` is asked for the statistics of the training patches where the normalisation needs them.
        Raises UserError for a bad range text, an unknown normalisation, both at once, and a band that is all no data;
        a range where no band is optical is said in a warning.
        """
        kind = kind_of(normalisation)
        if kind != "range":
            if optical_range is not None:
                raise UserError(f"--optical-range and --normalisation {kind} exclude each other; leave one out.")
            found = numbers() if kind in OF_SET else ()
            return cls(fitted_bands(bands, kind, found) if found else tuple(bands), nodata_fill, kind, found)
        if optical_range is None:
            return cls(tuple(bands), nodata_fill)
        low, high = parse_optical_range(optical_range)
        if not any(band.optical for band in bands):
            _log.warning("--optical-range %s has no effect: no band is optical.", optical_range)
        return cls(with_optical_range(bands, low, high), nodata_fill)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the bands, in the order of the network's channels."""
        return tuple(band.name for band in self.bands)

    @property
    def clipped(self) -> bool:
        """Whether all that the network sees of valid pixels lies in [0, 1]."""
        return self.normalisation != "zscore"

    def zeros(self) -> FloatArray:
        """What the network sees of the value 0 of each band, float32 [c]; of no meaning for the kinds of OF_SAMPLE."""
        return np.array([-band.low / (band.high - band.low) for band in self.bands], np.float32)

    def factors(self) -> tuple[FloatArray, FloatArray]:
        """Multiplier and bias float32 [c] with `normalised = code · multiplier + bias`.

        From `v = offset + scale · code` and `n = (v - low) / (high - low)`, computed in float64, rounded once.
        """
        span = np.array([band.high - band.low for band in self.bands], np.float64)
        multiplier = np.array([band.scale for band in self.bands], np.float64) / span
        bias = np.array([band.offset - band.low for band in self.bands], np.float64) / span
        return multiplier.astype(np.float32), bias.astype(np.float32)

    def normalise(self, x: npt.NDArray[Any]) -> FloatArray:
        """Network input float32 [..., c, h, w] of codes (uint16) or of values already in [0, 1] (float).

        NODATA codes and NaN become `nodata_fill`. The NumPy twin of `InputLayer`, equal bit for bit.
        Raises ValueError for another dtype or another number of bands, and for float where statistics are of codes.
        """
        _check_channels(x.shape, len(self.bands))
        fill = np.float32(self.nodata_fill)
        if x.dtype.kind == "f":
            values = x.astype(np.float32)
            if self.by_sample(True):
                return scaled_by_sample_numpy(values, np.isnan(values), self.normalisation, self.nodata_fill)
            return np.where(np.isnan(values), fill, values)
        if x.dtype != np.uint16:
            raise ValueError(f"codes are uint16, not {x.dtype}")
        if self.by_sample(False):
            return scaled_by_sample_numpy(x, x == NODATA, self.normalisation, self.nodata_fill)
        multiplier, bias = (factor[:, None, None] for factor in self.factors())
        values = x.astype(np.float32)
        values *= multiplier
        values += bias
        if self.clipped:
            np.clip(values, 0.0, 1.0, out=values)
        values[x == NODATA] = fill
        return values

    def by_sample(self, floats: bool) -> bool:
        """Whether each patch is its own measure. Raises ValueError where float input cannot be taken."""
        if floats and self.normalisation in OF_SET:
            raise ValueError(f"{self.normalisation} is of values with units; these have none")
        return self.normalisation in OF_SAMPLE

    def to_config(self) -> dict[str, Any]:
        """The specification as plain values: keys of the model file (see DESIGN, "The model file")."""
        return {
            "bands": list(self.names),
            "input_combination": list(self.names),
            "normalisation": self.normalisation,
            "ranges": [[float(band.low), float(band.high)] for band in self.bands],
            "band_scales": [float(band.scale) for band in self.bands],
            "band_offsets": [float(band.offset) for band in self.bands],
            "optical_bands": [band.name for band in self.bands if band.optical],
            "nodata_fill": float(self.nodata_fill),
            **({"statistics": [dataclasses.asdict(one) for one in self.numbers]} if self.numbers else {}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InputSpecification":
        """The specification that `to_config` wrote. Raises UserError naming the key that is missing or wrong."""
        try:
            rows = zip(
                config["bands"], config["band_scales"], config["band_offsets"], config["ranges"], strict=True
            )  # fmt: skip
            optical = set(config["optical_bands"])
            bands = tuple(
                Band(str(name), float(scale), float(offset), float(low), float(high), name in optical)
                for name, scale, offset, (low, high) in rows
            )
            numbers = tuple(BandNumbers.from_plain(one) for one in config.get("statistics") or ())
            kind = config.get("normalisation", "range")
            if kind not in KINDS:
                raise UserError(f"its normalisation {kind!r} is none of {', '.join(KINDS)}.")
            return cls(bands, float(config["nodata_fill"]), kind, numbers)
        except KeyError as error:
            raise UserError(f"the input specification lacks {error}.") from None
        except (TypeError, ValueError) as error:
            raise UserError(f"the input specification cannot be read: {error}.") from None


class InputLayer(nn.Module):
    """Codes → what the network sees, on the device. Has no weights and leaves no trace in a state dict.

    `marked`: no data stays NaN, for a network whose patches are resampled (`models/fit.py`).
    """

    multiplier: torch.Tensor
    bias: torch.Tensor

    def __init__(self, spec: InputSpecification, marked: bool = False) -> None:
        super().__init__()
        self.spec, self.fill = spec, math.nan if marked else spec.nodata_fill
        for name, factor in zip(("multiplier", "bias"), spec.factors(), strict=True):
            self.register_buffer(name, torch.from_numpy(factor)[:, None, None], persistent=False)

    def forward(self, x: torch.Tensor, bands: slice = slice(None), out: torch.Tensor | None = None) -> torch.Tensor:
        """Network input float32 [n, c, h, w], differentiable in nothing; in `out` where it is given.

        `bands` says which of the network's bands `x` holds, where these are not all.
        `x` is int16 (the uint16 codes seen as int16, 65535 = -1), uint16, or a float tensor already in [0, 1].
        No data (-1, 65535, NaN) becomes the specification's `nodata_fill`, or NaN where `marked`.
        Raises ValueError for another dtype or number of bands.
        """
        first, last, _ = bands.indices(len(self.spec.bands))
        _check_channels(x.shape, last - first)
        fill = self.fill
        if x.is_floating_point():
            values = x.to(torch.float32, copy=True) if out is None else out.copy_(x)
            if self.spec.by_sample(True):
                values.copy_(scaled_by_sample(values, values.isnan(), self.spec.normalisation, fill))
            return values.masked_fill_(values.isnan(), fill)
        if x.dtype == torch.uint16:
            x = x.view(torch.int16)
        if x.dtype != torch.int16:
            raise ValueError(f"codes are int16 or uint16, not {x.dtype}")
        values = torch.empty(x.shape, device=x.device) if out is None else out
        if self.spec.by_sample(False):
            _to_float(x, values)
            values.copy_(scaled_by_sample(values, x == NODATA_INT16, self.spec.normalisation, fill))
        else:
            for codes, part, some in _blocks(x, values):
                self._normalise(codes, part, slice(first + some.start, first + some.stop))
        return values

    def _normalise(self, codes: torch.Tensor, values: torch.Tensor, bands: slice) -> None:
        _to_float(codes, values)
        values.mul_(self.multiplier[bands]).add_(self.bias[bands])
        if self.spec.clipped:
            values.clamp_(0.0, 1.0)
        # A CPU knows the greatest code in a tenth of the time that filling takes; a device would have to be waited for.
        if codes.device.type != "cpu" or codes.numpy().view(np.uint16).max(initial=0) == NODATA:
            values.masked_fill_(codes == NODATA_INT16, self.fill)

    def shown(self, x: torch.Tensor) -> torch.Tensor:
        """What this layer gave, with the specification's fill where `marked` left NaN; for pictures."""
        return x.masked_fill(x.isnan(), self.spec.nodata_fill) if math.isnan(self.fill) else x


def _to_float(codes: torch.Tensor, values: torch.Tensor) -> None:
    """int16, as which uint16 codes are seen, into float32 of the same shape."""
    # Of uint16 torch has little more than the copy on a CPU.
    values.copy_(codes.view(torch.uint16) if codes.device.type == "cpu" else codes.to(torch.int32) & 0xFFFF)


def _blocks(x: torch.Tensor, values: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor, slice]]:
    """Codes, where their values go, and which bands they are: on a CPU as much at a time as its cache holds."""
    bands, pixels = x.shape[-3], max(x.shape[-2] * x.shape[-1], 1)
    if x.device.type != "cpu":
        yield x, values, slice(0, bands)
        return
    together = max(_BLOCK // pixels, 1)
    for codes, found in zip(x.reshape(-1, *x.shape[-3:]), values.view(-1, *x.shape[-3:]), strict=True):
        for first in range(0, bands, together):
            part = slice(first, min(first + together, bands))
            yield codes[part], found[part], part


def _check_channels(shape: Sequence[int], bands: int) -> None:
    if len(shape) < 3 or shape[-3] != bands:
        raise ValueError(f"expected [..., {bands}, h, w], got {tuple(shape)}")
