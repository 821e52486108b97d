"""Pairs from a table: paths, what is known of each image, and whatever else the table says of it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError, listing, nearest
from darts_train.dataset.columns import Cell, Column, Kind, check_columns
from darts_train.dataset.schema import METADATA_SCHEMA
from darts_train.preprocess.pairing.pair import SPLIT, Pair, Pairs
from darts_train.scenes.scene import NO_REGION

_KNOWN = ("image", "label", "region", "group", "date", "sample_id")
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}
_SHOWN = 3  # files that are not there
_TYPED = ".parquet"  # says what its columns hold


def pairs_of_table(path: Path) -> Pairs:
    """Pairs of a CSV or parquet table, in the order of its rows.

    Columns are image, label (paths relative to the table) and, if known, region, group, date, sample_id. Others become
    columns of the metadata: numbers, yes and no, or texts (in a CSV, as all of a column's cells can be read; `007` is
    a text). Raises UserError where the table or a file that it names cannot be read, or a column is missing.
    """
    table = _read(path)
    for column in _KNOWN[:2]:
        if column not in table:
            raise UserError(f"--table: {path} has no column {column}{nearest(column, table.columns)}.")
    if table.empty:
        raise UserError(f"--table: {path} has no row.")
    texts = {str(name): [_text(value) for value in table[name].tolist()] for name in table.columns}
    typed = path.suffix.lower() == _TYPED
    further: dict[str, Kind] = {
        str(name): "text" if name == SPLIT else _type_of(table[name].dtype) if typed else _kind_of(texts[str(name)])
        for name in table.columns
        if name not in _KNOWN
    }
    columns = tuple(Column(name, kind) for name, kind in further.items())
    try:
        check_columns(columns, METADATA_SCHEMA.names)
    except UserError as error:
        raise UserError(f"--table: {path}: {str(error).removeprefix('metadata_columns: ')}") from None
    _refuse_missing(path, texts)
    cells = {name: [_cell(text, kind) for text in texts[name]] for name, kind in further.items()}
    rows = [_row(path, texts, cells, number) for number in range(len(table))]
    return Pairs(tuple(rows), columns)


def _read(path: Path) -> Any:
    import pandas as pd

    try:
        return pd.read_parquet(path) if path.suffix.lower() == _TYPED else pd.read_csv(path, dtype=str)
    except (ValueError, OSError) as error:
        raise UserError(f"--table: {path} cannot be read ({str(error).splitlines()[0]}).") from None


def _text(value: object) -> str | None:
    """A cell as text; None where it is empty. Days come as timestamps from parquet."""
    if value is None or value != value or str(value) == "<NA>":  # NaN and NaT are not themselves
        return None
    text = (value.isoformat() if hasattr(value, "isoformat") else str(value)).strip()
    return text.removesuffix("T00:00:00") or None


def _type_of(dtype: Any) -> Kind:
    return "number" if dtype.kind in "iuf" else "flag" if dtype.kind == "b" else "text"


def _kind_of(texts: Sequence[str | None]) -> Kind:
    """What a column of texts holds, as all of its cells can be read; an empty one holds texts."""
    said = [text for text in texts if text is not None]
    if said and all(text.lower() in _FLAGS for text in said):
        return "flag"
    return "number" if said and all(map(_is_number, said)) else "text"


def _is_number(text: str) -> bool:
    if re.match(r"[-+]?0\d", text) or "_" in text:  # a name of digits, such as 007 or 12_3
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _cell(text: str | None, kind: Kind) -> Cell:
    if text is None or kind == "text":
        return text
    return _FLAGS[text.lower()] if kind == "flag" else float(text)


def _refuse_missing(table: Path, texts: Mapping[str, Sequence[str | None]]) -> None:
    """Raise UserError where a row names no file, or one that is not there; several are listed."""
    missing = []
    for number, (image, label) in enumerate(zip(texts["image"], texts["label"], strict=True), start=1):
        if image is None or label is None:
            raise UserError(f"--table: {table} row {number}: {'image' if image is None else 'label'} is empty.")
        places = [table.parent / name for name in (image, label)]
        missing += [f"row {number}: no file {place}" for place in places if not place.is_file()]
    if missing:
        raise UserError(f"--table: {table} {listing(missing, _SHOWN)}.")


def _row(table: Path, texts: Mapping[str, Sequence[str | None]], cells: Mapping[str, list[Cell]], number: int) -> Pair:
    known = {name: texts[name][number] if name in texts else None for name in _KNOWN}
    image, label = str(known["image"]), str(known["label"])
    return Pair(
        image=table.parent / image,
        label=table.parent / label,
        sample_id=known["sample_id"] or Path(image).stem,
        source=image,
        region=known["region"] or NO_REGION,
        group=known["group"],
        date=known["date"],
        columns={name: column[number] for name, column in cells.items()},
    )
