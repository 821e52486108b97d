"""A sheet of sample patches: which ones, and how they look."""

import numpy as np
import pandas as pd

from darts_train.dataset.reader import TrainData
from darts_train.figures.maps import class_colour, hex_colour, png
from darts_train.figures.sheet import HATCH_LIGHT, side_by_side
from darts_train.raster.encoding import decode
from darts_train.reporting.content import Picture, Pictures

SAMPLES = 12
SEED = 42
VISIBLE = ("red", "green", "blue")


def choose(metadata: pd.DataFrame, count: int = SAMPLES, seed: int = SEED) -> list[int]:
    """Indices of up to `count` patches, ascending: half with positives where there are as many, over all scenes.

    Each half takes one patch of every scene in a drawn order, then a second of each, and so on; what one half lacks
    the other gives.
    """
    rng = np.random.default_rng(seed)
    positive, empty = (_in_turns(metadata[metadata["empty"] == flag], rng) for flag in (False, True))
    half = max(count // 2, count - len(empty))
    first = positive[:half]
    return sorted([*first, *empty[: count - len(first)]])


def sheet(data: TrainData, positive_pixels: np.ndarray) -> Pictures:
    """The chosen patches beside their labels. Raises UserError where one is damaged."""
    names = [band.name for band in data.bands]
    visible = set(VISIBLE) <= set(names)
    channels = [names.index(name) for name in VISIBLE] if visible else list(range(3 if len(names) >= 3 else 1))
    pictures = []
    for index in choose(data.metadata):
        x, y = data.read(index)
        bands = values(data, x)[channels]
        row = data.metadata.loc[index]
        share = int(positive_pixels[index]) / max(y.size, 1)
        picture = side_by_side(bands, visible, y, data.config.ignore_index)
        place = "" if row["region"] in row["sample_id"] else f", {row['region']}"
        title = f"{index}: {row['sample_id']}{place}, {share:.1%} positive"
        pictures.append(Picture(title, png(picture), f"patch {index} and its labels"))
    shown = ", ".join(names[i] for i in channels)
    legend = [(name, hex_colour(class_colour(k))) for k, name in enumerate(data.config.classes) if k]
    caption = (
        f"Left {shown}, stretched from the 2nd to the 98th percentile of each patch; right its labels. "
        "The number is that of the patch."
    )
    return Pictures(pictures, [*legend, ("ignored (hatched)", hex_colour(HATCH_LIGHT))], caption, wide=True)


def values(data: TrainData, x: np.ndarray) -> np.ndarray:
    """Values of a patch as `TrainData.read` gives it, float32 [c, h, w], NaN for no data."""
    if data.encoded:
        return decode(x, data.bands)
    return np.where(np.isfinite(x), x, np.nan).astype(np.float32)


def _in_turns(rows: pd.DataFrame, rng: np.random.Generator) -> list[int]:
    """Indices, a patch of each scene in turn, scenes and patches in a drawn order."""
    shuffled = rows.iloc[rng.permutation(len(rows))]
    turn = shuffled.groupby("sample_id", sort=False).cumcount()
    return [int(index) for index in turn.sort_values(kind="stable").index]
