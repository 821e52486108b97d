"""Patches of one part that show pixels of another: their scores are better than the model.

Patches of one scene overlap (`--overlap`, and always at the far edge), and most fold methods know nothing of it.
"""

import numpy as np
import pandas as pd

from darts_train.base.log import logger

_COLUMNS = ("sample_id", "x", "y")
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
    ours, theirs = (_cells(metadata.loc[part], patch_size) for part in (a, b))
    theirs = theirs.drop_duplicates()
    shared: set[int] = set()
    for across in (-1, 0, 1):
        for down in (-1, 0, 1):
            moved = theirs.assign(column=theirs["column"] + across, row=theirs["row"] + down)
            pairs = ours.reset_index().merge(moved, on=["sample_id", "column", "row"], suffixes=("", "_other"))
            close = (pairs["x"] - pairs["x_other"]).abs().lt(patch_size) & (
                (pairs["y"] - pairs["y_other"]).abs().lt(patch_size)
            )
            shared.update(pairs.loc[close, "index"])
    return len(shared)


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
