"""A Hydra tree is composed as Hydra would, and becomes options; so does the flat configuration of kelp-wanted."""

import pytest

from darts_train.base.errors import UserError
from darts_train.experiments.converting.convert import converted
from darts_train.experiments.converting.sources import read_config
from darts_train.experiments.space.file import yaml_value

from .samples import FLOOD, KELP


@pytest.fixture
def tree(tmp_path):
    for name, text in FLOOD.items():
        path = tmp_path / "configs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "configs"


def options(path, *changes):
    tool, draft = converted(read_config(path, changes), str(path))
    assert tool == "flood-area-segmentation"
    assert draft.rest == {}
    return {entry.name: entry.value for entry in draft.entries}, draft


def test_a_tree_becomes_options(tree):
    found, draft = options(tree)
    expected = {
        "model_arch": "Unet", "model_encoder": "resnet34", "model_encoder_weights": "imagenet", "learning_rate": 1e-3,
        "loss": "bce", "loss_options": ["pos_weight=3"], "lr_scheduler": "plateau",
        "lr_options": ["factor=0.5", "patience=7"], "batch_size": 16, "patch_size": 512, "total_folds": 5,
        "early_stopping_patience": 15, "max_epochs": 100, "precision": "32", "random_seed": 42, "devices": 1,
        "mlflow_uri": "http://127.0.0.1:8080", "mlflow_experiment": "flood-area-segmentation", "log_model": "none",
    }  # fmt: skip
    assert {name: found.get(name) for name in expected} == expected
    assert {fate.key for fate in draft.left} == {
        "datamodule.data_dir", "datamodule.seed", "datamodule.mean", "datamodule.std", "paths.plots_dir",
    }  # fmt: skip
    assert "RandomResizedCrop" in draft.files["-augmentation.yaml"]


def test_groups_and_values_are_chosen(tree):
    changes = ("model=mobilenet_unet", "datamodule.batch_size=32", "trainer.max_epochs=5", "+model.decoder=big")
    found, draft = options(tree / "train.yaml", *changes, "model.pos_weight=2e0", "seed=1")
    assert (found["model_encoder"], found["batch_size"], found["max_epochs"]) == ("mobilenet_v2", 32, 5)
    assert (found["learning_rate"], found["loss_options"], found["random_seed"]) == (1e-3, ["pos_weight=2"], 1)
    assert {"model.decoder": "big", "datamodule.seed": 1}.items() <= {f.key: f.value for f in draft.left}.items()


def test_what_is_its_own_comes_where_self_stands(tree):
    last = "defaults: [{model: resnet34_unet}, {datamodule: flood_data}]\nmodel: {threshold: 0.4}\nseed: 1"
    (tree / "last.yaml").write_text(last)
    assert read_config(tree / "last.yaml", ())["model"]["threshold"] == 0.4
    (tree / "first.yaml").write_text(last.replace("[{m", "[_self_, {m"))
    assert read_config(tree / "first.yaml", ())["model"]["threshold"] == 0.5
    (tree / "experiment").mkdir()
    (tree / "experiment" / "fast.yaml").write_text("# @package _global_\ntrainer: {max_epochs: 2}")
    (tree / "exp.yaml").write_text(
        "defaults: [train, {experiment: fast}, {optional nothing: x}, {override hydra/a: b}]"
    )
    assert read_config(tree / "exp.yaml", ())["trainer"]["max_epochs"] == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (("model=resnet43_unet",), "model: there is no resnet43_unet; there are mobilenet_unet, resnet34_unet"),
        (("datamodule.batchsize=3",), "there is no datamodule.batchsize; nearest: batch_size; +datamodule.batchsize=3"),
        (("seed",), "'seed' is not key=value"),
        (("seed.x.y=3",), "there is no seed.x.y"),
        (("model.learning_rate=[1",), "'[1' cannot be read as a value"),
        (("modl=resnet34_unet",), "there is no modl; nearest: model"),
    ],
)
def test_wrong_changes_are_told(tree, changes, words):
    told(tree, changes, words)


def told(path, changes, words):
    with pytest.raises(UserError) as error:
        read_config(path, changes)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("defaults: [_self_, {model: none_such}]", "model: there is no none_such"),
        ("defaults: 3\na: 1", ""),
        ("defaults: [3]", "defaults: 3 is neither a name nor group: choice"),
        ("defaults: [train]", "lead around in a circle"),
        ("defaults: []\na: ${b.c}", "a: ${b.c} leads nowhere"),
        ("defaults: []\na: ${b}\nb: ${a}", "lead around in a circle"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("- a\n- b", "a mapping of keys to values was expected"),
    ],
)
def test_a_damaged_tree_is_told(tree, text, words):
    (tree / "train.yaml").write_text(text)
    if words:
        told(tree, (), words)
    else:
        assert read_config(tree, ()) == {"defaults": 3, "a": 1}


def test_a_directory_without_a_tree_is_told(tmp_path):
    told(tmp_path, (), "has neither train.yaml nor config.yaml")
    told(tmp_path / "none.yaml", (), "does not exist")


def test_environment_and_unknown_resolvers(tree, monkeypatch):
    monkeypatch.setenv("RUNS", "here")
    (tree / "train.yaml").write_text(
        "defaults: []\na: ${oc.env:RUNS}/x\nb: ${oc.env:NO_SUCH,d}\nc: ${now:%Y}\nd: [$x, '${a}']"
    )
    assert read_config(tree, ()) == {"a": "here/x", "b": "d", "c": "$(now:%Y)", "d": ["$x", "here/x"]}


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ("trainer.callbacks.0.init_args.patience=3e0", ("trainer", "callbacks", 0, "init_args", "patience"), 3.0),
        ("trainer.new.key=[1, a]", ("trainer", "new", "key"), [1, "a"]),
        ("seed=none", ("seed",), "none"),
        ("seed=null", ("seed",), None),
    ],
)
def test_values_of_plain_yaml_are_changed(tmp_path, change, key, value):
    file = tmp_path / "a.yaml"
    file.write_text("seed: 1\ntrainer: {callbacks: [{class_path: A.B, init_args: {patience: 1}}]}")
    at = read_config(file, (change,))
    for part in key:
        at = at[part]
    assert at == value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("trainer.callbacks.1.x=3", "'1' is no place in a list of 1; they count from 0"),
        ("trainr.callbacks=3", "there is no trainr; nearest: trainer"),
        ("seed.x=3", "seed is a value, 1, and has nothing below it"),
    ],
)
def test_wrong_changes_of_plain_yaml_are_told(tmp_path, change, words):
    file = tmp_path / "a.yaml"
    file.write_text("seed: 1\ntrainer: {callbacks: [{class_path: A.B}]}")
    told(file, (change,), words)


def kelp(**changes):
    tool, draft = converted(yaml_value(KELP) | changes, "k.yaml")
    assert tool == "kelp-wanted-competition"
    return {entry.name: entry.value for entry in draft.entries}, {fate.key: fate for fate in draft.left}


def test_the_kelp_configuration_becomes_options():
    found, left = kelp()
    expected = {
        "bands": ["red", "green", "blue", "swir16", "nir", "qa", "dem", "kelp:DEMWM", "kelp:NDVI", "kelp:ATSAVI"],
        "normalisation": "quantile", "model_arch": "UnetPlusPlus", "model_encoder": "tu-efficientnet_b5",
        "model_encoder_weights": "imagenet", "model_options": ["decoder_channels=256,128,64,32,16"], "loss": "dice",
        "lr_scheduler": "onecycle", "lr_options": ["pct_start=0.1", "div_factor=2", "final_div_factor=100"],
        "learning_rate": 3e-4, "weight_decay": 1e-4, "fold": 3, "total_folds": 10, "samples_per_epoch": 10240,
        "max_epochs": 50, "precision": "16-mixed", "artifact_dir": "runs", "batch_size": 32,
    }  # fmt: skip
    assert {name: found.get(name) for name in expected} == expected
    assert found["sample_weights"].startswith("minmax(2 * (not empty) + 0.2 * (1 - positive_fraction) + -1 * (1 - qa_")
    assert kelp(has_kelp_importance_factor=3.0)[0]["sample_weights"] == "kelp"
    assert {"monitor_metric", "decision_threshold", "mask_using_qa", "dataset_stats_fp", "swa_lr"} <= set(left)


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"loss": "hausdorff"}, "loss"), ({"lr_scheduler": "cyclic"}, "lr_scheduler"),
     ({"precision": "bf16-true"}, "precision"), ({"wobble": 3}, "wobble"), ({"sahi": True}, "sahi")],
)  # fmt: skip
def test_what_kelp_has_alone_is_listed(changes, key):
    assert key in kelp(**changes)[1]


def test_factors_of_a_sampler_that_is_off_are_listed():
    found, left = kelp(use_weighted_sampler=False)
    assert "sample_weights" not in found
    assert left["has_kelp_importance_factor"].why == "use_weighted_sampler is off"


def test_without_pretraining_there_are_no_weights():
    assert kelp(pretrained=False)[0]["model_encoder_weights"] is None
