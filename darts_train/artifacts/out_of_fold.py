"""Out-of-fold predictions of a cross-validation: every patch as the networks see it that were not trained on it.

{cv directory}/oof.zarr/        zarr v3 group
    probability [n, k, h, w]    float16, of the foreground classes (k is their number), mean over the seeds; one patch
                                per chunk; NaN where no fold validated the patch
    fold [n]                    int16, which fold did; -1: none
    s42, s21, …                 the seeds alone, while the cross-validation is not done
{cv directory}/oof.json         written last: thresholds, seeds, number of patches

A run whose predictions are all there has a marker in its directory, so that a killed cross-validation goes on with the
next run.
"""

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from darts_train.base.errors import UserError
from darts_train.base.files import remove_tree, write_json

OOF_DIRECTORY, OOF_FILE, MARKER = "oof.zarr", "oof.json", "oof.json"
PROBABILITY, FOLD = "probability", "fold"
Array = zarr.Array[Any]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """The predictions of a cross-validation. Use `create` or `open_out_of_fold`.

    `token` is another one whenever the predictions are begun anew, so that older markers count for nothing.
    """

    directory: Path
    group: zarr.Group
    token: str

    @classmethod
    def create(cls, directory: Path, shape: tuple[int, int, int, int]) -> "OutOfFold":
        """Make, or go on with, the predictions of the cross-validation in `directory`: shape [n, k, h, w].

        Predictions of another shape, or that cannot be read, are begun anew.
        """
        path = directory / OOF_DIRECTORY
        try:
            found = zarr.open_group(str(path), mode="r+")
            if list(shape) == found.attrs["shape"]:
                return cls(directory, found, str(found.attrs["token"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass
        remove_tree(path)
        (directory / OOF_FILE).unlink(missing_ok=True)
        made = zarr.open_group(str(path), mode="w", zarr_format=3)
        made.create_array(FOLD, shape=shape[:1], chunks=shape[:1], dtype="int16", fill_value=-1)
        made.attrs.update({"shape": list(shape), "token": secrets.token_hex(8)})
        return cls(directory, made, str(made.attrs["token"]))

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, k, h, w]."""
        return tuple(int(size) for size in self.group.attrs["shape"])  # type: ignore[union-attr, arg-type]

    @property
    def folds(self) -> np.ndarray:
        """Which fold predicted each patch, int16 [n]; -1: none."""
        return np.asarray(_array(self.group, FOLD)[:], np.int16)

    @property
    def rows(self) -> np.ndarray:
        """Indices of predicted patches, int64, ascending."""
        return np.flatnonzero(self.folds >= 0)

    def is_done(self, run: Path) -> bool:
        """Whether the predictions of the run in this directory are all there."""
        try:
            return bool(json.loads((run / MARKER).read_bytes())["token"] == self.token)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def write_run(self, run: Path, fold: int, seed: int, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> int:
        """Write what a run predicts of its validation part, then its marker; gives the number of patches.

        `batches` are rows [b] and probabilities [b, k, h, w]. Written again, the same is written.
        """
        array, rows = self._part(seed), []
        for indices, probability in batches:
            for index, values in zip(indices, probability.astype(np.float16), strict=True):
                array[int(index)] = values
            rows.append(np.asarray(indices, np.int64))
        folds = _array(self.group, FOLD)
        known = np.asarray(folds[:])
        known[np.concatenate([np.empty(0, np.int64), *rows])] = fold
        folds[:] = known
        count = sum(map(len, rows))
        write_json(
            run / MARKER, {"format_version": 1, "token": self.token, "fold": fold, "seed": seed, "patches": count}
        )
        return count

    def seeds_of(self, row: int, seeds: Sequence[int]) -> np.ndarray:
        """What each seed says of a patch, float32 [s, k, h, w], while the cross-validation is not done."""
        return np.stack([np.asarray(self._part(seed)[row], np.float32) for seed in seeds])

    def write_mean(self, row: int, probability: np.ndarray) -> None:
        """Write the mean [k, h, w] of a patch."""
        self._made(PROBABILITY)[row] = probability.astype(np.float16)

    def finish(self, content: dict[str, Any]) -> None:
        """Write oof.json, then let the seeds alone go."""
        self._made(PROBABILITY)
        write_json(self.directory / OOF_FILE, {"format_version": 1, "token": self.token} | content)
        self.tidy()

    def tidy(self) -> None:
        """Remove what is not needed any more."""
        for path in (self.directory / OOF_DIRECTORY).glob("s*"):
            if path.name[1:].isdigit():
                remove_tree(path)

    @property
    def content(self) -> dict[str, Any] | None:
        """What oof.json says; None where the predictions are not all there."""
        try:
            found: dict[str, Any] = json.loads((self.directory / OOF_FILE).read_bytes())
        except (OSError, ValueError):
            return None
        return found if found.get("token") == self.token else None

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Mean probabilities of patches, float32 [b, k, h, w]; NaN where no fold validated one."""
        array = _array(self.group, PROBABILITY)
        found = np.empty((len(rows), *self.shape[1:]), np.float32)
        for place, row in enumerate(rows):
            found[place] = array[int(row)]
        return found

    def _part(self, seed: int) -> Array:
        return self._made(f"s{seed}")

    def _made(self, name: str) -> Array:
        if name in self.group:
            return _array(self.group, name)
        chunks = (1, *self.shape[1:])
        return self.group.create_array(name, shape=self.shape, chunks=chunks, dtype="float16", fill_value=np.nan)


def open_out_of_fold(directory: Path) -> OutOfFold:
    """Open the predictions of a cross-validation. Raises UserError where there are none, or they are not all there."""
    try:
        group = zarr.open_group(str(directory / OOF_DIRECTORY), mode="r")
        found = OutOfFold(directory, group, str(group.attrs["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{directory} has no out-of-fold predictions; give --oof to its cross-validation.") from None
    if found.content is None:
        raise UserError(f"{directory}: the out-of-fold predictions are not all there; call the cross-validation again.")
    return found


def mean_of(members: Sequence[OutOfFold], rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """The mean of several cross-validations of one set: what their ensemble says of patches it was not trained on.

    float32 [b, k, h, w]; NaN where one of them says nothing. Raises UserError for none, and for sets that differ.
    """
    if not members or len({member.shape for member in members}) > 1:
        raise UserError("out-of-fold predictions of one set, with the same classes, are needed for their mean.")
    total = np.zeros((len(rows), *members[0].shape[1:]), np.float32)
    for member in members:
        total += member.read(rows)
    return total / np.float32(len(members))


def _array(group: zarr.Group, name: str) -> Array:
    found = group[name]
    assert isinstance(found, zarr.Array)
    return found
