"""Where chips lie: NPZ files, folders `images` and `labels`, parquet shards; below `train`, `val`, `test` or not."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.scenes.chips.chips import SPLITS, ChipColumns, ChipRef, split_name
from darts_train.scenes.chips.pictures import SUFFIXES

IMAGES, LABELS = ("images", "image", "imgs", "img"), ("labels", "label", "masks", "mask", "annotations")
_SHARD = re.compile(r"([a-z]+)(?:[-_.].*)?")
_log = logger("preprocess")


def find_chips(places: Sequence[Path], columns: ChipColumns) -> list[list[ChipRef]]:
    """All chips, in lists that are read together: those of a row group of a shard, or some files.

    Files come by scene and number, shards by name. The split is that of the nearest folder called train, val or test,
    or of the shard's own name.

    Raises UserError where a place is not there or holds no chip, and where two chips have one name.
    """
    files = [file for place in places for file in _files(place)]
    kinds = {kind: [(p, s) for p, s in files if p.suffix.lower() in kind] for kind in ((".npz",), (".parquet",))}
    pictures = [(path, source) for path, source in files if path.suffix.lower() in SUFFIXES]
    found = {"NPZ files": kinds[(".npz",)], "parquet shards": kinds[(".parquet",)], "pictures": pictures}
    there = [f"{len(files)} {kind}" for kind, files in found.items() if files]
    if not there:
        raise UserError(f"--chips-dir: no NPZ file, picture or parquet shard below {listing(places, 3)}.")
    if len(there) > 1:
        raise UserError(f"--chips-dir: {listing(there)} are there; give a directory with one kind of chips.")
    if found["parquet shards"]:
        from darts_train.scenes.chips.parquet import find_rows

        groups = find_rows([(p, s, _shard_split(p)) for p, s in found["parquet shards"]], columns)
    else:
        refs = _npz(found["NPZ files"]) if found["NPZ files"] else list(_pairs(pictures))
        groups = [sorted(refs, key=lambda ref: (*split_name(ref.name), ref.name))]
    _refuse_doubles(ref for group in groups for ref in group)
    return groups


def _files(place: Path) -> Iterator[tuple[Path, str]]:
    """Files at or below a place, by name, and how they are called from there; hidden ones are nobody's."""
    if not place.exists():
        raise UserError(f"--chips-dir: {place} does not exist.")
    if place.is_file():
        yield place, place.name
        return
    for directory, folders, names in os.walk(place, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(directory) / name
            if not name.startswith(".") and path.is_file():
                yield path, path.relative_to(place).as_posix()


def _folder_split(path: Path) -> str | None:
    return next((SPLITS[name.lower()] for name in reversed(path.parts[:-1]) if name.lower() in SPLITS), None)


def _shard_split(path: Path) -> str | None:
    match = _SHARD.fullmatch(path.stem.lower())
    return SPLITS.get(match.group(1)) if match and match.group(1) in SPLITS else _folder_split(path)


def _npz(files: Sequence[tuple[Path, str]]) -> list[ChipRef]:
    return [ChipRef(path.stem, path, split=_folder_split(path), source=source) for path, source in files]


def _pairs(files: Sequence[tuple[Path, str]]) -> Iterator[ChipRef]:
    """Images with the labels of the same stem in the folder beside theirs."""
    images: dict[tuple[Path, str], list[tuple[Path, str]]] = defaultdict(list)
    labels: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path, source in files:
        parent = path.parent.name.lower()
        if parent in IMAGES:
            images[path.parent.parent, path.stem].append((path, source))
        elif parent in LABELS:
            labels[path.parent.parent, path.stem].append(path)
    if not images:
        raise UserError(f"--chips-dir: {len(files)} pictures, but no folder images (with labels or masks beside it).")
    image_paths = {key: [path for path, _ in found] for key, found in images.items()}
    for (place, stem), paths in (*image_paths.items(), *labels.items()):
        if len(paths) > 1:
            names = listing(path.name for path in paths)
            raise UserError(f"--chips-dir: {place} has several files of the stem {stem}: {names}.")
    spare = [stem for place, stem in labels if (place, stem) not in images]
    if spare:
        _log.warning("%d labels have no image (%s)", len(spare), listing(spare, 3))
    for key, ((path, source),) in images.items():
        yield ChipRef(path.stem, path, labels.get(key, [None])[0], split=_folder_split(path), source=source)


def _refuse_doubles(refs: Iterator[ChipRef]) -> None:
    first: dict[tuple[str, int] | str, ChipRef] = {}
    for ref in refs:
        keys: set[tuple[str, int] | str] = {ref.name, split_name(ref.name)}
        for key in keys:
            if key in first:
                raise UserError(
                    f"--chips-dir: two chips are {ref.name}: {first[key].source} and {ref.source}; rename one."
                )
            first[key] = ref
