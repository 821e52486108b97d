import json
import logging
from pathlib import Path

import pytest

from darts_train.base.errors import UserError
from darts_train.experiments.checks import check_space
from darts_train.experiments.settings import Settings
from darts_train.experiments.space.hyperparameters import parse_hyperparameters, read_hyperparameters
from darts_train.experiments.space.parameters import (
    Choice,
    Constant,
    IntUniform,
    LogUniform,
    QUniform,
    ReversedLogUniform,
    Uniform,
)
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.experiments.space.wandb import parse_wandb_sweep, read_wandb_sweep
from darts_train.options.learning import Data, Device, Hyperparameters, Split, Training
from tests.support.sets import make_set

# The example of the guide that sweep files follow.
SWEEP_YAML = """\
name: planet-tcvis-large
method: random
metric:
  goal: maximize
  name: val0/JaccardIndex
parameters:
  learning_rate:
    max: !!float 1e-3
    min: !!float 1e-5
    distribution: log_uniform_values
  gamma: # How fast the learning rate will decrease
    value: 0.997
  focal_loss_alpha: # How much the positive class is weighted
    min: 0.8
    max: 0.99
  focal_loss_gamma: # How much focus should be given to "bad" predictions
    min: 0.0
    max: 2.0
  model_arch:
    values:
      - Unet
      - MAnet
      - UPerNet
      - Segformer
  model_encoder:
    values:
      - resnet50
      - resnext50_32x4d
      - mit_b2
      - tu-convnextv2_tiny
      - tu-maxvit_tiny_rw_224
"""
EXAMPLE = {
    "learning_rate": LogUniform(1e-5, 1e-3),
    "gamma": Constant(0.997),
    "focal_loss_alpha": Uniform(0.8, 0.99),
    "focal_loss_gamma": Uniform(0.0, 2.0),
    "model_arch": Choice(("Unet", "MAnet", "UPerNet", "Segformer")),
    "model_encoder": Choice(("resnet50", "resnext50_32x4d", "mit_b2", "tu-convnextv2_tiny", "tu-maxvit_tiny_rw_224")),
}


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("number", ["!!float 1e-3", "1e-3", "0.001", "1.0e-3", "1E-3"])
def test_the_example_sweep_parses_as_it_is(tmp_path, number):
    sweep = read_wandb_sweep(write(tmp_path, "s.yaml", SWEEP_YAML.replace("!!float 1e-3", number)))
    assert (sweep.name, sweep.method, sweep.metric) == ("planet-tcvis-large", "random", "val0/JaccardIndex")
    assert dict(sweep.space.parameters) == EXAMPLE
    assert sweep.space.size is None


def test_json_says_the_same(tmp_path):
    spec = {
        "method": "bayes",
        "parameters": {"batch-size": {"values": [2, 4]}},
        "metric": {"name": "loss", "goal": "minimize"},
    }
    sweep = read_wandb_sweep(write(tmp_path, "s.json", json.dumps(spec)))
    assert (sweep.name, sweep.method, sweep.metric) == (None, "tpe", "loss:lower")
    assert dict(sweep.space.parameters) == {"batch_size": Choice((2, 4))}


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        ("gamma", {"distribution": "constant", "value": "1e-1"}, Constant(0.1)),
        ("batch_size", {"min": 2, "max": 8}, IntUniform(2, 8)),
        ("batch_size", {"distribution": "q_uniform", "min": 2, "max": 9, "q": 4}, QUniform(2, 9, 4)),
        (
            "focal_loss_gamma",
            {"min": 0, "max": 2},
            Uniform(0.0, 2.0),
        ),  # by the setting's type, not by how it is written
        ("focal_loss_gamma", {"distribution": "int_uniform", "min": 0, "max": 2}, IntUniform(0, 2)),
        ("gamma", {"distribution": "q_uniform", "min": 0.1, "max": 0.9, "q": 0.1}, QUniform(0.1, 0.9, 0.1)),
        ("model_encoder_weights", {"values": ["none", "imagenet"]}, Choice((None, "imagenet"))),
        ("focal_loss_alpha", {"values": [None, 0.9]}, Choice((None, 0.9))),
        ("nodata_fill", {"min": -1, "max": 1}, Uniform(-1.0, 1.0)),
        ("bands", {"values": [["red", "nir"], ["red"], "none"]}, Choice((("red", "nir"), ("red",), None))),
        ("normalisation", {"value": "zscore"}, Constant("zscore")),
        ("max-epochs", {"values": [3, 6.0]}, Choice((3, 6))),
    ],
)
def test_kinds_of_wandb_parameters(name, spec, expected):
    assert list(parse_wandb_sweep({"parameters": {name: spec}}, "f").space.parameters.values()) == [expected]


def test_exponents_of_wandbs_log_uniform():
    spec = {"distribution": "log_uniform", "min": -3, "max": 0}
    (parameter,) = parse_wandb_sweep({"parameters": {"learning_rate": spec}}, "f").space.parameters.values()
    assert isinstance(parameter, LogUniform)
    assert (parameter.low, parameter.high) == pytest.approx((0.0497870683678, 1.0))


def test_what_wandb_knows_and_we_do_not_need_is_told_once(caplog):
    with caplog.at_level(logging.WARNING, logger="darts"):
        parse_wandb_sweep({"program": "x", "project": "y", "parameters": {"gamma": {"value": 0.9}}}, "f")
    assert [record.getMessage() for record in caplog.records] == ["f: program, project: without effect here"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (0.9, Constant(0.9)),
        ([0.9, 0.95], Choice((0.9, 0.95))),
        ({"low": 0.5, "high": 0.9}, Uniform(0.5, 0.9)),
        ({"low": 0, "high": 1, "distribution": "intuniform"}, IntUniform(0, 1)),
        ({"low": 1e-5, "high": 1e-3, "distribution": "loguniform"}, LogUniform(1e-5, 1e-3)),
        ({"low": 1e-5, "high": 1, "distribution": "uniform"}, Uniform(1e-5, 1.0)),  # mixed ends, but said what it is
        ({"low": 0.9, "high": 0.999, "distribution": "reversed_loguniform"}, ReversedLogUniform(0.9, 0.999)),
        (
            {"low": 0.9, "high": 0.99, "n": 1.5, "distribution": "reversed-loguniform"},
            ReversedLogUniform(0.9, 0.99, 1.5),
        ),
        ({"choices": [0.5, "1e-1"], "distribution": "choice"}, Choice((0.5, 0.1))),
        ({"value": 0.5, "distribution": "value"}, Constant(0.5)),
        ({"value": 0.5, "distribution": "constant"}, Constant(0.5)),
    ],
)
def test_kinds_of_hyperparameters(spec, expected):
    if expected in (IntUniform(0, 1),):
        name = "focal_loss_gamma"
    else:
        name = "focal-loss-gamma" if isinstance(spec, dict) and spec.get("low") == 1e-5 else "gamma"
    assert list(parse_hyperparameters({name: spec}, "f").parameters.values()) == [expected]


def test_whole_ends_make_whole_numbers():
    space = parse_hyperparameters({"batch_size": {"low": 2, "high": 8}, "focal_loss_gamma": {"low": 1, "high": 3}}, "f")
    assert list(space.parameters.values()) == [IntUniform(2, 8), IntUniform(1, 3)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (True, Constant(True)),
        ([True, False], Choice((True, False))),
        (["D4", "Rotate:limit=30"], Constant(("D4", "Rotate:limit=30"))),
        ([], Constant(False)),
        ([True, [], ["D4"], ["Blur", "D4"]], Choice((True, False, ("D4",), ("Blur", "D4")))),
        ({"distribution": "choice", "choices": [["D4"], False]}, Choice((("D4",), False))),
        ({"distribution": "value", "value": ["D4"]}, Constant(("D4",))),
    ],
)
def test_augment_takes_lists_as_a_configuration_file_does(spec, expected):
    space = parse_hyperparameters({"augment": spec}, "f")
    assert dict(space.parameters) == {"augment": expected}
    assert SearchSpace.from_json(json.loads(json.dumps(space.to_json()))) == space


def test_wandbs_augment_takes_lists():
    spec = {"values": [True, ["D4", "Blur"]]}
    assert parse_wandb_sweep({"parameters": {"augment": spec}}, "f").space.parameters == {
        "augment": Choice((True, ("D4", "Blur")))
    }


def test_a_list_of_augment_says_which_and_true_leaves_the_own():
    own = Settings(Data(train_data_dir="d"), Split(), Hyperparameters(augmentations=("Blur",)), Training())

    def tried(**values):
        found = own.replace(values).hyperparameters
        return found.augment, found.augmentations

    assert tried(augment=("D4",)) == (True, ("D4",))
    assert tried(augment=True) == (True, ("Blur",))
    assert tried(augment=False) == (False, ("Blur",))
    with pytest.raises(UserError, match="leave out augmentations"):
        tried(augment=("D4",), augmentations=("Blur",))


def test_hyperparameters_beside_the_configuration(tmp_path):
    toml = '[darts.training]\nmax-epochs = 3\n[hyperparameters]\nlearning-rate = 1e-3\nmodel-arch = ["Unet", "FPN"]\n'
    space = read_hyperparameters(write(tmp_path, "config.toml", toml))
    assert dict(space.parameters) == {"learning_rate": Constant(1e-3), "model_arch": Choice(("Unet", "FPN"))}
    yaml = "hyperparameters:\n  learning_rate: 1e-3\n  model_arch: [Unet, FPN]\n"
    assert read_hyperparameters(write(tmp_path, "hp.yml", yaml)) == space


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ({"learning_rat": 1}, "nearest: learning_rate"),
        ({"train_data_dir": "x"}, "train_data_dir"),
        ({"gamma": 0.9, "ga-mma": 1}, "ga-mma"),
        ({"batch_size": 2, "batch-size": 2}, "twice"),
        ({"gamma": []}, "gamma: the list of choices is empty"),
        ({"gamma": [0.5, 0.5]}, "twice"),
        ({"gamma": {"low": 0.9, "high": 0.9}}, "less than the high end"),
        ({"gamma": {"low": 0.9, "high": 0.1}}, "less than the high end"),
        ({"gamma": {"low": 0, "high": 0.9}}, "decimal point"),
        ({"gamma": {"low": 0.1}}, "needs the key 'high'"),
        ({"gamma": {"low": 0.1, "high": 0.5, "step": 1}}, "no key 'step'"),
        ({"gamma": {}}, "needs the key 'low'"),
        ({"gamma": {"distribution": "logunifrom", "low": 1, "high": 2}}, "nearest: loguniform"),
        ({"gamma": {"distribution": "choice", "choices": 0.5}}, "must be a list"),
        ({"gamma": {"distribution": ["a"]}}, "no distribution"),
        ({"learning_rate": {"distribution": "loguniform", "low": 0, "high": 1}}, "greater than 0"),
        ({"gamma": {"distribution": "reversed_loguniform", "low": 0.5, "high": 1.0}}, "less than n"),
        ({"gamma": {"low": float("nan"), "high": 1.0}}, "finite"),
        ({"gamma": {"low": "a", "high": 1.0}}, "not a number"),
        ({"gamma": True}, "True is not a number"),
        ({"augment": "yes"}, "augment: 'yes' is not true or false or a list of augmentations"),
        ({"augment": ["D4", True]}, "each choice must be a list"),
        ({"augment": [[], False]}, "twice"),
        ({"augment": [["D4"], 1]}, "1 is not true or false"),
        ({"gamma": 1.5}, "above the greatest value"),
        ({"gamma": {"low": 0.5, "high": 1.5}}, "above the greatest value"),
        ({"batch_size": 2.5}, "not a whole number"),
        ({"batch_size": {"low": 0.5, "high": 2.5}}, "fractions"),
        ({"batch_size": {"low": 0, "high": 2}}, "below the least value"),
        ({"model_arch": {"low": 1, "high": 2}}, "not text; list the values"),
        ({"model_arch": 3}, "3 is not text"),
        ({"model_arch": ""}, "is not text"),
        ({"normalisation": "zscor"}, "is not one of"),
        ({"bands": ["red", "nir"]}, "each choice must be a list"),
        ({"bands": [[]]}, "is not a list"),
        ({"model_arch": {"distribution": "value", "value": ["Unet"]}}, "is not text"),
        ({"gamma": 10**400}, "is not a number"),
    ],
)
def test_hyperparameters_that_make_no_sense(table, part):
    with pytest.raises(UserError) as caught:
        parse_hyperparameters(table, "hp.toml")
    assert part in str(caught.value)
    assert str(caught.value).startswith("hp.toml: hyperparameters")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({}, "parameters"),
        ({"parameters": {}}, "parameters"),
        ({"parameters": [1]}, "parameters"),
        ({"parameter": {}}, "nearest: parameters"),
        ({"parameters": {"gamma": 0.5}}, "parameters.gamma"),
        ({"parameters": {"gamma": {"values": 0.5}}}, "must be a list"),
        ({"parameters": {"gamma": {"values": []}}}, "empty"),
        ({"parameters": {"gamma": {"min": 0.5}}}, "needs the key 'max'"),
        ({"parameters": {"gamma": {"mn": 0.5, "max": 1}}}, "needs the key 'min'"),
        ({"parameters": {"gamma": {"value": 0.5, "values": [1]}}}, "no key 'values'"),
        ({"parameters": {"gamma": {"min": 0.9, "max": 0.5}}}, "less than the high end"),
        (
            {"parameters": {"gamma": {"distribution": "betta", "min": 0.9, "max": 1}}},
            "no distribution 'betta'; nearest: beta",
        ),
        ({"parameters": {"gamma": {"distribution": "q_uniform", "min": 0.1, "max": 0.2, "q": 0.5}}}, "no multiple"),
        ({"parameters": {"gamma": {"distribution": "q_uniform", "min": 0.1, "max": 0.2, "q": 0}}}, "greater than 0"),
        ({"parameters": {"learning_rate": {"distribution": "log_uniform", "min": 0, "max": 1e9}}}, "finite"),
        ({"parameters": {"x": {"parameters": {}}}}, "not a setting"),
        ({"parameters": {"model_options": {"parameters": {}}}}, "and some of them"),
        ({"parameters": {"model_options": {"parameters": {"a": {"value": 1}}, "when": {}}}}, "nothing else"),
        ({"parameters": {"gamma": {"value": 1}}, "method": "hyperband"}, "method"),
        ({"parameters": {"gamma": {"value": 1}}, "method": ["grid"]}, "method"),
        ({"parameters": {"gamma": {"value": 1}}, "metric": "loss"}, "metric"),
        ({"parameters": {"gamma": {"value": 1}}, "metric": {"name": "loss"}}, "metric.goal"),
        ({"parameters": {"gamma": {"value": 1}}, "metric": {"name": "loss", "goal": "min"}}, "metric.goal"),
        ({"parameters": {"gamma": {"value": 1}}, "name": 3}, "name"),
    ],
)
def test_sweep_files_that_make_no_sense(content, part):
    with pytest.raises(UserError) as caught:
        parse_wandb_sweep(content, "s.yaml")
    assert part in str(caught.value)
    assert str(caught.value).startswith("s.yaml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", ""),
        ("a.yaml", "- a\n- b\n"),
        ("a.yaml", "hyperparameters: 3"),
        ("a.yaml", "hyperparameters:"),
        ("a.yaml", "hyperparameter:\n  gamma: 1\n"),
        ("a.yaml", "hyperparameters:\n  gamma: 1\n  gamma: 2\n"),
        ("a.yaml", "hyperparameters:\n  1: 2\n"),
        ("a.yaml", "hyperparameters: {gamma: [1"),
        ("a.yaml", "hyperparameters: !!python/object/apply:os.getcwd []"),
        ("a.toml", "hyperparameters = {"),
        ("a.json", '{"hyperparameters": {"gamma": 1, "gamma": 0.5}}'),
        ("a.json", "[" * 100_000),
        ("a.toml", "\ud800".encode("utf-8", "surrogatepass")),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        read_hyperparameters(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="--sweep-config"):
        read_wandb_sweep(tmp_path / "absent.yaml")
    with pytest.raises(UserError, match="--hpconfig"):
        read_hyperparameters(tmp_path)


def test_yaml_merge_keys_work(tmp_path):
    text = "base: &b {low: 0.5, high: 0.9}\nhyperparameters:\n  gamma:\n    <<: *b\n    high: 0.8\n"
    assert dict(read_hyperparameters(write(tmp_path, "a.yaml", text)).parameters) == {"gamma": Uniform(0.5, 0.8)}


def test_spaces_travel_as_json():
    space = parse_hyperparameters(
        {
            "gamma": {"low": 0.9, "high": 0.99, "distribution": "reversed_loguniform"},
            "bands": {"distribution": "choice", "choices": [["red", "nir"], ["red"]]},
            "batch_size": {"low": 2, "high": 8},
            "learning_rate": {"low": 1e-5, "high": 1e-3, "distribution": "loguniform"},
            "model_encoder_weights": "none",
        },
        "f",
    )
    again = SearchSpace.from_json(json.loads(json.dumps(space.to_json())))
    assert again == space
    assert list(again.parameters) == list(space.parameters)
    with pytest.raises(UserError, match="another version"):
        SearchSpace.from_json([["gamma", {"kind": "Gamma", "low": 1}]])


def test_grids():
    space = parse_hyperparameters({"gamma": [0.5, 0.6], "batch_size": [1, 2, 3], "augment": True}, "f")
    assert space.size == 6
    space.require_grid()
    with pytest.raises(UserError, match="gamma is a range"):
        parse_hyperparameters({"batch_size": [1], "gamma": {"low": 0.1, "high": 0.2}}, "f").require_grid()
    large = parse_hyperparameters({"batch_size": list(range(1, 400)), "max_epochs": list(range(1, 400))}, "f")
    with pytest.raises(UserError, match="too large"):
        large.require_grid()


def test_all_that_is_learned_by_can_be_searched():
    space = parse_hyperparameters(
        {
            "loss": ["dice:0.5+focal:0.5", "lovasz"],
            "loss_options": [["dice.smooth=1"], "none"],
            "class-weights": ["auto", "1,5"],
            "optimizer": ["adamw", "sgd"],
            "lr_scheduler": ["onecycle", "warmup-cosine"],
            "weight_decay": {"low": 1e-5, "high": 1e-1, "distribution": "loguniform"},
            "ema_decay": {"low": 0.9, "high": 0.999},
            "accumulate_grad_batches": {"low": 1, "high": 4},
            "decay_norms": [True, False],
        },
        "space.toml",
    )
    assert space.parameters["loss_options"] == Choice((("dice.smooth=1",), None))
    assert space.parameters["accumulate_grad_batches"] == IntUniform(1, 4)
    assert SearchSpace.from_json(json.loads(json.dumps(space.to_json()))).parameters["loss"] == space.parameters["loss"]
    for name, value in (
        ("optimizer", ["adamm"]),
        ("lr_scheduler", ["cosin"]),
        ("ema_decay", {"low": 0.0, "high": 2.0}),
    ):
        with pytest.raises(UserError, match=name.replace("_", ".")):
            parse_hyperparameters({name: value}, "space.toml")


def test_bands_to_derive_are_a_choice_and_are_looked_at_before_a_search(tmp_path):
    make_set(tmp_path / "set", patches=2, size=16, bands=4)
    space = parse_hyperparameters({"derive_bands": [["ndvi"], "none", ["ndvi", "ndvvi"]]}, "space.toml")
    assert space.parameters["derive_bands"] == Choice((("ndvi",), None, ("ndvi", "ndvvi")))
    settings = Settings(Data(train_data_dir=tmp_path / "set"), Split(), Hyperparameters(), Training())
    with pytest.raises(UserError, match=r"--derive-bands: .*no band ndvvi.*nearest: ndvi"):
        check_space(settings, space, 1, Device(device="cpu"))


def test_a_loss_that_does_not_exist_is_named_before_a_search():
    space = parse_hyperparameters({"loss": ["dice", "dicce"]}, "space.toml")
    settings = Settings(Data(train_data_dir=Path("x")), Split(), Hyperparameters(), Training())
    with pytest.raises(UserError, match=r"no loss 'dicce'.*dice"):
        check_space(settings, space, 1, Device(device="cpu"))
