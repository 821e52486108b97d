"""What is measured of every patch and kept as columns of the metadata, to choose and to weigh patches by later."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np

from darts_train.dataset.columns import Cell, Column


class Measure(Protocol):
    """One or several columns that follow from the pixels of a patch."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, in order."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Source bands that are looked at."""
        ...

    def of(self, x: np.ndarray, y: np.ndarray, sources: Mapping[str, np.ndarray]) -> Mapping[str, Cell]:
        """The cells of a patch, by column; a column that is left out is missing.

        Args:
            x: stored bands float32 [c, P, P] in physical units, NaN where there is no data.
            y: classes uint8 [P, P], IGNORE_INDEX where unlabelled.
            sources: those of the bands of `needs` that the scene has, float32 [h, w] each, NaN where there is no data:
                the pixels of the patch that are not beyond the scene.
        """
        ...


class DataShares:
    """How much of a patch is without data, and how much is 0 in all bands (black)."""

    columns = (Column("nodata_fraction", "number"), Column("zero_fraction", "number"))
    needs: tuple[str, ...] = ()

    def of(self, x: np.ndarray, y: np.ndarray, sources: Mapping[str, np.ndarray]) -> Mapping[str, Cell]:
        """Shares of the pixels in which any band has no data, and in which all bands are 0."""
        return {
            "nodata_fraction": float(np.isnan(x).any(axis=0).mean()),
            "zero_fraction": float((x == 0).all(axis=0).mean()),
        }


MEASURES: tuple[Measure, ...] = (DataShares(),)  # of every set


def columns_of(measures: Iterable[Measure]) -> tuple[Column, ...]:
    """The columns that a set with these measures declares."""
    return tuple(column for measure in measures for column in measure.columns)
