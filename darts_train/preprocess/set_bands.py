"""The encodings of a set: one per band, for all of its scenes."""

from collections.abc import Sequence
from pathlib import Path

from darts_train.base.errors import UserError, listing
from darts_train.dataset.journal import Journal
from darts_train.dataset.set_config import SetConfig
from darts_train.features.stack import FeatureStack
from darts_train.raster.band import Band, parse_optical_range, with_optical_range
from darts_train.raster.catalogue import is_reflectance
from darts_train.scenes.measure import merge_encodings
from darts_train.scenes.scene import Scene


def set_bands(
    stack: FeatureStack, scenes: Sequence[Scene], earlier: SetConfig | None, optical_range: str | None = None
) -> tuple[Band, ...]:
    """Encodings that serve all scenes.

    Those of an earlier call for the same directory stay, so that scenes can be added: measured ranges would move
    with every new one. Raises UserError where a scene cannot give a band, or where units or ranges contradict.
    """
    found = [stack.bands_for(scene) for scene in scenes]
    stack.warn_of_sun(scenes)
    stack.warn_of_duplicates(scenes[0])
    if earlier is not None and earlier.band_names == tuple(stack.names):
        return earlier.bands
    bands = tuple(_merged(column, scenes) for column in zip(*found, strict=True))
    return bands if optical_range is None else _with_range(bands, optical_range)


def _merged(column: Sequence[Band], scenes: Sequence[Scene]) -> Band:
    try:
        return merge_encodings(column)
    except ValueError as error:
        fine = min(range(len(column)), key=lambda i: column[i].scale)
        coarse = max(range(len(column)), key=lambda i: column[i].scale)
        files = f"{scenes[fine].source}, {scenes[coarse].source}"
        raise UserError(f"band {column[0].name}: {error} ({files}); give --scale and --offset.") from None


def _with_range(bands: tuple[Band, ...], text: str) -> tuple[Band, ...]:
    low, high = parse_optical_range(text)
    counts = [band.name for band in bands if band.optical and not is_reflectance(band)]
    if counts:
        raise UserError(f"--optical-range is in reflectance, but {listing(counts)} is in counts; give --scale.")
    return with_optical_range(bands, low, high)


def earlier_config(root: Path, overwrite: bool) -> SetConfig | None:
    """Config of the set that was begun in a directory; None where there is none, or it will be overwritten."""
    journal = Journal(root)
    return journal.config() if journal.exists() and not overwrite else None
