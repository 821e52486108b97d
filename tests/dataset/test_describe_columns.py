"""Columns of any set, and patches worth a look."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.dataset.describing.column_text import column_lines, group_words, plain_columns, suspect_lines
from darts_train.dataset.describing.columns import BINS, correlate, describe_columns, histogram
from darts_train.dataset.describing.suspects import find_suspects
from darts_train.dataset.expressions import matching_rows


def table(**columns):
    rows = len(next(iter(columns.values())))
    base = {"sample_id": [f"s{i}" for i in range(rows)], "region": "r", "empty": [i % 2 > 0 for i in range(rows)]}
    return pd.DataFrame(base | columns)


KELP = table(
    qa_corrupted_pixels_pct=[0.0, 0.5, 0.9, 0.1],
    dem_nan_pixels_pct=[0.0, 0.2, np.nan, 0.0],
    qa_ok=pd.Series([True, False, None, False], dtype=object),
    split=["train", "train", "val", None],
    group=["a", "a", "b", None],
    class_fractions=[[1.0, 0.0]] * 4,
    checksum=["c0", "c1", "c2", "c3"],
    x=[0, 1, 2, 3],
    made=[2010, 2011, 2011, 2012],
)


def test_columns_are_known_by_what_they_hold():
    shares = {"kelp": np.array([0.0, 0.5, 0.1, 0.0])}
    found = describe_columns(KELP.assign(positive_fraction=shares["kelp"]), shares)
    numbers = {column.name: column for column in found.numbers}
    assert list(numbers) == ["share of kelp", "qa_corrupted_pixels_pct", "dem_nan_pixels_pct", "made"]
    assert numbers["made"].quartiles == (2010, 2010.75, 2011, 2011.25, 2012)
    assert (numbers["dem_nan_pixels_pct"].known, numbers["dem_nan_pixels_pct"].missing) == (3, 1)
    assert numbers["qa_corrupted_pixels_pct"].std == pytest.approx(np.std([0.0, 0.5, 0.9, 0.1]))
    assert sum(numbers["share of kelp"].histogram.counts) == 2  # patches that have it
    assert numbers["share of kelp"].histogram.low == 0
    assert {flag.name: (flag.yes, flag.no, flag.missing) for flag in found.flags} == {
        "positive": (2, 2, 0),
        "dem_has_nans": (1, 2, 1),
        "high_corrupted_pixels_pct": (2, 2, 0),
        "qa_ok": (1, 2, 1),
    }
    assert [(text.name, text.frequent, text.missing) for text in found.texts] == [
        ("split", (("train", 2), ("val", 1)), 1)
    ]
    assert group_words(found.groups) == "2 groups, 1 of one patch; the largest has 2 patches; 1 patch without"


def test_what_is_found_becomes_lines_and_json():
    wide = KELP.assign(**{f"a column with a name of many letters {k}": [1e6 + k, 2, 3, np.nan] for k in range(30)})
    found = describe_columns(wide, {"kelp": np.zeros(4)})
    lines = list(column_lines(found))
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("and 14 more columns") for line in lines)
    plain = json.loads(json.dumps(plain_columns(found), allow_nan=False))
    assert len(plain["numbers"]) == 34
    assert plain["group_sizes"]["sizes"] == {"1": 1, "2": 1}
    empty = describe_columns(KELP.iloc[:0], {"kelp": np.zeros(0)})
    json.dumps(plain_columns(empty), allow_nan=False)
    assert empty.groups is empty.correlations is None


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.integers(-5, 300).map(float)), max_size=60))
@settings(max_examples=50, deadline=None)
def test_a_histogram_holds_all_numbers(values):
    found = histogram(np.array(values, float))
    assert sum(found.counts) == len(values)
    assert len(found.counts) <= BINS
    if values:
        assert found.low <= min(values) <= max(values) <= found.high


def test_correlations_are_those_of_numpy_over_patches_that_have_both():
    rng = np.random.default_rng(0)
    a = rng.normal(size=50)
    b = np.where(np.arange(50) < 5, np.nan, a + rng.normal(size=50))
    found = correlate({"a": a, "flat": np.ones(50), "b": b, "unknown": np.full(50, np.nan)})
    assert found.names == ("a", "b")
    assert found.matrix[1][0] == pytest.approx(np.corrcoef(a[5:], b[5:])[0, 1])
    assert correlate({"a": a, "flat": np.ones(50)}) is None
    assert math.isnan(correlate({"a": a, "b": np.where(np.arange(50) < 2, a, np.nan)}).matrix[0][1])


def test_suspicious_patches_are_named_worst_first_and_left_out_by_their_condition():
    rows = table(
        qa_corrupted_pixels_pct=[0.0, 0.5, 0.9, 0.1, np.nan],
        nodata_fraction=[0.0, 0.0, 0.0, 0.7, 0.0],
        class_fractions=[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.3, 0.0, 0.7], [0.3, 0.0, 0.0], [0.1, 0.9, 0.0]],
    )
    shares = {name: np.array([row[k] for row in rows["class_fractions"]]) for k, name in ((1, "land"), (2, "kelp"))}
    overall = {"water": 0.5, "land": 0.4, "kelp": 0.05}
    found = find_suspects(rows, shares, overall, rows["nodata_fraction"].to_numpy())
    assert {each.why: each.patches for each in found} == {
        "more than 40% kelp": (2,),
        "more than 50% without data": (3,),
        "more than 40% corrupted": (2, 1),
    }
    for each in found:
        left = set(np.flatnonzero(~matching_rows(rows.dropna(), each.where, "--where")))
        assert left == set(each.patches)
    assert next(iter(suspect_lines(found))).startswith("1 patch more than 40% kelp: 2 (70%); left out by --where")
    assert list(suspect_lines(())) == []
