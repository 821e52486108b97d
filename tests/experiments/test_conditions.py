"""Parameters that are there only where others have certain values; single options of lists."""

import json
from collections import Counter
from types import SimpleNamespace

import optuna
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.experiments.database.storage import open_database, sqlite_url
from darts_train.experiments.searching.sampling import limit_of, make_sampler
from darts_train.experiments.searching.study import best_trial, suggest_all
from darts_train.experiments.searching.table import table_path
from darts_train.experiments.space.hyperparameters import parse_hyperparameters, read_hyperparameters
from darts_train.experiments.space.points import drawn, point, spread
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.experiments.space.wandb import parse_wandb_sweep

from .stub import make_search, make_settings
from .test_runner import runner_of

TABLE = {
    "momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": ["sgd"]}},
    "optimizer": ["adamw", "sgd"],
    "weight_decay": {"distribution": "loguniform", "low": 1e-5, "high": 1e-1, "when": {"optimizer": "adamw"}},
    "loss": ["dice", "focal"],
    "focal_loss_gamma": {"low": 0.0, "high": 3.0, "when": {"loss": ["focal"], "optimizer": ["sgd"]}},
}
SPACE = parse_hyperparameters(TABLE, "f")
FINITE = parse_hyperparameters(
    {
        "model_arch": ["Unet", "FPN", "Linknet"],
        "model_options": {"encoder_depth": {"choices": [3, 4, 5], "when": {"model_arch": ["Unet", "Linknet"]}}},
        "augment": {"choices": [True, False], "when": {"model_options.encoder_depth": [5]}},
    },
    "f",
)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([drawn, spread]))
def test_a_parameter_is_there_where_its_condition_holds_and_nowhere_else(number, draw):
    values = draw(SPACE, number)
    assert ("momentum" in values) == (values["optimizer"] == "sgd")
    assert ("weight_decay" in values) == (values["optimizer"] == "adamw")
    assert ("focal_loss_gamma" in values) == (values["optimizer"] == "sgd" and values["loss"] == "focal")
    assert list(values) == [name for name in TABLE if name in values]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_a_condition_moves_no_other_draw(number):
    free = parse_hyperparameters(
        {name: {k: v for k, v in spec.items() if k != "when"} if isinstance(spec, dict) else spec
         for name, spec in TABLE.items()}, "f"
    )  # fmt: skip
    everything = drawn(free, number)
    assert drawn(SPACE, number) == {name: everything[name] for name in drawn(SPACE, number)}


def test_a_grid_counts_what_is_there():
    """FPN alone; Unet and Linknet at depth 3 and 4, and at 5 with and without augmentation."""
    assert FINITE.size == 1 + 2 * (2 + 2)
    assert (limit_of("grid", FINITE), limit_of("random", FINITE), limit_of("tpe", FINITE)) == (9, 9, None)
    points = [tuple(sorted(point(FINITE, number).items())) for number in range(18)]
    assert set(Counter(points).values()) == {2}
    assert len(set(points[:9])) == 9
    assert (("model_arch", "FPN"),) in points


def test_conditions_travel_as_json():
    for space in (SPACE, FINITE):
        again = SearchSpace.from_json(json.loads(json.dumps(space.to_json())))
        assert again == space
        assert again.order == space.order
    assert SPACE.order.index("optimizer") < SPACE.order.index("momentum")


def test_what_was_stored_before_there_were_conditions_is_stored_the_same():
    space = parse_hyperparameters({"batch_size": [2, 4], "gamma": {"low": 0.1, "high": 0.5}}, "f")
    assert space.to_json() == [
        ["batch_size", {"kind": "Choice", "values": (2, 4)}],
        ["gamma", {"kind": "Uniform", "low": 0.1, "high": 0.5}],
    ]


@pytest.mark.parametrize("name", ["random", "qmc", "tpe"])
def test_samplers_ask_for_what_is_there(name):
    memory = SimpleNamespace(call=lambda act: act())
    study = optuna.create_study(sampler=make_sampler(name, SPACE), direction="maximize")
    for number in range(16):
        trial = study.ask()
        values = suggest_all(memory, trial, SPACE)
        assert values == SPACE.living(values)
        assert trial.params.keys() == values.keys()
        if name != "tpe":
            assert values == pytest.approx({"random": drawn, "qmc": spread}[name](SPACE, number))
        study.tell(trial, 1.0 if values["optimizer"] == "sgd" else 0.0)
    assert {trial.params["optimizer"] for trial in study.trials} == {"adamw", "sgd"}


def test_a_search_and_its_table_have_nulls(tmp_path):
    table = {
        "learning_rate": [1e-4, 1e-3],
        "augment": {"choices": [True, False], "when": {"learning_rate": [1e-3]}},
        "momentum": {"value": 0.5, "when": {"augment": [True]}},
        "lr_options": {"min_lr": {"choices": [1e-6, 1e-5], "when": {"learning_rate": [1e-4]}}},
    }
    search = make_search(tmp_path, table=table, sampler="grid", momentum=0.8)
    runner = runner_of(search, open_database(sqlite_url(tmp_path / "s.db")))
    assert runner.run(None) == 4
    rows = pd.read_parquet(table_path(search)).drop_duplicates("cv_name").set_index("learning_rate")
    assert rows.loc[1e-4, "augment"].isna().all()
    assert set(rows.loc[1e-4, "lr_options.min_lr"]) == {1e-6, 1e-5}
    assert set(rows.loc[1e-3, "augment"]) == {True, False}
    assert rows["momentum"].count() == 1
    assert best_trial(search, runner.trials()).parameters["learning_rate"] == 1e-3
    assert search.facts()["momentum"] == 0.8  # seen where it is not varied
    assert "learning_rate" not in search.facts()


def test_single_options_are_put_into_their_lists():
    own = make_settings(model_options=("encoder_depth=5", "decoder_channels=64,32"), loss_options=("smooth=1",))
    changed = own.replace(
        {"model_options.encoder_depth": 3, "loss_options.dice.smooth": 0.5, "lr_options.warmup_epochs": None}
    ).hyperparameters
    assert changed.model_options == ("decoder_channels=64,32", "encoder_depth=3")
    assert changed.loss_options == ("smooth=1", "dice.smooth=0.5")
    assert changed.lr_options is None
    both = own.replace({"model_options": ("decoder_channels=8,8",), "model_options.decoder_use_norm": True})
    assert both.hyperparameters.model_options == ("decoder_channels=8,8", "decoder_use_norm=true")
    lists = own.replace({"model_options.decoder_channels": (48, 24)}).hyperparameters.model_options
    assert lists == ("encoder_depth=5", "decoder_channels=48,24")


def test_both_forms_nest():
    wandb = parse_wandb_sweep(
        {"parameters": {
            "model_options": {"parameters": {"encoder-depth": {"values": [3, 4]}}},
            "loss_options": {"parameters": {"dice": {"parameters": {"smooth": {"min": 0.1, "max": 1}}}}},
            "optimiser": {"parameters": {"learning_rate": {"value": 1e-3}, "momentum": {"value": 0.5}}},
        }},
        "f",
    ).space  # fmt: skip
    table = parse_hyperparameters(
        {
            "model_options": {"encoder-depth": [3, 4]},
            "loss_options.dice.smooth": {"low": 0.1, "high": 1.0},
            "learning_rate": 1e-3,
            "momentum": 0.5,
        },
        "f",
    )
    assert wandb == table
    names = ["model_options.encoder_depth", "loss_options.dice.smooth", "learning_rate", "momentum"]
    assert list(wandb.parameters) == names


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("gamma: {low: 0.1, high: 0.5, when: {optimiser: [sgd]}}", 2, "no parameter 'optimiser' in this file; nearest"),
        ("gamma: {low: 0.1, high: 0.5, when: {optimizer: [adam]}}", 2, "optimizer is never 'adam'; it is one of adamw"),
        ("gamma: {low: 0.1, high: 0.5, when: {optimizer: [best]}}", 2, "'best' is not one of"),
        ("gamma: {low: 0.1, high: 0.5, when: {optimizer: []}}", 2, "is empty"),
        ("gamma: {low: 0.1, high: 0.5, when: sgd}", 2, "a table of other parameters"),
        ("gamma: {low: 0.1, high: 0.5, when: {mixup: [0.5]}}", 2, "mixup is a range"),
        ("gamma: {choices: [0.5, 0.6], when: {augment: true}}\n  augment: {choices: [true], when: {gamma: 0.5}}", 2,
         "gamma, augment: each depends on another"),
        ("gamma: {choices: [0.5, 0.6], when: {gamma: 0.5}}", 2, "gamma: each depends"),
        ("model_options: {encoder_dept: [3, 4]}", 2, "no 'encoder_dept'; nearest: encoder_depth"),
        ("model_options: {encoder_depth: [3, {a: 1}]}", 2, "is no value of an option"),
        ("num_workers: [1, 2]", 2, "no score depends on it"),
        ("total-folds: [4, 5]", 2, "'total-folds' cannot be searched: it decides which patches"),
        ("where: x", 2, "scores on different patches do not compare"),
        ("data_split_method: [random]", 2, "do not compare"),
        ("device: [cpu]", 2, "no score depends on where"),
        ("n_folds: 3", 2, "all trials have the same"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_line(tmp_path, text, line, part):
    path = tmp_path / "hp.yaml"
    path.write_text(f"hyperparameters:\n  {text}\n  optimizer: [adamw, sgd]\n  mixup: {{low: 0.1, high: 1.0}}\n")
    with pytest.raises(UserError) as caught:
        read_hyperparameters(path)
    assert part in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}: hyperparameters")
