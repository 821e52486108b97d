"""Patches of a train data directory, as the network that is exported sees them: to calibrate with, and to compare on.

Of a run whose split is known, training patches calibrate and validation patches compare; test patches are never
looked at. Of other models nothing is known of the kind, and any patches serve. Half of either lot are patches with
something on them, where there are so many. One patch is in memory at a time.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from darts_train.artifacts.run_record import read_record
from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_directory
from darts_train.dataset.reader import TrainData
from darts_train.features.derived import Derivation, derivation
from darts_train.models.factory import check_patch_size
from darts_train.models.fit import Fit
from darts_train.models.input_spec import FloatArray, InputSpecification
from darts_train.models.locate import BEST_CHECKPOINT, locate_model
from darts_train.models.model_file import LoadedModel
from darts_train.models.normalisation import OF_SET
from darts_train.options.exporting import Export
from darts_train.raster.band import NODATA

OPTION = "--calibration-data"
SPLIT_FILE = "split.parquet"
Rows = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class RealPatches:
    """Two lots of patches, none in both. `spec` has the set's encoding; `split` says whether the run's parts are known.

    `made` makes the network's bands of those that are read, where some are derived.
    """

    data: TrainData
    spec: InputSpecification
    fit: Fit
    made: Derivation | None
    calibration: Rows
    comparison: Rows
    split: bool

    def image(self, row: int) -> FloatArray:
        """The network's image float32 [1, c, h, w] of a patch."""
        return self._seen(self.data.read(int(row))[0])

    def labelled(self) -> Iterator[tuple[FloatArray, npt.NDArray[np.uint8]]]:
        """Of each patch to compare on its image float32 [1, c, h, w] and its classes uint8 [1, side, side]."""
        for row in self.comparison:
            codes, y = self.data.read(int(row))
            yield self._seen(codes), y[None]

    def logits(self, found: FloatArray, side: int) -> torch.Tensor:
        """Logits [1, k, side, side] of a patch for those of its image."""
        return self.fit.logits(torch.from_numpy(found), side, side)

    def _seen(self, codes: npt.NDArray[Any]) -> FloatArray:
        codes = codes[None] if self.made is None else self.made(codes[None])
        seen = self.spec.normalise(codes)
        if self.fit.marked:
            seen[codes == NODATA if codes.dtype == np.uint16 else np.isnan(codes)] = np.nan
        image: FloatArray = self.fit.image(torch.from_numpy(seen)).numpy()
        return image


def open_patches(model: LoadedModel, settings: Export) -> RealPatches:
    """The patches that the options choose. Raises UserError where there are none, or the set is not of this model."""
    if settings.calibration_data is None:
        raise UserError(f"--format {settings.format} needs {OPTION}: a train data directory with the model's bands.")
    root = require_directory(settings.calibration_data, OPTION)
    opened, made = _open(root, model)
    _check(opened, model)
    own = opened.bands if made is None else made.bands
    bands = [
        dataclasses.replace(theirs, scale=ours.scale, offset=ours.offset)
        for theirs, ours in zip(model.spec.bands, own, strict=True)
    ]
    spec = dataclasses.replace(model.spec, bands=tuple(bands))
    parts = _parts(opened, settings.model)
    calibration, comparison = choose_patches(
        opened.metadata, parts, settings.calibration_patches, settings.calibration_seed
    )
    return RealPatches(opened, spec, model.fit, made, calibration, comparison, parts is not None)


def _open(root: Path, model: LoadedModel) -> tuple[TrainData, Derivation | None]:
    """The set, with what the model's bands are made of. Those that were derived in training are, unless stored here."""
    whole = TrainData.open(root)
    stored = whole.config.band_names
    missing = [name for name in model.spec.names if name not in stored and name not in model.derived]
    if missing:
        raise UserError(f"{OPTION}: {root} lacks {listing(missing)}, which the model wants; it has {listing(stored)}.")
    derived = [name for name in model.derived if name not in stored]
    if not derived:
        return TrainData.open(root, model.spec.names), None
    made = derivation(model.spec.names, derived, whole.config.bands, str(root))
    return TrainData.open(root, [band.name for band in made.stored]), made


def _check(opened: TrainData, model: LoadedModel) -> None:
    config = opened.config
    if len(config.classes) != len(model.classes):
        raise UserError(
            f"{OPTION}: {opened.root} has the classes {listing(config.classes)}, the model {listing(model.classes)}."
        )
    if model.spec.normalisation in OF_SET and not opened.encoded:
        raise UserError(
            f"{OPTION}: {opened.root} holds values without units; the model knows its bands by their units."
        )
    check_patch_size(model.arch, model.encoder, model.fit.side(config.patch_size), OPTION, model.options)
    if len(opened) < 2:
        raise UserError(f"{OPTION}: {opened.root} has one patch; at least two are needed.")


def _parts(opened: TrainData, place: Path) -> tuple[Rows, Rows] | None:
    """Training and validation patches of the run that the model is of; None where it is no run on this set."""
    source = locate_model(place)
    directory = source.parents[1] if source.parent.name == BEST_CHECKPOINT.parent.name else source.parent
    path = directory / SPLIT_FILE
    record = read_record(directory)
    if record is None or record.data_hash != opened.data_hash or not path.is_file():
        return None
    table = pd.read_parquet(path, columns=["train", "val"])
    train, val = (np.flatnonzero(table[part].to_numpy(bool)) for part in ("train", "val"))
    apart = np.setdiff1d(val, train)
    return (train, apart) if len(train) and len(apart) and len(table) == len(opened) else None


def choose_patches(metadata: pd.DataFrame, parts: tuple[Rows, Rows] | None, count: int, seed: int) -> tuple[Rows, Rows]:
    """Rows to calibrate with and rows to compare on, at most `count` each, none in both; the same for the same seed.

    `parts` are those that either may be of; None: any, at most half each.
    """
    generator = np.random.default_rng(seed)
    with_something = ~metadata["empty"].to_numpy(bool)
    if parts is not None:
        first, second = (_chosen(rows, with_something, count, generator) for rows in parts)
        return first, second
    rows = np.arange(len(metadata))
    first = _chosen(rows, with_something, min(count, len(rows) // 2), generator)
    return first, _chosen(np.setdiff1d(rows, first), with_something, min(count, len(rows) // 2), generator)


def _chosen(rows: Rows, with_something: npt.NDArray[np.bool_], count: int, generator: np.random.Generator) -> Rows:
    """At most `count` of the rows, half of them with something where that goes, sorted."""
    shuffled = generator.permutation(rows)
    full, empty = shuffled[with_something[shuffled]], shuffled[~with_something[shuffled]]
    of_empty = min(len(empty), count - min(len(full), (count + 1) // 2))
    return np.sort(np.concatenate([full[: count - of_empty], empty[:of_empty]]))
