"""What a pipeline of Albumentations does to a patch, found out before training: whether it can, and the size it gives.

Every transform is done once or more, whatever its chance, on noise with a disc of labels: what raises here would raise
in the third epoch.
"""

import functools
import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darts_train.base.errors import UserError
from darts_train.raster.band import Band
from darts_train.training.augmentation.albumentations_library import COLOUR, MARKS, Building, first_words, pipeline_tree
from darts_train.training.augmentation.reader import OPTION, RGB, image_bands

NEEDING = f"{OPTION}: a serialised pipeline"
DRAWS, MOST_SIZES = 3, 4
Size = tuple[int, int]


def trained_size(texts: Sequence[str] | None, bands: Sequence[Band], patch_size: int) -> int:
    """The side of the patches that a network is trained on, with these `augmentations`.

    `patch_size` itself where they are none of Albumentations'. Raises UserError where the pipeline cannot be done on
    these bands, and where its patches are not square and all of one size.
    """
    if pipeline_tree(texts) is None:
        return patch_size
    names = [band.name for band in bands if band.optical]
    return _trained_size(tuple(texts or ()), tuple(names), len(image_bands(bands)), patch_size)


@functools.lru_cache(maxsize=64)
def _trained_size(texts: tuple[str, ...], optical: tuple[str, ...], channels: int, patch_size: int) -> int:
    building = Building(_tree(texts), OPTION, NEEDING)
    for place, leaf in building.leaves:
        if type(leaf).__name__ in COLOUR and not set(RGB) <= set(optical):
            raise UserError(
                f"{OPTION}: {place} needs the optical bands red, green and blue; there are "
                f"{', '.join(optical) or 'none'}."
            )
    building.for_colours_of(channels)
    sizes = _Probe(building, max(channels, 1)).sizes(building.compose, {(patch_size, patch_size)})
    if len(sizes) > 1 or len(set(min(sizes))) > 1:
        found = " and ".join(f"{height} × {width}" for height, width in sorted(sizes)[:2])
        raise UserError(
            f"{OPTION}: from patches of {patch_size} pixels it makes some of {found}; end it with PadIfNeeded and "
            f"RandomCrop to one size (with p=1)."
        )
    return min(sizes)[0]


def _tree(texts: tuple[str, ...]) -> Mapping[str, Any]:
    tree = pipeline_tree(texts)
    assert tree is not None
    return tree


class _Probe:
    """Sizes that transforms make of sizes."""

    def __init__(self, building: Building, channels: int) -> None:
        self.building, self.channels = building, channels
        self.places = {id(leaf): place for place, leaf in building.leaves}
        building.compose.set_random_state(np.random.default_rng(0), random.Random(0))

    def sizes(self, transform: Any, sizes: set[Size], forced: bool = False) -> set[Size]:
        """Sizes after a transform, where `sizes` come in; with those themselves where it is left to chance."""
        package = self.building.package
        if not isinstance(transform, package.BaseCompose):
            made = {size for each in sizes for size in self._made(transform, each)}
        elif isinstance(transform, package.OneOf | package.OneOrOther):
            made = {size for child in transform.transforms for size in self.sizes(child, sizes, forced=True)}
        else:
            made = sizes
            for child in transform.transforms:
                made = self.sizes(child, made)
        kept = set() if forced or transform.p >= 1 else sizes
        return set(sorted(made | kept)[:MOST_SIZES])

    def _made(self, leaf: Any, size: Size) -> set[Size]:
        found: set[Size] = set()
        for _ in range(DRAWS):
            found.add(self._done(leaf, size))
            if found == {size}:
                break
        return found

    def _done(self, leaf: Any, size: Size) -> Size:
        height, width = size
        image = np.random.default_rng(0).random((*size, self.channels), np.float32)
        mask = np.zeros(size, np.float32)
        mask[height // 4 : height // 2, width // 4 : width // 2] = 1
        marks = np.zeros((*size, 2), np.float32)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                done = leaf(force_apply=True, image=image, mask=mask, **{MARKS: marks})
        except Exception as error:  # theirs, whatever it is
            where = self.places[id(leaf)]
            raise UserError(f"{OPTION}: {where}, on {height} × {width} pixels: {first_words(error)}.") from None
        shapes = {done[name].shape[:2] for name in ("image", "mask", MARKS)}
        if len(shapes) > 1 or done["image"].shape[2:] != image.shape[2:] or done["image"].dtype != image.dtype:
            raise UserError(f"{OPTION}: {self.places[id(leaf)]} makes something else of the image than an image.")
        found_height, found_width = done["image"].shape[:2]
        return int(found_height), int(found_width)
