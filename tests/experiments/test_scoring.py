import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.experiments.scoring import combine, parse_scoring, score_runs

IOU = [0.75, 0.7, 0.65, 0.8, 0.73, 0.68]
RECALL = [0.83, 0.8, 0.75, 0.85, 0.82, 0.77]
LOSS = [0.5, 0.45, 0.55, 0.1, 2.5, 1.2]
RUNS = [
    {"val/JaccardIndex": iou, "val/Recall": recall, "val/loss": loss}
    for iou, recall, loss in zip(IOU, RECALL, LOSS, strict=True)
]
STRATEGIES = ("arithmetic", "geometric", "harmonic", "min")


def score(runs, *metrics, strategy="harmonic"):
    return score_runs(runs, parse_scoring(metrics, strategy))


@pytest.mark.parametrize("direction", ["", ":higher", ":lower"])
@pytest.mark.parametrize(
    ("metric", "expected"), [("val/JaccardIndex", 0.718), ("val/Recall", 0.803), ("val/loss", 0.883)]
)
def test_a_single_metric_is_its_mean_in_any_direction(metric, direction, expected):
    result = score(RUNS, metric + direction)
    assert result.value == pytest.approx(expected, abs=5e-4)
    assert not result.unstable


@pytest.mark.parametrize(
    ("strategy", "two", "three"),
    [("harmonic", 0.758, 0.893), ("arithmetic", 0.761, 1.467), ("geometric", 0.760, 1.064), ("min", 0.718, 0.663)],
)
def test_several_metrics_are_combined_as_the_reference_does(strategy, two, three):
    metrics = ["val/JaccardIndex", "val/Recall"]
    assert score(RUNS, *metrics, strategy=strategy).value == pytest.approx(two, abs=5e-4)
    assert score(RUNS, *metrics, "val/loss:lower", strategy=strategy).value == pytest.approx(three, abs=5e-4)


@pytest.mark.parametrize(
    ("metrics", "direction"),
    [
        (["val/loss:lower"], "minimize"),
        (["val/loss"], "maximize"),
        (["val/Recall:higher"], "maximize"),
        (["val/loss:lower", "val/Recall"], "maximize"),
        (None, "maximize"),
    ],
)
def test_direction_of_the_search(metrics, direction):
    rule = parse_scoring(metrics, "harmonic")
    assert rule.direction == direction
    assert rule.better(1, 2) == (direction == "minimize")
    assert not rule.better(1, 1)


@pytest.mark.parametrize("bad", [0.0, -0.0, math.nan, math.inf, -math.inf, None])
@pytest.mark.parametrize("suffix", ["", ":lower"])
def test_unstable_runs_are_seen_whatever_the_direction(bad, suffix):
    runs = [*RUNS, {"val/JaccardIndex": 0.9, "val/loss": bad}]
    result = score(runs, "val/JaccardIndex", "val/loss" + suffix)
    assert result.unstable
    assert result.run_is_unstable == (False,) * 6 + (True,)
    assert result.value == pytest.approx(score(RUNS, "val/JaccardIndex", "val/loss" + suffix).value)


@pytest.mark.parametrize("strategy", ["harmonic", "geometric"])
def test_only_unstable_runs_score_zero(strategy):
    result = score([{"val/JaccardIndex": 0.0, "val/Recall": 1.0}], "val/JaccardIndex", "val/Recall", strategy=strategy)
    assert result.value == 0.0
    assert result.unstable


def test_arithmetic_and_min_use_unstable_runs():
    runs = [{"val/JaccardIndex": 0.0, "val/Recall": 0.6}, {"val/JaccardIndex": 0.4, "val/Recall": 0.8}]
    assert score(runs, "val/JaccardIndex", "val/Recall", strategy="arithmetic").value == pytest.approx(0.45)
    assert score(runs, "val/JaccardIndex", "val/Recall", strategy="min").value == pytest.approx(0.2)
    lower = score([{"val/JaccardIndex": 0.5, "val/loss": 0.0}], "val/JaccardIndex", "val/loss:lower", strategy="min")
    assert lower.value == 0.5  # 1/0 is inf, and the lesser one counts


def test_metrics_that_do_not_score_do_not_make_unstable():
    runs = [{**run, "val/AUROC": 0.0} for run in RUNS]
    assert not score(runs, "val/JaccardIndex").unstable


def test_a_failed_run_leaves_no_score():
    result = score([*RUNS, None], "val/JaccardIndex")
    assert math.isnan(result.value)
    assert not result.unstable
    assert math.isnan(score([], "val/JaccardIndex").value)


def test_a_negative_kappa_counts_zero_in_means_of_positive_numbers():
    runs = [{"val/CohenKappa": -0.2, "val/Recall": 0.5}, {"val/CohenKappa": 0.5, "val/Recall": 0.5}]
    for strategy in ("harmonic", "geometric"):
        assert score(runs, "val/CohenKappa", "val/Recall", strategy=strategy).value == pytest.approx(0.25)


def test_names_are_made_canonical_with_one_warning(caplog):
    with caplog.at_level(logging.WARNING, logger="darts"):
        rule = parse_scoring(["val0/JaccardIndex", "val/Recall", "f1"], "harmonic")
    assert [metric.name for metric in rule.metrics] == ["val/JaccardIndex", "val/Recall", "val/F1Score"]
    assert [record.getMessage() for record in caplog.records] == [
        "the metric val0/JaccardIndex is read as val/JaccardIndex"
    ]


@pytest.mark.parametrize(
    "metrics",
    [
        [],
        ["val/Jaccard_Indexx"],
        ["val/loss:down"],
        ["val/loss:"],
        ["test/Recall"],
        ["train/Recall"],
        ["val/Recall", "recall:lower"],
        [""],
        ["val/JaccardIndex_watr"],
    ],
)
def test_metrics_that_cannot_score(metrics):
    with pytest.raises(UserError):
        parse_scoring(metrics, "harmonic", classes=("land", "water"))


def test_a_metric_of_a_class():
    assert (
        parse_scoring(["val/JaccardIndex_water"], "min", classes=("land", "water")).metrics[0].name.endswith("_water")
    )


positive = st.floats(1e-6, 1e6)


@given(st.lists(positive, min_size=1, max_size=6))
def test_means_are_in_order(values):
    harmonic, geometric, arithmetic = (combine(values, name) for name in ("harmonic", "geometric", "arithmetic"))
    slack = 1 + 1e-9
    assert min(values) <= harmonic * slack
    assert harmonic <= geometric * slack
    assert geometric <= arithmetic * slack
    assert arithmetic <= max(values) * slack


@given(st.data(), st.sampled_from(STRATEGIES), st.lists(st.tuples(positive, positive), min_size=1, max_size=8))
def test_the_order_of_runs_and_metrics_does_not_matter(data, strategy, pairs):
    runs = [{"val/Recall": a, "val/loss": b} for a, b in pairs]
    shuffled = data.draw(st.permutations(runs))
    first = score(runs, "val/Recall", "val/loss", strategy=strategy).value
    again = score(shuffled, "val/loss", "val/Recall", strategy=strategy).value
    assert again == pytest.approx(first, rel=1e-12)


@given(st.sampled_from(STRATEGIES), positive)
def test_equal_values_combine_to_themselves(strategy, value):
    assert combine([value] * 3, strategy) == pytest.approx(value)


@given(
    st.sampled_from(STRATEGIES),
    st.lists(st.floats() | st.none(), min_size=1, max_size=4),
    st.sampled_from([":lower", ":higher"]),
)
def test_any_values_give_a_score_and_never_an_exception(strategy, values, direction):
    runs = [{"val/Recall": value, "val/loss": value} for value in values]
    result = score(runs, "val/Recall", f"val/loss{direction}", strategy=strategy)
    if not result.unstable:
        assert not math.isnan(result.value)
