"""Splits, groups and strata that columns of metadata.parquet name."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.dataset.expressions import column_values
from darts_train.options.learning import Split

SPLIT_COLUMN, GROUP_COLUMN, SCENE_COLUMN = "split", "group", "sample_id"
MOST_VALUES = 10  # a column of more different numbers is cut into quarters
_WORDS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
}  # fmt: skip
_log = logger("dataset")


def named_parts(rows: pd.DataFrame, split: Split) -> dict[str, pd.DataFrame] | None:
    """Rows of `train`, `val` and `test` as a column of these words says; None where the split is made otherwise.

    `val` and `test` may be empty. Rows without a value are in no part. Raises UserError for an unknown column or word,
    and where nothing is left to train.
    """
    if split.data_split_method != "column":
        return None
    by = split.data_split_by or (SPLIT_COLUMN,)
    if any("=" in item for item in by):
        return None
    if len(by) > 1:
        raise UserError(f"--data-split-by: {listing(by)} are several columns; one says the part of every patch.")
    values = _texts(column_values(rows, by[0], "--data-split-by"))
    unknown = sorted({value for value in values if value is not None and value.strip().lower() not in _WORDS})
    if unknown:
        raise UserError(
            f"--data-split-by: column {by[0]} says {listing(unknown)}, not train, val or test; "
            f"for a test part by value give {by[0]}={unknown[0]}."
        )
    words = np.array(["" if value is None else _WORDS[value.strip().lower()] for value in values], object)
    parts = {part: rows[words == part] for part in ("train", "val", "test")}
    said = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
    if not len(parts["train"]) or len(parts["train"]) == len(rows):
        raise UserError(f"--data-split-method column: of {len(rows)} patches column {by[0]} makes {said}.")
    if (words == "").any():
        _log.info("%d patches have no value in column %s and are in no part.", (words == "").sum(), by[0])
    return parts


def test_by_values(metadata: pd.DataFrame, rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Rows whose column has one of the values, given as COLUMN=VALUE each. Raises UserError for what is not there."""
    pairs = [item.split("=", 1) for item in by]
    columns = {pair[0].strip() for pair in pairs}
    if len(columns) != 1 or any(len(pair) != 2 for pair in pairs):
        raise UserError(f"--data-split-by: {listing(by)}; give COLUMN=VALUE, with one column.")
    (column,) = columns
    wanted = {pair[1].strip() for pair in pairs}
    known = {value for value in _texts(column_values(metadata, column, "--data-split-by")) if value is not None}
    if wanted - known:
        raise UserError(
            f"--data-split-by: no patch has {listing(sorted(wanted - known))} in column {column}; "
            f"it has {listing(sorted(known))}."
        )
    values = _texts(column_values(rows, column, "--data-split-by"))
    return rows[np.array([value in wanted for value in values], bool)]


def groups_of(rows: pd.DataFrame, column: str | None) -> tuple[str, np.ndarray]:
    """The column whose values stay together, and the group of each row (text, [n]).

    Without a name it is `group` where the set fills it, else the scene. Rows without a value are with their scene.
    """
    if column is None:
        filled = GROUP_COLUMN in rows and rows[GROUP_COLUMN].notna().any()
        column = GROUP_COLUMN if filled else SCENE_COLUMN
    values = _texts(column_values(rows, column, "--group-by"))
    scenes = rows[SCENE_COLUMN].astype(str)
    named = [f"={value}" if value is not None else scene for value, scene in zip(values, scenes, strict=True)]
    return column, np.array(named, object)


def strata_of(rows: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """What each row is by several columns, as text [n]: `region=A, empty=no`. Many numbers are cut into quarters."""
    labels = [""] * len(rows)
    for column in columns:
        values = column_values(rows, column, "--stratify-by")
        if values.dtype == np.float64 and len(np.unique(values[~np.isnan(values)])) > MOST_VALUES:
            values = _quarters(values)
        for place, text in enumerate(_texts(values)):
            labels[place] += f"{', ' if labels[place] else ''}{column}={text}"
    return np.array(labels, object)


def _quarters(values: np.ndarray) -> np.ndarray:
    bounds = np.nanquantile(values, (0.25, 0.5, 0.75))
    quarter = np.searchsorted(bounds, values, side="right").astype(np.float64)
    return np.where(np.isnan(values), np.nan, quarter)


def _texts(values: np.ndarray) -> list[str | None]:
    """Values as texts: 2020.0 is `2020`, True is `yes`; None where there is none."""
    if values.dtype == bool:
        return ["yes" if value else "no" for value in values]
    if values.dtype == object:
        return list(values)
    return [None if np.isnan(value) else f"{value:.15g}" for value in values]
