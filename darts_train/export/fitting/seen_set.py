"""A train data set as a model sees it: logits of chosen patches, for what is fitted or tested after training.

The set's own encoding with the model's ranges, derived bands computed on the way, patches fitted as in training.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.features.derived import Derivation, derivation
from darts_train.models.input_spec import InputLayer
from darts_train.models.model_file import LoadedModel
from darts_train.models.normalisation import OF_SET

BATCH = 8
Rows = NDArray[np.int64]
Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class SeenSet:
    """A set opened for a model; `layer` and what runs on its output are on `device`."""

    data: TrainData
    layer: InputLayer
    derive: Derivation | None
    device: torch.device

    def images(self, rows: Sequence[int] | Rows) -> tuple[Tensor, Labels]:
        """What a network sees of patches, float32 [n, c, h, w], and their labels uint8 [n, h, w]."""
        x, y = self.data.read_many(rows)
        x = x if self.derive is None else self.derive(x)
        given = torch.from_numpy(x.view(np.int16) if x.dtype == np.uint16 else x)
        return self.layer(given.to(self.device)), y

    def logits(self, network: nn.Module, rows: Sequence[int] | Rows) -> Tensor:
        """Logits float32 [n, k, h, w] of patches."""
        with torch.inference_mode():
            found: Tensor = network(self.images(rows)[0])
            return found.float()


def open_seen(root: Path, model: LoadedModel, device: torch.device, name: str = "the model") -> SeenSet:
    """Open a set with what a model's bands are made of.

    Raises UserError where a band is not in the set, classes differ, or the set's patches are of another size.
    """
    opened, made = TrainData.open(root, None if model.derived else model.spec.names), None
    if model.derived:
        missing = [band for band in model.derived if band not in opened.config.band_names]
        made = derivation(model.spec.names, missing, opened.config.bands, str(root))
        opened = TrainData.open(root, [band.name for band in made.stored])
    if len(opened.config.classes) != len(model.classes):
        theirs, ours = ", ".join(opened.config.classes), ", ".join(model.classes)
        raise UserError(f"{root} has the classes {theirs}, {name} has {ours}; use a set with the same classes.")
    if opened.config.patch_size != model.patch_size:
        sizes = f"{opened.config.patch_size} pixels, {name} takes {model.patch_size}"
        raise UserError(f"{root} has patches of {sizes}; use a set with the same patches.")
    if model.spec.normalisation in OF_SET and not opened.encoded:
        raise UserError(f"{root} holds values without units; {name} knows its bands by their units.")
    bands = opened.bands if made is None else made.bands
    spec = dataclasses.replace(
        model.spec,
        bands=tuple(
            dataclasses.replace(theirs, scale=ours.scale, offset=ours.offset)
            for theirs, ours in zip(model.spec.bands, bands, strict=True)
        ),
    )
    return SeenSet(opened, InputLayer(spec, model.fit.marked).to(device), made, device)


def batches(rows: Rows, size: int = BATCH) -> Iterator[Rows]:
    """Rows, some at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def chosen_pixels(y: Labels, row: int, classes: int, most: int) -> NDArray[np.int64]:
    """Places in a flat patch of at most `most` labelled pixels, drawn evenly; the same for the same row."""
    places = np.flatnonzero(y.reshape(-1) < classes)
    if len(places) <= most:
        return places
    return np.sort(np.random.default_rng([42, row]).choice(places, most, replace=False))
