"""Expressions compute what NumPy computes, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.dataset.expressions import LONGEST, matching_rows, row_numbers

TABLE = pd.DataFrame(
    {
        "region": ["Banks", "Herschel", "Banks", None],
        "empty": [True, False, False, True],
        "valid_fraction": [0.2, 0.9, np.nan, 1.0],
        "year": pd.array([2019, 2020, None, 2021], "Int64"),
        "when": pd.to_datetime(["2020-01-01", None, "2021-05-01", "2022-01-01"]),
        "class_fractions": [[0.9, 0.1], [0.5, 0.5], None, [1.0, 0.0]],
        "geometry": [b"a", b"b", None, b"c"],
        "QA ok": [1, 0, 1, 1],
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("region == 'Banks'", [1, 0, 1, 0]),
        ("region != 'Banks'", [0, 1, 0, 0]),
        ("region in ['Banks', 'x'] and not empty", [0, 0, 1, 0]),
        ("region not in ('Banks',)", [0, 1, 0, 1]),
        ("0.2 <= valid_fraction < 1", [1, 1, 0, 0]),
        ("~empty & (valid_fraction > 0.5)", [0, 1, 0, 0]),
        ("isnull(region) | isnull(year)", [0, 0, 1, 1]),
        ("region is None", [0, 0, 0, 1]),
        ("when is not None", [1, 0, 1, 1]),
        ("when >= '2021'", [0, 0, 1, 1]),
        ("`QA ok` == 1 and year >= 2020", [0, 0, 0, 1]),
        ("contains(region, 'ank')", [1, 0, 1, 0]),
        ("startswith(region, 'Her') or empty", [1, 1, 0, 1]),
        ("class_fractions[1] > 0.05", [1, 1, 0, 0]),
        ("True", [1, 1, 1, 1]),
        ("year in []", [0, 0, 0, 0]),
    ],
)
def test_conditions(text, expected):
    found = matching_rows(TABLE, text, "--where")
    assert found.dtype == bool
    assert found.tolist() == [bool(x) for x in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3 * (not empty) + 0.5", [0.5, 3.5, 3.5, 0.5]),
        ("2 if empty else -1", [2, -1, -1, 2]),
        ("max(valid_fraction, 0.5)", [0.5, 0.9, np.nan, 1]),
        ("minmax(valid_fraction)", [0, 0.875, np.nan, 1]),
        ("minmax(1)", [0, 0, 0, 0]),
        ("clip(year - 2019, 0, 1) ** 2", [0, 1, np.nan, 1]),
        ("1", [1, 1, 1, 1]),
        ("9**9**9", [np.inf] * 4),
        ("1" + "0" * 400, [np.inf] * 4),
    ],
)
def test_numbers(text, expected):
    np.testing.assert_allclose(row_numbers(TABLE, text, "--w"), expected)


numbers = st.sampled_from(["a", "b", "2", "0.5"])
arithmetic = st.recursive(
    numbers, lambda x: st.builds("({} {} {})".format, x, st.sampled_from(["+", "-", "*", "/"]), x), max_leaves=12
)


@given(arithmetic)
@settings(max_examples=50, deadline=None)
def test_arithmetic_is_that_of_numpy(text):
    columns = {"a": np.array([0.0, 1.5, -3.0]), "b": np.array([2.0, 0.0, 7.0])}
    with np.errstate(all="ignore"):
        names = columns | {"__builtins__": {}}
        expected = eval(
            text.replace("2", "c2").replace("0.5", "half"), names | {"c2": np.float64(2), "half": np.float64(0.5)}
        )
    np.testing.assert_array_equal(row_numbers(pd.DataFrame(columns), text, "--w"), np.broadcast_to(expected, 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os').system('true')", "no function"),
        ("empty.__class__", "not allowed"),
        ("region.str.len()", "no function"),
        ("(lambda: 1)()", "no function"),
        ("[x for x in (1, 2)]", "not allowed"),
        ("f'{region}'", "not allowed"),
        ("empty := 1", "cannot be read"),
        ("@year", "cannot be read"),
        ("region[0:1]", r"not column\[number\]"),
        ("eval('1')", "no function eval"),
        ("sqrt(x=1)", "no function"),
        ("sqrt(1, 2)", "takes 1 arguments"),
        ("'a' * 10**9", "is text where a number is needed"),
        ("1 << 10000", "not allowed"),
        ("b'x' == region", "no number and no text"),
        ("region > 3", "text is compared with a number"),
        ("regoin == 'Banks'", "no column regoin in the set; nearest: region"),
        ("`QA okk` == 1", "no column QA okk in the set; nearest: QA ok"),
        ("geometry == 'a'", "neither numbers nor texts"),
        ("class_fractions > 1", r"class_fractions\[0\]"),
        ("region[0] == 'a'", "holds no lists"),
        ("year and empty", "year is no condition"),
        ("year is 3", "only `is None`"),
        ("'a' in region", "needs a list"),
        ("valid_fraction", "not yes or no"),
        ("", "cannot be read"),
        ("(" * 300 + "1" + ")" * 300, "cannot be read|nested"),
        ("-" * 3000 + "1", "nested|parts|cannot be read"),
        ("1+" * (LONGEST // 2) + "1", "more than 4000"),
        ("year > 1 and " * 200 + "year > 1", "more than 500"),
    ],
)
def test_everything_else_is_an_error_in_words(text, message):
    with pytest.raises(UserError, match=message) as error:
        matching_rows(TABLE, text, "--where")
    assert str(error.value).startswith("--where: ")
    assert "\n" not in str(error.value)


def test_an_empty_table_has_empty_answers():
    assert matching_rows(TABLE[:0], "year > 2 or region == 'a'", "--where").shape == (0,)
    assert row_numbers(TABLE[:0], "minmax(year)", "--w").shape == (0,)
