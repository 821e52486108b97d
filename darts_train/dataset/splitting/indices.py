"""Which patches train, validate and test, as indices of the set's rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from darts_train.base.hashes import hash_json

PARTS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class SplitIndices:
    """Indices of patches (of metadata rows, of x and y), int64 and ascending.

    `train` and `val` share no patch unless `fold_method` is None, and neither does `test` with them unless
    `data_split_method` is None. `test` is empty only where a column says so. `purged` patches were left out of `train`
    because they share pixels with the other parts.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    purged: int = 0

    @property
    def hash(self) -> str:
        """Hash of the three parts; equal exactly where all three are."""
        return hash_json({part: getattr(self, part).tolist() for part in PARTS})

    def table(self, metadata: pd.DataFrame) -> pd.DataFrame:
        """One row per patch of the set: sample_id, region, empty, and a bool column per part.

        Patches that were left out (subsample, where, purge_overlap) are False in all three.
        """
        table = metadata[["sample_id", "region", "empty"]].copy()
        for part in PARTS:
            table[part] = np.isin(metadata.index.to_numpy(), getattr(self, part))
        return table

    def summary(self) -> str:
        """One line for the terminal."""
        purged = f", {self.purged} are left out because they share pixels with these" if self.purged else ""
        return f"{len(self.train)} patches train, {len(self.val)} validate, {len(self.test)} test{purged}"
