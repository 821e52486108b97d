"""Which patches train, validate and test. A pure function of metadata.parquet and the split options.

First patches are chosen (`where`, `subsample`), then the test part is cut off (`data_split_method`), then the rest is
folded (`fold_method`, see `folds.py`), and last overlapping patches leave the training part (`purge_overlap`).
Nothing is stored with the data: every run makes its split again, and writes it beside its results.
"""

import dataclasses

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError, listing, nearest
from darts_train.base.log import logger
from darts_train.dataset.expressions import matching_rows
from darts_train.dataset.splitting.columns import named_parts, test_by_values
from darts_train.dataset.splitting.folds import RANDOM_STATE, fold_positions
from darts_train.dataset.splitting.indices import PARTS, SplitIndices
from darts_train.dataset.splitting.leakage import leaking_rows
from darts_train.dataset.splitting.outer_fold import read_outer_fold
from darts_train.options.learning import Split

__all__ = ["RANDOM_TRIES", "SplitIndices", "available_folds", "make_split"]

RANDOM_TRIES = 100
_COLUMNS = {"region": "region", "sample": "sample_id"}
_log = logger("dataset")


def make_split(metadata: pd.DataFrame, split: Split, fold: int = 0, patch_size: int | None = None) -> SplitIndices:
    """Split the patches of a set.

    Args:
        metadata: `TrainData.metadata`; its index is the index of the patch, columns sample_id, region and empty.
        split: the options.
        fold: which fold validates, from 0.
        patch_size: side of a patch, pixels; needed for `purge_overlap`.

    Raises:
        UserError: there are too few patches, groups or positives for what is asked, a region, sample or column is
            unknown, a fraction is not between 0 and 1, or a part would be empty.
    """
    rows = _subsample(_chosen(metadata, split.where), split.subsample)
    named = named_parts(rows, split)
    rest, test = (named["train"], named["test"]) if named else _cut_test(metadata, rows, split)
    rest, left_out = _beside_outer_fold(metadata, rest, test, split, patch_size)
    if named and len(named["val"]):
        made = _as_named(named, split, fold)
    else:
        train, val = fold_positions(rest, split, fold)
        made = SplitIndices(
            train=_sorted_index(rest.iloc[train]), val=_sorted_index(rest.iloc[val]), test=_sorted_index(test)
        )
    made = _purged(metadata, made, split, patch_size) if split.purge_overlap else made
    return dataclasses.replace(made, purged=made.purged + left_out)


def available_folds(metadata: pd.DataFrame, split: Split) -> int:
    """How many folds there are: 1 where data are not folded, or a column says what validates."""
    if split.fold_method is None:
        return 1
    named = named_parts(_chosen(metadata, split.where), split)
    return 1 if named and len(named["val"]) else split.total_folds


def _chosen(metadata: pd.DataFrame, where: str | None) -> pd.DataFrame:
    if where is None:
        return metadata
    rows = metadata[matching_rows(metadata, where, "--where")]
    if not len(rows):
        raise UserError(f"--where: none of {len(metadata)} patches satisfies {where}.")
    return rows


def _as_named(parts: dict[str, pd.DataFrame], split: Split, fold: int) -> SplitIndices:
    """The split that a column describes; without folds what trains and validates is one part."""
    if fold:
        raise UserError(
            f"--fold: {fold} does not exist: a column says what validates, so there is one fold (--n-folds 1)."
        )
    train, val, test = (_sorted_index(parts[part]) for part in PARTS)
    if split.fold_method is None:
        train = val = np.union1d(train, val)
    return SplitIndices(train, val, test)


def _purged(metadata: pd.DataFrame, made: SplitIndices, split: Split, patch_size: int | None) -> SplitIndices:
    """The split without training patches that share pixels with a part they are kept apart from."""
    apart = [made.val] if split.fold_method is not None else []
    apart += [made.test] if split.data_split_method is not None else []
    others = np.concatenate([*apart, np.empty(0, np.int64)])
    train = np.setdiff1d(made.train, _leaking(metadata, made.train, others, patch_size))
    val = train if split.fold_method is None else made.val
    return SplitIndices(train, val, made.test, len(made.train) - len(train))


def _beside_outer_fold(
    metadata: pd.DataFrame, rest: pd.DataFrame, test: pd.DataFrame, split: Split, patch_size: int | None
) -> tuple[pd.DataFrame, int]:
    """Rows beside the test part of an outer fold, and the number of those that are purged.

    What validates there chooses configurations that the test part is to judge, so that it, too, must not overlap it.
    """
    if split.data_split_method != "fold" or not split.purge_overlap:
        return rest, 0
    indices, tested = _sorted_index(rest), _sorted_index(test)
    leaking = _leaking(metadata, indices, tested, patch_size)
    return rest[~rest.index.isin(leaking)], len(leaking)


def _leaking(metadata: pd.DataFrame, ours: np.ndarray, others: np.ndarray, patch_size: int | None) -> np.ndarray:
    """Rows of `ours` that --purge-overlap leaves out; not all of them."""
    if patch_size is None:
        raise ValueError("purge_overlap needs the size of a patch")
    leaking = leaking_rows(metadata, ours, others, patch_size)
    if leaking is None:
        raise UserError("--purge-overlap: the set does not say where its windows lie (columns x and y).")
    if len(leaking) == len(ours):
        raise UserError(
            f"--purge-overlap: all {len(ours)} training patches share pixels with the {len(others)} patches that "
            "validate or test; fold by region or group instead."
        )
    return leaking


def _subsample(metadata: pd.DataFrame, count: int | None) -> pd.DataFrame:
    if count is None:
        return metadata
    if count > len(metadata):
        raise UserError(f"--subsample: {count} patches of {len(metadata)} in the set; the largest is {len(metadata)}.")
    return metadata.sample(n=count, random_state=RANDOM_STATE)


def _cut_test(metadata: pd.DataFrame, rows: pd.DataFrame, split: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows that are left for training, and rows of the test part."""
    method = split.data_split_method
    if method is None:
        if split.data_split_by:
            by = ", ".join(map(str, split.data_split_by))
            raise UserError(
                f"--data-split-by {by} needs a --data-split-method: random, region, sample, column or fold."
            )
        return rows, rows
    if not split.data_split_by:
        what = {"random": "a fraction", "fold": "METHOD:FOLD/FOLDS"}.get(method, "names")
        raise UserError(f"--data-split-method {method} needs {what} in --data-split-by.")
    if method == "random":
        test = _random_test(rows, split.data_split_by)
    elif method == "fold":
        test = rows.iloc[fold_positions(rows, *read_outer_fold(split.data_split_by))[1]]
    elif method == "column":
        test = test_by_values(metadata, rows, split.data_split_by)
    else:
        test = _named_test(metadata, rows, _COLUMNS[method], split.data_split_by)
    rest = rows[~rows.index.isin(test.index)]
    if not len(test) or not len(rest):
        raise UserError(
            f"--data-split-by: of {len(rows)} patches {len(test)} would test and {len(rest)} train; neither may be 0."
        )
    return rest, test


def _random_test(rows: pd.DataFrame, given: tuple[str, ...]) -> pd.DataFrame:
    """A random part for testing, with seed 42, 43, … until a positive patch is in it.

    A test part without one measures nothing. Where no positive comes in a hundred draws the first is taken.
    """
    fraction = _fraction(given)
    draws = (rows.sample(frac=fraction, random_state=RANDOM_STATE + k) for k in range(RANDOM_TRIES))
    for test in draws:
        if not test["empty"].all() or not len(test):
            return test
    _log.warning(
        "no positive patch in the test part after %d draws (%d positives in all).", RANDOM_TRIES, (~rows["empty"]).sum()
    )
    return rows.sample(frac=fraction, random_state=RANDOM_STATE)


def _fraction(given: tuple[str, ...]) -> float:
    try:
        (text,) = given
        fraction = float(text)
    except ValueError:
        fraction = float("nan")
    if not 0 < fraction < 1:
        raise UserError(f"--data-split-by: {listing(given)} is not one fraction (of the test part) between 0 and 1.")
    return fraction


def _named_test(metadata: pd.DataFrame, rows: pd.DataFrame, column: str, names: tuple[str, ...]) -> pd.DataFrame:
    known = sorted(metadata[column].unique())
    unknown = [name for name in names if name not in known]
    if unknown:
        close = nearest(unknown[0], known) or f"; there are {listing(known)}"
        raise UserError(f"--data-split-by: no {column} {listing(unknown)} in the set{close}.")
    return rows[rows[column].isin(names)]


def _sorted_index(rows: pd.DataFrame) -> np.ndarray:
    return np.sort(rows.index.to_numpy(np.int64))
