"""Folds of the rows that are left after the test part was cut off.

The methods are those of scikit-learn (`sklearn.model_selection`), with every random state fixed to 42 so that
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
from darts_train.dataset.splitting.columns import groups_of, strata_of
from darts_train.options.learning import FoldMethod, Split

RANDOM_STATE = 42
STRATIFYING = ("stratified", "shuffle", "region-stratified", "group-stratified")
_log = logger("dataset")


def fold_positions(rows: pd.DataFrame, split: Split, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (not labels) of the rows that train and that validate in one fold.

    Args:
        rows: columns `empty` and `region`, and those that the split names; at least one row.
        split: fold method (None gives all rows to both parts), number of folds, groups and strata.
        fold: which of them, from 0.

    Returns:
        Two int64 arrays, ascending. For the region methods no region is in both, for group-stratified no group.

    Raises:
        UserError: there is no such fold or column, or fewer rows, groups or rows of a kind than the folds need.
    """
    method, total_folds = split.fold_method, split.total_folds
    if not 0 <= fold < total_folds:
        raise UserError(
            f"--fold: {fold} does not exist; with --total-folds {total_folds} it is 0 to {total_folds - 1}."
        )
    _check_options(split)
    if method is None:
        everything = np.arange(len(rows), dtype=np.int64)
        return everything, everything.copy()
    what, groups = _groups(rows, split)
    kinds = _kinds(rows, split)
    _check_rows(len(rows), method, total_folds, what, groups, kinds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said in _check_rows, in words of this program
        try:
            parts = list(_splitter(method, total_folds).split(np.zeros(len(rows)), kinds, groups))
        except ValueError as error:
            raise UserError(
                f"--fold-method {method}, --total-folds {total_folds}, {len(rows)} patches: {error}"
            ) from None
    train, val = (np.sort(np.asarray(part, dtype=np.int64)) for part in parts[fold])
    if not len(train) or not len(val):
        part = "validation" if not len(val) else "training"
        raise UserError(
            f"--fold-method {method}: fold {fold} of {total_folds} has no {part} patch ({len(rows)} patches, "
            f"{len(set(groups))} {what}); use fewer folds or another method."
        )
    return train, val


def _check_options(split: Split) -> None:
    if split.group_by is not None and split.fold_method not in ("group-stratified", None):
        raise UserError(f"--group-by has no effect on --fold-method {split.fold_method}; use group-stratified.")
    if split.stratify_by is not None and split.fold_method not in (*STRATIFYING, None):
        raise UserError(
            f"--stratify-by has no effect on --fold-method {split.fold_method}; use one of {', '.join(STRATIFYING)}."
        )


def _groups(rows: pd.DataFrame, split: Split) -> tuple[str, np.ndarray]:
    """What groups are called, and that of every row."""
    if split.fold_method != "group-stratified":
        return "regions", rows["region"].to_numpy()
    column, groups = groups_of(rows, split.group_by)
    return f"groups ({column})", groups


def _kinds(rows: pd.DataFrame, split: Split) -> np.ndarray:
    """What is spread evenly: with a positive or without, bool [n], or the strata of `stratify_by`, text [n]."""
    return ~rows["empty"].to_numpy(bool) if split.stratify_by is None else strata_of(rows, split.stratify_by)


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


def _check_rows(count: int, method: FoldMethod, folds: int, what: str, groups: np.ndarray, of_row: np.ndarray) -> None:
    """Refuse what cannot be folded, with both numbers and the largest number of folds that works."""
    option = f"--fold-method {method}"
    if method in ("region", "region-stratified", "group-stratified"):
        _check_count(option, len(set(groups)), what, folds)
    if method in ("kfold", "region-stratified", "group-stratified"):
        _check_count(option, count, "patches", folds)
    if method not in STRATIFYING:
        return
    kinds = pd.Series(of_row).value_counts()
    rarest = _kind_name(kinds.idxmin())
    if method != "shuffle":
        named = "empty or positive" if of_row.dtype == bool else "of one stratum"
        _check_count(option, int(kinds.max()), f"patches of a kind ({named})", folds)
    elif kinds.min() < 2:
        raise UserError(f"{option}: only 1 {rarest} patch of {count}; it needs 2 of a kind. Use kfold.")
    if method != "shuffle" and len(kinds) >= 2 and kinds.min() < folds:
        _log.warning(
            "%s: %d %s patches for %d folds; some folds validate without one.", option, kinds.min(), rarest, folds
        )


def _kind_name(kind: object) -> str:
    if isinstance(kind, bool | np.bool_):
        return "positive" if kind else "empty"
    return f"({kind})"


def _check_count(option: str, count: int, what: str, folds: int) -> None:
    if count < 2:
        raise UserError(f"{option}: {count} of 2 {what} that it needs at least. Use another method.")
    if count < folds:
        raise UserError(f"{option}: {count} {what} for --total-folds {folds}; the largest that works is {count}.")
