"""How the bands of a raster are stored: by their type and name where these say it, else by a look at the pixels.

An integer image keeps its quantum: the step of its codes is the value of one count, so nothing that the source
could say is lost. What a name means is taken from the catalogue only where the pixels agree: `red` of a photograph
is counts from 0 to 255, not reflectance.
"""

from collections.abc import Callable, Sequence

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.raster.band import MAX_CODE, Band
from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window

Reader = Callable[[Sequence[int], Window], tuple[np.ndarray, np.ndarray]]
SAMPLE_SIDE = 128  # pixels, of one look
SAMPLE_LOOKS = 3  # looks along an axis: the cost does not grow with the raster
_AGREE = 0.99  # share of pixels that must lie within what the catalogue can say
_ROOM = 0.1  # of the measured span, kept free on both sides for pixels that were not looked at
_FEW_STEPS = 10  # a picture that shows no more is wrong by its scale
_SIGNED_SHIFT = 32768  # counts; makes int16 codes start at 0
_log = logger("scenes")


def sample_values(read: Reader, grid: Grid, count: int) -> list[np.ndarray]:
    """Valid counts of each of `count` bands, float64 [k], from windows spread evenly; k is 0 without any.

    `read` gives counts and valid [b, h, w] of bands, by position, in a window.
    """
    columns, rows = _look_starts(grid.width), _look_starts(grid.height)
    bands = range(count)
    found: list[list[np.ndarray]] = [[] for _ in bands]
    for y in rows:
        for x in columns:
            values, valid = read(bands, Window(x, y, SAMPLE_SIDE, SAMPLE_SIDE).intersection(grid.extent))
            for band in bands:
                found[band].append(values[band][valid[band]].astype(np.float64))
    return [np.concatenate(parts) for parts in found]


def _look_starts(size: int) -> list[int]:
    last = max(0, size - SAMPLE_SIDE)
    return sorted({round(i * last / (SAMPLE_LOOKS - 1)) for i in range(SAMPLE_LOOKS)})


def native_band(
    name: str,
    dtype: str,
    scale: float,
    offset: float,
    counts: np.ndarray,
    declared: tuple[float, float] | None = None,
) -> Band:
    """The encoding in which a source band is stored.

    Args:
        name: lower-case name; the catalogue's range is used where it knows it and the pixels agree.
        dtype: NumPy name of the file's type.
        scale: value of one count.
        offset: value of count 0.
        counts: float64 [k], some of the band's counts; infinities are passed over, none at all is allowed.
        declared: step and offset of the codes, of a float band; None: as said below.

    Raises:
        UserError: what is declared cannot say more than 1 % of the values.

    Returns:
        For integers that fit 65535 codes, codes are counts (plus 32768 for signed ones). For others the
        catalogue's step, or the measured range in 65534 steps with a tenth of it to spare on both sides.
    """
    values = counts[np.isfinite(counts)] * scale + offset
    known = CATALOGUE.get(name)
    agrees = known is not None and _agrees(values, known)
    step = _integer_step(dtype, scale, offset, values) if declared is None else _declared_step(name, declared, values)
    if known is not None and agrees and step is None:
        return known
    low, high = (known.low, known.high) if known is not None and agrees else _range(dtype, scale, offset, values)
    return Band(name, *(step or _measured_step(values)), low, high, known is not None and known.optical)


def _agrees(values: np.ndarray, known: Band) -> bool:
    if not len(values):
        return True
    tolerance = known.scale / 2
    within = (values >= known.least - tolerance) & (values <= known.greatest + tolerance)
    return bool(within.mean() >= _AGREE)


def _integer_step(dtype: str, scale: float, offset: float, values: np.ndarray) -> tuple[float, float] | None:
    if dtype in ("uint8", "uint16"):
        return scale, offset
    shifted = offset - _SIGNED_SHIFT * scale
    if dtype in ("int8", "int16"):
        return scale, shifted
    if not np.issubdtype(np.dtype(dtype), np.integer) or not len(values):
        return None
    for start in (offset, shifted):
        if start <= values.min() and values.max() <= start + MAX_CODE * scale:
            return scale, start
    return None


def _declared_step(name: str, declared: tuple[float, float], values: np.ndarray) -> tuple[float, float]:
    step, offset = declared
    most = offset + MAX_CODE * step
    beyond = (values < offset - step / 2) | (values > most + step / 2)
    if len(values) and beyond.mean() > 1 - _AGREE:
        raise UserError(
            f"band {name} has values from {values.min():.6g} to {values.max():.6g}, but --scale {step:g} and --offset"
            f" {offset:g}, which are step and least value of a float image, end at {most:.6g}."
        )
    if len(values) and float(np.ptp(values)) < _FEW_STEPS * step:
        _log.warning("band %s: all values seen lie within %d steps of --scale %g", name, _FEW_STEPS, step)
    return step, offset


def _range(dtype: str, scale: float, offset: float, values: np.ndarray) -> tuple[float, float]:
    """What becomes 0 and 1: all of a byte, else the first and last percentile of what was seen."""
    if dtype == "uint8":
        return offset, offset + 255 * scale
    if not len(values):
        return 0.0, 1.0
    low, high = (float(number) for number in np.percentile(values, [1, 99]))
    return (low, high) if low < high else (low, low + max(1.0, abs(low)))


def _measured_step(values: np.ndarray) -> tuple[float, float]:
    if not len(values):
        return 1.0 / MAX_CODE, 0.0
    least, span = float(values.min()), float(values.max() - values.min())
    span = span if span > 0 else max(1.0, abs(least))
    return span * (1 + 2 * _ROOM) / MAX_CODE, least - _ROOM * span


def merge_encodings(bands: Sequence[Band]) -> Band:
    """One encoding that serves the same band of several scenes.

    Counts keep their quantum; other encodings give way to one that covers all of their ranges. The range for the
    network covers all of theirs.

    Raises:
        ValueError: one step is more than a hundred times another: these are not the same unit.
    """
    scales = {band.scale for band in bands}
    if max(scales) > 100 * min(scales):
        raise ValueError(f"one count is worth {min(scales):g} in one scene and {max(scales):g} in another")
    offset = min(band.offset for band in bands)
    low, high = min(band.low for band in bands), max(band.high for band in bands)
    scale = max(scales)
    if len(scales) > 1 or not _whole_steps(bands, offset) or high > offset + scale * MAX_CODE:
        scale = (max(band.greatest for band in bands) - offset) / MAX_CODE
    return Band(bands[0].name, scale, offset, low, high, bands[0].optical)


def _whole_steps(bands: Sequence[Band], offset: float) -> bool:
    """Whether the lines of equal steps fall on each other: counts of uint16 and int16 do, measured ranges do not."""
    shifts = [(band.offset - offset) / band.scale for band in bands]
    return all(abs(shift - round(shift)) < 1e-6 for shift in shifts)
