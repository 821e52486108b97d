import logging

import pytest
import yaml

from darts_train.metrics.names import METRICS
from darts_train.options.learning import Tracking
from darts_train.training.tracking.metrics_file import read_rows
from darts_train.training.tracking.trackers import FileTracker, WandbTracker, make_wandb

RUN = {"run_name": "misty-heron", "run_id": "abcd1234", "cv_name": "none", "tune_name": "none"}
BOTH = Tracking(wandb_project="project", wandb_entity="team")


def test_metrics_and_settings_are_files_of_the_run(tmp_path):
    tracker = FileTracker(tmp_path, ("background", "slump"))
    tracker.log_hyperparams({"learning_rate": 0.1, "config": {"bands": ["red"]}})
    tracker.log_metrics({"epoch": 0, "learning_rate": 0.1, "val/JaccardIndex": 0.5}, 9)
    assert yaml.safe_load((tmp_path / "hparams.yaml").read_text()) == {
        "learning_rate": 0.1,
        "config": {"bands": ["red"]},
    }
    (row,) = read_rows(tmp_path / "metrics.csv")
    assert (row["epoch"], row["step"], row["val/JaccardIndex"], row["train/loss"]) == ("0", "9", "0.5", "")
    assert set(METRICS) <= set(row)


def test_classes_have_columns(tmp_path):
    FileTracker(tmp_path, ("background", "ice", "water"))
    assert "val/JaccardIndex_water" in (tmp_path / "metrics.csv").read_text()


@pytest.mark.parametrize("tracking", [Tracking(), Tracking(wandb_project="p"), Tracking(wandb_entity="e")])
def test_wandb_needs_project_and_entity(tmp_path, tracking):
    assert make_wandb(tmp_path, tracking, RUN, ()) is None


def test_wandb_runs_offline_for_real(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB__SERVICE_WAIT", "200")  # a busy machine starts its service slowly
    tracker = make_wandb(tmp_path, BOTH, RUN, ("set",))
    assert isinstance(tracker, WandbTracker)
    tracker.log_hyperparams({"learning_rate": 0.1})
    tracker.log_metrics({"epoch": 0, "val/JaccardIndex": 0.5, "val/AUROC": float("nan")}, 3)
    run = tracker._run
    assert (run.id, run.name, run.group, run.job_type, run.tags) == (
        "abcd1234",
        "misty-heron",
        "none",
        "none",
        ("set",),
    )
    tracker.finalize("success")
    assert list(tmp_path.glob("wandb/offline-run-*-abcd1234/*.wandb"))
    assert not [record for record in caplog.records if record.name.startswith("darts")]


def test_a_tracker_that_fails_is_said_once_and_left_out(tmp_path, monkeypatch, caplog):
    import wandb

    calls = []

    def broken(**options):
        calls.append(options)
        raise ConnectionError("no route to host\nand a long story")

    monkeypatch.setattr(wandb, "init", broken)
    tracker = make_wandb(tmp_path, BOTH, RUN, ())
    with caplog.at_level(logging.WARNING, logger="darts"):
        tracker.log_metrics({"a": 1.0}, 0)
        tracker.log_metrics({"a": 1.0}, 1)
        tracker.finalize("failed")
    assert len(calls) == 1
    (record,) = caplog.records
    assert "no route to host" in record.getMessage()
    assert "long story" not in record.getMessage()
