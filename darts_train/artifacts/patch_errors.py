"""How far a model was off, patch by patch: tables that a test or a cross-validation leaves, or that a user brings.

`test_patches.parquet` is in the directory of a tested run, `label_audit.parquet` in that of a cross-validation with
out-of-fold predictions. A patch is named by sample_id and patch_id, or by `patch`, its row in the set of the table.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError, listing, nearest

TEST_PATCHES, AUDIT_FILE = "test_patches.parquet", "label_audit.parquet"
_BESIDE = {TEST_PATCHES: "test_metrics.json", AUDIT_FILE: "oof.json"}  # say of which set the table is
_USUAL = ("loss", "error", "score")
_KEYS = ("sample_id", "patch_id")
PREFIX = "error_"


@dataclass(frozen=True, eq=False)
class PatchErrors:
    """Errors of the patches of a set.

    Attributes:
        columns: float64, one row per patch of the set, NaN where nothing is known; names begin with `error_`.
        ranked: the column by which patches are hard.
        path: the table.
    """

    columns: pd.DataFrame
    ranked: str
    path: Path

    @property
    def values(self) -> np.ndarray:
        """The column by which patches are hard, float64 [n]."""
        return self.columns[self.ranked].to_numpy(np.float64)


def read_patch_errors(place: Path, column: str | None, metadata: pd.DataFrame, data_hash: str) -> PatchErrors:
    """Read a table of errors for the patches of a set.

    Args:
        place: a parquet file, or the directory of a run or of a cross-validation.
        column: by which patches are hard; None: loss, error or score.
        metadata: rows of the set.
        data_hash: of the set.

    Raises:
        UserError: there is no table, it does not say of which patches it is, it is of another set, a patch comes
            twice, or it has no such column of numbers.
    """
    path = find_table(place)
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"--errors: {path} cannot be read ({str(error).splitlines()[0]}).") from None
    rows = _rows(path, table, metadata, data_hash)
    numbers = [
        str(name)
        for name in table.columns
        if name not in (*_KEYS, "patch") and pd.api.types.is_numeric_dtype(table[name].dtype)
    ]
    chosen = column or next((name for name in _USUAL if name in numbers), None)
    if chosen is None or chosen not in numbers:
        hint = nearest(column or "", numbers) or f"; columns of numbers are {listing(numbers, 8) or 'none'}"
        raise UserError(f"--error-column: {path} has no column {column or 'loss, error or score'}{hint}.")
    found = pd.DataFrame(np.nan, index=metadata.index, columns=[PREFIX + name for name in numbers])
    inside = rows >= 0
    for name in numbers:
        values = np.full(len(metadata), np.nan)
        values[rows[inside]] = table[name].to_numpy(np.float64, na_value=np.nan)[inside]
        found[PREFIX + name] = values
    return PatchErrors(found, PREFIX + chosen, path)


def find_table(place: Path) -> Path:
    """The table of a directory, or the file itself. Raises UserError where there is none."""
    if not place.exists():
        raise UserError(f"--errors: {place} does not exist.")
    if place.is_file():
        return place
    found = [place / name for name in _BESIDE if (place / name).is_file()]
    if not found:
        raise UserError(
            f"--errors: {place} has neither {TEST_PATCHES} (darts test-smp makes it) nor {AUDIT_FILE} "
            "(of a cross-validation with --oof)."
        )
    return found[0]


def _rows(path: Path, table: pd.DataFrame, metadata: pd.DataFrame, data_hash: str) -> np.ndarray:
    """Row of the set of each row of the table, int64; -1: the set has no such patch."""
    if set(_KEYS) <= set(table.columns) and set(_KEYS) <= set(metadata.columns):
        rows = _by_name(table, metadata)
    elif "patch" in table:
        _refuse_other_set(path, data_hash)
        rows = table["patch"].to_numpy(np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(metadata):
            raise UserError(f"--errors: {path} is about patch {rows.max()}, the set has {len(metadata)}.")
    else:
        raise UserError(f"--errors: {path} has neither a column patch nor sample_id and patch_id.")
    known = rows[rows >= 0]
    if len(np.unique(known)) < len(known):
        raise UserError(f"--errors: {path} has a patch twice; take the mean first.")
    if not len(known):
        raise UserError(f"--errors: {path} is about none of the patches of the set.")
    return rows


def _by_name(table: pd.DataFrame, metadata: pd.DataFrame) -> np.ndarray:
    names = zip(metadata["sample_id"].astype(str), metadata["patch_id"].astype(np.int64), strict=True)
    place = {name: row for row, name in enumerate(names)}
    asked = zip(table["sample_id"].astype(str), table["patch_id"].astype(np.int64), strict=True)
    return np.array([place.get(name, -1) for name in asked], np.int64)


def _refuse_other_set(path: Path, data_hash: str) -> None:
    """Rows of another set are other patches."""
    beside = _BESIDE.get(path.name)
    if beside is None:
        return
    try:
        said = json.loads(path.with_name(beside).read_bytes()).get("data_hash")
    except (OSError, ValueError, AttributeError):
        return
    if said is not None and said != data_hash:
        raise UserError(f"--errors: {path} is about another set (data hash {said}, this is {data_hash}).")
