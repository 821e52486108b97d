"""The leakage certificate: what the parts of every fold have in common, and how far apart they are.

A score is as good as the distance between what was learned and what was asked. The certificate counts, for each fold,
pixels, ground, scenes and groups that training shares with validation, and that both share with the test part.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError
from darts_train.base.files import write_json
from darts_train.dataset.ground import Ground
from darts_train.dataset.splitting.columns import GROUP_COLUMN, groups_of
from darts_train.dataset.splitting.indices import SplitIndices
from darts_train.dataset.windows import Windows
from darts_train.options.learning import Split

CERTIFICATE_FILE = "leakage.json"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Shared:
    """What a part of a split has in common with the part it is kept apart from.

    Attributes:
        part: `val` or `test`.
        beside: `train`, or `train+val` of which all that was learned, or chosen by, counts.
        patches: number of patches of the part.
        pixels: pixels of these patches that the other part shows, too; None where windows are unknown.
        overlapping: patches with such pixels; None likewise.
        ground: patches over whose ground a patch of another scene lies in the other part.
        scenes: scenes (sample_id) with patches in both.
        groups: groups in both; None where the set has no groups.
        metres: least distance between the footprints of both, 0 where they touch; None where places are unknown.
    """

    part: str
    beside: str
    patches: int
    pixels: int | None
    overlapping: int | None
    ground: int
    scenes: int
    groups: int | None
    metres: float | None

    @property
    def overlaps(self) -> bool:
        """Whether pixels or ground are known to be shared."""
        return bool(self.pixels) or bool(self.ground)

    @property
    def clean(self) -> bool:
        """Whether nothing is shared, which must be known."""
        return self.pixels == 0 and not (self.ground or self.scenes or self.groups)

    def words(self) -> str:
        """What is shared, in words."""
        pixels = UNKNOWN if self.pixels is None else self.pixels
        said = f"{self.scenes} scenes and {pixels} pixels (in {self.overlapping or 0} of {self.patches} patches)"
        said += f", {self.groups} groups" if self.groups else ""
        return said + (f", and in {self.ground} patches the ground of another scene" if self.ground else "")

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not known is `unknown`, groups of a set without them are null."""
        plain = asdict(self) | {"metres": None if self.metres is None else round(self.metres, 2)}
        return {name: UNKNOWN if value is None and name != "groups" else value for name, value in plain.items()}


@dataclass(frozen=True)
class FoldCertificate:
    """One fold. `outer` is the outer fold of a nested cross-validation, `fold` is None for that fold itself."""

    fold: int | None
    outer: int | None
    shared: tuple[Shared, ...]

    @property
    def name(self) -> str:
        """Such as `outer fold 1, fold 0`."""
        outer = [] if self.outer is None else [f"outer fold {self.outer}"]
        return ", ".join([*outer, *([] if self.fold is None else [f"fold {self.fold}"])])


@dataclass(frozen=True)
class Certificate:
    """All folds of a cross-validation, or of a nested one."""

    folds: tuple[FoldCertificate, ...]

    @property
    def shared(self) -> list[Shared]:
        """Every pair of parts of every fold."""
        return [shared for fold in self.folds for shared in fold.shared]

    @property
    def leak_free(self) -> bool:
        """Whether no fold shares anything, which must be known."""
        return all(shared.clean for shared in self.shared)

    def summary(self) -> str:
        """One line."""
        found = self.shared
        if not found:
            return "leakage: nothing is kept apart, so there is nothing to certify"
        pixels = [shared.pixels for shared in found]
        metres = [shared.metres for shared in found]
        most = UNKNOWN if None in pixels else max(pixel or 0 for pixel in pixels)
        said = [f"{most} pixels", f"{max(shared.scenes for shared in found)} scenes"]
        if any(shared.groups is not None for shared in found):
            said.append(f"{max(shared.groups or 0 for shared in found)} groups")
        ground = max(shared.ground for shared in found)
        said += [f"the ground of {ground} patches"] if ground else []
        apart = UNKNOWN if None in metres else _distance(min(metre or 0.0 for metre in metres))
        free = "leak-free: " if self.leak_free else "at most "
        return f"leakage over {len(self.folds)} folds: {free}{', '.join(said)} shared; nearest patches {apart} apart"

    def require(self, strict: bool = False) -> None:
        """Raise UserError, naming the first fold, where pixels or ground are shared; with `strict` anything at all."""
        for fold in self.folds:
            for shared in fold.shared:
                if shared.overlaps:
                    raise UserError(
                        f"{fold.name}: {shared.part} shares {shared.words()} with {shared.beside}; give "
                        "--purge-overlap, or fold by region or group."
                    )
                if strict and not shared.clean:
                    raise UserError(
                        f"--require-leak-free: {fold.name}: {shared.part} shares {shared.words()} with "
                        f"{shared.beside}; fold by group (--fold-method group-stratified)."
                    )

    def write(self, directory: Path, data_hash: str) -> None:
        """Write leakage.json into a directory, atomically."""
        folds = [
            {"outer": fold.outer, "fold": fold.fold, "shared": [shared.to_json() for shared in fold.shared]}
            for fold in self.folds
        ]
        content = {"format_version": 1, "data_hash": data_hash, "leak_free": self.leak_free, "folds": folds}
        write_json(directory / CERTIFICATE_FILE, content)


@dataclass(frozen=True, eq=False)
class Certifier:
    """Counts for the folds of one set, whose rows are looked at once."""

    metadata: pd.DataFrame
    patch_size: int

    def fold(self, indices: SplitIndices, split: Split, fold: int | None, outer: int | None = None) -> FoldCertificate:
        """Certify one fold: only parts that the options keep apart are compared."""
        found = []
        if split.fold_method is not None:
            found.append(self.shared("val", indices.val, "train", indices.train, split.group_by))
        if split.data_split_method is not None and len(indices.test):
            learned = np.union1d(indices.train, indices.val)
            found.append(self.shared("test", indices.test, "train+val", learned, split.group_by))
        return FoldCertificate(fold, outer, tuple(found))

    def shared(self, part: str, a: np.ndarray, beside: str, b: np.ndarray, group_by: str | None = None) -> Shared:
        """What patches `a` have in common with patches `b`."""
        scenes = len(np.intersect1d(self._scenes[a], self._scenes[b]))
        pixels, overlapping = self._pixels(a, b, scenes)
        return Shared(
            part=part,
            beside=beside,
            patches=len(a),
            pixels=pixels,
            overlapping=overlapping,
            ground=len(self._ground.shared(a, b)),
            scenes=scenes,
            groups=self._groups(a, b, group_by),
            metres=self._ground.metres(a, b),
        )

    def _pixels(self, a: np.ndarray, b: np.ndarray, scenes: int) -> tuple[int | None, int | None]:
        if not scenes:
            return 0, 0  # pixels belong to a scene
        if self._windows is None:
            return None, None
        meeting = self._windows.meeting(a, b)
        return self._windows.shared_pixels(meeting, b), len(meeting)

    def _groups(self, a: np.ndarray, b: np.ndarray, group_by: str | None) -> int | None:
        filled = GROUP_COLUMN in self.metadata and self.metadata[GROUP_COLUMN].notna().any()
        if group_by is None and not filled:
            return None
        if group_by not in self._known_groups:
            self._known_groups[group_by] = pd.factorize(groups_of(self.metadata, group_by)[1])[0]
        groups = self._known_groups[group_by]
        return len(np.intersect1d(groups[a], groups[b]))

    @cached_property
    def _known_groups(self) -> dict[str | None, np.ndarray]:
        """Numbers of groups, by the column that was asked for."""
        return {}

    @cached_property
    def _scenes(self) -> np.ndarray:
        return np.asarray(pd.factorize(self.metadata["sample_id"])[0])

    @cached_property
    def _windows(self) -> Windows | None:
        return Windows.of(self.metadata, self.patch_size)

    @cached_property
    def _ground(self) -> Ground:
        return Ground.of(self.metadata)


def certify(metadata: pd.DataFrame, patch_size: int, split: Split, folds: Sequence[SplitIndices]) -> Certificate:
    """The certificate of a cross-validation, whose folds are given from 0."""
    certifier = Certifier(metadata, patch_size)
    return Certificate(tuple(certifier.fold(indices, split, fold) for fold, indices in enumerate(folds)))


def _distance(metres: float) -> str:
    return f"{metres / 1000:.1f} km" if metres >= 1000 else f"{metres:.0f} m"
