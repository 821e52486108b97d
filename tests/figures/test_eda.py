"""Histograms and correlations as SVG: well-formed, inside their frame, labels apart."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from darts_train.figures.eda import correlation_matrix, histogram_chart
from darts_train.figures.svg import LETTER

SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg):
    root = ET.fromstring(svg)
    _, _, width, height = map(float, root.get("viewBox").split())
    return root, width, height


def texts(root):
    return [(float(t.get("x")), float(t.get("y")), t.text) for t in root.iter(f"{SVG}text") if t.get("x")]


@pytest.mark.parametrize("counts", [[1], [5, 0, 900_000, 3], [0] * 49 + [2], list(range(50))])
def test_bars_stand_within_their_frame_and_as_high_as_they_count(counts):
    root, width, height = drawn(histogram_chart(counts, -0.5, len(counts) - 0.5, "a <b> & c " * 9, "x", "patches"))
    path = root.findall(f"{SVG}path")[-1].get("d")
    bars = [tuple(map(float, bar)) for bar in re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)h([\d.]+)V", path)]
    assert len(bars) == sum(count > 0 for count in counts)
    assert all(0 <= x <= x + step <= width and 0 < top < base < height for x, base, top, step in bars)
    heights = [base - top for _, base, top, _ in bars]
    assert heights.index(max(heights)) == [c for c in counts if c].index(max(counts))
    labels = [float(text.replace(",", "")) for x, y, text in texts(root) if x < 58 and re.fullmatch(r"[\d.e+]+", text)]
    assert max(labels) >= max(counts)


def test_nothing_to_show_is_said():
    for counts, low, high in (([], 0, 1), ([0, 0], 0, 1), ([3], 1, 1), ([3], math.nan, math.nan)):
        assert "nothing to show" in histogram_chart(counts, low, high, "t", "x", "y")


def test_names_of_the_matrix_never_meet_its_cells_or_each_other():
    names = [f"a column with a very long name, number {i}" for i in range(14)]
    matrix = [[(-1) ** (i + j) * (1 if i == j else 0.07 * abs(i - j)) for j in range(14)] for i in range(14)]
    matrix[3][1] = math.nan
    root, width, height = drawn(correlation_matrix(names, matrix, "r", 1000.0))
    cells = [tuple(float(r.get(k)) for k in ("x", "y", "width", "height")) for r in root.iter(f"{SVG}rect")]
    assert len(cells) == 14 * 13 / 2
    named = [(x, y, text) for x, y, text in texts(root) if text.startswith("a column")]
    assert len({y for _, y, _ in named}) == 14
    for x, y, text in named:
        beside = [cell for cell in cells if cell[1] < y < cell[1] + cell[3]]
        assert all(cx + w <= x for cx, _, w, _ in beside)
        assert x + LETTER * len(text) <= width
        assert y < height
    shown = [text for _, _, text in texts(root)]
    assert "-" in shown
    assert "+0.14" in shown
    assert drawn(correlation_matrix(["a"], [[1.0]], "r"))[1] == 520
