"""Rasters resampled to another size, whole: values by a triangle, classes by the area that they cover.

Pixels are squares: the old raster and the new one cover the same rectangle, so that corner meets corner. Weights are
sparse matrices, one per axis, and sums are in float64 in a fixed order: the result is the same on every machine.
"""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

LEAST_SHARE = 0.5  # of the weights of a resampled pixel that must be of pixels with data


def resample_values(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resampling, antialiased where the raster gets smaller: the triangle is then as wide as a new pixel.

    Args:
        values: float [c, h, w], NaN where there is no data.
        height: rows of the result.
        width: columns of the result.

    Returns:
        float32 [c, height, width]: the mean of the values with data, by these weights; NaN where these have less than
        LEAST_SHARE of the weights.
    """
    rows, columns = _triangles(values.shape[1], height), _triangles(values.shape[2], width)
    result = np.empty((len(values), height, width), np.float32)
    for band, plane in enumerate(values):
        missing = np.isnan(plane)
        result[band] = _both(rows, np.where(missing, 0, plane), columns)
        if missing.any():
            share = _both(rows, ~missing, columns)
            with np.errstate(divide="ignore", invalid="ignore"):
                result[band] = np.where(share >= LEAST_SHARE, result[band] / share, np.nan)
    return result


def resample_in_strips(values: np.ndarray, height: int, width: int, rows: int) -> Iterator[np.ndarray]:
    """`resample_values`, so many rows of the result at a time: float32 [c, rows or fewer, width]."""
    known = ~np.isnan(values)
    filled, shares = np.where(known, values, 0).astype(np.float64), known.astype(np.float64)
    down, columns = _triangles(values.shape[1], height), _triangles(values.shape[2], width)
    for top in range(0, height, rows):
        part = down[top : top + rows]
        sums = np.stack([_both(part, plane, columns) for plane in filled])
        share = np.stack([_both(part, plane, columns) for plane in shares])
        with np.errstate(divide="ignore", invalid="ignore"):
            yield np.where(share >= LEAST_SHARE, sums / share, np.nan).astype(np.float32)


def resample_classes(classes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Each new pixel gets the value that covers most of its area, the least of several: uint8 [height, width].

    `classes` is uint8 [h, w]; the value of what is ignored is one like the others.
    """
    rows, columns = _boxes(classes.shape[0], height), _boxes(classes.shape[1], width)
    result = np.zeros((height, width), np.uint8)
    most = np.full((height, width), -1.0)
    for value in np.unique(classes):
        covered = np.round(_both(rows, classes == value, columns), 9)  # ties are ties, whatever the order of the sums
        result[covered > most] = value
        np.maximum(most, covered, out=most)
    return result


def _both(rows: csr_array, plane: np.ndarray, columns: csr_array) -> np.ndarray:
    """Both axes of a plane [h, w], float64."""
    return np.asarray((columns @ (rows @ plane.astype(np.float64)).T).T)


def _triangles(old: int, new: int) -> csr_array:
    """Weights [new, old] of a triangle around the centre of each new pixel, cut off at the edge; rows sum to 1."""
    step = old / new
    reach = max(1.0, step)
    centres = (np.arange(new) + 0.5) * step
    first = np.floor(centres - reach).astype(int)
    pixels = first[:, None] + np.arange(int(2 * reach) + 3)
    return _matrix(pixels, 1 - np.abs(pixels + 0.5 - centres[:, None]) / reach, old)


def _boxes(old: int, new: int) -> csr_array:
    """Shares [new, old] that old pixels have in the length of each new one."""
    edges = np.arange(new + 1) * old / new
    pixels = np.floor(edges[:-1]).astype(int)[:, None] + np.arange(int(old / new) + 3)
    return _matrix(pixels, np.minimum(pixels + 1, edges[1:, None]) - np.maximum(pixels, edges[:-1, None]), old)


def _matrix(pixels: np.ndarray, weights: np.ndarray, old: int) -> csr_array:
    """Rows of weights at old pixels; those beyond the raster, and weights that are not positive, count nothing."""
    weights = np.where((pixels >= 0) & (pixels < old), np.maximum(weights, 0), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    places = np.broadcast_to(np.arange(len(pixels))[:, None], pixels.shape)
    chosen = weights > 0
    return csr_array((weights[chosen], (places[chosen], pixels[chosen])), shape=(len(pixels), old))


def letterbox(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height in proportion that just fit into a square of `side` pixels; at least one pixel each."""
    scale = side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def fitted_size(fit: str, width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height of an image that was fitted (`tile`, `resize`, `letterbox`, `pad`) to patches of `side`."""
    if fit == "resize":
        return side, side
    return letterbox(width, height, side) if fit == "letterbox" else (width, height)
