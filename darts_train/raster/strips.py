"""Strips of an image, with the rows around them that an operation on neighbourhoods looks at."""

from collections.abc import Iterator
from dataclasses import dataclass

from darts_train.raster.patches import Window


@dataclass(frozen=True)
class Strip:
    """Rows of an image: `inner` are those wanted, `outer` those to be read for them, both within the image."""

    inner: Window
    outer: Window

    @property
    def rows(self) -> slice:
        """The wanted rows in an array of `outer`."""
        return self.inner.slices(self.outer)[0]


def strips(width: int, height: int, rows: int, halo: int = 0) -> Iterator[Strip]:
    """Strips of at most `rows` rows that cover an image once, from the top, each read with `halo` rows more."""
    for y in range(0, height, rows):
        inner = Window(0, y, width, min(rows, height - y))
        top, bottom = max(0, y - halo), min(height, inner.bottom + halo)
        yield Strip(inner, Window(0, top, width, bottom - top))
