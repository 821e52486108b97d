"""Values to codes and back.

Encoding is done in float64 whatever comes in: float32 arithmetic moves one code in some thousands
by one, and then a set made on another machine differs. Rounding is half to even.
"""

from collections.abc import Sequence

import numpy as np

from darts_train.raster.band import MAX_CODE, NODATA, Band

_BLOCK_PIXELS = 2**16
MAX_BYTE = 255  # the greatest code of a band that is stored in bytes


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
    for i, band in enumerate(bands):
        clipped[i] = _encode_band(values[i], band, codes[i])
    return codes, clipped


def _encode_band(values: np.ndarray, band: Band, codes: np.ndarray) -> int:
    """Write the codes [h, w] of one band, a few rows at a time: the float64 copies stay in the processor's cache."""
    rows = max(1, _BLOCK_PIXELS // max(1, values.shape[1]))
    return sum(
        _encode_rows(values[top : top + rows], band, codes[top : top + rows]) for top in range(0, len(values), rows)
    )


def _encode_rows(values: np.ndarray, band: Band, codes: np.ndarray) -> int:
    exact = values.astype(np.float64)
    if band.offset != 0:
        exact -= band.offset
    if band.scale != 1:
        exact /= band.scale
    np.rint(exact, out=exact)
    missing = np.isnan(exact)
    some = missing.any()
    if some:
        exact[missing] = 0
    beyond = 0
    if exact.size and (exact.min() < 0 or exact.max() > MAX_CODE):
        clipped = np.clip(exact, 0, MAX_CODE)
        beyond = int(np.count_nonzero(clipped != exact))
        exact = clipped
    codes[:] = exact
    if some:
        codes[missing] = NODATA
    return beyond


def decode(codes: np.ndarray, bands: Sequence[Band]) -> np.ndarray:
    """Codes uint16 [c, h, w] to values float32 [c, h, w], NaN where NODATA. Raises ValueError on a wrong band count."""
    if codes.ndim != 3 or len(codes) != len(bands):
        raise ValueError(f"{len(bands)} bands do not fit codes of shape {codes.shape}")
    values = np.empty(codes.shape, np.float32)
    for i, band in enumerate(bands):
        values[i] = band.offset + band.scale * codes[i].astype(np.float64)
    values[codes == NODATA] = np.nan
    return values


def to_bytes(codes: np.ndarray, by_band: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Codes that fit into bytes, apart from which of them are values.

    Args:
        codes: uint16 [c, h, w]; values are 0 to MAX_BYTE, NODATA is no data.
        by_band: whether bands may differ in where they have data.

    Returns:
        codes uint8 [c, h, w], 0 where there is no data, and valid uint8, 1 where there is: [h, w], or [c, h, w] by
        band.

    Raises:
        ValueError: a code is greater than MAX_BYTE, or bands differ in where they have data and may not.
    """
    present = codes != NODATA
    kept = np.where(present, codes, 0)
    if kept.size and kept.max() > MAX_BYTE:
        raise ValueError(f"code {kept.max()} does not fit into a byte")
    if not by_band and (present != present[0]).any():
        raise ValueError("no data differs between bands")
    return kept.astype(np.uint8), (present if by_band else present[0]).astype(np.uint8)


def from_bytes(codes: np.ndarray, valid: np.ndarray) -> None:
    """Write NODATA into codes uint16 [c, h, w] wherever valid ([h, w], or [c, h, w]) is 0."""
    codes[np.broadcast_to(valid == 0, codes.shape)] = NODATA
