"""The shipped presets are whole, and train: two of them here with a small network, all in benchmarks/presets.py."""

from pathlib import Path
from typing import get_args

import pytest

from darts_train.artifacts.listing import list_runs
from darts_train.cli.init_config import TEMPLATES, files_to_write
from darts_train.cli.main import main
from darts_train.experiments.one_run.augmentation_file import with_read_augmentations
from darts_train.experiments.space.file import read_mapping
from darts_train.options.learning import Artifacts, Hyperparameters
from darts_train.options.presets import FILES, Preset, preset_text
from darts_train.training.augmentation.albumentations_tree import without_counterpart
from tests.support.presets import CONFIGS, arguments, preset_values, stand_in

QUICK = {"kelp-wanted": 36, "flood-resnet34": 10}  # patches


@pytest.mark.parametrize("name", QUICK)
def test_a_preset_trains_two_epochs_on_bands_that_fit_it(name, tmp_path, monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    stand_in(tmp_path / "set", name, patches=QUICK[name], size=32)
    changes = {"model_arch": "Linknet", "model_encoder": "tu-lcnet_035", "plot_every_n_val_epochs": 0}
    assert main(arguments(name, tmp_path, **changes)) == 0
    (run,) = list_runs(Artifacts(artifact_dir=tmp_path / "artifacts")).rows
    assert run.status == "finished"
    assert (run.iou or 0) >= 0


def test_every_preset_is_a_file_and_a_choice():
    assert set(get_args(Preset)) == {*TEMPLATES, *FILES}
    assert all(preset_text(file).startswith("# ") for file in FILES.values())


@pytest.mark.parametrize("name", FILES)
def test_a_preset_is_written_with_what_it_names(name, tmp_path):
    files = files_to_write(name, Path("sub/my.toml"))
    values = preset_values(name)
    named = [Path("sub") / Path(values["augment_config"]).name] if values.get("augment_config") else []
    assert list(files) == [Path("sub/my.toml"), *named]
    text = files[Path("sub/my.toml")]
    assert f"configs/{FILES[name]}" not in text
    assert all(f'"{path}"' in text for path in named)


PIPELINES = sorted(path.name for path in CONFIGS.glob("*-augmentation.yaml"))


def nodes(tree):
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(value)
    if isinstance(tree, dict) and "__class_fullname__" in tree:
        yield tree


@pytest.mark.parametrize("name", PIPELINES)
def test_chances_are_written_and_only_objects_become_background(name):
    for node in nodes(read_mapping(CONFIGS / name, "x")):
        assert "p" in node, node["__class_fullname__"]
        if "fill_mask" in node:
            assert node["fill_mask"] == (0 if node["__class_fullname__"] == "MaskDropout" else -100)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_read(name):
    tree = read_mapping(CONFIGS / name, "x")
    ours = not without_counterpart(tree, name)
    assert ours == (name in {"kelp-ps8b-augmentation.yaml", "flood-augmentation.yaml"})
    if not ours:
        pytest.importorskip("albumentations")
    assert with_read_augmentations(Hyperparameters(augment_config=CONFIGS / name)).augmentations
