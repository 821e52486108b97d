"""A batch that is learned in portions, because the device has no room for the whole of it.

The gradients of all portions make one step, as those of the whole batch would, so steps, epochs and the schedule of the
learning rate stay what they were. Two things differ: batch normalisation sees the statistics of a portion, and what
augmentation draws is drawn for portions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Portions:
    """A batch of `batch_size` patches, of which `size` are on the device at a time. `count` times `size` is all."""

    batch_size: int
    count: int = 1

    @property
    def size(self) -> int:
        """Patches in a portion."""
        return self.batch_size // self.count

    def smaller(self) -> "Portions | None":
        """Portions of half the size; where that does not divide the batch, the next smaller ones that do.

        None where a portion is one patch.
        """
        fitting = (size for size in range(self.size // 2, 0, -1) if self.batch_size % size == 0)
        size = next(fitting, None)
        return None if size is None else Portions(self.batch_size, self.batch_size // size)

    def and_smaller(self) -> "Iterator[Portions]":
        """These, and all smaller ones."""
        found: Portions | None = self
        while found is not None:
            yield found
            found = found.smaller()


def in_portions(middle: dict[str, Any], loops: dict[str, Any], count: int) -> None:
    """Count an epoch that was left in its middle in batches of which `count` make a whole one, as it will go on.

    `middle` and `loops` are what a checkpoint says of the epoch, ours and Lightning's. It was saved after a whole step,
    and `count` as well as its own portions divide the same batch, so all numbers stay whole.
    """
    ratio = Fraction(count, middle.get("portions", 1))
    if ratio == 1:
        return
    middle |= {"portions": count, "loss_sum": middle["loss_sum"] * float(ratio)}
    middle |= {name: int(middle[name] * ratio) for name in ("batches", "steps")}
    progress = loops["fit_loop"]["epoch_loop.batch_progress"]
    added = int(progress["current"]["ready"] * ratio) - progress["current"]["ready"]
    for part in (progress["total"], progress["current"]):  # which of these numbers are equal has a meaning
        part.update({name: number + added for name, number in part.items()})
