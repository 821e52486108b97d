"""Samplers by name: distinct points for several runners, what each cannot do, long searches, a given first trial."""

import dataclasses
import itertools
import logging
import math
import time

import optuna
import pytest
from optuna.trial import create_trial

from darts_train.base.errors import UserError
from darts_train.experiments.database.storage import open_database, sqlite_url
from darts_train.experiments.searching import sampling
from darts_train.experiments.searching.recent_trials import RecentTrials
from darts_train.experiments.searching.sampling import (
    check_sampler,
    distribution,
    limit_of,
    make_sampler,
    to_stored,
    values_of,
)
from darts_train.experiments.space.default_point import default_point
from darts_train.experiments.space.hyperparameters import parse_hyperparameters
from darts_train.experiments.space.points import drawn, point, spread
from darts_train.training.errors import OutOfMemory

from .stub import execute, make_search, make_settings
from .test_runner import runner_of

NUMBERS = parse_hyperparameters(
    {
        "learning_rate": {"distribution": "loguniform", "low": 1e-5, "high": 1e-1},
        "focal_loss_gamma": {"low": 0.0, "high": 3.0},
        "batch_size": {"low": 2, "high": 16},
    },
    "f",
)
MIXED = parse_hyperparameters(
    {
        "learning_rate": {"distribution": "loguniform", "low": 1e-5, "high": 1e-1},
        "model_arch": ["Unet", "FPN"],
        "focal_loss_gamma": {"low": 0.0, "high": 3.0},
        "momentum": {"low": 0.5, "high": 0.9, "when": {"model_arch": ["FPN"]}},
    },
    "f",
)
LISTS = parse_hyperparameters({"model_arch": ["Unet", "FPN"], "learning_rate": [1e-4, 1e-3]}, "f")


def dists(space):
    return {name: kind for name, one in space.parameters.items() if (kind := distribution(one)) is not None}


def ended(space, count, loss=lambda values: abs(math.log10(values["learning_rate"]) + 3)):
    """A study with that many finished trials, in memory."""
    study = optuna.create_study()
    kinds = dists(space)
    trials = []
    for number in range(count):
        values = drawn(space, number)
        stored = {name: to_stored(space.parameters[name], value) for name, value in values.items() if name in kinds}
        used = {name: kinds[name] for name in stored}
        trials.append(create_trial(params=stored, distributions=used, value=loss(values)))
    study.add_trials(trials)
    return study


def ask(study, sampler, space):
    """The values of the next trial."""
    study.sampler = sampler
    return values_of(space, study.ask(dists(space)).params)


@pytest.mark.parametrize("name", ["tpe", "gp", "qmc", "cmaes"])
def test_runners_with_samplers_of_their_own_draw_distinct_points(name):
    """Each runner makes its own sampler, as three processes do."""
    study = ended(NUMBERS, 12)
    points = [tuple(ask(study, make_sampler(name, NUMBERS), NUMBERS).values()) for _ in range(6)]
    assert len(set(points)) == 6


def test_a_sobol_sequence_fills_the_space_evenly_and_is_a_function_of_the_number():
    rates = sorted(math.log10(spread(NUMBERS, number)["learning_rate"]) for number in range(64))
    gaps = [b - a for a, b in itertools.pairwise(rates)]
    assert max(gaps) < 3 * 4 / 64  # random draws leave gaps of some six times the mean
    assert spread(NUMBERS, 5) == spread(NUMBERS, 5) != spread(NUMBERS, 6)
    study = ended(NUMBERS, 3)
    assert ask(study, make_sampler("qmc", NUMBERS), NUMBERS) == pytest.approx(spread(NUMBERS, 3))
    assert limit_of("qmc", LISTS) is None
    assert {tuple(spread(LISTS, number).values()) for number in range(8)} == set(
        itertools.product(("Unet", "FPN"), (1e-4, 1e-3))
    )


def test_what_a_sampler_cannot_do_is_refused_or_told(monkeypatch, caplog):
    monkeypatch.setattr(sampling, "find_spec", lambda name: name)
    with pytest.raises(UserError, match="gp needs 1 or more ranges"):
        check_sampler("gp", parse_hyperparameters({"gamma": 0.5}, "f"))
    with pytest.raises(UserError, match="cmaes needs 2 or more ranges that are always there, not 0"):
        check_sampler("cmaes", LISTS)
    for name in ("gp", "cmaes"):
        with pytest.raises(UserError, match="knows one score"):
            check_sampler(name, NUMBERS, 2)
    with caplog.at_level(logging.WARNING, logger="darts"):
        check_sampler("gp", MIXED)
        check_sampler("cmaes", MIXED)
        check_sampler("gp", NUMBERS)
        check_sampler("tpe", parse_hyperparameters({"gamma": {"choices": [0.5, 1], "probabilities": [1, 0]}}, "f"))
    assert [record.getMessage() for record in caplog.records] == [
        "--sampler gp: momentum: drawn at random; tpe learns of them, too",
        "--sampler cmaes: model_arch, momentum: drawn at random; tpe learns of them, too",
        "probabilities in the space: tpe has no use for them; random draws by them",
    ]
    monkeypatch.setattr(sampling, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'darts-train\[cmaes\]'"):
        check_sampler("cmaes", NUMBERS)


@pytest.mark.parametrize("name", ["gp", "cmaes"])
def test_what_is_left_to_chance_is_drawn_by_number(name):
    study = ended(MIXED, 1)
    values = values_of(MIXED, study.ask({}).params | _asked(study, make_sampler(name, MIXED)))
    assert values["model_arch"] in ("Unet", "FPN")


def _asked(study, sampler):
    study.sampler = sampler
    kinds = dists(MIXED)
    trial = study.ask({name: kinds[name] for name in ("learning_rate", "model_arch", "focal_loss_gamma")})
    assert trial.params["model_arch"] == drawn(MIXED, trial.number)["model_arch"]
    return {**trial.params, "momentum": 0.5}


def test_random_draws_by_probability():
    space = parse_hyperparameters({"loss": {"choices": ["dice", "focal"], "probabilities": [0.9, 0.1]}}, "f")
    losses = [point(space, number)["loss"] for number in range(300)]
    assert losses.count("dice") / 300 == pytest.approx(0.9, abs=0.06)
    assert (limit_of("random", space), limit_of("grid", space)) == (None, 2)
    assert {point(space, number, walk=True)["loss"] for number in range(2)} == {"dice", "focal"}


def test_of_a_long_search_the_best_and_the_newest_are_seen():
    study = ended(NUMBERS, 60)
    study.ask()
    seen = RecentTrials(20).of(study, 61).get_trials()
    best = sorted(study.trials[:60], key=lambda trial: trial.value)[:10]
    assert {trial.number for trial in best} <= {trial.number for trial in seen}
    assert {58, 59, 60} <= {trial.number for trial in seen}
    assert len(seen) == 21
    assert len(RecentTrials(60).of(study, 61).get_trials()) == 61


def test_tpe_answers_soon_after_thousands_of_trials():
    """It sees no more of them than a thousand: of those the time of an answer does not grow."""
    study = ended(NUMBERS, 3000)
    sampler = make_sampler("tpe", NUMBERS)
    ask(study, sampler, NUMBERS)
    started = time.process_time()
    rates = [ask(study, sampler, NUMBERS)["learning_rate"] for _ in range(3)]
    assert time.process_time() - started < 3.0  # of the processor, for the machine may be busy
    assert all(1e-4 < rate < 1e-2 for rate in rates)  # it has learned where the best are


@pytest.mark.parametrize("name", ["random", "grid", "qmc", "tpe"])
def test_the_command_lines_values_come_first_and_once(name):
    own = make_settings(model_arch="FPN", learning_rate=1e-3)
    first = default_point(LISTS, own)
    assert first == {"model_arch": "FPN", "learning_rate": 1e-3}
    study = optuna.create_study()
    sampler = make_sampler(name, LISTS, first)
    points = [tuple(ask(study, sampler, LISTS).values()) for _ in range(4)]
    assert points[0] == tuple(first.values())
    if name in ("random", "grid"):
        assert len(set(points)) == 4
        without = [tuple(point(LISTS, number).values()) for number in range(4)]
        assert points[1:] == [one for one in without if one != points[0]]


def test_the_others_move_by_one():
    first = default_point(NUMBERS, make_settings(learning_rate=1e-3))
    assert [point(NUMBERS, number, first) for number in range(4)] == [first, *(drawn(NUMBERS, n) for n in range(3))]
    assert spread(NUMBERS, 1, first) == spread(NUMBERS, 0)


def test_the_own_values_of_conditions_and_of_single_options():
    table = {
        "optimizer": ["adamw", "sgd"],
        "momentum": {"low": 0.5, "high": 0.9, "when": {"optimizer": ["sgd"]}},
        "model_options": {"encoder_depth": [3, 4], "decoder_channels": {"choices": ["none", [48, 24]]}},
        "gamma": {"distribution": "normal", "mu": 0.9, "sigma": 0.1},
    }
    space = parse_hyperparameters(table, "f")
    own = make_settings(model_options=("encoder_depth=4",))
    assert default_point(space, own) == {
        "optimizer": "adamw", "model_options.encoder_depth": 4, "model_options.decoder_channels": None, "gamma": 0.9,
    }  # fmt: skip
    assert default_point(space, make_settings(model_options=("encoder_depth=3",), optimizer="sgd"))["momentum"] == 0.9
    for changed, part in (
        ({"model_options": ("encoder_depth=5",)}, "model_options.encoder_depth is 5, which is not"),
        ({}, "model_options.encoder_depth is None"),
        ({"model_options": ("encoder_depth=4",), "optimizer": "adam"}, "optimizer is adam"),
        ({"model_options": ("encoder_depth=4",), "optimizer": "sgd", "momentum": 0.1}, "momentum is 0.1"),
    ):
        with pytest.raises(UserError, match=part):
            default_point(space, make_settings(**changed))


def test_a_search_that_begins_with_the_own_values_says_so_in_its_facts(tmp_path):
    search = make_search(tmp_path, sampler="tpe")
    first = default_point(search.space, search.settings)
    assert "first_trial" not in search.facts()
    given = dataclasses.replace(search, first=first)
    database = open_database(sqlite_url(tmp_path / "s.db"))
    runner = runner_of(given, database)
    runner.run(1)
    assert values_of(search.space, runner.trials()[0].params) == first
    with pytest.raises(UserError, match="first_trial"):
        runner_of(search, database)


def test_what_needs_too_much_memory_is_tried_less(tmp_path, local):
    """Of four batch sizes one never fits; trials that found out are the worst there are to the sampler."""

    def too_large(place, *args):
        if args[2].batch_size == 64:
            raise OutOfMemory("the device has too little memory")
        return execute(place, *args)

    table = {"batch_size": [8, 16, 32, 64], "learning_rate": {"low": 1e-4, "high": 1e-2, "distribution": "loguniform"}}
    search = make_search(tmp_path, table=table, sampler="tpe", folds=1, seeds=(42,))
    runner = runner_of(search, local, too_large)
    runner.run(40)
    trials = runner.trials()
    seen = RecentTrials(100).of(runner.study, 40).get_trials()
    large = [trial.params["batch_size"] == 64 for trial in trials]
    assert [trial.state.name for trial in seen] == ["PRUNED" if one else "COMPLETE" for one in large]
    assert {trial.state.name for trial, one in zip(trials, large, strict=True) if one} == {"FAIL"}
    assert sum(large[20:]) <= 3  # by chance five
