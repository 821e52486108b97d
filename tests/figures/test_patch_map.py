"""Maps of outlines, windows of scenes, stacked bars, patches beside their labels."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from darts_train.figures.maps import MISSING
from darts_train.figures.patch_map import Scene, Shapes, patch_map, scene_windows
from darts_train.figures.sheet import HATCH_DARK, HATCH_LIGHT, SIDE, fitted, labels_over, side_by_side, stretched
from darts_train.figures.stacked import small_bar, small_histogram, stacked_bars

HOSTILE = '<b>&"'


def square(x, y, side=1.0, tall=None):
    tall = side if tall is None else tall
    return np.array([(x, y), (x + side, y), (x + side, y + tall), (x, y + tall), (x, y)], float)


def paths(svg):
    """Points of every outline."""
    found = re.findall(r'<path d="(M[^"]+Z)"', svg)
    return [
        np.array([[float(n) for n in pair.split()] for pair in part.strip("MZ").split("L")])
        for d in found
        for part in re.findall(r"M[^M]+", d)
    ]


def text_of(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def test_a_square_on_the_ground_is_a_square_on_the_map():
    shorten = np.cos(np.radians(70.0))
    (ring,) = paths(patch_map([Shapes("a", "red", [square(-130.0, 69.5, 1.0 / shorten, 1.0)])], "t", degrees=True))
    width, height = np.ptp(ring, axis=0)
    assert width == pytest.approx(height, rel=0.01)


def test_metres_are_not_shortened():
    (ring,) = paths(patch_map([Shapes("a", "red", [square(5e5, 7.7e6, 3000.0)])], "t", degrees=False))
    assert np.ptp(ring[:, 0]) == pytest.approx(np.ptp(ring[:, 1]), rel=0.01)


def test_north_is_up_and_east_is_right():
    west, east = paths(patch_map([Shapes("a", "red", [square(0, 0), square(5, 3)])], "t", degrees=True))
    assert east[:, 0].min() > west[:, 0].max()
    assert east[:, 1].max() < west[:, 1].min()


def test_all_outlines_lie_inside_and_equal_ones_are_drawn_once():
    rng = np.random.default_rng(0)
    rings = [square(*place, 0.001) for place in rng.uniform(0, 0.001, (500, 2))] + [square(90.0, 60.0)]
    drawn = paths(patch_map([Shapes("a", "red", rings)], "t", degrees=True))
    assert len(drawn) < 20
    points = np.concatenate(drawn)
    assert (points >= 0).all()
    assert points[:, 0].max() <= 520


def test_beyond_the_antimeridian_longitudes_are_western():
    words = text_of(patch_map([Shapes("a", "red", [square(178, 70), square(181, 70)])], "t", degrees=True))
    assert "180°" in words
    assert any(word.endswith("°E") for word in words)
    assert any(word.endswith("°W") for word in words)


def test_names_are_escaped_and_legends_wrap():
    groups = [Shapes(HOSTILE + "x" * 30 + str(i), "red", [square(i, 0)]) for i in range(6)]
    svg = patch_map(groups, HOSTILE, degrees=False)
    assert sum(word.startswith(HOSTILE) for word in text_of(svg)) == 7
    height = float(re.search(r'viewBox="0 0 520 ([\d.]+)"', svg)[1])
    marks = [float(y) for y in re.findall(r'y="([\d.]+)" width="11"', svg)]
    assert len(set(marks)) > 1
    assert max(marks) + 11 <= height


def test_windows_of_scenes_are_in_one_scale():
    scenes = [
        Scene("large", np.array([[100, 100], [100, 196], [196, 100]]), ["red"] * 3),
        Scene("small", np.array([[0, 0]]), ["blue"]),
    ]
    svg = scene_windows(scenes, [("positive", "red")], 96, "t")
    sizes = re.findall(r"h([\d.]+)v([\d.]+)h-", svg)
    assert len(sizes) == 4
    assert len(set(sizes)) == 1
    assert (svg.count('<g fill="red"'), svg.count('<g fill="blue"')) == (1, 1)
    assert {"large", "small", "positive"} <= set(text_of(svg))


def test_bars_have_their_lengths():
    svg = stacked_bars([("a", (3, 1), "75%"), ("b", (0, 2), "0%")], ("red", "grey"), "t", "patches")
    red = [float(w) for w in re.findall(r'width="([\d.]+)" height="16" fill="red"', svg)]
    grey = [float(w) for w in re.findall(r'width="([\d.]+)" height="16" fill="grey"', svg)]
    assert len(red) == 1
    assert red[0] == pytest.approx(3 * grey[0], abs=0.3)
    assert grey[1] == pytest.approx(2 * grey[0], abs=0.3)
    assert not [word for word in text_of(svg) if re.fullmatch(r"\d+\.\d+", word)]


def test_small_drawings_are_svg():
    assert "v-21.0" in small_histogram([1, 4, 0], "0", "1", HOSTILE)
    for svg in (
        small_histogram([], "0", "1", HOSTILE),
        small_histogram([0, 0], "", "", ""),
        small_bar(0.5, "red", HOSTILE),
    ):
        ElementTree.fromstring(svg)
    assert 'width="72.0"' in small_bar(0.5, "red", "x")
    assert "red" not in small_bar(0.0, "red", "x")


def test_a_patch_without_data_is_grey():
    bands = np.random.default_rng(0).random((3, 8, 8), dtype=np.float32)
    bands[1, 2, 3] = np.nan
    assert tuple(stretched(bands, together=True)[2, 3]) == MISSING
    assert (stretched(np.full((1, 4, 4), np.nan, np.float32), together=False) == MISSING[0]).all()


def test_one_stretch_keeps_hues_and_several_do_not():
    bands = (
        np.random.default_rng(0).random((3, 16, 16), dtype=np.float32)
        * np.array([1, 1, 0.1], np.float32)[:, None, None]
    )
    assert stretched(bands, together=True)[..., 2].max() < 100
    assert stretched(bands, together=False)[..., 2].max() == 255


def test_what_is_ignored_is_hatched():
    picture, y = np.full((32, 32, 3), 100, np.uint8), np.zeros((32, 32), np.uint8)
    y[:16], y[20, 20] = 255, 1
    result = labels_over(picture, y, 255)
    assert {tuple(pixel) for pixel in result[:16].reshape(-1, 3).tolist()} == {HATCH_DARK, HATCH_LIGHT}
    assert len(set(result[25, 25].tolist())) == 1
    assert len(set(result[20, 20].tolist())) > 1


@pytest.mark.parametrize("size", [1, 7, 64, 256, 300, 1024])
def test_patches_of_any_size_fit(size):
    side = fitted(np.zeros((size, size), np.uint8)).shape[0]
    assert SIDE / 2 < side <= SIDE * 1.5
    picture = side_by_side(np.zeros((3, size, size), np.float32), True, np.zeros((size, size), np.uint8), 255)
    assert picture.shape[0] == side
    assert picture.shape[1] > 2 * side
