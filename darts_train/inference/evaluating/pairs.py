"""Which labels belong to which map: by name, never by position."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.inference.map_files import RASTER_SUFFIXES, MapFile
from darts_train.options.evaluating import Matching
from darts_train.scenes.polygons import VECTOR_SUFFIXES

LABEL_SUFFIXES = (*RASTER_SUFFIXES, ".jpg", ".jpeg", *VECTOR_SUFFIXES)
_log = logger("inference")
T = TypeVar("T")


@dataclass(frozen=True)
class Pair:
    """A map and the file of its labels."""

    name: str
    prediction: MapFile
    label: Path


@dataclass(frozen=True)
class Pairs:
    """What is compared, and the names of what has no partner."""

    pairs: tuple[Pair, ...]
    maps_alone: tuple[str, ...] = ()
    labels_alone: tuple[str, ...] = ()


def pair_up(maps: Sequence[MapFile], labels: Sequence[Path], matching: Matching) -> Pairs:
    """Pair maps and labels that have one id: the name of the map, and the stem of the label, or what patterns say.

    A single vector file is of all maps, unless its name is that of one. Raises UserError where an id comes twice,
    nothing pairs, or something is left over (with --only-pairs that is said).
    """
    files = label_files(labels)
    by_id = _by_id([(_id(one.name, matching.prediction_pattern, "--prediction-pattern"), one) for one in maps])
    if len(files) == 1 and files[0].suffix.lower() in VECTOR_SUFFIXES and files[0].stem not in by_id:
        _log.info("%s holds the labels of all %d maps", files[0].name, len(maps))
        return Pairs(tuple(Pair(name, one, files[0]) for name, one in by_id.items()))
    labelled = _by_id([(_id(file.name, matching.label_pattern, "--label-pattern"), file) for file in files])
    both = [name for name in by_id if name in labelled]
    if not both:
        raise UserError(
            f"--labels: no label is named like a map; maps: {listing([m.name for m in maps], 2)}; labels:"
            f" {listing([file.name for file in files], 2)}.\n{_hint(maps, files)}"
        )
    maps_alone = tuple(name for name in by_id if name not in labelled)
    labels_alone = tuple(name for name in labelled if name not in by_id)
    _say_left_over(maps_alone, labels_alone, matching.only_pairs)
    return Pairs(tuple(Pair(name, by_id[name], labelled[name]) for name in both), maps_alone, labels_alone)


def label_files(paths: Sequence[Path], option: str = "--labels") -> list[Path]:
    """Files of labels that paths mean, directories without those below. UserError where one is not there, or empty."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"{option}: {path} does not exist.")
        inside = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix.lower() in LABEL_SUFFIXES)
        if not inside:
            raise UserError(f"{option}: no raster and no vector file in {path}.")
        found += inside
    return list(dict.fromkeys(found))


def _id(name: str, pattern: str | None, option: str) -> str | None:
    """The id that a name says; None where it is not of the pattern. Without one the name, less its suffix."""
    suffix = Path(name).suffix.lower()
    stem = Path(name).stem if suffix in LABEL_SUFFIXES else name
    if pattern is None:
        return stem
    if pattern.count("{id}") != 1:
        raise UserError(f"{option}: {pattern!r} must have {{id}} once, as in '{{id}}_mask.tif'.")
    form = re.escape(pattern).replace(re.escape("{id}"), "(?P<id>.+)").replace(re.escape("*"), ".*")
    match = re.fullmatch(form, name) or re.fullmatch(form, stem)
    return match["id"] if match else None


def _by_id(named: Sequence[tuple[str | None, T]]) -> dict[str, T]:
    found: dict[str, T] = {}
    for name, one in named:
        if name is None:
            continue
        if name in found:
            places = [getattr(item, "source", item) for item in (found[name], one)]
            raise UserError(f"{places[0]} and {places[1]} are both of {name}.")
        found[name] = one
    return found


def _say_left_over(maps: Sequence[str], labels: Sequence[str], only_pairs: bool) -> None:
    parts = [f"{len(maps)} maps without labels ({listing(maps, 3)})"] * bool(maps)
    parts += [f"{len(labels)} labels without a map ({listing(labels, 3)})"] * bool(labels)
    if not parts:
        return
    if not only_pairs:
        raise UserError(f"--labels: {'; '.join(parts)}. Give --only-pairs to compare the others.")
    _log.warning("left out: %s", "; ".join(parts))


def _hint(maps: Sequence[MapFile], files: Sequence[Path]) -> str:
    """Patterns that would pair a map with a label whose name begins as its own does."""
    for one, file in itertools.product(maps, files):
        shared = _common(one.name, file.stem)
        if len(shared) not in (len(one.name), len(file.stem)):
            shared = shared[: max(shared.rfind("_"), shared.rfind("-"), 0)]
        if shared:
            ours, theirs = one.name[len(shared) :], file.name[len(shared) :]
            patterns = [f"--prediction-pattern '{{id}}{ours}'"] * bool(ours) + [f"--label-pattern '{{id}}{theirs}'"]
            return f"Say what is the id, such as {' '.join(patterns)}."
    return "Rename one, or say what is the id with --prediction-pattern and --label-pattern."


def _common(one: str, other: str) -> str:
    length = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]
