"""Chips one after the other, from NPZ files, pictures or parquet shards."""

from collections.abc import Iterator, Sequence

from darts_train.scenes.chips.chips import BadChip, Chip, ChipColumns, ChipRef, check_chip
from darts_train.scenes.chips.npz import read_npz
from darts_train.scenes.chips.parquet import read_rows
from darts_train.scenes.chips.pictures import read_pair


def read_chips(refs: Sequence[ChipRef], columns: ChipColumns) -> Iterator[tuple[ChipRef, Chip | BadChip]]:
    """Read chips in their order, one at a time; what is wrong with one comes in its place.

    Those of a parquet shard must be of one row group, in the order of its rows.
    """
    if refs and refs[0].row is not None:
        yield from read_rows(refs, columns)
        return
    for ref in refs:
        try:
            chip = read_npz(ref.path) if ref.path.suffix.lower() == ".npz" else read_pair(ref.path, ref.label)
            check_chip(chip)
            yield ref, chip
        except BadChip as error:
            yield ref, error
