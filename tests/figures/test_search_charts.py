"""Charts of searches: everything is inside, better is stronger, what has no score ends early."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.figures.folds import FoldRow, fold_chart
from darts_train.figures.history import Point, history_chart, slice_chart
from darts_train.figures.parallel import WIDE, Axis, Line, parallel_coordinates, wants_log

SVG = "{http://www.w3.org/2000/svg}"
AXES = [Axis("rate", log=True), Axis("encoder", ["a", "b"])]
number = st.one_of(st.just(math.nan), st.floats(-1e3, 1e3, allow_subnormal=False))


def paths(svg, **attributes):
    found = [p.attrib for p in ElementTree.fromstring(svg).iter(f"{SVG}path")]
    return [p for p in found if all(p.get(k.replace("_", "-")) == v for k, v in attributes.items())]


def test_a_line_goes_through_its_values_to_its_score():
    lines = [Line([1e-4, 0.0], 0.5), Line([1e-2, 1.0], 0.9, best=True), Line([1e-3, 0.0], math.nan)]
    svg = parallel_coordinates(AXES, lines, "All", "score", lower=False)
    (best,) = paths(svg, stroke_width="3.2")
    points = [tuple(map(float, point.split())) for point in best["d"][1:].split("L")]
    assert len(points) == 3
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[-1][1] < 80  # the best score is high up
    (unscored,) = paths(svg, stroke_dasharray="3 4")
    assert unscored["d"].count("L") == 1


@pytest.mark.parametrize("lower", [False, True])
def test_better_is_up_and_stronger(lower):
    lines = [Line([1e-3, 0.0], score) for score in (0.2, 0.4, 0.6)]
    found = paths(parallel_coordinates(AXES, lines, "All", "score", lower), fill="none")
    ends = [float(p["d"].rsplit(" ", 1)[1]) for p in found if "stroke-opacity" in p and "L" in p["d"]]
    assert ends == sorted(ends, reverse=True)  # later ones are drawn over the others


def test_wide_ranges_are_logarithmic():
    assert wants_log([1e-4, 1e-2])
    assert not wants_log([1.0, 8.0])
    assert not wants_log([0.0, 100.0])
    assert not wants_log([])


def test_without_lines_or_axes_it_says_so():
    assert "nothing to show" in parallel_coordinates([], [], "All", "score", False)
    assert "nothing to show" in history_chart([Point(0, math.nan)], "History", "score", False)
    assert "nothing to show" in slice_chart([], AXES[0], "Slice", "score")
    assert "nothing to show" in fold_chart([FoldRow("fold 0", [])], "Folds", "score", math.nan)


def test_the_best_so_far_never_falls_and_passes_over_crosses():
    points = [Point(0, 0.5), Point(1, 0.4), Point(2, 0.95, "cross"), Point(3, 0.7, "best"), Point(4, 0.6)]
    svg = history_chart(points, "History", "score", lower=False)
    (stairs,) = paths(svg, stroke_width="2.2")
    heights = [float(y) for y in re.findall(r"(?:M[\d.]+ |V)([\d.]+)", stairs["d"])]
    assert len(heights) == 2
    assert heights == sorted(heights, reverse=True)
    falling = history_chart(points, "History", "loss", lower=True)
    assert paths(falling, stroke_width="2.2")[0]["d"].count("V") == 1


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 50), number, st.sampled_from(["dot", "cross", "best"])), max_size=20))
def test_points_lie_inside(found):
    points = [Point(float(x), score, mark) for x, score, mark in found]
    for svg in (history_chart(points, "t", "s", False), slice_chart(points, Axis("x"), "t", "s"),
                slice_chart(points, Axis("x", [str(i) for i in range(51)]), "t", "s")):  # fmt: skip
        for circle in ElementTree.fromstring(svg).iter(f"{SVG}circle"):
            assert 0 <= float(circle.get("cx")) <= 520
            assert 0 <= float(circle.get("cy")) <= 300


def test_folds_show_runs_baseline_mean_and_interval():
    rows = [FoldRow("fold 0", [0.7, 0.72], 0.5), FoldRow("fold 1", [0.6, math.nan])]
    svg = fold_chart(rows, "Folds", "score", 0.66, (0.6, 0.72))
    root = ElementTree.fromstring(svg)
    assert len(list(root.iter(f"{SVG}circle"))) == 3
    assert len(list(root.iter(f"{SVG}rect"))) == 1
    assert "all folds" in svg


def test_an_interval_beyond_the_scale_is_cut():
    svg = fold_chart([FoldRow("fold 0", [0.7]), FoldRow("fold 1", [0.72])], "Folds", "score", 0.71, (-5.0, 6.0))
    (box,) = ElementTree.fromstring(svg).iter(f"{SVG}rect")
    assert float(box.get("x")) + float(box.get("width")) <= 520


def test_names_are_escaped():
    name = '<b> & "c"'
    svg = parallel_coordinates([Axis(name, [name])], [Line([0.0], 1.0)], name, name, False)
    assert ElementTree.fromstring(svg).get("viewBox") == f"0 0 {WIDE:g} 360"
