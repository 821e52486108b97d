"""Patches of one part that show pixels of another: their scores are better than the model.

Patches of one scene overlap (`--overlap`, and always at the far edge), and most fold methods know nothing of it.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from darts_train.base.log import logger
from darts_train.options.learning import Split

if TYPE_CHECKING:
    from darts_train.dataset.splits import SplitIndices

_COLUMNS = ("sample_id", "x", "y")
_NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
_log = logger("dataset")


def overlapping_patches(metadata: pd.DataFrame, a: np.ndarray, b: np.ndarray, patch_size: int) -> int | None:
    """Number of patches of `a` that share pixels with a patch of `b`; None where unknown. See `overlapping_rows`."""
    found = overlapping_rows(metadata, a, b, patch_size)
    return None if found is None else len(found)


def overlapping_rows(metadata: pd.DataFrame, a: np.ndarray, b: np.ndarray, patch_size: int) -> np.ndarray | None:
    """Patches of `a` that share at least one pixel of a scene with a patch of `b`.

    Windows are hashed into cells as large as a patch, so that only neighbouring cells are compared: the time grows
    with the number of patches, not its square.

    Args:
        metadata: rows of the set, with sample_id and the window's left and top pixel, x and y.
        a: indices of patches.
        b: indices of patches; one that is in both counts as shared.
        patch_size: side of a window, pixels.

    Returns:
        Their indices, int64 and ascending, none where either part is empty; None where the set does not say where its
        windows lie.
    """
    if not set(_COLUMNS) <= set(metadata.columns) or metadata[["x", "y"]].isna().any(axis=None):
        return None
    ours = _cells(metadata.loc[a], patch_size).reset_index()
    theirs = _cells(metadata.loc[b], patch_size).drop_duplicates()
    around = pd.concat([theirs.assign(column=theirs["column"] + i, row=theirs["row"] + j) for i, j in _NEIGHBOURS])
    pairs = ours.merge(around, on=["sample_id", "column", "row"], suffixes=("", "_other"))
    apart = pairs[["x", "y"]].to_numpy() - pairs[["x_other", "y_other"]].to_numpy()
    shared = pairs.loc[(np.abs(apart) < patch_size).all(axis=1), "index"].to_numpy(np.int64)
    return np.unique(shared)


def warn_split_leakage(metadata: pd.DataFrame, indices: "SplitIndices", split: Split, patch_size: int) -> None:
    """Log what leaks from the training part into the parts that it is kept apart from."""
    if split.fold_method is not None:
        warn_leakage(metadata, indices.train, indices.val, patch_size, "validation")
    if split.data_split_method is not None:
        warn_leakage(metadata, indices.train, indices.test, patch_size, "test")


def warn_leakage(
    metadata: pd.DataFrame, train: np.ndarray, other: np.ndarray, patch_size: int, part: str
) -> int | None:
    """Log a warning where patches of a part (`part` names it) share pixels with training patches; their number."""
    count = overlapping_patches(metadata, other, train, patch_size)
    if count:
        _log.warning(
            "%d of %d %s patches share pixels with training patches; scores will be too good. "
            "Fold by region or group, give --purge-overlap, or make the set with --overlap 0.",
            count, len(other), part,
        )  # fmt: skip
    return count


def _cells(rows: pd.DataFrame, patch_size: int) -> pd.DataFrame:
    windows = rows[list(_COLUMNS)].astype({"x": np.int64, "y": np.int64}).rename_axis("index")
    return windows.assign(column=windows["x"] // patch_size, row=windows["y"] // patch_size)
