"""Folds of the rows that are left after the test part was cut off.

The five methods are those of scikit-learn (`sklearn.model_selection`), with every random state fixed to 42 so that
all processes of a cross-validation see the same folds. The two shuffling ones validate on 1 / total_folds of the
rows or regions, drawn anew for every fold: their validation parts may overlap, those of the other three never do.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import (
    GroupShuffleSplit,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.options.learning import FoldMethod

RANDOM_STATE = 42
_log = logger("dataset")


def fold_positions(
    rows: pd.DataFrame, method: FoldMethod | None, total_folds: int, fold: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (not labels) of the rows that train and that validate in one fold.

    Args:
        rows: columns `empty` and `region`; at least one row.
        method: fold method; None gives all rows to both parts.
        total_folds: number of folds, at least 2.
        fold: which of them, from 0.

    Returns:
        Two int64 arrays, ascending. For the region methods no region is in both.

    Raises:
        UserError: there is no such fold, or fewer rows, regions or rows of a kind than the folds need.
    """
    if not 0 <= fold < total_folds:
        raise UserError(
            f"--fold: {fold} does not exist; with --total-folds {total_folds} it is 0 to {total_folds - 1}."
        )
    if method is None:
        everything = np.arange(len(rows), dtype=np.int64)
        return everything, everything.copy()
    _check_rows(rows, method, total_folds)
    positive = ~rows["empty"].to_numpy(bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said in _check_rows, in words of this program
        try:
            parts = list(_splitter(method, total_folds).split(np.zeros(len(rows)), positive, rows["region"].to_numpy()))
        except ValueError as error:
            raise UserError(
                f"--fold-method {method}, --total-folds {total_folds}, {len(rows)} patches: {error}"
            ) from None
    train, val = (np.sort(np.asarray(part, dtype=np.int64)) for part in parts[fold])
    if not len(train) or not len(val):
        part = "validation" if not len(val) else "training"
        raise UserError(
            f"--fold-method {method}: fold {fold} of {total_folds} has no {part} patch ({len(rows)} patches, "
            f"{rows['region'].nunique()} regions); use fewer folds or another method."
        )
    return train, val


def _splitter(method: FoldMethod, folds: int) -> Any:
    if method == "kfold":
        return KFold(folds)
    if method == "stratified":
        return StratifiedKFold(folds, shuffle=True, random_state=RANDOM_STATE)
    if method == "shuffle":
        return StratifiedShuffleSplit(folds, test_size=1 / folds, random_state=RANDOM_STATE)
    if method == "region":
        return GroupShuffleSplit(folds, test_size=1 / folds, random_state=RANDOM_STATE)
    return StratifiedGroupKFold(folds, shuffle=True, random_state=RANDOM_STATE)


def _check_rows(rows: pd.DataFrame, method: FoldMethod, folds: int) -> None:
    """Refuse what cannot be folded, with both numbers and the largest number of folds that works."""
    option = f"--fold-method {method}"
    if method in ("region", "region-stratified"):
        _check_count(option, rows["region"].nunique(), "regions", folds)
    if method in ("kfold", "region-stratified"):
        _check_count(option, len(rows), "patches", folds)
    kinds = rows["empty"].value_counts()
    if method in ("stratified", "region-stratified"):
        _check_count(option, int(kinds.max()), "patches of a kind (empty or positive)", folds)
    if method == "shuffle" and kinds.min() < 2:
        kind = "empty" if kinds.idxmin() else "positive"
        raise UserError(f"{option}: only 1 {kind} patch of {len(rows)}; it needs 2 of a kind. Use kfold.")
    if method in ("stratified", "region-stratified") and len(kinds) == 2 and kinds.min() < folds:
        kind = "empty" if kinds.idxmin() else "positive"
        _log.warning(
            "%s: %d %s patches for %d folds; some folds validate without one.", option, kinds.min(), kind, folds
        )


def _check_count(option: str, count: int, what: str, folds: int) -> None:
    if count < 2:
        raise UserError(f"{option}: {count} of 2 {what} that it needs at least. Use another method.")
    if count < folds:
        raise UserError(f"{option}: {count} {what} for --total-folds {folds}; the largest that works is {count}.")
