"""Patches of one part that show pixels of another: their scores are better than the model.

Patches of one scene overlap (`--overlap`, and always at the far edge), and most fold methods know nothing of it.
"""

import numpy as np
import pandas as pd

from darts_train.base.log import logger

_COLUMNS = ("sample_id", "x", "y")
_NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
_log = logger("dataset")


def overlapping_patches(metadata: pd.DataFrame, a: np.ndarray, b: np.ndarray, patch_size: int) -> int | None:
    """Number of patches of `a` that share at least one pixel of a scene with a patch of `b`.

    Windows are hashed into cells as large as a patch, so that only neighbouring cells are compared: the time grows
    with the number of patches, not its square.

    Args:
        metadata: rows of the set, with sample_id and the window's left and top pixel, x and y.
        a: indices of patches.
        b: indices of patches; one that is in both counts as shared.
        patch_size: side of a window, pixels.

    Returns:
        The number, 0 where either part is empty; None where the set does not say where its windows lie.
    """
    if not set(_COLUMNS) <= set(metadata.columns) or metadata[["x", "y"]].isna().any(axis=None):
        return None
    ours = _cells(metadata.loc[a], patch_size).reset_index()
    theirs = _cells(metadata.loc[b], patch_size).drop_duplicates()
    around = pd.concat([theirs.assign(column=theirs["column"] + i, row=theirs["row"] + j) for i, j in _NEIGHBOURS])
    pairs = ours.merge(around, on=["sample_id", "column", "row"], suffixes=("", "_other"))
    apart = pairs[["x", "y"]].to_numpy() - pairs[["x_other", "y_other"]].to_numpy()
    return int(pairs.loc[(np.abs(apart) < patch_size).all(axis=1), "index"].nunique())


def warn_leakage(
    metadata: pd.DataFrame, train: np.ndarray, other: np.ndarray, patch_size: int, part: str
) -> int | None:
    """Log a warning where patches of a part (`part` names it) share pixels with training patches; their number."""
    count = overlapping_patches(metadata, other, train, patch_size)
    if count:
        _log.warning(
            "%d of %d %s patches share pixels with training patches; scores will be too good. "
            "Fold by region, or make the set with --overlap 0.",
            count, len(other), part,
        )  # fmt: skip
    return count


def _cells(rows: pd.DataFrame, patch_size: int) -> pd.DataFrame:
    windows = rows[list(_COLUMNS)].astype({"x": np.int64, "y": np.int64}).rename_axis("index")
    return windows.assign(column=windows["x"] // patch_size, row=windows["y"] // patch_size)
