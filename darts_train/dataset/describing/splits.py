"""The splits that a configuration would make of a set, and what leaks through them."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.dataset.splitting.leakage import overlapping_patches
from darts_train.dataset.splitting.overlap import nearest_km, patch_centres
from darts_train.dataset.splitting.splits import SplitIndices, available_folds, make_split
from darts_train.options.learning import Split

FOLDS = 20  # folds that are looked at; leaving out one patch after the other is nothing to read


@dataclass(frozen=True)
class PartCount:
    """One part of a split: patches, those with a foreground pixel, and the regions they lie in, alphabetical."""

    patches: int
    positive: int
    regions: tuple[str, ...]


@dataclass(frozen=True)
class FoldCount:
    """One fold.

    Attributes:
        fold: from 0.
        train: patches that train.
        val: patches that validate.
        test: patches that test, the same in every fold.
        val_leak: patches of `val` that share pixels of a scene with `train`; None where windows are unknown.
        test_leak: patches of `test` that share pixels with `train` or `val`; None where windows are unknown.
        purged: training patches that were left out because they share pixels with the other parts.
        val_km: least distance from a centre of `val` to one of `train`, km; None where places are unknown.
        test_km: likewise from `test` to `train` and `val`.
    """

    fold: int
    train: PartCount
    val: PartCount
    test: PartCount
    val_leak: int | None
    test_leak: int | None
    purged: int = 0
    val_km: float | None = None
    test_km: float | None = None


@dataclass(frozen=True, eq=False)
class SplitPreview:
    """What a configuration would make.

    Attributes:
        split: the configuration.
        folds: at most FOLDS of them; empty where it cannot be made.
        first: the patches of fold 0; None where it cannot be made.
        impossible: why not, one line; empty where it can.
        warnings: what the splitting warned of, each once.
    """

    split: Split
    folds: tuple[FoldCount, ...] = ()
    first: SplitIndices | None = None
    impossible: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The configuration in one line."""
        cut, by = self.split.data_split_method, ", ".join(map(str, self.split.data_split_by or ()))
        test = f"test part by {cut} ({by or 'split'})" if cut else "no test part (all patches train and test)"
        method, total = self.split.fold_method, self.split.total_folds
        folds = f"{total} folds by {method}" if method else "no folds (validation is training)"
        drawn = f", {self.split.subsample} patches drawn" if self.split.subsample else ""
        return f"{folds}, {test}{drawn}{self._further}"

    @property
    def _further(self) -> str:
        """What the rarer options say, each after a comma."""
        split = self.split
        by = f", grouped by {split.group_by}" if split.group_by else ""
        evenly = f", even in {', '.join(split.stratify_by)}" if split.stratify_by else ""
        where = f", where {split.where}" if split.where else ""
        return by + evenly + where + (", overlapping training patches left out" if split.purge_overlap else "")


def preview_splits(metadata: pd.DataFrame, patch_size: int, split: Split, strict: bool) -> SplitPreview:
    """Make every fold of a configuration and count what is in it.

    Args:
        metadata: rows of the set.
        patch_size: side of a patch, pixels.
        split: the configuration.
        strict: what cannot be made raises UserError; else the preview says so.
    """
    with _each_once() as warnings:
        try:
            if not len(metadata):
                raise UserError("the set has no patches, so there is nothing to split.")
            number = min(available_folds(metadata, split), FOLDS)
            made = [make_split(metadata, split, fold, patch_size) for fold in range(number)]
        except UserError as error:
            if strict:
                raise
            return SplitPreview(split, impossible=str(error))
    centres = patch_centres(metadata)
    folds = [_count(metadata, patch_size, fold, indices, centres) for fold, indices in enumerate(made)]
    return SplitPreview(split, tuple(folds), made[0], warnings=tuple(warnings))


def _count(
    metadata: pd.DataFrame, patch_size: int, fold: int, indices: SplitIndices, centres: np.ndarray | None
) -> FoldCount:
    learnt = np.union1d(indices.train, indices.val)
    return FoldCount(
        fold=fold,
        train=_part(metadata, indices.train),
        val=_part(metadata, indices.val),
        test=_part(metadata, indices.test),
        val_leak=overlapping_patches(metadata, indices.val, indices.train, patch_size),
        test_leak=overlapping_patches(metadata, indices.test, learnt, patch_size),
        purged=indices.purged,
        val_km=nearest_km(centres, indices.val, indices.train),
        test_km=nearest_km(centres, indices.test, learnt),
    )


def _part(metadata: pd.DataFrame, indices: np.ndarray) -> PartCount:
    rows = metadata.loc[indices]
    return PartCount(len(rows), int((~rows["empty"]).sum()), tuple(sorted(rows["region"].unique())))


@contextmanager
def _each_once() -> Iterator[Sequence[str]]:
    """Take the warnings of splitting off the log and gather them: the folds would say the same one each."""
    log, messages = logger("dataset"), list[str]()

    def gather(record: logging.LogRecord) -> bool:
        if record.getMessage() not in messages:
            messages.append(record.getMessage())
        return False

    log.addFilter(gather)
    try:
        yield messages
    finally:
        log.removeFilter(gather)
