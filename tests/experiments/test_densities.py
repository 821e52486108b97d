"""Distributions of wandb's files: their draws, their limits, and their way through the database."""

import json
import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.experiments.space.densities import Beta, LogNormal, Normal
from darts_train.experiments.space.field_values import limits
from darts_train.experiments.space.hyperparameters import parse_hyperparameters
from darts_train.experiments.space.parameters import (
    Choice,
    LogUniform,
    QLogUniform,
    parameter_from_json,
    parameter_to_json,
)
from darts_train.experiments.space.stored_values import distribution, from_stored, to_stored
from darts_train.experiments.space.wandb import parse_wandb_sweep

unit = st.floats(0, 1, exclude_max=True)
GRID = [(i + 0.5) / 2000 for i in range(2000)]


def one(name, spec):
    return parse_wandb_sweep({"parameters": {name: spec}}, "f").space.parameters[name]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"distribution": "log_uniform", "min": -3, "max": 0}, LogUniform(math.exp(-3), 1.0)),
        ({"distribution": "inv_log_uniform", "min": 1, "max": 3}, LogUniform(math.exp(-3), math.exp(-1))),
        ({"distribution": "inv_log_uniform_values", "min": 1e-3, "max": 0.5}, LogUniform(1e-3, 0.5)),
        ({"distribution": "q_log_uniform_values", "min": 0.5, "max": 8, "q": 0.5}, QLogUniform(0.5, 8.0, 0.5)),
        ({"distribution": "q_log_uniform", "min": 0, "max": 2}, QLogUniform(1.0, math.exp(2), 1)),
        ({"distribution": "normal"}, Normal(low=0, high=None)),
        ({"distribution": "q_normal", "mu": 2, "sigma": 1, "q": 0.5}, Normal(mu=2, sigma=1, q=0.5, low=0)),
        ({"distribution": "log_normal", "mu": 1, "sigma": 2}, LogNormal(mu=1, sigma=2, low=0)),
        ({"distribution": "q_log_normal", "mu": 1, "sigma": 2}, LogNormal(mu=1, sigma=2, q=1, low=0)),
        ({"distribution": "beta", "a": 2, "b": 5}, Beta(a=2, b=5, low=0)),
        ({"values": [1, 2], "probabilities": [0.9, 0.1]}, Choice((1.0, 2.0), (0.9, 0.1))),
        (
            {"distribution": "categorical_w_probabilities", "values": [1, 2], "probabilities": [0, 1]},
            Choice((1.0, 2.0), (0.0, 1.0)),
        ),
    ],
)
def test_wandbs_distributions(spec, expected):
    made = one("focal_loss_gamma", spec)
    assert made == expected
    assert parameter_from_json(json.loads(json.dumps(parameter_to_json(made)))) == made


def test_both_forms_have_them():
    table = {
        "focal_loss_gamma": {"distribution": "normal", "mu": 2.0, "sigma": 0.5},
        "weight_decay": {"distribution": "log-normal", "mu": -5, "sigma": 1},
        "ema_decay": {"distribution": "beta", "a": 5, "b": 1},
        "batch_size": {"distribution": "qloguniform", "low": 2, "high": 32, "q": 2},
        "mixup": {"distribution": "quniform", "low": 0, "high": 1, "q": 0.25},
        "loss": {"choices": ["dice", "focal"], "probabilities": [0.25, 0.75]},
    }
    kinds = [type(made).__name__ for made in parse_hyperparameters(table, "f").parameters.values()]
    assert kinds == ["Normal", "LogNormal", "Beta", "QLogUniform", "QUniform", "Choice"]


def test_draws_follow_the_distribution():
    """A wide setting cuts nothing off; mean and deviation are those of the textbook."""
    draws = [Normal(mu=3, sigma=2).at(u) for u in GRID]
    assert statistics.mean(draws) == pytest.approx(3, abs=0.01)
    assert statistics.pstdev(draws) == pytest.approx(2, rel=0.01)
    logs = [math.log(LogNormal(mu=-1, sigma=0.5).at(u)) for u in GRID]
    assert (statistics.mean(logs), statistics.pstdev(logs)) == pytest.approx((-1, 0.5), rel=0.01)
    assert statistics.mean(Beta(a=2, b=6).at(u) for u in GRID) == pytest.approx(0.25, abs=0.002)
    multiples = [Normal(mu=0, sigma=1, q=0.5).at(u) for u in GRID]
    assert multiples.count(0.0) / len(GRID) == pytest.approx(0.1974, abs=0.002)  # between -1/4 and 1/4


def test_a_setting_cuts_a_density_off_and_no_draws_heap_up_at_its_limit():
    gamma = one("gamma", {"distribution": "normal", "mu": 0.95, "sigma": 0.1})
    draws = [gamma.at(u) for u in GRID]
    assert max(draws) <= 1
    assert len(set(draws)) == len(draws)
    share = sum(value > 0.95 for value in draws) / len(draws)  # 0.1915 of 0.6915 is within
    assert share == pytest.approx(0.1915 / 0.6915, abs=0.01)
    rate = one("learning_rate", {"distribution": "normal", "mu": 0, "sigma": 1})
    assert limits("learning_rate")[0] > 0
    assert min(rate.at(u) for u in [0.0, *GRID]) > 0


def test_weights_are_kept():
    loss = Choice(("a", "b", "c"), (0.2, 0.0, 0.8))
    drawn = [loss.at(u) for u in GRID]
    assert (drawn.count("a"), drawn.count("b"), drawn.count("c")) == (400, 0, 1600)
    assert loss.at(math.nextafter(1.0, 0.0)) == "c"


bells = st.builds(
    lambda kind, mu, sigma, q: kind(mu=mu, sigma=sigma, q=q),
    st.sampled_from([Normal, LogNormal]), st.floats(-3, 3), st.floats(0.1, 2), st.sampled_from([None, 0.25, 1.0]),
)  # fmt: skip
betas = st.builds(lambda a, b: Beta(a=a, b=b), st.floats(0.3, 9), st.floats(0.3, 9))
logs = st.builds(lambda low, more, q: QLogUniform(low, low + 3 * q + more, q), st.floats(0.1, 9), st.floats(0, 90),
                 st.sampled_from([0.1, 1.0, 3.0]))  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(bells | betas | logs, unit)
def test_draws_pass_through_the_database(parameter, u):
    value = parameter.at(u)
    kind = distribution(parameter)
    stored = to_stored(parameter, value)
    assert kind._contains(kind.to_internal_repr(stored))
    assert from_stored(parameter, stored) == pytest.approx(value, rel=1e-5, abs=1e-7)
    if isinstance(parameter, QLogUniform):
        assert parameter.low <= value <= parameter.high


@settings(max_examples=50, deadline=None)
@given(bells | betas | logs, unit, unit)
def test_draws_grow_with_their_number(parameter, a, b):
    low, high = sorted((a, b))
    assert parameter.at(low) <= parameter.at(high)


@pytest.mark.parametrize(
    ("name", "spec", "part"),
    [
        ("gamma", {"distribution": "normal", "mu": 5, "sigma": 0.1}, "next to nothing"),
        ("gamma", {"distribution": "normal", "mu": 0, "sigma": 0}, "greater than 0"),
        ("gamma", {"distribution": "beta", "a": 0, "b": 1}, "greater than 0"),
        ("gamma", {"distribution": "beta", "alpha": 1}, "no key 'alpha'"),
        ("gamma", {"distribution": "log_normal", "mu": 800}, "not a number any more"),
        ("gamma", {"distribution": "q_normal", "mu": 0.5, "q": 3}, "no multiple of 3"),
        ("gamma", {"distribution": "q_normal", "q": -1}, "greater than 0"),
        ("batch_size", {"distribution": "normal", "mu": 8}, "whole q"),
        ("model_arch", {"distribution": "normal"}, "not text"),
        ("gamma", {"distribution": "q_log_uniform_values", "min": 0, "max": 1, "q": 0.1}, "greater than 0"),
        ("gamma", {"values": [0.5, 0.6], "probabilities": [1]}, "2 values, but 1 prob"),
        ("gamma", {"values": [0.5, 0.6], "probabilities": [0.5, 0.6]}, "add up to 1"),
        ("gamma", {"values": [0.5, 0.6], "probabilities": [1.5, -0.5]}, "add up to 1"),
        ("gamma", {"values": [0.5, 0.6], "probabilities": 1}, "must be a list"),
    ],
)
def test_distributions_that_make_no_sense(name, spec, part):
    with pytest.raises(UserError) as caught:
        one(name, spec)
    assert part in str(caught.value)
    assert str(caught.value).startswith(f"f: parameters.{name}: ")
