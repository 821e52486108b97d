"""What belongs together: components, footprints, looks."""

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn

from darts_train.dataset.grouping.alike import PairSearch, chance_level, widest_gap
from darts_train.dataset.grouping.components import Components, group_names
from darts_train.dataset.grouping.descriptor import GRID, HALF_WAVES, describe, unit_vectors
from darts_train.dataset.grouping.footprints import overlapping_pairs, unit_shapes
from darts_train.dataset.grouping.mosaic import cells_of
from darts_train.dataset.grouping.oversize import tighten
from darts_train.dataset.grouping.units import Units
from darts_train.raster.band import NODATA

EMPTY = (np.empty(0, np.int64), np.empty(0, np.int64))


def united(count, pairs):
    components = Components(count)
    for one, other in pairs:
        components.add(np.array([one]), np.array([other]))
    return components.labels()


def table(samples, boxes=None):
    frame = pd.DataFrame({"sample_id": samples, "patch_id": range(len(samples))})
    if boxes is not None:
        frame["geometry"] = [None if box is None else shapely.to_wkb(shapely.box(*box)) for box in boxes]
    return frame


def field(seed, bands=2, side=64):
    """Smooth hills, codes around 3000."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    rough = np.fft.rfft2(rng.normal(size=(bands, side, side))) / frequency
    hills = np.fft.irfft2(rough, (side, side))
    return (3000 + 400 * hills / hills.std()).astype(np.uint16)


def look(codes):
    return describe(cells_of(codes, GRID))


def test_a_chain_is_one_group():
    """A-X, X-Z, Z-Y, Y-B: a walk over lists of neighbours leaves Y and Z apart."""
    a, b, x, y, z = range(5)
    assert len(set(united(5, [(a, x), (x, z), (z, y), (y, b)]))) == 1


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30), st.randoms())
def test_components_join_every_pair_and_nothing_else(pairs, random):
    labels = united(20, pairs)
    parents = list(range(20))  # the plainest union-find there is
    for one, other in pairs:
        old, new = parents[one], parents[other]
        parents = [new if parent == old else parent for parent in parents]
    assert all((labels[i] == labels[j]) == (parents[i] == parents[j]) for i in range(20) for j in range(20))
    random.shuffle(pairs)
    assert (united(20, [(b, a) for a, b in pairs]) == labels).all()


def test_a_group_is_named_after_its_first_member():
    assert list(group_names(np.array([1, 0, 1, 0]), ["d", "c", "b", "e"])) == ["site-b", "site-c", "site-b", "site-c"]


def test_units_do_not_depend_on_the_order_of_rows():
    metadata = table(["b", "a", "b", "a"])
    samples, patches = Units.of(metadata, "sample"), Units.of(metadata, "patch")
    assert samples.names == ("a", "b")
    assert [list(rows) for rows in samples.rows] == [[1, 3], [0, 2]]
    assert patches.names == ("a#1", "a#3", "b#0", "b#2")
    assert list(patches.of_patch) == [2, 0, 3, 1]


@pytest.mark.parametrize(("share", "least", "found"), [(0.02, 0.01, 1), (0.005, 0.01, 0), (0.005, 0.001, 1)])
def test_overlap_is_a_share_of_the_smaller_footprint(share, least, found):
    small = (0.1 - 0.02 * share, 60.0, 0.12 - 0.02 * share, 60.02)
    metadata = table(["large", "small", "none"], [(0.0, 59.9, 0.1, 60.1), small, None])
    shapes = unit_shapes(metadata, Units.of(metadata, "sample"))
    one, _ = overlapping_pairs(shapes, least)
    assert len(one) == found


@settings(max_examples=10, deadline=None)
@given(st.floats(-179, 178), st.floats(-75, 75), st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_overlap_is_that_of_areas_on_the_ground(west, south, right, up):
    """Of two equal boxes on the sphere: the area between parallels is the difference of their sines."""
    first = (west, south, west + 0.4, south + 0.4)
    second = (west + 0.4 * right, south + 0.4 * up, west + 0.4 * right + 0.4, south + 0.4 * up + 0.4)

    def area(box):
        return (box[2] - box[0]) * (np.sin(np.radians(box[3])) - np.sin(np.radians(box[1])))

    expected = area((second[0], second[1], first[2], first[3])) / min(area(first), area(second))
    shapes = np.array([shapely.box(*first), shapely.box(*second)], object)
    assert len(overlapping_pairs(shapes, expected * 0.99)[0]) == 1
    assert len(overlapping_pairs(shapes, expected * 1.01)[0]) == 0


def test_patches_of_a_sample_are_one_footprint_also_across_the_date_line():
    boxes = [(179.9, 10, 180, 10.1), (-180, 10, -179.9, 10.1), (-179.95, 10, -179.85, 10.1), (0, 10, 0.1, 10.1)]
    metadata = table(["a", "a", "b", "c"], boxes)
    units = Units.of(metadata, "sample")
    one, other = overlapping_pairs(unit_shapes(metadata, units), 0.4)
    assert [(units.names[i], units.names[j]) for i, j in zip(one, other, strict=True)] == [("a", "b")]


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 60), st.integers(1, 9), st.floats(0.2, 0.95), st.integers(0, 99))
def test_the_search_misses_no_pair(count, block, threshold, seed):
    rng = np.random.default_rng(seed)
    vectors = unit_vectors(rng.normal(size=(count, 3)).astype(np.float32))
    vectors[rng.random(count) < 0.1] = 0
    search = PairSearch(vectors, threshold, block)
    found = {pair for one, other in search for pair in zip(one.tolist(), other.tolist(), strict=True)}
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(cosines, -1)
    sure, ruled_out = cosines > threshold + 1e-5, cosines < threshold - 1e-5
    assert all(((i, j) in found) for i, j in zip(*np.nonzero(np.triu(sure)), strict=True))
    assert not any(ruled_out[i, j] for i, j in found)
    assert np.allclose(search.neighbours.nearest, cosines.max(axis=1), atol=1e-5)
    assert search.neighbours.pairs == len(found)


def test_the_transform_is_that_of_scipy():
    picture = np.random.default_rng(0).normal(size=(GRID, GRID))
    waves = len(HALF_WAVES)
    expected = dctn(picture, norm="ortho")[:waves, :waves]
    assert np.allclose(HALF_WAVES @ picture @ HALF_WAVES.T, expected, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 999), st.floats(0.4, 2.0), st.floats(0, 9000))
def test_light_and_a_small_shift_change_the_look_little_and_another_place_much(seed, gain, offset):
    here = field(seed)
    later = np.roll(here, 1, axis=2).astype(np.float64)  # 1.6 % of the side
    later = (later - 2000) * gain + 2000 + offset
    assert look(here) @ look(later.astype(np.uint16)) > 0.9
    assert look(here) @ look(field(seed + 1000)) < 0.8


def test_a_pixel_without_data_changes_nothing():
    """A stretch between the least and the greatest number would be upset by one such pixel."""
    codes = field(1)
    with_gap = codes.copy()
    with_gap[:, 5, 7] = NODATA
    assert look(codes) @ look(with_gap) > 0.9999
    half = codes.copy()
    half[:, :32] = NODATA
    assert look(half) @ look(half) == pytest.approx(1, abs=1e-5)
    assert look(codes.astype(np.float64)) @ look(codes) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("value", [0, 2500, NODATA])
def test_a_flat_sample_is_unknown(value):
    assert not look(np.full((2, 64, 64), value, np.uint16)).any()
    sea = np.full((1, 64, 64), 2500, np.uint16)
    sea[0, ::7, ::5] += 1  # the noise of a step
    assert not look(sea).any()


def test_a_flat_band_leaves_the_word_to_the_others():
    codes = field(3)
    flat = np.concatenate([codes, np.full((1, 64, 64), 7, np.uint16)])
    assert look(flat) @ look(flat) == pytest.approx(1, abs=1e-5)
    assert np.allclose(look(flat)[: len(look(codes))], look(codes), atol=1e-5)


def test_patches_give_the_look_of_their_scene():
    from darts_train.dataset.grouping.mosaic import add_patch, overlap_weights

    scene = field(4, side=96)
    sums, counts = np.zeros((2, 2, GRID, GRID), np.float32)
    weights = overlap_weights(96, GRID)
    for y in (0, 48):
        for x in (0, 48):
            add_patch(sums, counts, scene[:, y : y + 48, x : x + 48], weights[:, y : y + 48], weights[:, x : x + 48])
    assert np.allclose(sums / counts, cells_of(scene, GRID).means, rtol=1e-5)
    assert np.allclose(cells_of(scene, 16).means, scene.reshape(2, 16, 6, 16, 6).mean((2, 4)), rtol=1e-5)


def arc(angles):
    """Vectors on a circle at these angles, degrees."""
    return np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], axis=1).astype(np.float32)


def test_a_large_group_is_held_to_more_and_says_what_comes_apart():
    """Two bunches of three that one step of 5 degrees links; within a bunch it is 1 degree."""
    vectors = arc([0, 1, 2, 7, 8, 9])
    similarity = np.cos(np.radians(5.5))
    labels = np.zeros(6, np.int64)
    made = tighten(labels, vectors, similarity, EMPTY, most=3)
    assert list(made.labels) == [0, 0, 0, 1, 1, 1]
    assert made.similarity > similarity
    assert made.parted == 1
    held = tighten(labels, vectors, similarity, (np.array([2]), np.array([3])), most=3)
    assert held.labels[2] == held.labels[3]  # ground keeps them together, whatever their looks
    assert np.bincount(held.labels).max() <= 3


def test_what_is_equal_cannot_come_apart():
    made = tighten(np.zeros(5, np.int64), arc([0, 0, 0, 0, 0]), 0.9, EMPTY, most=2)
    assert len(set(made.labels)) == 1
    assert made.parted == 0


def test_chance_is_over_unrelated_pairs_and_under_planted_ones():
    rng = np.random.default_rng(0)
    vectors = unit_vectors(rng.normal(size=(300, 40)).astype(np.float32))
    vectors[1] = vectors[0]
    search = PairSearch(vectors, 0.9)
    assert [pair for one, other in search for pair in zip(one, other, strict=True)] == [(0, 1)]
    nearest, chance = search.neighbours.nearest, chance_level(vectors)
    assert np.sort(nearest)[-3] < chance + 0.1
    assert 0.5 < chance < 0.95
    low, high = widest_gap(nearest, chance)
    assert low < 0.9 < high
    assert widest_gap(nearest[2:], 0.999) is None
    assert np.isnan(chance_level(vectors[:2]))
