import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.dataset.sample_weights import sample_weights

ROWS = pd.DataFrame(
    {
        "empty": [True, False, False, True, True, False],
        "positive_fraction": [0, 0.5, 0.1, 0, 0, 0.2],
        "valid_fraction": [1, 0.5, 1, 1, 0.2, 1.0],
        "dem_nan_pixels_pct": [0, 0.1, 0.3, 0, 0, 0.0],
        "score": [1, 2, np.nan, -1, 0, 3],
    }
)
TRAIN = np.array([0, 1, 2, 4])


def weights(expression=None, balance=False, train=TRAIN):
    return sample_weights(ROWS, train, expression, balance)


def test_nothing_said_is_no_weight():
    assert weights() is None


def test_an_expression_is_computed_on_training_patches_alone():
    found = weights("minmax(positive_fraction) + 1")
    np.testing.assert_allclose(found.values, [1, 2, 1.2, 1])
    assert "4 of 4 can be" in found.words
    assert "62% of the draws are positive (50% of the patches)" in found.words


def test_kelp_is_the_sum_of_its_factors_over_the_columns_there_are():
    rows = ROWS.loc[TRAIN]
    w = 3.0 * ~rows["empty"]
    w = w + 0.2 * (1 - rows.positive_fraction) - rows.valid_fraction + 0.25 * (1 - rows.dem_nan_pixels_pct)
    found = weights("kelp")
    np.testing.assert_allclose(found.values, (w - w.min()) / (w.max() - w.min()))
    assert "3 * (not empty)" in found.words
    own = ROWS.assign(has_kelp=1.0, kelp_pixels_pct=ROWS["positive_fraction"], qa_corrupted_pixels_pct=0.5)
    w = 3 + 0.2 * (1 - rows.positive_fraction) - 0.5 + 0.25 * (1 - rows.dem_nan_pixels_pct)
    found = sample_weights(own, TRAIN, "kelp", False)
    np.testing.assert_allclose(found.values, (w - w.min()) / (w.max() - w.min()))


FACTORS = ("has_kelp", "kelp_pixels_pct", "qa_ok", "qa_corrupted_pixels_pct", "almost_all_water", "dem_nan_pixels_pct",
           "dem_zero_pixels_pct")  # fmt: skip
USUAL = (3.0, 0.2, 0.0, -1.0, 0.5, 0.25, -1.0)
OF_2024 = (2.0, 0.5, 0.5, -0.5, -1.0, 0.0, -0.25)


def kelp_table(n=40):
    """A table as that of the kelp challenge, with missing flags among the rows that are not trained on."""
    rng = np.random.default_rng(3)
    shares = ("kelp_pixels_pct", "qa_corrupted_pixels_pct", "water_pixels_pct", "dem_nan_pixels_pct",
              "dem_zero_pixels_pct")  # fmt: skip
    table = pd.DataFrame({name: rng.random(n) for name in shares})
    table["has_kelp"] = pd.Series(rng.random(n) > 0.4, dtype=object)
    table["qa_ok"] = rng.random(n) > 0.5
    table["empty"] = ~table["has_kelp"].astype(bool)
    table.loc[n - 1, "has_kelp"] = None
    return table


def by_hand(rows, factors):
    """The formula of the challenge, row by row, moved to 0 … 1 over the rows."""
    found = []
    for row in rows.itertuples():
        f = dict(zip(FACTORS, factors, strict=True))
        w = f["has_kelp"] * float(row.has_kelp) + f["qa_ok"] * float(row.qa_ok)
        w += f["kelp_pixels_pct"] * (1 - row.kelp_pixels_pct) + f["almost_all_water"] * (1 - row.water_pixels_pct)
        w += f["qa_corrupted_pixels_pct"] * (1 - row.qa_corrupted_pixels_pct)
        w += f["dem_nan_pixels_pct"] * (1 - row.dem_nan_pixels_pct)
        w += f["dem_zero_pixels_pct"] * (1 - row.dem_zero_pixels_pct)
        found.append(w)
    w = np.array(found)
    return (w - w.min()) / (w.max() - w.min() + 1e-10)


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("kelp", USUAL),
        ("kelp(qa_ok=0.5)", (3.0, 0.2, 0.5, -1.0, 0.5, 0.25, -1.0)),
        (f"kelp({', '.join(f'{name}={factor}' for name, factor in zip(FACTORS, OF_2024, strict=True))})", OF_2024),
    ],
)
def test_exact_weights_on_the_columns_of_the_challenge(text, factors):
    table, train = kelp_table(), np.arange(35)
    found = sample_weights(table, train, text, False).values
    np.testing.assert_allclose(found, by_hand(table.loc[train], factors), rtol=1e-9, atol=1e-12)
    assert found.min() == 0


def test_a_floor_lets_every_patch_be_drawn():
    table, train = kelp_table(), np.arange(35)
    plain = sample_weights(table, train, "kelp", False).values
    for text in ("kelp(floor=0.05)", f"max({sample_weights_text(table, train)}, 0.05)"):
        np.testing.assert_allclose(sample_weights(table, train, text, False).values, np.maximum(plain, 0.05))


def sample_weights_text(table, train):
    """What the preset is written out, as the log says it."""
    words = sample_weights(table, train, "kelp", False).words
    return words.removeprefix("patches are drawn by ").split(": ")[0]


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 100)), min_size=2, max_size=30), st.booleans())
@settings(max_examples=50, deadline=None)
def test_balance_gives_both_kinds_the_same_sum_and_keeps_ratios(pairs, weighted):
    rows = pd.DataFrame({"empty": [empty for empty, _ in pairs], "w": [w for _, w in pairs]})
    empty = rows["empty"].to_numpy()
    if empty.all() or not empty.any():
        return
    found = sample_weights(rows, np.arange(len(rows)), "w" if weighted else None, True).values
    assert found[empty].sum() == pytest.approx(found[~empty].sum())
    given_weights = rows["w"].to_numpy() if weighted else np.ones(len(rows))
    for kind in (empty, ~empty):
        np.testing.assert_allclose(found[kind] / found[kind].sum(), given_weights[kind] / given_weights[kind].sum())


@pytest.mark.parametrize(
    ("expression", "balance", "train", "message"),
    [
        ("score", False, [0, 1, 2], r"score is nan for patch 2 \(1 of 3 training"),
        ("score", False, [0, 3], r"score is -1 for patch 3 \(1 of 2"),
        ("1 / dem_nan_pixels_pct", False, [0, 1], "is inf for patch 0"),
        ("0 * score", False, [0, 1, 4], "is 0 for all 3 training patches"),
        ("postive_fraction", False, [0], "--sample-weights: no column postive_fraction .* nearest: positive_fraction"),
        ("kepl", False, [0], "no column kepl"),
        ("kelp(qa_okay=1)", False, [0], "kelp has no factor qa_okay; nearest: qa_ok"),
        ("kelp(qa_ok=1)", False, [0], r"kelp\(qa_ok=…\) needs the column qa_ok, which the set has not"),
        ("kelp(has_kelp=score)", False, [0], r"kelp\(has_kelp=score\) is not a number"),
        (None, True, [0, 3, 4], "of 3 training patches no positive one can be drawn; leave"),
        ("positive_fraction", True, [0, 1], r"no empty one can be drawn \(1 have the weight 0\)"),
    ],
)
def test_weights_that_cannot_be_are_told_with_counts(expression, balance, train, message):
    with pytest.raises(UserError, match=message):
        weights(expression, balance, np.array(train))
