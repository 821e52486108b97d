"""Tiles and filters: pure functions, and one tile of a scene that is known pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.features.stack import FeatureStack
from darts_train.options.preprocessing import Patches
from darts_train.preprocess import tiles
from darts_train.preprocess.patching import Recipe, Sample, cut_tile, patch_rows, reason_to_drop
from darts_train.preprocess.tiles import area_of, plan_tiles
from darts_train.raster.band import IGNORE_INDEX, NODATA
from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.patches import Window, patch_windows
from tests.features.fakes import FunctionScene


@settings(deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(4, 40), st.integers(0, 39), st.integers(1, 9000))
def test_tiles_hold_every_patch_once_in_order_and_little_memory(width, height, size, overlap, pixels):
    if overlap >= size:
        return
    before, tiles.TILE_PIXELS = tiles.TILE_PIXELS, pixels
    try:
        plan = plan_tiles(width, height, size, overlap)
    finally:
        tiles.TILE_PIXELS = before
    assert [window for tile in plan for window in tile] == patch_windows(width, height, size, overlap)
    for tile in plan:
        area = area_of(tile)
        assert len(tile) == 1 or len(tile) * size**2 <= pixels
        assert area.width * area.height <= len(tile) * size**2


NONE = Patches(patch_size=8, overlap=0, exclude_nan=False, min_valid_fraction=0.0)
EVERYWHERE = np.ones((8, 8), bool)


def patch(missing=(), bands=2):
    x = np.ones((bands, 8, 8), np.float32)
    for place in missing:
        x[place] = np.nan
    return x


class TestFilters:
    def test_a_whole_patch_is_kept(self):
        y = np.zeros((8, 8), np.uint8)
        assert reason_to_drop(patch(), y, EVERYWHERE, Patches(patch_size=8, overlap=0)) is None

    @pytest.mark.parametrize(("labelled", "reason"), [(6, 0), (7, None)])
    def test_a_tenth_must_be_labelled(self, labelled, reason):
        y = np.full(64, IGNORE_INDEX, np.uint8)
        y[:labelled] = 0
        limits = Patches(patch_size=8, overlap=0)
        assert reason_to_drop(patch(), y.reshape(8, 8), EVERYWHERE, limits) == reason

    def test_no_band_may_be_missing_altogether(self):
        assert reason_to_drop(patch([np.s_[1]]), np.zeros((8, 8), np.uint8), EVERYWHERE, NONE) == 1
        assert reason_to_drop(patch([np.s_[1, 1:]]), np.zeros((8, 8), np.uint8), EVERYWHERE, NONE) is None

    def test_a_foreground_pixel_may_be_asked_for(self):
        y = np.zeros((8, 8), np.uint8)
        y[0] = IGNORE_INDEX
        limits = Patches(patch_size=8, overlap=0, exclude_nopositive=True)
        assert reason_to_drop(patch(), y, EVERYWHERE, limits) == 2
        y[4, 4] = 2
        assert reason_to_drop(patch(), y, EVERYWHERE, limits) is None

    def test_a_pixel_without_data_is_enough_but_padding_is_none(self):
        limits = Patches(patch_size=8, overlap=0)
        y, inside = np.zeros((8, 8), np.uint8), EVERYWHERE.copy()
        inside[6:] = False
        assert reason_to_drop(patch([np.s_[0, 7, 7]]), y, EVERYWHERE, limits) == 3
        assert reason_to_drop(patch([np.s_[:, 6:]]), y, inside, limits) is None
        assert reason_to_drop(patch([np.s_[0, 7, 7]]), y, EVERYWHERE, NONE) is None


class MadeScene(FunctionScene):
    """Quality is low in column 0 to 3 and invalid in row 0; elevation is missing at one pixel."""

    def quality(self, window):
        columns = np.arange(window.x, window.right)[None, :] * np.ones((window.height, 1), int)
        rows = np.arange(window.y, window.bottom)[:, None] * np.ones((1, window.width), int)
        quality = np.where(columns < 4, 1, 2).astype(np.uint8)
        quality[rows == 0] = 0
        quality[(rows < 0) | (columns < 0) | (rows >= 200) | (columns >= 200)] = 0
        return quality


class MadeLabels:
    def read(self, window):
        columns = np.arange(window.x, window.right)[None, :] * np.ones((window.height, 1), int)
        return (columns >= 10).astype(np.uint8)

    def features(self, properties):
        return []


def sample():
    def dem(x, y):
        return np.where((x == 12) & (y == 5), np.nan, 100 + x)

    return Sample(MadeScene({"red": lambda x, y: 0.001 * x, "dem": dem}), MadeLabels(), "made.tif")


def recipe(erosion=0, **limits):
    names = ("red", "dem")
    patches = Patches(**{"patch_size": 16, "overlap": 0, "exclude_nan": False, "min_valid_fraction": 0.0, **limits})
    return Recipe(FeatureStack(names), tuple(CATALOGUE[name] for name in names), patches, erosion)


def test_masks_of_a_tile():
    windows = [Window(0, 0, 16, 16), Window(16, 0, 16, 16)]
    tile = cut_tile(sample(), windows, recipe())
    assert tile.kept.tolist() == [0, 1]
    x, y = tile.x[0], tile.y[0]
    assert (x[:, 0] == NODATA).all()  # invalid
    assert (x[0, 1:] != NODATA).all()  # low quality keeps its values
    assert (x[0, 1] == 1000 + 10 * np.arange(16)).all()
    assert (y[0] == IGNORE_INDEX).all()
    assert (y[1:, :4] == IGNORE_INDEX).all()
    assert (y[1:, 4:10] == 0).all()
    assert x[1, 5, 12] == NODATA
    assert y[5, 12] == IGNORE_INDEX
    assert (np.delete(y[1:, 10:], 4, axis=0) == 1).all()
    assert (tile.y[1][1:] == 1).all()


def test_erosion_shrinks_what_is_labelled_and_not_what_is_seen():
    tile = cut_tile(sample(), [Window(0, 0, 16, 16)], recipe(erosion=3))
    y = tile.y[0]
    assert (y[:4] == IGNORE_INDEX).all()  # row 0 is invalid, three more are too near
    assert (y[4:, :7] == IGNORE_INDEX).all()
    assert (y[4:, 7:10] == 0).all()
    assert (tile.x[0][0, 1:] != NODATA).all()
    last = cut_tile(sample(), [Window(184, 184, 16, 16)], recipe(erosion=3)).y[0]
    assert (last[13:] == IGNORE_INDEX).all()
    assert (last[:13, :13] == 1).all()


def test_what_is_clipped_is_counted():
    made = Sample(MadeScene({"red": lambda x, y: x * 1.0, "dem": lambda x, y: 0 * x}), MadeLabels(), "made.tif")
    tile = cut_tile(made, [Window(0, 16, 16, 16)], recipe())
    assert tile.clipped.tolist() == [9 * 16, 0]  # a code says reflectance up to 6.45: columns 7 to 15


def test_dropped_patches_are_counted_by_reason():
    tile = cut_tile(sample(), [Window(0, 0, 16, 16), Window(32, 32, 16, 16)], recipe(exclude_nan=True))
    assert tile.kept.tolist() == [1]
    assert tile.dropped.tolist() == [0, 0, 0, 1]


def test_rows():
    made = sample()
    windows = [Window(0, 0, 16, 16), Window(0, 16, 16, 16)]
    (_, row) = patch_rows(made, windows, cut_tile(made, windows, recipe()), first=7, class_count=3)
    assert (row.patch_id, row.x, row.y, row.sample_id, row.source) == (8, 0, 16, "made", "made.tif")
    assert row.class_fractions == [6 / 16, 6 / 16, 0.0]
    assert (row.valid_fraction, row.positive_fraction, row.empty) == (0.75, 0.375, False)
    assert row.geometry is not None


def test_where_nothing_is_labelled_no_image_is_read():
    class NoLabels(MadeLabels):
        def read(self, window):
            return np.full((window.height, window.width), IGNORE_INDEX, np.uint8)

    unreadable = MadeScene({"red": None, "dem": None})
    tile = cut_tile(Sample(unreadable, NoLabels(), "a"), [Window(0, 0, 16, 16)] * 3, recipe(min_valid_fraction=0.1))
    assert (tile.x.shape, tile.dropped.tolist()) == ((0, 2, 16, 16), [3, 0, 0, 0])
