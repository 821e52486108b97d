"""Which image belongs to which labels: from a table, two directories, or a root of train, val and test."""

from collections.abc import Sequence
from pathlib import Path

from darts_train.base.errors import UserError, listing, nearest
from darts_train.base.files import require_directory, require_file
from darts_train.options.pairing import Pairing
from darts_train.options.preprocessing import Raster
from darts_train.preprocess.pairing.directories import Names, pairs_of_directories, pairs_of_splits
from darts_train.preprocess.pairing.pair import SPLIT, Pair, Pairs
from darts_train.preprocess.pairing.table import pairs_of_table


def find_pairs(raster: Raster, pairing: Pairing = Pairing()) -> Pairs:
    """The pairs that are asked for, in the order of the table, or of the splits and the names of the images.

    Raises UserError where not exactly one form is given, a file or a column is missing, two pairs have one id, or a
    part is asked for that is not there.
    """
    given = [raster.table, raster.image_dir or raster.label_dir, pairing.pairs_dir]
    if sum(place is not None for place in given) != 1:
        raise UserError("Give either --table, or --image-dir and --label-dir, or --pairs-dir.")
    names = Names.of(pairing.image_pattern, pairing.label_pattern)
    if raster.table is not None:
        if pairing.image_pattern or pairing.label_pattern:
            raise UserError("--image-pattern and --label-pattern are for directories; a --table names its files.")
        found = pairs_of_table(require_file(raster.table, "--table"))
    elif pairing.pairs_dir is not None:
        found = pairs_of_splits(require_directory(pairing.pairs_dir, "--pairs-dir"), names)
    else:
        found = Pairs(tuple(pairs_of_directories(*_directories(raster, pairing), names)))
    _refuse_doubles(found.pairs)
    return Pairs(_part(found, pairing), found.columns)


def _directories(raster: Raster, pairing: Pairing) -> tuple[Path, Path]:
    """Directories of images and labels; both are one where patterns tell the files apart."""
    patterns = pairing.image_pattern is not None and pairing.label_pattern is not None
    images, labels = raster.image_dir, raster.label_dir
    if patterns and images is not None:
        labels = labels or images
    if images is None or labels is None:
        raise UserError("--image-dir and --label-dir belong together; one of them is missing.")
    return require_directory(images, "--image-dir"), require_directory(labels, "--label-dir")


def _part(found: Pairs, pairing: Pairing) -> tuple[Pair, ...]:
    """The pairs of the splits and ids that are asked for."""
    chosen = found.pairs
    if pairing.splits is not None:
        if SPLIT not in [column.name for column in found.columns]:
            raise UserError("--splits: splits are known from --pairs-dir, or from a column split of the --table.")
        known = sorted({str(pair.columns[SPLIT]) for pair in chosen})
        _require("--splits", pairing.splits, known)
        chosen = tuple(pair for pair in chosen if pair.columns[SPLIT] in pairing.splits)
    if pairing.only is not None:
        _require("--only", pairing.only, [name for pair in chosen for name in _names_of(pair)])
        chosen = tuple(pair for pair in chosen if not set(pairing.only).isdisjoint(_names_of(pair)))
    return chosen


def _names_of(pair: Pair) -> tuple[str, ...]:
    return pair.sample_id, pair.image.name


def _require(option: str, asked: Sequence[str], known: Sequence[str]) -> None:
    for name in asked:
        if name not in known:
            raise UserError(
                f"{option}: there is no {name}{nearest(name, known)}; there are {listing(dict.fromkeys(known), 4)}."
            )


def _refuse_doubles(pairs: Sequence[Pair]) -> None:
    """Raise UserError where two images have one id; several are listed."""
    first: dict[str, Pair] = {}
    doubled = []
    for pair in pairs:
        if pair.sample_id in first:
            doubled.append(f"{pair.sample_id}: {first[pair.sample_id].image} and {pair.image}")
        first.setdefault(pair.sample_id, pair)
    if doubled:
        raise UserError(
            f"Two images have the id {listing(doubled, 2)}; rename one, or give them a sample_id each in a --table."
        )
