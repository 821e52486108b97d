"""Charts: axes that enclose what they show, gaps where there is nothing, and XML that parses."""

import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_train.figures.charts import DotRow, Series, bar_chart, dot_chart, line_chart, nice_ticks

SVG = "{http://www.w3.org/2000/svg}"
finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(low=finite, span=st.floats(1e-3, 1e6), count=st.integers(2, 10))
def test_ticks_enclose_the_values_and_are_equally_far_apart(low, span, count):
    ticks = nice_ticks(low, low + span, count)
    slack = 1e-6 * max(abs(low), span)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= low + span - slack
    gaps = [b - a for a, b in pairwise(ticks)]
    assert max(gaps) - min(gaps) < 1e-6 * max(gaps) + 1e-9
    assert len(ticks) <= 2 * count + 2


def test_ticks_are_round():
    assert nice_ticks(0.0, 1.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert nice_ticks(0.0, 0.0) == nice_ticks(-0.5, 0.5)
    assert nice_ticks(3.0, 97.0) == [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_ticks_refuse_limits_that_are_not_finite(bad):
    with pytest.raises(ValueError, match="finite"):
        nice_ticks(0.0, bad)


def test_a_line_is_broken_where_a_value_is_missing():
    svg = line_chart([Series("loss", range(5), [1.0, 2.0, math.nan, 2.0, 1.0])], "Loss", "epoch", "loss")
    (path,) = [p.get("d") for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("stroke-dasharray")]
    assert path.count("M") == 2
    assert path.count("L") == 2


def test_lines_are_inside_the_plot_and_higher_values_are_higher_up():
    svg = line_chart([Series("iou", [0, 1], [0.2, 0.9])], "IoU", "epoch", "IoU")
    (path,) = [p.get("d") for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("stroke-dasharray")]
    (x0, y0), (x1, y1) = [tuple(map(float, part.split())) for part in path[1:].split("L")]
    assert 0 < x0 < x1 < 520
    assert 300 > y0 > y1 > 0


def test_a_point_without_neighbours_is_a_dot():
    svg = line_chart([Series("loss", range(5), [1.0, math.nan, 2.0, 3.0, math.nan])], "Loss", "epoch", "loss")
    assert len(list(ElementTree.fromstring(svg).iter(f"{SVG}circle"))) == 1
    once = line_chart([Series("loss", [1], [0.5])], "Loss", "epoch", "loss")
    assert len(list(ElementTree.fromstring(once).iter(f"{SVG}circle"))) == 1


def test_dots_mark_every_finite_value_and_the_mean():
    svg = dot_chart([DotRow("a", (0.2, 0.4)), DotRow("b", (0.6, math.nan), marked=True)], "Scores", "score")
    root = ElementTree.fromstring(svg)
    dots = [float(c.get("cx")) for c in root.iter(f"{SVG}circle")]
    assert len(dots) == 3
    means = [float(p.get("d")[1:].split()[0]) for p in root.iter(f"{SVG}path") if p.get("stroke-width") == "2.5"]
    assert means == [pytest.approx((dots[0] + dots[1]) / 2, abs=0.1), pytest.approx(dots[2], abs=0.1)]


def test_bars_are_as_long_as_their_values():
    svg = bar_chart([("one", 10.0), ("two", 20.0), ("none", math.nan)], "Time", "seconds")
    widths = [float(r.get("width")) for r in ElementTree.fromstring(svg).iter(f"{SVG}rect")]
    assert len(widths) == 2
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)


@pytest.mark.parametrize(
    "svg",
    [
        line_chart([], "t", "x", "y"),
        line_chart([Series("s", [0], [math.nan])], "t", "x", "y"),
        dot_chart([], "t", "x"),
        dot_chart([DotRow("a", ())], "t", "x"),
    ],
)
def test_without_values_a_chart_says_so(svg):
    assert "nothing to show" in "".join(ElementTree.fromstring(svg).itertext())


def test_an_empty_bar_chart_is_still_a_chart():
    ElementTree.fromstring(bar_chart([], "t", "x"))


def test_labels_are_escaped():
    hostile = '<script>&"'
    for svg in (
        line_chart([Series(hostile, [0], [1.0]), Series("b", [0], [1.0])], hostile, hostile, hostile),
        dot_chart([DotRow(hostile, (1.0,))], hostile, hostile),
        bar_chart([(hostile, 1.0)], hostile, hostile),
    ):
        assert "<script>" not in svg
        assert hostile in "".join(ElementTree.fromstring(svg).itertext())
