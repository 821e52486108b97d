import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.raster.grid import Grid, grid_differences
from darts_train.raster.masks import erode_valid
from darts_train.raster.patches import Window, patch_starts, patch_windows

cuts = st.tuples(st.integers(1, 400), st.integers(2, 64), st.integers(0, 63)).filter(lambda cut: cut[2] < cut[1])


@settings(deadline=None)
@given(cuts)
def test_patches_cover_every_pixel_and_stay_inside(cut):
    size, patch, overlap = cut
    starts = patch_starts(size, patch, overlap)
    covered = np.zeros(max(size, patch), bool)
    for start in starts:
        covered[start : start + patch] = True
    assert covered.all()
    assert starts == sorted(set(starts))
    if size > patch:
        assert starts[-1] + patch == size
        assert len(starts) == math.ceil((size - overlap) / (patch - overlap))
        gaps = np.diff(starts)
        assert (gaps[:-1] == patch - overlap).all()
        assert gaps[-1] <= patch - overlap


@pytest.mark.parametrize(
    ("size", "patch", "overlap", "count"),
    [(8000, 1024, 16, 8), (8000, 896, 224, 12), (8000, 896, 0, 9), (60, 8, 3, 12)],
)
def test_counts_of_the_specification(size, patch, overlap, count):
    assert len(patch_starts(size, patch, overlap)) == count


def test_starts_of_the_specification():
    assert patch_starts(60, 8, 3) == [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 52]


@pytest.mark.parametrize("size", [1, 7, 8])
def test_an_image_no_larger_than_a_patch_is_one_patch(size):
    assert patch_starts(size, 8, 3) == [0]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.integers(2, 64), st.integers(1, 64))
def test_the_three_edges(size, patch, stride):
    stride = min(stride, patch)
    by_edge = {edge: patch_starts(size, patch, patch - stride, edge) for edge in ("shift", "pad", "drop")}
    counts = np.zeros(size + patch, int)
    for start in by_edge["pad"]:
        counts[start : start + patch] += 1
    assert counts[:size].min() >= 1
    assert (counts[:size] == 1).all() or stride < patch
    assert by_edge["pad"] == [i * stride for i in range(len(by_edge["pad"]))]
    assert len(by_edge["pad"]) == len(by_edge["shift"])
    assert by_edge["drop"] == [start for start in by_edge["pad"] if start + patch <= size]
    assert by_edge["shift"][: len(by_edge["drop"])] == by_edge["drop"]


@pytest.mark.parametrize(("size", "patch", "overlap"), [(10, 8, 8), (10, 8, 9), (0, 8, 0), (10, 8, -1)])
def test_impossible_cuts_are_refused(size, patch, overlap):
    with pytest.raises(UserError):
        patch_starts(size, patch, overlap)


def test_windows_go_row_by_row():
    places = [(window.x, window.y) for window in patch_windows(20, 12, 8, 0)]
    assert places == [(0, 0), (8, 0), (12, 0), (0, 4), (8, 4), (12, 4)]
    assert {(w.width, w.height) for w in patch_windows(20, 12, 8, 0)} == {(8, 8)}


def test_windows_meet():
    a, b = Window(0, 0, 10, 10), Window(6, -4, 8, 8)
    assert a.intersection(b) == Window(6, 0, 4, 4)
    assert a.union(b) == Window(0, -4, 14, 14)
    assert a.grown(2) == Window(-2, -2, 14, 14)
    assert a.intersection(Window(20, 20, 3, 3)).width == 0
    assert b.intersection(a).slices(a) == (slice(0, 4), slice(6, 10))


GRID = Grid(100, 50, (10.0, 0.0, 500000.0, 0.0, -10.0, 7000000.0), "EPSG:32608")


def test_a_window_of_a_grid_starts_where_its_first_pixel_is():
    part = GRID.window(Window(-3, 5, 20, 10))
    assert part == Grid(20, 10, (10.0, 0.0, 499970.0, 0.0, -10.0, 6999950.0), "EPSG:32608")
    assert part.position(3, 0) == GRID.position(0, 5)
    assert GRID.extent == Window(0, 0, 100, 50)
    assert Grid(5, 5).window(Window(1, 1, 2, 2)) == Grid(2, 2)
    assert Grid(5, 5).pixel_size == (1.0, 1.0)


def test_pixel_size_of_a_turned_grid():
    turned = Grid(10, 10, (6.0, 8.0, 0.0, 8.0, -6.0, 0.0))
    assert turned.pixel_size == (10.0, 10.0)


def test_differences_of_grids_name_the_numbers():
    shifted = Grid(100, 50, (10.0, 0.0, 500005.0, 0.0, -10.0, 7000000.0), "EPSG:32608")
    coarse = Grid(100, 50, (20.0, 0.0, 500000.0, 0.0, -20.0, 7000000.0), "EPSG:32608")
    nearly = Grid(100, 50, (10.0, 0.0, 500000.01, 0.0, -10.0, 7000000.0), "EPSG:32608")
    assert grid_differences(shifted, GRID) == ["shifted by 0.5 pixels"]
    assert "20 x 20 against 10 x 10" in grid_differences(coarse, GRID)[0]
    assert grid_differences(Grid(99, 50), GRID) == ["99 x 50 pixels against 100 x 50"]
    assert grid_differences(Grid(100, 50), GRID) == []
    assert grid_differences(nearly, GRID) == []


@settings(deadline=None)
@given(st.integers(0, 6), st.integers(0, 3), st.integers(0, 2**31))
def test_erosion_is_what_its_definition_says(radius, edge, seed):
    mask = np.random.default_rng(seed).random((17, 13)) > 0.03
    kept = erode_valid(mask, radius, edge)
    rows, columns = np.nonzero(~mask)
    for y in range(17):
        for x in range(13):
            near = ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2).any()
            framed = min(x, y, 12 - x, 16 - y) < edge
            assert kept[y, x] == (not near and not framed)


def test_erosion_of_trivial_masks():
    assert erode_valid(np.ones((4, 4), bool), 3).all()
    assert not erode_valid(np.zeros((4, 4), bool), 3).any()
    assert erode_valid(np.ones((0, 4), bool), 3, 2).shape == (0, 4)
