"""Whether a train data directory is what it says: every sample is read, everything found is reported together.

A missing directory is a mistake of the call and raises; all that is wrong inside becomes a problem in the report.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_directory
from darts_train.base.progress import track
from darts_train.dataset import layout
from darts_train.dataset.identity import patch_checksum
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.overlap import overlapping_scenes
from darts_train.dataset.statistics import RunningMoments, add_patch, finish
from darts_train.options.preprocessing import Inspect

_SHOWN = 20  # problems named in full in a summary


@dataclass(frozen=True)
class ValidationReport:
    """What was found.

    Attributes:
        directory: the set.
        ok: nothing is wrong.
        problems: what is wrong, one line each.
        notes: what is odd but usable, one line each.
        counts: patches read and patches with a problem; empty where the set could not be opened.
    """

    directory: Path
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    def summary(self) -> str:
        """A few plain lines for the terminal."""
        read = f": {self.counts['patches']} patches read" if self.counts else ""
        verdict = "sound" if self.ok else f"{len(self.problems)} {'problem' if len(self.problems) == 1 else 'problems'}"
        more = [f"  and {len(self.problems) - _SHOWN} more"] if len(self.problems) > _SHOWN else []
        lines = [f"  {problem}" for problem in self.problems[:_SHOWN]]
        return "\n".join([f"{self.directory}{read}, {verdict}", *lines, *more, *(f"  note: {n}" for n in self.notes)])


def validate_train_data(inspect: Inspect) -> ValidationReport:
    """Check a set: its files, their fit, every chunk, checksums, class values, bands and classes never seen.

    Reads every sample once, one at a time. Raises UserError only where the directory does not exist or cannot be read.
    """
    root = require_directory(inspect.train_data_dir, "--train-data-dir")
    try:
        data = TrainData.open(root)
    except UserError as error:
        return ValidationReport(root, (str(error),))
    findings = _Findings(data)
    for index in track(range(len(data)), "validate", len(data)):
        findings.look_at(index)
    problems = [*_attribute_problems(data), *_scene_problems(data), *findings.problems, *findings.dead_bands()]
    return ValidationReport(
        directory=root,
        problems=tuple(problems),
        notes=(*findings.notes(), *_overlap_notes(data), *_file_notes(data)),
        counts={"patches": len(data), "damaged": findings.damaged},
    )


class _Findings:
    """What the samples say, gathered one after the other."""

    def __init__(self, data: TrainData) -> None:
        self.data = data
        self.problems: list[str] = []
        self.damaged = 0
        self.classes: Counter[int] = Counter()
        self.moments = RunningMoments(len(data.bands))
        self.allowed = {*range(len(data.config.classes)), data.config.ignore_index}
        has_sums = data.encoded and "checksum" in data.metadata
        self.checksums = data.metadata["checksum"].tolist() if has_sums else None
        self.empty = data.metadata["empty"].tolist()

    def look_at(self, index: int) -> None:
        """Read patch `index`; append what is wrong with it."""
        try:
            x, y = self.data.read(index, checked=False)
        except UserError as error:
            self.damaged += 1
            self.problems.append(str(error))
            return
        if self.checksums is not None and patch_checksum(x, y) != self.checksums[index]:
            self.problems.append(f"patch {index}: its pixels are not those that were written (checksum).")
        add_patch(self.moments, x)
        values, counts = np.unique(y, return_counts=True)
        self.classes.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        unknown = [value for value in values.tolist() if value not in self.allowed]
        if unknown:
            self.problems.append(
                f"patch {index}: y holds {listing(unknown)}; allowed are {listing(sorted(self.allowed), 10)}."
            )
        foreground = any(0 < value < len(self.data.config.classes) for value in values.tolist())
        if foreground == self.empty[index]:
            self.problems.append(f"patch {index}: column empty says {self.empty[index]}, y says {not foreground}.")

    def dead_bands(self) -> Iterator[str]:
        """Bands without a single valid pixel."""
        for stats in finish(self.moments, self.data):
            if stats.total and not stats.valid:
                yield f"band {stats.name} has no data anywhere."

    def notes(self) -> Iterator[str]:
        """Constant bands and classes that no pixel has: odd, but nothing that stops a training."""
        for stats in finish(self.moments, self.data):
            if stats.valid and stats.minimum == stats.maximum:
                yield f"band {stats.name} is {stats.minimum:g} everywhere."
        unseen = [name for value, name in enumerate(self.data.config.classes) if not self.classes[value]]
        if unseen and not self.damaged:
            yield f"never seen: class {listing(unseen)}."


def _attribute_problems(data: TrainData) -> Iterator[str]:
    """Where the attributes of x and y say something else than config.toml."""
    if not data.encoded:
        return
    config = data.config
    pairs = (
        ("x", "bands", [vars(band) for band in config.bands]),
        ("y", "classes", list(config.classes)),
        ("y", "ignore_index", config.ignore_index),
    )
    for array, key, expected in pairs:
        said = (data.x if array == "x" else data.y).attrs.get(key, expected)
        if said != expected:
            yield f"{layout.DATA}/{array}: attribute {key} is {said}, {layout.CONFIG} says {expected}."


def _scene_problems(data: TrainData) -> Iterator[str]:
    """Where scenes.parquet, which our writer always leaves, is missing or counts other patches than there are."""
    path = data.root / layout.SCENES
    if not (data.root / layout.JOURNAL).is_dir():  # a set of another program
        return
    try:
        counted = int(sum(pq.read_table(path, columns=["patches"])["patches"].to_pylist()))
    except (OSError, pa.ArrowException, KeyError) as error:
        yield f"{layout.SCENES} cannot be read ({type(error).__name__}); preprocess again to have it written anew."
        return
    if counted != len(data):
        yield f"{layout.SCENES} counts {counted} patches, {layout.METADATA} has {len(data)}."


def _overlap_notes(data: TrainData) -> Iterator[str]:
    """Patches of different scenes over the same ground."""
    pairs = overlapping_scenes(data.metadata)
    if pairs:
        named = listing([f"{one} and {other} ({count})" for (one, other), count in pairs.items()], 3)
        count = sum(pairs.values())
        yield f"{count} pairs of patches of different scenes overlap: {named}; split them by region or group."


def _file_notes(data: TrainData) -> Iterator[str]:
    if not (data.root / layout.LABELS).is_file():
        yield f"{layout.LABELS} is missing."
    left = [path.name for name in layout.PRODUCTS for path in data.root.glob(f".{name}.*.tmp")]
    if left:
        yield f"left over from a killed writer: {listing(left)}."
