"""Adding up windows, a strip at a time: memory is one row of windows, however long the scene is."""

import numpy as np
import numpy.typing as npt

from darts_train.inference.windows import WindowPlan

Probabilities = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class StripBlender:
    """Sums weighted windows of the current row, and gives away the pixel rows that no later window touches.

    Windows are added row by row (`add`, in any order within a row), each row ended by `finish_row`.
    """

    def __init__(self, plan: WindowPlan, channels: int) -> None:
        self.plan = plan
        width = max(plan.width, plan.size)
        self._sum = np.zeros((channels, plan.size, width), np.float32)
        self._missing = np.ones((plan.size, width), bool)

    def add(self, row: int, column: int, probabilities: Probabilities | None, missing: Mask) -> None:
        """Add a window: probabilities [k, size, size], None where nothing in it has data; missing [size, size]."""
        first = self.plan.columns[column]
        place = (slice(None), slice(first, first + self.plan.size))
        self._missing[place] = missing
        if probabilities is not None:
            self._sum[(slice(None), *place)] += probabilities * self.plan.weights(row, column)

    def finish_row(self, row: int) -> tuple[Probabilities, Mask]:
        """The pixel rows that are done after a row of windows, from top to bottom over all calls.

        Returns probabilities float32 [k, n, width], 0 where missing, and missing bool [n, width]. Copies.
        """
        rows, plan = self.plan.rows, self.plan
        last = row + 1 == len(rows)
        done = (plan.height if last else rows[row + 1]) - rows[row]
        probabilities = self._sum[:, :done, : plan.width].copy()
        missing = self._missing[:done, : plan.width].copy()
        probabilities[:, missing] = 0
        kept = plan.size - done
        for buffer, empty in ((self._sum, np.float32(0)), (self._missing[None], np.True_)):
            buffer[:, :kept] = buffer[:, done:].copy()
            buffer[:, kept:] = empty
        return probabilities, missing
