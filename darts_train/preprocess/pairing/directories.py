"""Pairs from directories: by equal stems, by patterns of names, and from a root of train, val and test."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_directory
from darts_train.base.log import logger
from darts_train.dataset.columns import Column
from darts_train.preprocess.pairing.pair import SPLIT, Pair, Pairs
from darts_train.scenes.polygons import VECTOR_SUFFIXES

RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".png", ".jpg", ".jpeg", ".jp2", ".img", ".bmp", ".webp")
SPLITS = ("train", "val", "test")
_LABEL_DIRECTORIES = ("labels", "masks")
_log = logger("preprocess")


@dataclass(frozen=True)
class Naming:
    """How the files of one kind are named.

    `pattern` is a file name, or the last parts of a path, with `{id}` and, where something varies, `*`; None: any name
    with one of the suffixes, whose stem is the id. Upper and lower case are the same, but in ids.

    Raises UserError, naming the option, for a pattern without `{id}`.
    """

    option: str
    pattern: str | None
    suffixes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.pattern is not None and self.pattern.count("{id}") != 1:
            raise UserError(f"{self.option}: {self.pattern!r} must have {{id}} once, as in '{{id}}_satellite.tif'.")

    @cached_property
    def _parts(self) -> tuple[int, re.Pattern[str]]:
        pattern = PurePath(self.pattern or "").as_posix()
        places = {re.escape("{id}"): "(?P<id>[^/]+)", re.escape("*"): "[^/]*"}
        text = re.escape(pattern)
        for mark, form in places.items():
            text = text.replace(mark, form)
        return pattern.count("/") + 1, re.compile(text, re.IGNORECASE)

    def id_of(self, path: Path) -> str | None:
        """The id that a file's name says; None where it is not of this kind."""
        if self.pattern is None:
            return path.stem if path.suffix.lower() in self.suffixes else None
        count, form = self._parts
        found = form.fullmatch("/".join(path.parts[-count:]))
        return found["id"] if found else None


@dataclass(frozen=True)
class Names:
    """How images are named, and how labels."""

    images: Naming
    labels: Naming

    @classmethod
    def of(cls, image_pattern: str | None, label_pattern: str | None) -> "Names":
        """From the options --image-pattern and --label-pattern."""
        return cls(
            Naming("--image-pattern", image_pattern, RASTER_SUFFIXES),
            Naming("--label-pattern", label_pattern, (*RASTER_SUFFIXES, *VECTOR_SUFFIXES)),
        )


def pairs_of_directories(images: Path, labels: Path, names: Names, option: str = "--image-dir") -> list[Pair]:
    """Pairs of two directories, which are one where both patterns are given, by the names of the images.

    Labels are looked for in all directories below, images only with a pattern. Images without labels are among the
    pairs; labels without an image are said. Raises UserError where there is no image, or several labels of one.
    """
    both = names.images.pattern is not None and names.labels.pattern is not None
    if images.resolve() == labels.resolve() and not both:
        raise UserError(
            f"--label-dir is the same as --image-dir, {images}; keep images and labels apart, give --image-pattern and"
            " --label-pattern, or use --table."
        )
    found = _images(images, names.images)
    if not found:
        what = names.images.pattern or ", ".join(RASTER_SUFFIXES)
        raise UserError(f"{option}: no image in {images} ({what}).")
    by_id = _labels(labels, names.labels, leave={path for path, _ in found})
    ids = {sample_id for _, sample_id in found}
    spare = [sample_id for sample_id in by_id if sample_id not in ids]
    if spare:
        _log.warning("%s: %d labels have no image (%s)", labels, len(spare), listing(spare, 3))
    for sample_id in sorted(ids):
        if len(by_id.get(sample_id, ())) > 1:
            raise UserError(
                f"--label-dir: {labels} has several labels of {sample_id}:"
                f" {listing(path.relative_to(labels) for path in by_id[sample_id])}."
            )
    return [
        Pair(path, by_id.get(sample_id, [None])[0], sample_id, str(path.relative_to(images)))
        for path, sample_id in found
    ]


def _images(directory: Path, naming: Naming) -> list[tuple[Path, str]]:
    files = directory.rglob("*") if naming.pattern is not None else directory.iterdir()
    return _named(directory, files, naming)


def _labels(directory: Path, naming: Naming, leave: Collection[Path]) -> dict[str, list[Path]]:
    by_id: dict[str, list[Path]] = {}
    for path, sample_id in _named(directory, directory.rglob("*"), naming):
        if path not in leave:
            by_id.setdefault(sample_id, []).append(path)
    return by_id


def _named(root: Path, files: Iterable[Path], naming: Naming) -> list[tuple[Path, str]]:
    """Files of one kind with their ids, by name; hidden ones, and those in hidden directories, are nobody's."""
    found = []
    for path in files:
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        sample_id = None if hidden else naming.id_of(path)
        if sample_id is not None and path.is_file():
            found.append((path, sample_id))
    return sorted(found)


def pairs_of_splits(root: Path, names: Names) -> Pairs:
    """Pairs of ROOT/train, ROOT/val and ROOT/test (those that are there), with their split as a column.

    Each has `images` and `labels` (or `masks`). Raises UserError where none of the three is there, one lacks its
    images or labels, or as `pairs_of_directories`.
    """
    there = [split for split in SPLITS if (root / split).is_dir()]
    if not there:
        raise UserError(f"--pairs-dir: {root} has none of the directories {', '.join(SPLITS)}.")
    other = sorted(path.name for path in root.iterdir() if (path / "images").is_dir() and path.name not in SPLITS)
    if other:
        _log.warning("%s: not looked at: %s; splits are %s", root, listing(other, 3), ", ".join(SPLITS))
    pairs = []
    for split in there:
        images = require_directory(root / split / "images", "--pairs-dir")
        labels = next((root / split / name for name in _LABEL_DIRECTORIES if (root / split / name).is_dir()), None)
        if labels is None:
            raise UserError(f"--pairs-dir: {root / split} has no directory labels.")
        for pair in pairs_of_directories(images, labels, names, "--pairs-dir"):
            source = str(pair.image.relative_to(root))
            pairs.append(Pair(pair.image, pair.label, pair.sample_id, source, columns={SPLIT: split}))
    return Pairs(tuple(pairs), (Column(SPLIT, "text"),))
