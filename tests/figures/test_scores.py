import io

import numpy as np
import pytest
from matplotlib.image import imread

from darts_train.figures.scores import _shortened, confusion_panel, curve_panel, scenes_panel, threshold_panel


def picture(png):
    return imread(io.BytesIO(png))


def test_the_mark_of_the_best_threshold_is_drawn_where_it_is():
    thresholds = np.linspace(0, 1, 9)
    lines = {"IoU": thresholds / 2, "F1": thresholds}
    low, high = (picture(threshold_panel(thresholds, lines, {"best": place})) for place in (0.2, 0.8))
    assert low.shape == high.shape == (460, 700, 4)
    assert (low != high).any()


@pytest.mark.parametrize("count", [0, 1, 12])
def test_scenes_are_a_picture_that_grows_with_them(count):
    names = [f"20210818_223759_41_{i:04d}_3B_AnalyticMS_SR_clip_and_more" for i in range(count)]
    png = picture(scenes_panel(names, np.linspace(0, 1, count), [10] * count, 0.5, "worst"))
    assert png.shape[1] == 900
    assert png.shape[0] == pytest.approx(140 + 32 * max(count, 1), abs=2)
    assert png.std() > 0


def test_a_long_name_keeps_both_ends():
    assert _shortened("short") == "short"
    assert len(_shortened("a" * 30 + "b" * 30)) <= 40
    assert _shortened("a" * 30 + "b" * 30).startswith("aaa")
    assert _shortened("a" * 30 + "b" * 30).endswith("bbb")


@pytest.mark.parametrize("of_all", [False, True])
def test_a_confusion_is_a_picture_also_without_support(of_all):
    some, none = (picture(confusion_panel(np.array([[10, n], [0, 0]]), ("a", "b"), "objects", of_all)) for n in (2, 0))
    assert some.shape == none.shape
    assert (some != none).any()
    assert picture(confusion_panel(np.zeros((3, 3), int), ("a", "b", "c"))).std() > 0


def test_curves_have_marks_and_what_chance_gives():
    line = np.linspace(0, 1, 5)
    plain = picture(curve_panel({"one": (line, line**2)}, ("x", "y"), "curve"))
    more = picture(curve_panel({"one": (line, line**2)}, ("x", "y"), "curve", {"here": (0.5, 0.25)}, ((0, 1), (0, 1))))
    assert plain.shape == more.shape == (520, 500, 4)
    assert (plain != more).any()
