"""Values to codes and back.

Encoding is done in float64 whatever comes in: float32 arithmetic moves one code in some thousands
by one, and then a set made on another machine differs. Rounding is half to even.
"""

from collections.abc import Sequence

import numpy as np

from darts_train.raster.band import MAX_CODE, NODATA, Band


def encode(values: np.ndarray, bands: Sequence[Band]) -> tuple[np.ndarray, np.ndarray]:
    """Values to codes.

    Args:
        values: float [c, h, w] in the units of the bands; NaN is no data.
        bands: the c bands, in the order of the first axis.

    Returns:
        codes uint16 [c, h, w] (NODATA where NaN) and the number of values per band, int64 [c], that no
        code could say (infinities too) and that were therefore set to the nearest one.

    Raises:
        ValueError: the number of bands is not the length of the first axis.
    """
    if values.ndim != 3 or len(values) != len(bands):
        raise ValueError(f"{len(bands)} bands do not fit values of shape {values.shape}")
    codes = np.empty(values.shape, np.uint16)
    clipped = np.zeros(len(bands), np.int64)
    for i, band in enumerate(bands):  # band by band: the float64 copy is that of one band
        codes[i], clipped[i] = _encode_band(values[i], band)
    return codes, clipped


def _encode_band(values: np.ndarray, band: Band) -> tuple[np.ndarray, int]:
    exact = np.rint((values.astype(np.float64) - band.offset) / band.scale)
    missing = np.isnan(exact)
    exact[missing] = 0
    beyond = int(np.count_nonzero((exact < 0) | (exact > MAX_CODE)))
    codes = np.clip(exact, 0, MAX_CODE).astype(np.uint16)
    codes[missing] = NODATA
    return codes, beyond


def decode(codes: np.ndarray, bands: Sequence[Band]) -> np.ndarray:
    """Codes uint16 [c, h, w] to values float32 [c, h, w], NaN where NODATA. Raises ValueError on a wrong band count."""
    if codes.ndim != 3 or len(codes) != len(bands):
        raise ValueError(f"{len(bands)} bands do not fit codes of shape {codes.shape}")
    values = np.empty(codes.shape, np.float32)
    for i, band in enumerate(bands):
        values[i] = band.offset + band.scale * codes[i].astype(np.float64)
    values[codes == NODATA] = np.nan
    return values
