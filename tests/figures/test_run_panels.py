"""Pictures of a run: epochs, split, augmentation."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from darts_train.figures.augmentation_panel import augmentation_panel
from darts_train.figures.progress import _finite, epochs_panel
from darts_train.figures.split_panel import MOST_REGIONS, Part, _largest, split_panel


def picture(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return imread(io.BytesIO(png))


@pytest.mark.parametrize("values", [[], [0.5], [1.0, 0.01, float("nan"), 0.002]])
def test_epochs_with_gaps_or_without_any(values):
    line = list(range(1, len(values) + 1)), values
    png = epochs_panel({"training": line, "validation": ([], [])}, {"IoU": line}, line, "run")
    assert picture(png).shape == (380, 1100, 4)
    assert len(_finite(line)[0]) == np.isfinite(values).sum()


def part(count, region="a", placed=True):
    places = np.tile([[-120.0, 70.0]], (count, 1)) + np.arange(count)[:, None] * 0.01
    return Part([region] * count, np.arange(count) % 2 == 0, places if placed else np.full((count, 2), np.nan))


def test_a_split_is_a_map_and_bars_and_without_places_bars_alone():
    mapped = picture(split_panel({"train": part(5), "val": part(2, "b"), "test": part(3, "c", False)}, "set"))
    bars = picture(split_panel({"train": part(5, placed=False)}, "set"))
    assert (mapped.shape[1], bars.shape[1]) == (1200, 800)


def test_the_largest_regions_are_shown_and_the_rest_is_counted():
    many = Part([f"r{i}" for i in range(30)] + ["big"] * 9, np.zeros(39, bool), np.full((39, 2), np.nan))
    shown, rest = _largest({"train": many})
    assert shown[0] == "big"
    assert (len(shown), rest) == (MOST_REGIONS, 31 - MOST_REGIONS)


def test_draws_stand_beside_the_patch_as_it_is():
    random = np.random.default_rng(0)
    x, y = random.random((2, 3, 4, 16, 16)).astype(np.float32), random.integers(0, 3, (2, 3, 16, 16)).astype(np.uint8)
    x[0, 1], y[1, 2] = np.nan, 255
    png = augmentation_panel(x, y, ("blue", "green", "red", "nir"), 255, "augmentation")
    assert picture(png).shape[:2] == (455, 590)
