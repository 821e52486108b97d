"""What a report page consists of: headline figures, then sections of blocks. Plain values, no layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Headline:
    """A number to be seen first: `value` is ready to be read, `note` says what it was measured on."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Charts:
    """SVG charts side by side, made by `figures` (their text is escaped there); `legend` as in `Pictures`.

    `wide` charts take the whole width, and are scrolled where that is too little to read them.
    """

    kind: ClassVar[str] = "charts"
    svgs: Sequence[str]
    caption: str = ""
    legend: Sequence[tuple[str, str]] = ()
    wide: bool = False


@dataclass(frozen=True)
class Picture:
    """A PNG file with its title; `alt` is read where pictures are not seen."""

    title: str
    png: bytes
    alt: str


@dataclass(frozen=True)
class Pictures:
    """Pictures of equal size side by side, with a legend of (name, colour as CSS has it).

    `wide`: fewer in a row; `large`: two at most.
    """

    kind: ClassVar[str] = "pictures"
    pictures: Sequence[Picture]
    legend: Sequence[tuple[str, str]] = ()
    caption: str = ""
    wide: bool = False
    large: bool = False


@dataclass(frozen=True)
class Drawing:
    """A small SVG in a cell of a table, made by `figures`."""

    svg: str


@dataclass(frozen=True)
class Table:
    """Cells as text or drawings; `numeric` columns are right-aligned, row `marked` stands out."""

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Drawing]]
    numeric: frozenset[int] = frozenset()
    marked: int | None = None
    caption: str = ""


@dataclass(frozen=True)
class Code:
    """Commands, shown as they are typed."""

    kind: ClassVar[str] = "code"
    text: str


Block = Text | Charts | Pictures | Table | Code


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A whole report. `footer` says where it came from: versions, time, licence of the data."""

    title: str
    lead: str
    headlines: Sequence[Headline]
    sections: Sequence[Section]
    footer: Sequence[str] = ()
