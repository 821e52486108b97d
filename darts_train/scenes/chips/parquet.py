"""Parquet shards of chips, as data sets on the Hugging Face hub are kept: a picture and its labels in every row.

A cell is the bytes of a picture, or a struct of `bytes` and `path`. To find the rows, only their names are read; then a
row group at a time, of which some pictures at a time are decoded. 200 pictures of 1 MB in one page, which is the worst
that writers make of a row group, need 280 MB.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from darts_train.base.errors import UserError, listing, nearest
from darts_train.base.log import logger
from darts_train.scenes.chips.chips import BadChip, Chip, ChipColumns, ChipRef, check_chip
from darts_train.scenes.chips.pictures import SUFFIXES, read_pair

IMAGES = ("image", "image.tif", "image.png", "image.jpg", "img", "picture")
LABELS = ("label", "label.tif", "label.png", "mask", "mask.tif", "mask.png", "annotation", "labels")
KEYS = ("__key__", "name", "file_name", "filename", "chip_id", "id")
_ROWS = 16  # rows in memory at once
_BUFFER = 2**20  # bytes read ahead of a column, rather than the column of a row group as a whole
_log = logger("preprocess")


def find_rows(shards: Sequence[tuple[Path, str, str | None]], columns: ChipColumns) -> list[list[ChipRef]]:
    """The chips of shards (path, how it is called, split): one list per row group.

    A chip's name is that of a key column, else of its file; where these are missing or not unique, its number in the
    split. Raises UserError where a shard cannot be read or has no column of images.
    """
    opened = [(path, source, split, *_names(path, columns)) for path, source, split in shards]
    names = _unique([name for *_, found in opened for name in found])
    if names is None:
        _log.warning("rows have no names of their own: they are numbered")
        names = list(_numbered([split or "row" for _, _, split, _, found in opened for _ in found]))
    groups, taken = [], iter(names)
    for path, source, split, sizes, _ in opened:
        for group, size in enumerate(sizes):
            rows = [ChipRef(next(taken), path, None, (group, row), split, source) for row in range(size)]
            groups.append(rows)
    return groups


def _names(path: Path, columns: ChipColumns) -> tuple[list[int], list[str | None]]:
    """Sizes of the row groups of a shard, and what its rows are called."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            image, _ = chip_columns(path, schema, columns)
            key = next((n for n in KEYS if n in schema.names and pa.types.is_string(schema.field(n).type)), None)
            kind = schema.field(image).type
            if key is None and pa.types.is_struct(kind) and kind.get_field_index("path") >= 0:
                cells = file.read(columns=[f"{image}.path"]).column(image).to_pylist()
                names = [None if cell is None else cell["path"] for cell in cells]
            else:
                names = file.read(columns=[key]).column(key).to_pylist() if key else [None] * file.metadata.num_rows
            return [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)], names
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable parquet file: {str(error).splitlines()[0]}") from None


def _unique(names: Sequence[str | None]) -> list[str] | None:
    """Last parts of the names, without the suffix of a picture; None where one is missing or comes twice."""
    found = []
    for name in names:
        last = Path(name or "").name
        found.append(Path(last).stem if last.lower().endswith(SUFFIXES) else last)
    return found if all(found) and len(set(found)) == len(found) else None


def _numbered(splits: Sequence[str]) -> Iterator[str]:
    count: Counter[str] = Counter()
    for split in splits:
        yield f"{split}-{count[split]:06d}"
        count[split] += 1


def chip_columns(path: Path, schema: pa.Schema, columns: ChipColumns) -> tuple[str, str | None]:
    """Names of the columns of images and of labels (None: there is none). Raises UserError for what is not there."""
    for name, flag in ((columns.image, "--image-column"), (columns.label, "--label-column")):
        if name is not None and name not in schema.names:
            raise UserError(f"{flag}: {path} has no column {name}{nearest(name, schema.names)}.")
    image = columns.image or next((name for name in IMAGES if name in schema.names), None)
    label = columns.label or next((name for name in LABELS if name in schema.names), None)
    if image is None:
        raise UserError(f"{path} has the columns {listing(schema.names, 8)}; name that of the images: --image-column.")
    for name in filter(None, (image, label)):
        if not _holds_bytes(schema.field(name).type):
            raise UserError(f"{path}: column {name} is {schema.field(name).type}, not the bytes of pictures.")
    return image, label


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def read_rows(refs: Sequence[ChipRef], columns: ChipColumns) -> Iterator[tuple[ChipRef, Chip | BadChip]]:
    """Chips of one row group, in the order of its rows; only some of its rows are in memory at a time."""
    wanted: dict[int, ChipRef] = {ref.row[1]: ref for ref in refs if ref.row is not None}
    path, group = refs[0].path, refs[0].row[0] if refs[0].row else 0
    with pq.ParquetFile(path, buffer_size=_BUFFER) as file:
        image, label = chip_columns(path, file.schema_arrow, columns)
        chosen, row = [name for name in (image, label) if name], 0
        for batch in file.iter_batches(_ROWS, row_groups=[group], columns=chosen):
            for place in range(batch.num_rows):
                if row in wanted:
                    cells = [_bytes(batch.column(name)[place].as_py()) for name in chosen]
                    yield wanted[row], _read(*cells)
                row += 1


def _bytes(cell: Any) -> bytes | None:
    found = cell.get("bytes") if isinstance(cell, dict) else cell
    return found if isinstance(found, bytes) else None


def _read(image: bytes | None, label: bytes | None = None) -> Chip | BadChip:
    if image is None:
        return BadChip("image is missing: its cell holds no bytes")
    try:
        chip = read_pair(image, label)
        check_chip(chip)
    except BadChip as error:
        return error
    return chip
