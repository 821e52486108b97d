"""Whole runs of a small network: what they learn, what they leave behind, how they are taken up again."""

import json
import shutil
import signal

import pandas as pd
import pytest
import torch

from darts_train.artifacts.run_record import read_record
from darts_train.base.errors import UserError
from darts_train.base.locks import exclusive_lock
from darts_train.experiments.run import LOCK_FILE, train_smp
from darts_train.models.model_file import load_model_file
from darts_train.options.learning import Artifacts, Data, Device, Run, Split, Tracking
from darts_train.training.module import SegmentationModule, TrainingError
from darts_train.training.pictures import of_samples as sample_figures
from darts_train.training.tracking.metrics_file import read_rows
from tests.support.runs import hyperparameters, learned_rows, run, training, weights_hash
from tests.support.sets import make_old_set, make_set


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=16, size=32, nodata=True)
    return path


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory):
    """A finished run with validations in epochs 2 and 3, and figures."""
    directory = tmp_path_factory.mktemp("runs") / "run-aaaaaaaa"
    with pytest.MonkeyPatch.context() as patch:  # two patches show what eight show
        patch.setattr(sample_figures, "POSITIVES", 1)
        patch.setattr(sample_figures, "EMPTIES", 1)
        result = run(root, directory, t={"check_val_every_n_epoch": 2, "plot_every_n_val_epochs": 1})
    return directory, result


def train(root, artifacts, run_options=None, h=None, t=None):
    torch.set_num_threads(1)
    return train_smp(
        Data(train_data_dir=root),
        Split(),
        hyperparameters(**(h or {})),
        training(**(t or {"max_epochs": 1})),
        Run(**(run_options or {})),
        Artifacts(artifact_dir=artifacts),
        Device(device="cpu"),
        Tracking(),
    )


def unfinish(directory):
    """Make a run look as if it had been killed before its end was recorded."""
    record = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps(record | {"status": "running"}))


LEARNING = {
    "h": {"model_encoder": "tu-mobilenetv3_small_050", "batch_size": 2, "augment": False, "gamma": 0.9},
    "t": {"max_epochs": 10, "check_val_every_n_epoch": 5, "save_top_k": 0},
}
SHALLOW = {  # a third of the time: what a disc is, its pixels say
    "h": {
        "model_arch": "Unet", "model_encoder": "mobilenet_v2",
        "model_options": ("encoder_depth=2", "decoder_channels=16,8"), "batch_size": 2, "augment": False, "gamma": 0.9,
    },
    "t": {"max_epochs": 8, "check_val_every_n_epoch": 4, "save_top_k": 0},
}  # fmt: skip


def test_discs_are_learned(tmp_path):
    make_set(tmp_path / "set", patches=24, size=32)
    assert run(tmp_path / "set", tmp_path / "run", **LEARNING).metrics["val/JaccardIndex"] > 0.8


def test_several_classes_are_learned(tmp_path):
    make_set(tmp_path / "set", patches=24, size=32, classes=3)
    result = run(tmp_path / "set", tmp_path / "run", **SHALLOW)
    assert result.metrics["val/JaccardIndex"] > 0.6
    assert {"val/JaccardIndex_class1", "val/JaccardIndex_class2"} <= set(result.metrics)
    assert load_model_file(result.best_checkpoint).classes == ("background", "class1", "class2")


def test_a_set_of_older_make_is_learned(tmp_path):
    root = make_old_set(tmp_path / "old", patches=24)
    assert run(root, tmp_path / "run", **SHALLOW).metrics["val/JaccardIndex"] > 0.6


def test_a_run_directory_holds_what_it_should(trained):
    directory, result = trained
    assert {p.name for p in directory.iterdir()} == {
        ".lock", "run.json", "split.parquet", "metrics.csv", "hparams.yaml", "checkpoints", "figures",
    }  # fmt: skip
    names = {p.name for p in (directory / "checkpoints").iterdir()}
    assert {"best.ckpt", "last.ckpt", "previous.ckpt"} < names
    assert len(names) == 4
    assert all(p.is_file() and not p.is_symlink() for p in (directory / "checkpoints").iterdir())
    record = read_record(directory)
    assert (record.status, record.best_checkpoint) == ("finished", "checkpoints/best.ckpt")
    assert record.best_metrics == result.metrics
    assert record.settings["hyperparameters"]["model_arch"] == "Linknet"
    split = pd.read_parquet(directory / "split.parquet")
    assert len(split) == 16
    assert split["train"].sum() + split["val"].sum() == 16


def test_metrics_file_has_each_epoch_once_and_the_last_is_validated(trained):
    rows = [row for row in read_rows(trained[0] / "metrics.csv") if row["learning_rate"]]
    assert [(row["epoch"], bool(row["val/JaccardIndex"])) for row in rows] == [("0", False), ("1", True), ("2", True)]
    rates = [float(row["learning_rate"]) for row in rows]
    assert all(0 <= float(row["health/data_wait"]) <= 1 for row in rows)
    assert all(float(row["health/samples_per_second"]) > 0 for row in rows)
    assert rates == pytest.approx([0.01, 0.01 * 0.95, 0.01 * 0.95**2])


def test_figures_show_samples_and_curves_of_each_plotted_epoch(trained):
    figures = trained[0] / "figures"
    assert {p.name for p in figures.glob("*")} == {"data", "epochs.png", "val0-samples"}
    assert {p.name for p in (figures / "data").iterdir()} == {"split.png", "augmentation.png"}
    names = {p.stem for p in (figures / "val0-samples").iterdir()}
    curves = {f"{name}_{step}" for name in ("confusion", "roc", "precision_recall") for step in (6, 9)}
    assert curves < names
    assert {name.split("_")[1] for name in names - curves} == {"6", "9"}
    assert all(name.startswith("sample_") for name in names - curves)


def test_figures_change_nothing_that_is_learned(trained, root, tmp_path):
    run(root, tmp_path / "plain", t={"check_val_every_n_epoch": 2})
    assert not (tmp_path / "plain" / "figures").exists()
    assert weights_hash(tmp_path / "plain" / "checkpoints/best.ckpt") == weights_hash(trained[1].best_checkpoint)


def test_the_best_checkpoint_has_the_metrics_that_are_reported(trained):
    directory, result = trained
    content = torch.load(result.best_checkpoint, weights_only=True)
    memory = content["callbacks"]["darts_train.checkpoints"]
    assert memory["best_metrics"] == result.metrics
    assert content["hyper_parameters"]["run"]["run_id"] == "aaaaaaaa"
    best = max(float(r["val/JaccardIndex"]) for r in read_rows(directory / "metrics.csv") if r["val/JaccardIndex"])
    assert result.metrics["val/JaccardIndex"] == best


def test_a_checkpoint_is_a_model_and_a_module(trained):
    assert load_model_file(trained[1].best_checkpoint).spec.names == ("blue", "green", "red")
    module = SegmentationModule.load_from_checkpoint(trained[1].best_checkpoint, weights_only=True)
    assert module.classes == ("background", "positive")


def test_a_finished_run_is_returned_as_it_is(root, trained):
    directory, result = trained
    before = (directory / "run.json").read_bytes()
    again = run(root, directory, t={"check_val_every_n_epoch": 2, "plot_every_n_val_epochs": 5, "num_workers": 3})
    assert again.metrics == result.metrics
    assert again.resumed
    assert (directory / "run.json").read_bytes() == before


@pytest.mark.parametrize("change", [{"h": {"gamma": 0.5}}, {"seed": 1}, {"fold": 1}, {"t": {"max_epochs": 9}}])
def test_other_settings_in_the_same_directory_are_refused(root, trained, change):
    change = {"t": {"check_val_every_n_epoch": 2}, **change}
    with pytest.raises(UserError, match="other settings"):
        run(root, trained[0], **change)


def test_one_seed_gives_one_network_and_another_another(root, tmp_path):
    paths = [
        run(root, tmp_path / name, seed=seed, t={"max_epochs": 2}) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    hashes = [weights_hash(result.best_checkpoint) for result in paths]
    assert hashes[0] == hashes[1] != hashes[2]
    assert paths[0].metrics == paths[1].metrics
    csv = [learned_rows(tmp_path / name) for name in "ab"]
    assert csv[0] == csv[1]


def test_memory_and_disk_learn_the_same(root, tmp_path):
    disk, memory = (run(root, tmp_path / str(m), t={"max_epochs": 1, "in_memory": m}) for m in (False, True))
    assert weights_hash(disk.best_checkpoint) == weights_hash(memory.best_checkpoint)


def test_validation_rarer_than_epochs_happens_at_the_end(root, tmp_path):
    result = run(root, tmp_path / "run", t={"max_epochs": 2, "check_val_every_n_epoch": 50})
    assert result.best_checkpoint.is_file()
    assert result.metrics


def test_early_stopping_stops_and_stays_stopped(root, tmp_path):
    options = {"h": {"learning_rate": 1e-12}, "t": {"max_epochs": 30, "early_stopping_patience": 2}}
    result = run(root, tmp_path / "run", **options)
    epochs = [row for row in read_rows(tmp_path / "run" / "metrics.csv") if row["learning_rate"]]
    assert (len(epochs), result.status) == (3, "finished")
    # Killed after the decision to stop, before run.json said so:
    before = (tmp_path / "run/metrics.csv").read_bytes(), weights_hash(tmp_path / "run/checkpoints/last.ckpt")
    unfinish(tmp_path / "run")
    again = run(root, tmp_path / "run", **options)
    assert (again.status, again.metrics) == ("finished", result.metrics)
    assert before == ((tmp_path / "run/metrics.csv").read_bytes(), weights_hash(tmp_path / "run/checkpoints/last.ckpt"))


def test_a_batch_larger_than_the_training_part_is_fine(root, tmp_path):
    assert run(root, tmp_path / "run", h={"batch_size": 64}, t={"max_epochs": 1}).metrics


def test_a_run_that_diverges_fails_and_says_why(root, tmp_path):
    with pytest.raises(TrainingError, match="not finite in epoch"):
        run(root, tmp_path / "run", h={"learning_rate": 1e25, "augment": False}, t={"max_epochs": 4})
    record = read_record(tmp_path / "run")
    assert record.status == "failed"
    assert "--learning-rate" in record.error
    assert "\n" not in record.error


def test_ctrl_c_leaves_a_run_that_goes_on(root, tmp_path, monkeypatch):
    full = run(root, tmp_path / "full")
    handler = signal.getsignal(signal.SIGINT)
    step = SegmentationModule.training_step

    def interrupted(self, batch, index):
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationModule, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(root, tmp_path / "cut")
    assert signal.getsignal(signal.SIGINT) is handler
    assert read_record(tmp_path / "cut").status == "interrupted"
    result = run(root, tmp_path / "cut")
    assert result.resumed
    assert (result.status, result.metrics) == ("finished", full.metrics)
    assert weights_hash(tmp_path / "cut/checkpoints/last.ckpt") == weights_hash(tmp_path / "full/checkpoints/last.ckpt")
    assert read_record(tmp_path / "cut").error is None


@pytest.mark.parametrize("names", [["last.ckpt"], ["last.ckpt", "previous.ckpt"]])
def test_a_broken_last_checkpoint_means_the_one_before_or_a_new_start(root, trained, tmp_path, names):
    directory = tmp_path / "run"
    shutil.copytree(trained[0], directory)
    unfinish(directory)
    for name in names:
        (directory / "checkpoints" / name).write_bytes(b"half")
    result = run(root, directory, t={"check_val_every_n_epoch": 2})
    assert result.resumed == (len(names) == 1)
    assert result.metrics == trained[1].metrics
    ends = [weights_hash(place / "checkpoints/last.ckpt") for place in (directory, trained[0])]
    assert ends[0] == ends[1]


def test_two_processes_do_not_share_a_run(root, tmp_path):
    with (
        exclusive_lock(tmp_path / "run" / LOCK_FILE, "it"),
        pytest.raises(UserError, match="written by another process"),
    ):
        run(root, tmp_path / "run")


def test_continuing_takes_epochs_and_optimiser_along(root, trained, tmp_path):
    last = trained[0] / "checkpoints" / "last.ckpt"
    t = {"max_epochs": 5, "check_val_every_n_epoch": 2}
    result = run(root, tmp_path / "more", t=t, continue_from=last, run_id="bbbbbbbb")
    straight = run(root, tmp_path / "straight", t=t)
    ends = [weights_hash(r.directory / "checkpoints/last.ckpt") for r in (result, straight)]
    assert ends[0] == ends[1]
    assert not result.resumed
    assert {row["epoch"] for row in read_rows(tmp_path / "more" / "metrics.csv")} == {"3", "4"}
    assert (tmp_path / "more/checkpoints/best.ckpt").is_file()


def test_continuing_what_has_no_epochs_left_is_refused(root, trained, tmp_path):
    with pytest.raises(UserError, match="3 epochs behind it"):
        run(root, tmp_path / "more", continue_from=trained[0] / "checkpoints/last.ckpt")


def test_continuing_another_network_is_refused(root, trained, tmp_path):
    last = trained[0] / "checkpoints/last.ckpt"
    with pytest.raises(UserError, match="other bands"):
        run(root, tmp_path / "more", data={"bands": ("red", "green", "blue")}, continue_from=last, t={"max_epochs": 9})
    assert not (tmp_path / "more").exists()


def test_what_is_no_whole_checkpoint_is_refused_before_anything_is_written(root, trained, tmp_path):
    content = torch.load(trained[0] / "checkpoints/last.ckpt", weights_only=True)
    torch.save({key: value for key, value in content.items() if key != "optimizer_states"}, tmp_path / "alone.ckpt")
    with pytest.raises(UserError, match="holds weights alone; use --weights-from-checkpoint"):
        run(root, tmp_path / "more", continue_from=tmp_path / "alone.ckpt", t={"max_epochs": 9})
    (tmp_path / "half.ckpt").write_bytes(b"half")
    with pytest.raises(UserError, match=r"half\.ckpt is cut off"):
        run(root, tmp_path / "more", weights_from=tmp_path / "half.ckpt")
    assert not (tmp_path / "more").exists()


def test_weights_alone_are_taken(root, trained, tmp_path):
    best = trained[1].best_checkpoint
    result = run(root, tmp_path / "tuned", h={"learning_rate": 1e-12}, t={"max_epochs": 1}, weights_from=best)
    old, new = load_model_file(best).network, load_model_file(result.best_checkpoint).network
    for before, after in zip(old.parameters(), new.parameters(), strict=True):
        torch.testing.assert_close(before, after, atol=1e-6, rtol=0)
    content = torch.load(result.best_checkpoint, weights_only=True)
    assert content["hyper_parameters"]["learning_rate"] == 1e-12
    assert content["epoch"] == 0


@pytest.mark.parametrize(
    ("positives", "split", "message"),
    [
        (0.0, {}, "none of the 6 patches of its train part has positives; the set has none at all"),
        (0.5, {"where": "empty"}, "has positives; try --fold-method stratified"),
    ],
)
def test_parts_without_positives_are_refused(tmp_path, positives, split, message):
    make_set(tmp_path / "set", patches=6 if not positives else 12, size=32, positives=positives)
    with pytest.raises(UserError, match=message):
        run(tmp_path / "set", tmp_path / "run", split={"fold_method": None, **split})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": {"bands": ("red",)}}, "number of bands"),
        ({"h": {"model_arch": "Unet"}}, "another network"),
    ],
)
def test_weights_of_another_shape_are_refused(root, trained, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        run(root, tmp_path / "tuned", weights_from=trained[1].best_checkpoint, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"h": {"model_arch": "Unett"}}, "nearest"),
        ({"h": {"model_encoder": "resnet19"}}, "resnet1"),
        ({"data": {"bands": ("redd",)}}, "nearest: red"),
        ({"fold": 5}, "fold"),
        ({"split": {"total_folds": 99}}, "fold"),
        ({"split": {"data_split_method": "region", "data_split_by": ("Region 9",)}}, "Region"),
        ({"t": {"precision": "16-mixed"}}, "CUDA"),
        ({"continue_from": "missing.ckpt"}, "does not exist"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(root, tmp_path, options, message):
    from pathlib import Path

    options = {k: Path(v) if k == "continue_from" else v for k, v in options.items()}
    with pytest.raises(UserError, match=message):
        run(root, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_patch_size_that_the_network_does_not_take_is_refused(tmp_path):
    make_set(tmp_path / "set", patches=10, size=40)
    with pytest.raises(UserError, match="does not take patches of 40 pixels; the nearest that work: 32 and 64"):
        run(tmp_path / "set", tmp_path / "run")


def test_a_name_is_taken_up_while_its_run_is_unfinished(root, tmp_path):
    artifacts = tmp_path / "artifacts"
    first = train(root, artifacts, {"run_name": "heron"})
    assert first.directory == artifacts / "_runs" / f"heron-{first.run_id}"
    assert f"heron-{first.run_id} finished" in first.summary()
    second = train(root, artifacts, {"run_name": "heron"})
    assert second.run_id != first.run_id
    unfinish(second.directory)
    third = train(root, artifacts, {"run_name": "heron"}, h={"gamma": 0.8})
    assert third.run_id not in (first.run_id, second.run_id)
    fourth = train(root, artifacts, {"run_name": "heron"})
    assert (fourth.run_id, fourth.resumed) == (second.run_id, True)


def test_a_run_without_a_name_gets_one(root, tmp_path):
    result = train(root, tmp_path / "artifacts")
    assert result.directory.name == f"{result.run_name}-{result.run_id}"


def test_what_diverges_is_the_users_to_mend(root, tmp_path):
    with pytest.raises(UserError, match=r"failed: the training loss is not finite"):
        train(root, tmp_path / "a", h={"learning_rate": 1e25}, t={"max_epochs": 3})
