"""Small train data directories that a network can learn: bright discs on a dark ground.

In every patch band 0 to c - 1 are dark noise (about 0.05). A positive patch has one disc per foreground class k,
in which band (k - 1) mod c is bright (0.25 for the first round of bands, less in later ones), and y = k there.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr

from darts_train.dataset.schema import PatchRow, SceneRecord, Tile
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.writer import SetSummary, TrainDataWriter
from darts_train.raster.band import IGNORE_INDEX, NODATA, Band
from darts_train.raster.encoding import encode

BAND_NAMES = ("blue", "green", "red", "nir", "ndvi", "slope", "swir16", "swir22", "dem", "aspect")


def make_config(bands: int = 3, size: int = 32, classes: int = 2, **settings: Any) -> SetConfig:
    """Config of a set of `make_set`: optical bands, 1e-4 per code from -0.1, range 0 to 0.3."""
    names = ("background", "positive") if classes == 2 else ("background", *(f"class{k}" for k in range(1, classes)))
    return SetConfig(
        bands=tuple(Band(name, 1e-4, -0.1, 0.0, 0.3, True) for name in BAND_NAMES[:bands]),
        patch_size=size,
        classes=names,
        command="make-set",
        settings=settings,
    )


def make_patch(
    config: SetConfig, rng: np.random.Generator, positive: bool, nodata: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """One patch: codes uint16 [c, P, P] and classes uint8 [P, P]; `nodata`: the left column is no data."""
    size, count = config.patch_size, len(config.bands)
    values = rng.normal(0.05, 0.01, (count, size, size))
    y = np.zeros((size, size), np.uint8)
    rows, columns = np.ogrid[:size, :size]
    for k in range(1, len(config.classes)) if positive else ():
        centre = rng.integers(size // 4, size - size // 4, 2)
        disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= (size // 5) ** 2
        values[:, disc] = rng.normal(0.05, 0.01, (count, int(disc.sum())))
        values[(k - 1) % count, disc] += 0.2 / (1 + (k - 1) // count)
        y[disc] = k
    if nodata:
        values[:, :, 0] = np.nan
        y[:, 0] = config.ignore_index
    return encode(values, config.bands)[0], y


def make_row(config: SetConfig, y: np.ndarray, **fields: Any) -> PatchRow:
    """The row of a patch, its fractions counted from y; `fields` are the others."""
    labelled = y != config.ignore_index
    shares = [float((y == k).sum()) / max(int(labelled.sum()), 1) for k in range(len(config.classes))]
    return PatchRow(
        empty=not bool(((y != 0) & labelled).any()),
        valid_fraction=float(labelled.mean()),
        positive_fraction=sum(shares[1:]),
        class_fractions=shares,
        **fields,
    )


def make_tile(
    config: SetConfig, scene: int, region: str, count: int, seed: int, positives: float = 0.5, nodata: bool = False
) -> Tile:
    """The only tile of a scene: `count` patches side by side, of which the share `positives` has discs."""
    rng = np.random.default_rng([seed, scene])
    name, size = f"scene{scene:02d}", config.patch_size
    positive = np.arange(count) < round(positives * count)
    patches = [make_patch(config, rng, bool(is_positive), nodata) for is_positive in rng.permutation(positive)]
    rows = [
        make_row(config, y, patch_id=i, sample_id=name, region=region, x=i * size, source=f"{name}.tif")
        for i, (_, y) in enumerate(patches)
    ]
    return Tile(
        scene_id=name,
        number=0,
        rows=rows,
        x=np.array([x for x, _ in patches], np.uint16).reshape(count, len(config.bands), size, size),
        y=np.array([y for _, y in patches], np.uint8).reshape(count, size, size),
        scene=SceneRecord(scene_id=name, patches=count, source=f"{name}.tif", region=region),
    )


def make_set(
    root: Path,
    patches: int = 24,
    size: int = 32,
    bands: int = 3,
    classes: int = 2,
    regions: int = 2,
    seed: int = 0,
    positives: float = 0.5,
    scenes: int | None = None,
    nodata: bool = False,
) -> SetSummary:
    """Write a set through the real writer; scene i of `scenes` (default 2 per region) is in "Region {i % regions}"."""
    config = make_config(bands, size, classes, seed=seed)
    number = scenes or 2 * regions
    counts = [len(part) for part in np.array_split(np.arange(patches), number)]
    with TrainDataWriter.open(root, config) as writer:
        for scene, count in enumerate(counts):
            writer.commit(make_tile(config, scene, f"Region {scene % regions}", count, seed, positives, nodata))
        return writer.finalise()


def make_old_set(
    root: Path, patches: int = 12, size: int = 32, bands: int = 3, regions: int = 2, seed: int = 0
) -> Path:
    """Write a set of older make with plain zarr and pandas; returns `root`.

    x float32 in [0, 1] with one chunk per band, the left column NaN; y 0, 1 and 2 (left column); z_idx as HEAD had it.
    """
    config, rng = make_config(bands, size), np.random.default_rng(seed)
    pairs = [make_patch(config, rng, i % 2 == 0, nodata=True) for i in range(patches)]
    codes = np.stack([x for x, _ in pairs])
    values = np.clip((codes.astype(np.float32) * 1e-4 - 0.1) / 0.3, 0, 1)
    values[codes == NODATA] = np.nan
    y = np.stack([y for _, y in pairs])
    empty = ~((y == 1).any(axis=(1, 2)))
    y[y == IGNORE_INDEX] = 2
    root.mkdir(parents=True)
    group = zarr.create_group(str(root / "data.zarr"))
    group.create_array("x", data=values.astype(np.float32), chunks=(1, 1, size, size))
    group.create_array("y", data=y, chunks=(1, size, size))
    columns = {
        "z_idx": range(patches), "patch_id": range(patches), "sample_id": [f"old{i % 3}" for i in range(patches)],
        "region": [f"Region {i % regions}" for i in range(patches)], "empty": empty,
    }  # fmt: skip
    pd.DataFrame(columns).to_parquet(root / "metadata.parquet")
    names = ", ".join(f'"{band.name}"' for band in config.bands)
    (root / "config.toml").write_text(f"[darts]\nbands = [{names}]\npatch_size = {size}\ndevice = 'cpu'\n")
    return root
