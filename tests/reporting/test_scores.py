"""Scores of runs agree with those of the searches; intervals and differences are those of the books."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from darts_train.experiments.scoring import parse_scoring, score_runs
from darts_train.reporting.scores import Rule, behind, by_fold, interval, run_scores
from tests.reporting.trained import row, table_of

values = st.one_of(st.floats(0, 1), st.just(0.0), st.just(math.nan))


@settings(max_examples=50)
@given(
    runs=st.lists(st.tuples(values, values), min_size=1, max_size=6),
    metrics=st.sampled_from([("val/JaccardIndex",), ("val/loss:lower",), ("val/JaccardIndex", "val/loss:lower"),
                             ("val/JaccardIndex", "val/loss")]),
    strategy=st.sampled_from(["arithmetic", "geometric", "harmonic", "min"]),
)  # fmt: skip
def test_the_mean_of_what_runs_add_is_the_score(runs, metrics, strategy):
    table = pd.DataFrame([{"status": "finished", "val/JaccardIndex": a, "val/loss": b} for a, b in runs])
    score = score_runs(table.to_dict("records"), parse_scoring(metrics, strategy)).value
    added = run_scores(table, Rule(metrics, strategy))
    if len(metrics) > 1 and strategy in ("harmonic", "geometric"):
        added = [value for value in added if not math.isnan(value)] or [0.0]
    assert np.mean(added) == pytest.approx(score, nan_ok=True)


def test_the_rule_comes_from_the_settings_or_is_the_default():
    rule = Rule.of({"scoring_metric": ["val/loss:lower"], "multi_score_strategy": "min"})
    assert (rule.minimised, rule.names, rule.words()) == (True, ["val/loss"], "val/loss (less is better)")
    assert rule.better(0.1, 0.2)
    assert not rule.better(math.nan, 0.2)
    assert rule.better(0.2, math.nan)
    assert Rule.of({}).words() == "harmonic mean of val/JaccardIndex and val/Recall"


def test_the_interval_is_students_with_the_corrected_variance():
    means = [0.7, 0.74, 0.66, 0.71, 0.69]
    found = interval({fold: [mean - 0.01, mean + 0.01] for fold, mean in enumerate(means)}, 5)
    plain = stats.t.interval(0.95, 4, np.mean(means), np.std(means, ddof=1) / math.sqrt(5))
    assert found.mean == pytest.approx(0.7)
    assert found.high - found.mean == pytest.approx((plain[1] - found.mean) * math.sqrt(5 * (1 / 5 + 1 / 4)))
    assert found.low + found.high == pytest.approx(2 * found.mean)


@pytest.mark.parametrize("folds", [{}, {0: [0.5]}, {0: [0.5], 1: [0.6]}, {0: [0.5], 1: [0.6], 2: []}])
def test_few_folds_have_no_interval(folds):
    assert interval(folds, 5) is None


def test_folds_keep_their_finite_scores():
    table = table_of([row("a", 1, 42, 0.5), row("b", 0, 42, None, "failed", "e")])
    assert by_fold(table, run_scores(table, Rule(("val/JaccardIndex",)))) == {0: [], 1: [0.5]}


def test_behind_compares_runs_of_the_same_fold_and_seed():
    best = table_of([row("a", 0, 42, 0.8), row("b", 1, 42, 0.6), row("c", 2, 42, 0.9)])
    other = table_of([row("d", 1, 42, 0.65), row("e", 0, 42, 0.7), row("f", 2, 21, 0.1)])
    found = behind(best, other, Rule(("val/JaccardIndex",)))
    assert (found.worse, found.runs) == (1, 2)
    assert found.difference == pytest.approx((0.1 - 0.05) / 2)
    lower = behind(best, other, Rule(("val/loss:lower",)))
    assert lower.difference == pytest.approx(found.difference)
    assert behind(best, table_of([row("g", 5, 1, 0.5)]), Rule(("val/JaccardIndex",))) is None
