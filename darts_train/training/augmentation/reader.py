"""Pipelines that Albumentations runs: patch by patch, in the threads that read, before batches are made.

What the library sees of a patch, and what of that is ours to keep true:

* `image`, float32 [h, w, k]: the optical bands, 0 to 1 by their ranges; red, green and blue are the first where they
  are there. No data takes the band's mean meanwhile, so that filters near it find nothing odd.
* `mask`, float32 [h, w]: the labels, the ignore index as background.
* MARKS, float32 [h, w, …], moved as labels are: where the ignore index was, where no data was, and the other bands,
  which so are left alone by all that is photometric.

It comes back in the encoding it had, so that whatever follows (normalisation, no data) is that of any other batch.
What is drawn is a function of the run's seed, the epoch and the patch's place in it, whatever thread it is.
"""

import copy
import random
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from darts_train.base.errors import UserError
from darts_train.features.derived import Derivation
from darts_train.models.input_spec import InputSpecification
from darts_train.raster.band import MAX_CODE, NODATA, Band
from darts_train.training.augmentation.albumentations_library import MARKS, Building, Image
from darts_train.training.loading.held import HeldPatches
from darts_train.training.loading.patches import Batch, EpochSampler, PatchDataset, as_tensor
from darts_train.training.seeds import READER, mixed_seed

OPTION = "--augment-config"
RGB = ("red", "green", "blue")
Patch = tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]
Place = tuple[int, int, int]  # position in the dataset, epoch, number within the epoch


def image_bands(bands: Sequence[Band]) -> tuple[int, ...]:
    """Places of the optical bands, red, green and blue first where all three are there."""
    optical = {band.name: place for place, band in enumerate(bands) if band.optical}
    colours = [optical.pop(name) for name in RGB] if set(RGB) <= set(optical) else []
    return (*colours, *optical.values())


def shown_bands(spec: InputSpecification, bands: Sequence[Band]) -> tuple[Band, ...]:
    """Bands with the values that are 0 and 1 while augmenting: the network's, or the set's where it has none."""
    return spec.bands if spec.normalisation in ("range", "minmax", "quantile") else tuple(bands)


class ReaderPipeline:
    """A pipeline of Albumentations for patches of these bands, called by as many threads as want to.

    Args:
        building: The pipeline.
        bands: Of the patches, in their order, with what is to be 0 and 1.
        ignore: The ignore index.
        seed: Of the run.
        derive: What makes these bands of those that are read; None: they are these.
    """

    def __init__(
        self, building: Building, bands: Sequence[Band], ignore: int, seed: int, derive: Derivation | None = None
    ) -> None:
        self.seed, self.ignore, self.derive = seed, ignore, derive
        self.image = np.array(image_bands(bands), np.int64)
        self.others = np.setdiff1d(np.arange(len(bands)), self.image)
        spans = np.array([bands[i].high - bands[i].low for i in self.image], np.float64)
        scales = np.array([bands[i].scale for i in self.image], np.float64) / spans
        offsets = np.array([bands[i].offset - bands[i].low for i in self.image], np.float64) / spans
        self._scale, self._offset = (part.astype(np.float32)[:, None, None] for part in (scales, offsets))
        building.for_colours_of(len(self.image))
        self._compose, self._lock, self._own = building.compose, threading.Lock(), threading.local()

    def __call__(self, x: npt.NDArray[Any], y: npt.NDArray[np.uint8], draw: int) -> Patch:
        """A patch [c, h, w] (uint16 codes, or float32 in [0, 1]) and its labels uint8 [h, w], augmented, as they came,
        but for bands that are to be derived, which follow before.

        `draw` decides what is drawn. The side may be another.
        """
        x = x if self.derive is None else self.derive(x)
        image, missing = self._image(x)
        ignored = y == self.ignore
        marks = np.concatenate([ignored[None], missing, x[self.others]]).astype(np.float32)
        compose = self._pipeline()
        # A seed would be that of every transform, so that all of them did the same; a state is shared.
        compose.set_random_state(np.random.default_rng(draw), random.Random(draw))
        labels = y.astype(np.float32)
        labels[ignored] = 0
        done = compose(image=image, mask=labels, **{MARKS: np.ascontiguousarray(marks.transpose(1, 2, 0))})
        return self._patch(done["image"], done["mask"], done[MARKS], x.dtype)

    def _image(self, x: npt.NDArray[Any]) -> tuple[Image, npt.NDArray[np.bool_]]:
        """The optical bands float32 [h, w, k], without gaps, and where there are gaps [1 or k, h, w]."""
        part = x[self.image]
        missing = part == NODATA if x.dtype == np.uint16 else np.isnan(part)
        values = part.astype(np.float32)
        if x.dtype == np.uint16:
            values *= self._scale
            values += self._offset
        values.clip(0, 1, out=values)
        if not len(values):
            return np.zeros((*x.shape[1:], 1), np.float32), missing
        alike = True
        if missing.any():
            alike = bool((missing == missing[:1]).all())
            valid = (~missing).sum((1, 2)).clip(1)
            means = values.sum((1, 2), dtype=np.float64, where=~missing) / valid
            np.copyto(values, means.astype(np.float32)[:, None, None], where=missing)
        return np.ascontiguousarray(values.transpose(1, 2, 0)), missing[:1] if alike else missing

    def _patch(self, image: Image, labels: Image, marks: Image, dtype: npt.DTypeLike) -> Patch:
        """What came back, encoded again."""
        flags = marks.shape[-1] - len(self.others)
        ignored = (marks[..., 0] != 0) | (labels < 0)
        labels[ignored] = self.ignore
        x = np.empty((len(self.image) + len(self.others), *labels.shape), dtype)
        if len(self.image):
            x[self.image] = self._colours(image, marks[..., 1:flags], x.dtype)
        for place, band in enumerate(self.others, flags):
            x[band] = marks[..., place].clip(0) if x.dtype == np.uint16 else marks[..., place]
        x[:, marks[..., 0] < 0] = NODATA if x.dtype == np.uint16 else np.nan
        return x, labels.astype(np.uint8)

    def _colours(self, image: Image, flags: Image, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """The optical bands [k, h, w] of an image, with the gaps that it had and those that became of it."""
        values = image.transpose(2, 0, 1).clip(0, 1)
        missing = np.isnan(values)
        if flags.any():
            missing |= flags.transpose(2, 0, 1) > 0.5
        if dtype == np.uint16:
            values -= self._offset
            values /= self._scale
            np.rint(values, out=values)
            values.clip(0, MAX_CODE, out=values)
        values[missing] = NODATA if dtype == np.uint16 else np.nan
        return values.astype(dtype)

    def _pipeline(self) -> Any:
        """This thread's copy: it holds what is drawn."""
        if not hasattr(self._own, "compose"):
            with self._lock:
                self._own.compose = copy.deepcopy(self._compose)
        return self._own.compose


class NumberedSampler(Sampler[Place]):
    """The positions of an `EpochSampler`, each with its epoch and its number there, also after a restart within it."""

    def __init__(self, order: EpochSampler) -> None:
        self.order = order

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; Lightning calls it too."""
        self.order.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Place]:
        epoch, first = self.order.epoch, self.order.skip
        for number, position in enumerate(self.order, first):
            yield position, epoch, number


class AugmentedPatches(Dataset[Batch]):
    """Patches of a part, augmented as they are read. Its indices are what a `NumberedSampler` gives."""

    def __init__(self, part: PatchDataset | HeldPatches, pipeline: ReaderPipeline) -> None:
        self.part, self.pipeline = part, pipeline

    def __len__(self) -> int:
        return len(self.part)

    def __getitems__(self, places: Sequence[Place]) -> Batch:
        """A batch as in `patches`, of the size that the pipeline gives. Raises UserError where that is not one size."""
        batch = self.part.__getitems__([position for position, _, _ in places])
        rows = batch["index"].tolist()
        draws = [
            mixed_seed(self.pipeline.seed, f"{READER}/{epoch}/{row}", number)
            for row, (_, epoch, number) in zip(rows, places, strict=True)
        ]
        return batch | self.augmented(batch, draws)

    def drawn(self, batch: Batch, draw: int) -> Batch:
        """Those of a batch, drawn by one number; see `augmented`."""
        return self.augmented(batch, [mixed_seed(draw, READER, row) for row in batch["index"].tolist()])

    def augmented(self, batch: Batch, draws: Sequence[int]) -> Batch:
        """The `x` and `y` of a batch, each patch with its own draw."""
        codes = _numpy(batch["x"])
        pairs = [self.pipeline(x, y, draw) for x, y, draw in zip(codes, batch["y"].numpy(), draws, strict=True)]
        sizes = sorted({y.shape for _, y in pairs})
        if len(sizes) > 1:
            found = " and ".join(f"{height} × {width}" for height, width in sizes[:2])
            raise UserError(
                f"{OPTION}: it gives patches of {found} pixels; end it with PadIfNeeded and RandomCrop of one size."
            )
        x, y = (np.stack(part) for part in zip(*pairs, strict=True))
        return {"x": as_tensor(x), "y": torch.from_numpy(y)}


def _numpy(x: Tensor) -> npt.NDArray[Any]:
    """Codes, or floats; the memory is the tensor's."""
    values = x.numpy()
    return values.view(np.uint16) if values.dtype == np.int16 else values
