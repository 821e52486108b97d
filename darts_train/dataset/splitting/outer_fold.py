"""The test part as one fold of several: `--data-split-method fold`, by METHOD:FOLD/FOLDS or METHOD:FOLD/FOLDS:COLUMN.

This is how nested cross-validation tells its outer folds to everything within them: a run, its test and its record say
the same options as a run that stands alone.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import get_args

from darts_train.base.errors import UserError, listing
from darts_train.options.learning import FoldMethod, Split

METHODS: tuple[FoldMethod, ...] = get_args(FoldMethod)
_FORM = re.compile(r"(?P<method>[a-z-]+):(?P<fold>\d{1,6})/(?P<folds>\d{1,6})(?::(?P<column>.+))?")


def outer_fold(split: Split, method: FoldMethod, fold: int, folds: int) -> Split:
    """`split` with fold `fold` of `folds` as its test part; groups are those of the split, where the method has any."""
    column = f":{split.group_by}" if split.group_by is not None and method == "group-stratified" else ""
    by = f"{method}:{fold}/{folds}{column}"
    return dataclasses.replace(split, data_split_method="fold", data_split_by=(by,))


def read_outer_fold(given: Sequence[str]) -> tuple[Split, int]:
    """The folding, and which of its folds tests. Raises UserError for what is not METHOD:FOLD/FOLDS."""
    found = _FORM.fullmatch(given[0]) if len(given) == 1 else None
    method = next((known for known in METHODS if found and known == found["method"]), None)
    if found is None or method is None or not 0 <= int(found["fold"]) < int(found["folds"]):
        raise UserError(
            f"--data-split-by: {listing(given)} is not METHOD:FOLD/FOLDS, such as kfold:0/5, with a method of "
            f"{', '.join(METHODS)}."
        )
    return Split(fold_method=method, total_folds=int(found["folds"]), group_by=found["column"]), int(found["fold"])
