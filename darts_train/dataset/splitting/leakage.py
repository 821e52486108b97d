"""Patches of one part that show pixels of another: their scores are better than the model.

Patches of one scene overlap (`--overlap`, and always at the far edge), and most fold methods know nothing of it.
"""

import numpy as np
import pandas as pd

from darts_train.base.log import logger
from darts_train.dataset.ground import Ground
from darts_train.dataset.splitting.indices import SplitIndices
from darts_train.dataset.windows import Windows
from darts_train.options.learning import Split

_log = logger("dataset")


def overlapping_patches(metadata: pd.DataFrame, a: np.ndarray, b: np.ndarray, patch_size: int) -> int | None:
    """Number of patches of `a` that share pixels with a patch of `b`; None where unknown. See `overlapping_rows`."""
    found = overlapping_rows(metadata, a, b, patch_size)
    return None if found is None else len(found)


def overlapping_rows(metadata: pd.DataFrame, a: np.ndarray, b: np.ndarray, patch_size: int) -> np.ndarray | None:
    """Patches of `a` that share at least one pixel of a scene with a patch of `b`.

    Args:
        metadata: rows of the set, with sample_id and the window's left and top pixel, x and y.
        a: indices of patches.
        b: indices of patches; one that is in both counts as shared.
        patch_size: side of a window, pixels.

    Returns:
        Their indices, int64 and ascending, none where either part is empty; None where the set does not say where its
        windows lie.
    """
    windows = Windows.of(metadata, patch_size)
    return None if windows is None else windows.meeting(a, b)


def leaking_rows(metadata: pd.DataFrame, a: np.ndarray, b: np.ndarray, patch_size: int) -> np.ndarray | None:
    """Patches of `a` that share pixels with a patch of `b`, or show its ground in another scene.

    As `overlapping_rows`, which see; ground is known only where patches have a place on the earth.
    """
    rows = overlapping_rows(metadata, a, b, patch_size)
    return None if rows is None else np.union1d(rows, Ground.of(metadata).shared(a, b))


def warn_split_leakage(metadata: pd.DataFrame, indices: SplitIndices, split: Split, patch_size: int) -> None:
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
