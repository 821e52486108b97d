"""Further columns of metadata.parquet: what a set says of its patches beyond what every set says.

A set declares them in its config, as `split: text` or `water_pixels_pct: number`, so that a set without a single value
has the same columns and types as any other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import pyarrow as pa

from darts_train.base.errors import UserError

Cell = bool | int | float | str | None
Kind = Literal["text", "number", "flag"]
_TYPES = {"text": pa.string(), "number": pa.float64(), "flag": pa.bool_()}


@dataclass(frozen=True)
class Column:
    """A column by name; its cells are texts, float64 numbers, or yes and no, and may be missing."""

    name: str
    kind: Kind

    @property
    def arrow_type(self) -> pa.DataType:
        """The type in metadata.parquet."""
        return _TYPES[self.kind]

    def __str__(self) -> str:
        return f"{self.name}: {self.kind}"


def parse_columns(texts: Iterable[str]) -> tuple[Column, ...]:
    """Columns of texts such as `split: text`. Raises UserError for another form."""
    found = []
    for text in texts:
        name, _, kind = (part.strip() for part in text.rpartition(":"))
        if not name or kind not in get_args(Kind):
            raise UserError(f"metadata_columns: {text!r} is not NAME: KIND, with {', '.join(get_args(Kind))}.")
        found.append(Column(name, kind))  # type: ignore[arg-type]
    return tuple(found)


def check_columns(columns: Sequence[Column], taken: Sequence[str]) -> None:
    """Raise UserError where two columns have one name, or one that every set has."""
    seen = set(taken)
    for column in columns:
        if column.name in seen:
            raise UserError(f"metadata_columns: {column.name} is a column already; choose another name.")
        seen.add(column.name)
