"""Ways from a band's values to what a network sees: by fixed ranges, by what a set holds, or by each patch itself.

    range            0 and 1 are the band's `low` and `high`; clipped
    minmax           likewise the least and greatest value of the training patches
    quantile         likewise their 1st and 99th percentile
    zscore           (value - mean) / standard deviation of the training patches; not clipped
    sample-minmax    0 and 1 are the least and greatest valid value of the patch, each band by itself
    sample-quantile  likewise its 1st and 99th percentile, interpolated; clipped

The first four are a straight line each, so all the arithmetic they need is a band's `low` and `high` (for zscore the
mean, and one deviation above it). The last two are here twice, in torch and in NumPy, and both give the same bits:
integers up to the ranks, then single float32 operations in the same order. A patch whose band has one value only
becomes 0.

Masks are no measurements: for the kinds of OF_SET a band `qa`, and one whose name ends in `wm` (kelp:DEMWM, metres
above the sea), keep 0 and 1 as their ends, as those who brought them in have it.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.dataset.band_numbers import BandNumbers
from darts_train.raster.band import Band

Kind = Literal["range", "zscore", "minmax", "quantile", "sample-minmax", "sample-quantile"]
KINDS: tuple[str, ...] = get_args(Kind)
OF_SET = ("zscore", "minmax", "quantile")  # need statistics of the training patches
OF_SAMPLE = ("sample-minmax", "sample-quantile")
PERCENTS = {"sample-minmax": (0, 100), "sample-quantile": (1, 99)}
FloatArray = npt.NDArray[np.float32]
_log = logger("models")


def kind_of(option: str) -> Kind:
    """`--normalisation` → the word in model files. Raises UserError, with all of them, for another word."""
    word = "range" if option == "ranges" else option
    if word not in KINDS:
        raise UserError(f"--normalisation: {option!r} is none of ranges, {', '.join(KINDS[1:])}.")
    return word  # type: ignore[return-value]


def fitted_bands(bands: Sequence[Band], kind: Kind, numbers: Sequence[BandNumbers]) -> tuple[Band, ...]:
    """The bands with `low` and `high` from the statistics of a set, `kind` one of OF_SET. A constant band becomes 0.

    Raises UserError for a band without a single valid value.
    """
    return tuple(_fitted(band, kind, one) for band, one in zip(bands, numbers, strict=True))


def _fitted(band: Band, kind: Kind, numbers: BandNumbers) -> Band:
    if not numbers.valid:
        raise UserError(
            f"--normalisation {kind}: band {band.name} has no valid pixel in the training patches; leave it out."
        )
    low, high = {
        "zscore": (numbers.mean, numbers.mean + numbers.std),
        "minmax": (numbers.minimum, numbers.maximum),
        "quantile": (numbers.q01, numbers.q99),
    }[kind]
    if _is_mask(band.name, kind, numbers):
        low, high = 0.0, 1.0
    if low >= high:  # most pixels the same: the whole range says more than none
        low, high = (numbers.mean, numbers.mean) if kind == "zscore" else (numbers.minimum, numbers.maximum)
    if low >= high:
        _log.warning("band %s has the value %g all over the training patches, and becomes 0.", band.name, low)
        high = low + max(band.scale, abs(low) * 1e-9)
    return dataclasses.replace(band, low=low, high=high)


def _is_mask(name: str, kind: Kind, numbers: BandNumbers) -> bool:
    """Whether 0 and 1 stay; flags of many bits, and metres that nothing would clip, are as any other band."""
    bare = name.rpartition(":")[2].lower()
    within = numbers.minimum >= 0 and numbers.maximum <= 1
    return (bare == "qa" and within) or (bare.endswith("wm") and (within or kind != "zscore"))


def scaled_by_sample(values: Tensor, missing: Tensor, kind: str, fill: float) -> Tensor:
    """A patch by its own range: float32 [n, c, h, w], no data as `fill`.

    Args:
        values: float32 [n, c, h, w], codes or values: a straight line between them changes nothing.
        missing: bool, the same shape.
        kind: One of OF_SAMPLE.
        fill: What stands for no data; a band without any valid pixel is all fill.
    """
    result = torch.empty_like(values)
    for i in range(len(values)):  # one at a time: sorting takes thrice the memory of what is sorted
        # What is missing sorts behind everything.
        ordered = values[i].masked_fill(missing[i], torch.inf).flatten(-2)
        if kind == "sample-quantile":
            ordered = ordered.sort(dim=-1).values
        counts = (~missing[i]).sum(dim=(-2, -1))
        low, high = (_end(ordered, values[i], missing[i], counts, percent) for percent in PERCENTS[kind])
        span = high - low
        result[i] = torch.where(span > 0, (values[i] - low) / span, 0.0)
    return result.clamp_(0.0, 1.0).masked_fill_(missing, fill)


def _end(ordered: Tensor, values: Tensor, missing: Tensor, counts: Tensor, percent: int) -> Tensor:
    """A percentile of each band [c, 1, 1]; the ends need no order."""
    if percent == 0:
        return ordered.amin(dim=-1)[:, None, None]
    if percent == 100:
        return values.masked_fill(missing, -torch.inf).amax(dim=(-2, -1), keepdim=True)
    rank = (counts - 1).clamp(min=0) * percent
    below = torch.div(rank, 100, rounding_mode="floor")
    first = ordered.gather(-1, below[:, None])
    second = ordered.gather(-1, torch.minimum(below + 1, (counts - 1).clamp(min=0))[:, None])
    rest = (rank % 100).to(torch.float32)[:, None]
    return (first + (second - first) * rest / 100)[:, :, None]


def scaled_by_sample_numpy(x: npt.NDArray[Any], missing: npt.NDArray[np.bool_], kind: str, fill: float) -> FloatArray:
    """The same in NumPy, bit for bit: x [..., c, h, w], uint16 codes or float32 with NaN."""
    stacked = x.reshape(-1, *x.shape[-3:])
    gaps = missing.reshape(stacked.shape)
    result = np.empty(stacked.shape, np.float32)
    for one, gap, target in zip(stacked, gaps, result, strict=True):
        # No data is the greatest code, and NaN sorts last, too. A stable sort of 16 bits is by radix, and quicker.
        ordered = np.sort(one.reshape(len(one), -1), axis=-1, kind="stable")
        counts = (~gap).sum((-2, -1))
        low, high = (_numpy_end(ordered, counts, percent) for percent in PERCENTS[kind])
        with np.errstate(invalid="ignore", divide="ignore"):
            target[:] = np.where(high > low, (one.astype(np.float32) - low) / (high - low), np.float32(0.0))
    np.clip(result, 0.0, 1.0, out=result)
    result[gaps] = np.float32(fill)
    return result.reshape(x.shape)


def _numpy_end(ordered: npt.NDArray[Any], counts: npt.NDArray[np.int64], percent: int) -> FloatArray:
    last = np.maximum(counts - 1, 0)
    below, rest = np.divmod(last * percent, 100)
    first, second = (
        np.take_along_axis(ordered, place[:, None], axis=-1)[:, 0].astype(np.float32)
        for place in (below, np.minimum(below + 1, last))
    )
    found = first + (second - first) * rest.astype(np.float32) / np.float32(100)
    return np.asarray(found, np.float32)[:, None, None]
