"""How far a network looks, measured, and the overlap of windows that follows from it.

Two windows that share half of their pixels are shown to the network. Where they differ in what it says of the same
pixel, it has seen the border of one of them: what lies beyond made the difference. Over the distance to the border that
difference falls, and where it has come below a thousandth of how much the network's answers differ at all, 99.9 % of
what decides about a pixel lies nearer: the effective reach. A theoretical receptive field is many times larger, and
says nothing where a network pools over all it sees.

What is shown is noise that has structure of every size (of white noise, pooling leaves nothing that could differ).
Nothing but logits is asked for, so networks of every backend are measured alike; in float32 where there is a choice,
since bfloat16 rounds by more than a thousandth.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from darts_train.base.errors import UserError
from darts_train.base.executor import core_count
from darts_train.base.log import logger
from darts_train.features.stack import FeatureStack
from darts_train.inference.backends.protocol import Codes, Logits
from darts_train.inference.models import MapModel
from darts_train.inference.windows.streaming import Mapper
from darts_train.options.predicting import Windows
from darts_train.raster.band import Band
from darts_train.raster.encoding import encode
from darts_train.scenes.scene import Scene

SHARE = 1e-3  # of the influence, which may lie beyond the reach
_MOST_READERS = 4
_log = logger("inference")
_measured: dict[tuple[object, ...], int] = {}


def check_overlap(windows: Windows, size: int) -> None:
    """Raise UserError where windows of `size` pixels cannot share as many as they are told to."""
    if windows.window_overlap is not None and windows.window_overlap >= size:
        raise UserError(f"--window-overlap: {windows.window_overlap} must be less than the window, {size} pixels.")


def mapper_of(
    model: MapModel,
    stack: FeatureStack,
    size: int,
    windows: Windows,
    scenes: Sequence[Scene],
    shared: tuple[int, int] | None = None,
) -> Mapper:
    """How scenes are mapped with windows of `size` pixels; `shared`: overlap and halo where these are known.

    The reach of the model is measured where no overlap is given and a scene is larger than a window.
    """
    overlap, halo = shared or _shared(model, size, windows, scenes)
    several = model.lanes(size, windows.window_batch).count > 1
    readers = max(1, min(_MOST_READERS, core_count() // 2)) if several else 1
    return Mapper(
        model, stack, size, overlap, windows.window_batch, halo, windows.blend, windows.tta, windows.tta_merge, readers
    )


def _shared(model: MapModel, size: int, windows: Windows, scenes: Sequence[Scene]) -> tuple[int, int]:
    if windows.window_overlap is not None:
        return windows.window_overlap, windows.window_overlap // 4
    larger = any(max(scene.grid.width, scene.grid.height) > size for scene in scenes)
    return usual_overlap(reach_of(model, size) if larger else 0, size)


def usual_overlap(reach: int, size: int) -> tuple[int, int]:
    """Pixels that windows of `size` share, and pixels at their ends that do not count, for a reach.

    The halo is the reach, at most a quarter of the window; windows share two of them, and half of one to pass over from
    one window to the next. They never share more than half a window; where that is not enough, a quarter of what they
    share is to pass over, and the halo is what remains.
    """
    wanted = min(reach, size // 4)
    overlap = min(2 * wanted + -(-wanted // 2), size // 2)
    return overlap, min(wanted, (overlap - overlap // 4) // 2)


def reach_of(model: MapModel, size: int) -> int:
    """The effective reach of a model in windows of `size` pixels, at most a quarter of them; measured once."""
    stamp = model.path.stat().st_mtime_ns if model.path and model.path.exists() else None
    key = (str(model.path), stamp, size, model.stride)
    found = _measured.get(key) if stamp else None
    if found is None:
        found = _measured[key] = measured_reach(model.exact_logits, model.spec.bands, size, model.stride)
        _log.info("%s looks %d pixels far (99.9 %% of the influence)", model.path, found)
    return found


def measured_reach(logits: Callable[[Codes], Logits], bands: Sequence[Band], size: int, stride: int = 1) -> int:
    """Distance in pixels within which 99.9 % of what decides about a pixel lies; at most a quarter of the window."""
    shift = size // 2 // stride * stride or size // 2
    ground, _ = encode(structured_noise(bands, size + shift), bands)
    places = (0, 0), (0, shift), (shift, 0)
    here, right, below = (
        logits(np.ascontiguousarray(ground[None, :, y : y + size, x : x + size]))[0] for y, x in places
    )
    turned = (np.swapaxes(here, 1, 2), np.swapaxes(below, 1, 2))
    apart = np.maximum(border_difference(here, right, shift), border_difference(*turned, shift))
    spread = np.abs(here - np.roll(here, size // 2, axis=(-2, -1))).mean()
    far = np.flatnonzero(apart > SHARE * spread)
    return int(min(far[-1] + 1 if far.size else 0, size // 4))


def border_difference(one: Logits, other: Logits, shift: int) -> npt.NDArray[np.float64]:
    """Mean difference float64 [d] of two windows [k, h, w], the second `shift` columns further, at each distance from
    the nearer of the borders that lie within both. Only rows far from the other borders are looked at.
    """
    height, width = one.shape[-2:]
    rows = slice(height // 4, height - height // 4)
    apart = np.abs(one[:, rows, shift:].astype(np.float64) - other[:, rows, : width - shift]).mean(axis=(0, 1))
    half = len(apart) // 2
    return np.asarray(np.maximum(apart[:half], apart[::-1][:half]), np.float64)


def structured_noise(bands: Sequence[Band], size: int) -> npt.NDArray[np.float32]:
    """Values float32 [c, size, size] between the bands' ends, of random structure as large as 1, 2, 4, … pixels."""
    generator = np.random.default_rng(0)
    levels = max(1, size.bit_length() - 1)
    total = np.zeros((len(bands), size, size), np.float32)
    for level in range(levels):
        cell = 2**level
        coarse = generator.random((len(bands), -(-size // cell), -(-size // cell)), np.float32)
        total += np.repeat(np.repeat(coarse, cell, axis=1), cell, axis=2)[:, :size, :size] / levels
    low = np.array([band.low for band in bands], np.float32)[:, None, None]
    high = np.array([band.high for band in bands], np.float32)[:, None, None]
    contrast = np.clip((total - 0.5) * np.sqrt(np.float32(levels)) + 0.5, 0, 1)  # a sum of many is all grey
    return np.asarray(low + (high - low) * contrast, np.float32)
