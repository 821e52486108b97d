"""One tile: pixels, labels and masks of an area become encoded patches, and a row about each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from darts_train.dataset.columns import Cell
from darts_train.dataset.schema import PatchRow
from darts_train.features.stack import FeatureStack
from darts_train.options.preprocessing import Patches
from darts_train.preprocess.measures import MEASURES, Measure
from darts_train.preprocess.tiles import area_of
from darts_train.raster.band import IGNORE_INDEX, Band
from darts_train.raster.encoding import encode
from darts_train.raster.masks import erode_valid
from darts_train.raster.patches import Window
from darts_train.scenes.georeference import window_geometries
from darts_train.scenes.labels import Labels
from darts_train.scenes.scene import HIGH_QUALITY, INVALID, Scene

DROP_REASONS = ("too few labelled pixels", "a band without data", "no foreground pixel", "pixels without data")


@dataclass(frozen=True)
class Sample:
    """A scene with its labels.

    `source` is what the rows say where it came from; `files` are those that decide its pixels and labels; `columns` are
    cells of further columns, the same for all of its patches.
    """

    scene: Scene
    labels: Labels
    source: str
    files: tuple[Path, ...] = ()
    columns: Mapping[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """How areas become patches: bands, encodings, cutting, filters, the pixels by which the valid area shrinks.

    `measures` are what is kept of each patch as columns.
    """

    stack: FeatureStack
    bands: tuple[Band, ...]
    patches: Patches
    erosion: int
    measures: tuple[Measure, ...] = MEASURES


@dataclass(frozen=True)
class CutTile:
    """The patches of a tile that were kept.

    x uint16 [n, c, P, P] and y uint8 [n, P, P]; `kept` [n] are their positions among the windows of the tile;
    `clipped` [c] counts values that no code could say, `dropped` [4] patches by DROP_REASONS; `columns` [n] are
    the cells of what was measured.
    """

    x: np.ndarray
    y: np.ndarray
    kept: np.ndarray
    clipped: np.ndarray
    dropped: np.ndarray
    columns: tuple[Mapping[str, Cell], ...] = ()


def cut_tile(sample: Sample, windows: list[Window], recipe: Recipe) -> CutTile:
    """Read and compute the area of the windows once, cut it, drop what the filters say, and encode the rest.

    Raises UserError where a file cannot be read.
    """
    area = area_of(windows)
    classes = sample.labels.read(area)
    if recipe.patches.min_valid_fraction > 0 and (classes == IGNORE_INDEX).all():
        return _nothing(len(windows), recipe)
    sample = _read_once(sample, area.grown(recipe.erosion))
    values = _area(sample.scene, area, classes, recipe)
    sources = _sources(sample.scene, area, recipe, values)
    hidden = recipe.stack.hidden(sample.scene, area, values)
    inside = _inside(sample.scene, area)
    size = recipe.patches.patch_size
    xs, ys, kept, columns = [], [], [], []
    clipped, dropped = np.zeros(len(recipe.bands), np.int64), np.zeros(len(DROP_REASONS), np.int64)
    for i, window in enumerate(windows):
        place = window.slices(area)
        x, y = values[:, *place], classes[place]
        reason = reason_to_drop(x[recipe.stack.required], y, inside[place], recipe.patches)
        if reason is not None:
            dropped[reason] += 1
            continue
        shown = x if hidden is None else recipe.stack.masked(sample.scene, x, hidden[place])
        codes, beyond = encode(shown, recipe.bands)
        xs.append(codes)
        ys.append(y.copy())
        kept.append(i)
        within = window.intersection(sample.scene.grid.extent).slices(area)
        columns.append(_measured(x, y, {name: band[within] for name, band in sources.items()}, recipe))
        clipped += beyond
    x_all = np.stack(xs) if xs else np.empty((0, len(recipe.bands), size, size), np.uint16)
    y_all = np.stack(ys) if ys else np.empty((0, size, size), np.uint8)
    return CutTile(x_all, y_all, np.array(kept, np.int64), clipped, dropped, tuple(columns))


def _read_once(sample: Sample, area: Window) -> Sample:
    """The sample, with the pixels of an area in memory where its scene can do that: several steps look at them."""
    holding = getattr(sample.scene, "holding", None)
    return sample if holding is None else replace(sample, scene=holding(area))


def _nothing(count: int, recipe: Recipe) -> CutTile:
    """A tile of `count` patches in which nothing is labelled: all are dropped, and no image is read."""
    size, bands = recipe.patches.patch_size, len(recipe.bands)
    dropped = np.array([count] + [0] * (len(DROP_REASONS) - 1), np.int64)
    x, y = np.empty((0, bands, size, size), np.uint16), np.empty((0, size, size), np.uint8)
    return CutTile(x, y, np.empty(0, np.int64), np.zeros(bands, np.int64), dropped)


def _area(scene: Scene, area: Window, classes: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Values float32 [c, h, w] of an area, NaN where the quality is 0; its classes uint8 [h, w] are masked.

    They become IGNORE_INDEX where the quality is not 2 or the eroded mask says so, and where any band that is not
    optional has no data. Indices are not masked yet: where they mean nothing, labels count.
    """
    halo = recipe.erosion
    quality = scene.quality(area.grown(halo))
    here = area.slices(area.grown(halo))
    trusted = erode_valid(quality == HIGH_QUALITY, halo)[here]
    values = recipe.stack.compute(scene, area)
    invalid = quality[here] == INVALID
    if invalid.any():
        values[:, invalid] = np.nan
    classes[~(trusted & recipe.stack.known(values))] = IGNORE_INDEX
    return values


def _sources(scene: Scene, area: Window, recipe: Recipe, values: np.ndarray) -> dict[str, np.ndarray]:
    needs = [name for measure in recipe.measures for name in measure.needs if name in scene.bands]
    return recipe.stack.sources(scene, area, needs, values)


def _measured(x: np.ndarray, y: np.ndarray, sources: Mapping[str, np.ndarray], recipe: Recipe) -> dict[str, Cell]:
    return {name: cell for measure in recipe.measures for name, cell in measure.of(x, y, sources).items()}


def _inside(scene: Scene, area: Window) -> np.ndarray:
    inside = np.zeros((area.height, area.width), bool)
    inside[area.intersection(scene.grid.extent).slices(area)] = True
    return inside


def reason_to_drop(x: np.ndarray, y: np.ndarray, inside: np.ndarray, patches: Patches) -> int | None:
    """Why a patch is dropped, as a position in DROP_REASONS; None where it is kept.

    Args:
        x: values float [c, P, P], NaN where there is no data.
        y: classes uint8 [P, P], IGNORE_INDEX where unlabelled.
        inside: bool [P, P], pixels of the scene; those that pad a scene smaller than a patch are no reason to drop it.
        patches: the limits.
    """
    labelled = y != IGNORE_INDEX
    missing = np.isnan(x)
    if labelled.mean() < patches.min_valid_fraction:
        return 0
    if missing.all(axis=(1, 2)).any():
        return 1
    if patches.exclude_nopositive and not (labelled & (y > 0)).any():
        return 2
    if patches.exclude_nan and missing[:, inside].any():
        return 3
    return None


def patch_rows(
    sample: Sample, windows: Sequence[Window], tile: CutTile, first: int, class_count: int
) -> list[PatchRow]:
    """Rows of the kept patches. `first` is the patch_id of the first one; shares are of all pixels of a patch."""
    scene = sample.scene
    chosen = [windows[i] for i in tile.kept]
    geometries = window_geometries(scene.grid, chosen)
    rows = []
    for i, (window, geometry, y) in enumerate(zip(chosen, geometries, tile.y, strict=True)):
        shares = np.bincount(y.ravel(), minlength=IGNORE_INDEX + 1)[:class_count] / y.size
        rows.append(
            PatchRow(
                patch_id=first + i,
                sample_id=scene.scene_id,
                region=scene.region,
                group=scene.group,
                empty=not shares[1:].any(),
                x=window.x,
                y=window.y,
                valid_fraction=float(shares.sum()),
                positive_fraction=float(shares[1:].sum()),
                class_fractions=[float(share) for share in shares],
                geometry=geometry,
                source=sample.source,
                date=scene.date,
                columns={**sample.columns, **(tile.columns[i] if tile.columns else {})},
            )
        )
    return rows
