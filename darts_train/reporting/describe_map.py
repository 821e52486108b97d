"""Outlines of patches from metadata.parquet, and the maps that are coloured by what the patches are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from darts_train.dataset.splitting.splits import SplitIndices
from darts_train.figures.patch_map import Scene, Shapes, patch_map, scene_windows
from darts_train.figures.svg import series_colour

LIMIT = 20_000  # outlines of a map, windows of scenes, about: what a page of some megabytes holds
SCENES = 20  # panels of windows
COLOURS = 6  # regions with a colour of their own
GREY = "var(--muted, #5b6875)"
SHARES = ((0.01, "#d9b23c"), (0.05, "#f0883e"), (0.2, "#d9481c"), (1.0, "#a3123f"))  # up to this share: this colour


@dataclass(frozen=True, eq=False)
class Outlines:
    """Where patches lie.

    Attributes:
        rings: float [k, 2] each: x and y; longitudes may pass 180 where patches lie on both sides of the antimeridian.
        patch: index of the patch of each ring, int64.
        degrees: x and y are longitude and latitude.
        unknown: patches without an outline.
        thinned: patches that were left out, as there are too many to be drawn.
    """

    rings: Sequence[NDArray[np.float64]]
    patch: NDArray[np.int64]
    degrees: bool
    unknown: int
    thinned: int


@dataclass(frozen=True, eq=False)
class Colouring:
    """A colour for every patch: index into `names` and `colours`, int64 [n]; -1 is not drawn."""

    kinds: NDArray[np.int64]
    names: Sequence[str]
    colours: Sequence[str]


def read_outlines(metadata: pd.DataFrame) -> Outlines | None:
    """Outlines of the patches that have one; None where none has (no georeference, no such column, no WKB)."""
    if "geometry" not in metadata:
        return None
    column = metadata["geometry"]
    known = np.flatnonzero(column.notna().to_numpy(bool))
    chosen = known if len(known) <= LIMIT else np.sort(np.random.default_rng(42).choice(known, LIMIT, replace=False))
    shapes = _geometries(column.to_numpy(object)[chosen])
    parts, place = shapely.get_parts(shapes, return_index=True)
    polygons = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & np.isfinite(shapely.area(parts))
    polygons &= ~shapely.is_empty(parts)
    if not polygons.any():
        return None
    points, ring = shapely.get_coordinates(shapely.get_exterior_ring(parts[polygons]), return_index=True)
    rings = np.split(points, np.flatnonzero(np.diff(ring)) + 1)
    degrees, patch = bool((np.abs(points) <= (360.0, 90.001)).all()), chosen[place[polygons]]
    return Outlines(
        rings=around_the_antimeridian(rings) if degrees else rings,
        patch=patch,
        degrees=degrees,
        unknown=len(metadata) - len(known) + len(chosen) - len(np.unique(patch)),
        thinned=len(known) - len(chosen),
    )


def around_the_antimeridian(rings: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Rings moved by whole turns so that they lie together: the map begins after the widest gap in longitude."""
    whole = [_unbroken(ring) for ring in rings]
    centres = np.array([(ring[:, 0].min() + ring[:, 0].max()) / 2 for ring in whole])
    turned = np.sort(centres % 360)
    gaps = np.diff(turned, append=turned[0] + 360)
    start = turned[(int(gaps.argmax()) + 1) % len(turned)]
    start -= 360 * (start >= 180)  # a map within -180 to 180 keeps its numbers
    turns = np.floor((centres - start + 1e-9) / 360)
    return [ring - np.array([360.0 * turn, 0.0]) for ring, turn in zip(whole, turns, strict=True)]


def by_region(metadata: pd.DataFrame) -> Colouring:
    """The largest regions in colours, all others grey."""
    counts = metadata["region"].value_counts()
    order = sorted(counts.index, key=lambda name: (-counts[name], name))
    most = order if len(order) <= COLOURS else order[: COLOURS - 1]
    rest = len(order) - len(most)
    place = {name: index for index, name in enumerate(most)}
    kinds = metadata["region"].map(lambda name: place.get(name, len(most))).to_numpy(np.int64)
    names = [*most, *([f"{rest} other regions"] if rest else [])]
    return Colouring(kinds, names, [*(series_colour(i) for i in range(len(most))), *([GREY] if rest else [])])


def by_positive(positive_pixels: NDArray[np.int64], patch_size: int) -> Colouring:
    """Patches by the share of their pixels that are foreground."""
    share = positive_pixels / patch_size**2
    limits = [limit for limit, _ in SHARES]
    kinds = np.where(positive_pixels == 0, 0, 1 + np.minimum(np.searchsorted(limits, share), len(limits) - 1))
    names = ["no positive pixel", *(f"up to {limit:.0%}" for limit in limits[:-1]), f"more than {limits[-2]:.0%}"]
    return Colouring(kinds.astype(np.int64), names, [GREY, *(colour for _, colour in SHARES)])


def by_part(count: int, indices: SplitIndices) -> Colouring:
    """Patches by what they do in one fold; parts that are the same patches become one kind, those of no part none."""
    kinds = np.full(count, -1, np.int64)
    names: list[str] = []
    for name, part in (("train", indices.train), ("validate", indices.val), ("test", indices.test)):
        same = len(names) and len(part) and (kinds[part] >= 0).all()
        if same:  # validation is training, or the test part is all
            continue
        kinds[part] = len(names)
        names.append(name)
    return Colouring(kinds, names, [series_colour(i) for i in range(len(names))])


def draw_map(outlines: Outlines, colouring: Colouring, title: str) -> str:
    """The map with its legend; kinds without a patch are left out of both. At least one patch must have a kind."""
    kinds = colouring.kinds[outlines.patch]
    groups = []
    for kind, (name, colour) in enumerate(zip(colouring.names, colouring.colours, strict=True)):
        rings = [outlines.rings[i] for i in np.flatnonzero(kinds == kind).tolist()]
        if rings:
            groups.append(Shapes(name, colour, rings))
    return patch_map(groups, title, outlines.degrees)


def draw_windows(metadata: pd.DataFrame, patch_size: int, colouring: Colouring, title: str) -> str | None:
    """Windows of the first scenes, at most SCENES, fewer where they are many; None where the set knows no windows."""
    if not {"x", "y"} <= set(metadata.columns) or metadata[["x", "y"]].isna().any(axis=None):
        return None
    shown = metadata[colouring.kinds >= 0]
    scenes, seen = [], set[int]()
    before = shown.groupby("sample_id").size().cumsum().shift(fill_value=0)  # windows in the scenes before
    few = shown[shown["sample_id"].isin(before.index[(before < LIMIT)][:SCENES])]
    for name, rows in few.groupby("sample_id", sort=True):
        kinds = colouring.kinds[rows.index].tolist()
        seen.update(kinds)
        scenes.append(Scene(str(name), rows[["x", "y"]].to_numpy(np.int64), [colouring.colours[k] for k in kinds]))
    legend = [(colouring.names[kind], colouring.colours[kind]) for kind in sorted(seen)]
    return scene_windows(scenes, legend, patch_size, title) if scenes else None


def _geometries(values: NDArray[np.object_]) -> NDArray[np.object_]:
    texts = np.array([value if isinstance(value, bytes | str) else None for value in values], object)
    with np.errstate(invalid="ignore"):  # NaN in a coordinate
        return np.asarray(shapely.from_wkb(texts, on_invalid="ignore"), object)


def _unbroken(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """A ring whose longitudes jump from 180 to -180, without the jump."""
    first = ring[0, 0]
    jumps = 360.0 * np.rint((ring[:, 0] - first) / 360.0)
    return np.stack([ring[:, 0] - jumps, ring[:, 1]], axis=1)
