import math
import subprocess
import sys
from collections import Counter

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.experiments.searching.sampling import (
    distribution,
    from_stored,
    limit_of,
    make_sampler,
    point,
    to_stored,
    values_of,
)
from darts_train.experiments.space.hyperparameters import parse_hyperparameters
from darts_train.experiments.space.parameters import IntUniform, LogUniform, QUniform, ReversedLogUniform, Uniform

MIXED = parse_hyperparameters(
    {
        "learning_rate": {"low": 1e-5, "high": 1e-3, "distribution": "loguniform"},
        "gamma": {"low": 0.9, "high": 0.999, "distribution": "reversed_loguniform"},
        "batch_size": {"low": 2, "high": 8},
        "bands": {"distribution": "choice", "choices": [["red", "nir"], ["red"], "none"]},
        "model_arch": ["Unet", "FPN"],
        "augment": False,
    },
    "f",
)
FINITE = parse_hyperparameters({"model_arch": ["Unet", "FPN"], "batch_size": [1, 2, 3], "augment": [True, False]}, "f")
unit = st.floats(0, 1, exclude_max=True)
ends = st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)).filter(lambda pair: pair[0] < pair[1]).map(list)


@given(ends, unit)
def test_ranges_keep_to_their_ends(pair, u):
    for kind in (Uniform, LogUniform):
        assert pair[0] <= kind(*pair).at(u) <= pair[1]
    reversed_range = ReversedLogUniform(*pair, n=pair[1] * 2)
    assert pair[0] <= reversed_range.at(u) <= pair[1]


@given(st.integers(-1000, 1000), st.integers(1, 1000), unit)
def test_whole_numbers_reach_both_ends_and_no_further(low, width, u):
    parameter = IntUniform(low, low + width)
    assert low <= parameter.at(u) <= low + width
    assert parameter.at(0.0) == low
    assert parameter.at(math.nextafter(1.0, 0.0)) == low + width


@given(unit)
def test_multiples_are_exact(u):
    assert QUniform(0.05, 0.55, 0.1).at(u) in (0.1, 0.2, 0.3, 0.4, 0.5)


def test_loguniform_is_logarithmic():
    draws = [point(MIXED, number)["learning_rate"] for number in range(600)]
    assert sum(value < 1e-4 for value in draws) / 600 == pytest.approx(0.5, abs=0.08)
    near_one = [point(MIXED, number)["gamma"] for number in range(600)]
    assert sum(value > 0.99 for value in near_one) / 600 == pytest.approx(0.5, abs=0.08)


@given(st.integers(0, 10_000), st.sampled_from([MIXED, FINITE]))
def test_points_pass_through_the_database_unchanged(number, space):
    values = point(space, number)
    stored = {
        name: to_stored(parameter, values[name])
        for name, parameter in space.parameters.items()
        if distribution(parameter) is not None
    }
    for name, drawn in stored.items():
        repr_ = distribution(space.parameters[name]).to_internal_repr(drawn)
        assert distribution(space.parameters[name])._contains(repr_)
    again = values_of(space, stored)
    assert again.pop("gamma", None) == pytest.approx(values.pop("gamma", None))  # 1 - (1 - x) rounds
    assert again == values


def test_multiples_are_stored_by_their_number():
    parameter = QUniform(0.1, 0.9, 0.1)
    assert [from_stored(parameter, to_stored(parameter, value)) for value in (0.1, 0.3, 0.9)] == [0.1, 0.3, 0.9]


def test_a_finite_space_is_walked_without_repetition():
    points = [tuple(point(FINITE, number).items()) for number in range(24)]
    assert set(Counter(points).values()) == {2}
    assert len(set(points[:12])) == 12
    assert points[:12] != sorted(points[:12])
    assert (limit_of("random", FINITE), limit_of("grid", FINITE), limit_of("tpe", FINITE)) == (12, 12, None)
    assert limit_of("random", MIXED) is None


def test_one_more_parameter_changes_nothing_for_the_others():
    more = parse_hyperparameters(
        {"focal_loss_gamma": {"low": 0.0, "high": 1.0}, "batch_size": {"low": 2, "high": 8}}, "f"
    )
    assert [point(more, n)["batch_size"] for n in range(20)] == [point(MIXED, n)["batch_size"] for n in range(20)]


def test_points_are_the_same_in_every_process_and_version():
    code = (
        "from darts_train.experiments.space.hyperparameters import parse_hyperparameters as p\n"
        "from darts_train.experiments.searching.sampling import point\n"
        "s = p({'gamma': {'low': 0.1, 'high': 0.9}, 'batch_size': [1, 2, 3]}, 'f')\n"
        "print([point(s, n) for n in range(3)])"
    )
    environment = {"PYTHONHASHSEED": "7"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    space = parse_hyperparameters({"gamma": {"low": 0.1, "high": 0.9}, "batch_size": [1, 2, 3]}, "f")
    assert said.stdout.strip() == str([point(space, n) for n in range(3)])
    assert point(space, 0) == {"gamma": pytest.approx(0.27678488802340684), "batch_size": 2}


def ask(sampler_name, space, tell=None, count=12):
    study = optuna.create_study(sampler=make_sampler(sampler_name, space))
    found = []
    for _ in range(count):
        trial = study.ask({n: d for n, p in space.parameters.items() if (d := distribution(p)) is not None})
        found.append(values_of(space, trial.params))
        if tell:
            study.tell(trial, tell(found[-1]))
    return found


@pytest.mark.parametrize("name", ["random", "grid"])
def test_optuna_is_given_the_points(name):
    assert ask(name, FINITE) == [point(FINITE, number) for number in range(12)]


def test_tpe_is_repeatable_and_learns():
    space = parse_hyperparameters({"gamma": {"low": 0.0001, "high": 1.0}, "bands": MIXED_BANDS}, "f")
    first = ask("tpe", space, lambda values: (values["gamma"] - 0.3) ** 2, 40)
    assert first == ask("tpe", space, lambda values: (values["gamma"] - 0.3) ** 2, 40)
    late = [abs(values["gamma"] - 0.3) for values in first[25:]]
    assert sorted(late)[len(late) // 2] < 0.1


MIXED_BANDS = {"distribution": "choice", "choices": [["red", "nir"], ["red"]]}


def test_a_grid_over_a_range_is_refused():
    with pytest.raises(UserError, match="learning_rate is a range"):
        make_sampler("grid", MIXED)
