"""What is grouped: samples with all their patches, or single patches."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from darts_train.options.grouping import Unit


@dataclass(frozen=True, eq=False)
class Units:
    """Samples or patches of a set.

    Attributes:
        names: of each unit, ascending: `sample_id`, or `sample_id#patch_id`.
        of_patch: number of the unit of each row of the metadata, int64 [n].
    """

    names: tuple[str, ...]
    of_patch: np.ndarray

    @classmethod
    def of(cls, metadata: pd.DataFrame, unit: Unit) -> "Units":
        """Units of a set's rows (sample_id, patch_id). Their numbers do not depend on the order of the rows."""
        samples = metadata["sample_id"].astype(str)
        if unit == "sample":
            names, numbers = np.unique(samples.to_numpy(object), return_inverse=True)
            return cls(tuple(names), numbers.astype(np.int64))
        keys = list(zip(samples, metadata["patch_id"].astype(np.int64), strict=True))
        order = sorted(range(len(keys)), key=keys.__getitem__)
        numbers = np.empty(len(keys), np.int64)
        numbers[order] = np.arange(len(keys))
        return cls(tuple(f"{keys[i][0]}#{keys[i][1]}" for i in order), numbers)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def rows(self) -> list[np.ndarray]:
        """Rows of the metadata of each unit, ascending."""
        order = np.argsort(self.of_patch, kind="stable")
        ends = np.cumsum(np.bincount(self.of_patch, minlength=len(self)))[:-1]
        return list(np.split(order, ends))
