"""What each group holds: its members, its patches, and the labelled pixels of each class by part of a split."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError
from darts_train.dataset.expressions import column_values
from darts_train.dataset.grouping.report import Group
from darts_train.dataset.grouping.units import Units
from darts_train.dataset.splitting.columns import SPLIT_COLUMN


def split_values(metadata: pd.DataFrame, column: str | None) -> tuple[str | None, np.ndarray]:
    """The column that groups are compared with, and its text in each row (object [n], "" without a value).

    Without a name it is `split`, where the set has it. Raises UserError for a column that is not there.
    """
    if column is None and SPLIT_COLUMN not in metadata:
        return None, np.full(len(metadata), "", object)
    name = column or SPLIT_COLUMN
    values = column_values(metadata, name, "--split-column")
    if values.dtype != object:
        raise UserError(f"--split-column: column {name} holds numbers, not parts of a split.")
    return name, np.array([value or "" for value in values], object)


def class_pixels(metadata: pd.DataFrame, classes: int, pixels: int) -> np.ndarray:
    """Labelled pixels of each class of each patch, float64 [n, classes], from what the metadata say; else zeros.

    `pixels`: of one patch.
    """
    found = np.zeros((len(metadata), classes))
    if not {"class_fractions", "valid_fraction"} <= set(metadata):
        return found
    for row, shares in enumerate(metadata["class_fractions"]):
        if shares is not None and len(shares) == classes:
            found[row] = shares
    found /= np.maximum(found.sum(axis=1, keepdims=True), 1e-12)  # of all pixels or of the valid ones, as it was made
    return np.asarray(found * metadata["valid_fraction"].fillna(0).to_numpy(np.float64)[:, None] * pixels)


def describe_groups(
    units: Units, names: np.ndarray, parts: np.ndarray, pixels: np.ndarray, classes: Sequence[str]
) -> list[Group]:
    """All groups, the largest first, then by name.

    Args:
        units: what was grouped.
        names: group of each unit, text [len(units)].
        parts: part of the split of each patch, text [n].
        pixels: labelled pixels of each class, float64 [n, classes].
        classes: their names.
    """
    members: dict[str, list[int]] = {}
    for unit, name in enumerate(names):
        members.setdefault(name, []).append(unit)
    groups = []
    for name, numbers in members.items():
        rows = np.concatenate([units.rows[number] for number in numbers])
        counts = {str(part): _counts(pixels[rows[parts[rows] == part]], classes) for part in sorted(set(parts[rows]))}
        groups.append(Group(name, tuple(units.names[number] for number in numbers), len(rows), counts))
    return sorted(groups, key=lambda group: (-len(group.members), group.name))


def _counts(pixels: np.ndarray, classes: Sequence[str]) -> dict[str, int]:
    return {name: round(float(total)) for name, total in zip(classes, pixels.sum(axis=0), strict=True)}
