"""Runs of two processes, which share the patches: they leave behind what one leaves, and they end together."""

import os
import signal
import sys

import pytest
import torch

from darts_train.artifacts.run_record import read_record
from darts_train.cli.main import main
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import make_split
from darts_train.experiments.one_run import crew
from darts_train.experiments.run import train_smp
from darts_train.metrics.state import SegmentationMetrics
from darts_train.options.learning import Artifacts, Data, Device, Devices, Run, Split, Tracking
from darts_train.training.checkpoints.checkpoint import read_checkpoint
from darts_train.training.loading.data_module import TrainDataModule
from darts_train.training.module import SegmentationModule
from darts_train.training.stopping.termination import LeaveOnSignals
from darts_train.training.tracking.metrics_file import read_rows
from tests.support.forking import fork_server
from tests.support.mates import fork_mates
from tests.support.runs import SMALL, hyperparameters, learned_rows, training, weights_hash
from tests.support.sets import make_set

EPOCHS = {"max_epochs": 2, "num_workers": 0}


@pytest.fixture(scope="module")
def server():
    with fork_server("tests.support.warm") as server:
        yield server


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=23, size=32, nodata=True)  # 18 train, 5 validate: the shares of two differ
    return path


def train_two(root, artifacts, trouble="", plot=0):
    """`train_smp` with two processes, of which one meets some trouble; figures of every epoch `plot`."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        fork_mates(patch, (lambda: TROUBLES[trouble](patch)) if trouble else None)
        patch.setattr(crew, "GRACE", 5.0)
        train_smp(
            Data(train_data_dir=root),
            Split(),
            hyperparameters(batch_size=2, ema_decay=0.9),
            training(**EPOCHS, plot_every_n_val_epochs=plot),
            Run(run_name="two"),
            Artifacts(artifact_dir=artifacts),
            Device(),
            Tracking(),
            Devices(accelerator="cpu", devices=2),
        )


def _sigterm(patch):
    """The other process is told to end, in its third step."""
    batch_end, steps = LeaveOnSignals.on_train_batch_end, []

    def told(self, *args):
        steps.append(1)
        self.requested = len(steps) >= 3
        batch_end(self, *args)

    patch.setattr(LeaveOnSignals, "on_train_batch_end", told)


def _killed(patch):
    patch.setattr(LeaveOnSignals, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGKILL))


def _damaged(patch):
    from darts_train.base.errors import UserError
    from darts_train.training.loading.patches import PatchDataset

    def broken(*_):
        raise UserError("patch 3 is damaged")

    patch.setattr(PatchDataset, "__getitems__", broken)


def _diverged(patch):
    logits = SegmentationModule._logits
    patch.setattr(SegmentationModule, "_logits", lambda self, x: logits(self, x) * float("nan"))


TROUBLES = {"sigterm": _sigterm, "killed": _killed, "damaged": _damaged, "diverged": _diverged}


def only_run(artifacts):
    (directory,) = (artifacts / "_runs").iterdir()
    return directory


@pytest.fixture(scope="module")
def finished(server, root, tmp_path_factory):
    place = tmp_path_factory.mktemp("finished")
    assert server.call(train_two, root, place, "", 2) == 0
    return only_run(place)


def test_two_processes_leave_what_one_leaves(finished):
    assert sorted(path.name for path in finished.iterdir()) == [
        ".lock", "checkpoints", "figures", "hparams.yaml", "metrics.csv", "run.json", "split.parquet",
    ]  # fmt: skip
    assert {path.name for path in (finished / "checkpoints").iterdir()} >= {"best.ckpt", "last.ckpt"}
    assert [row["epoch"] for row in read_rows(finished / "metrics.csv") if row["learning_rate"]] == ["0", "1"]
    assert read_record(finished).status == "finished"


def call_program(line, place):
    """The program from `place`, its stdout and stderr in files there. For a forked process, which ends here."""
    os.chdir(place)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY), number)
    sys.exit(main(line))


@pytest.mark.slow
def test_the_program_starts_two_and_speaks_once(server, root, tmp_path):
    """The second process is started as it is for a user; the first is forked."""
    small = [part for name, value in SMALL.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    line = [
        "train-smp", "--train-data-dir", str(root), "--accelerator", "cpu", "--devices", "2", *small,
        "--batch-size", "2", "--max-epochs", "1", "--num-workers", "0", "--plot-every-n-val-epochs", "0",
    ]  # fmt: skip
    code = server.call(call_program, line, tmp_path)
    said, errors = (tmp_path / "stdout").read_text(), (tmp_path / "stderr").read_text()
    assert code == 0, errors
    assert read_record(only_run(tmp_path / "artifacts")).status == "finished"
    assert len(list((tmp_path / "logs").iterdir())) == 1
    assert errors.count("epoch 1/1") == 1
    assert said.count("best checkpoint") == 1


def test_validation_of_two_is_that_of_one(root, finished):
    """On the weights of the checkpoint: the sums over two shares against one pass over all patches."""
    content = read_checkpoint(finished / "checkpoints" / "last.ckpt")
    module = SegmentationModule(**content["hyper_parameters"], pretrained=False).eval()
    module.load_state_dict(content["state_dict"])
    data = TrainData.open(root)
    counted = SegmentationMetrics(module.classes, module.ignore_index)
    loader = TrainDataModule(data, make_split(data.metadata, Split(), 0, 32), batch_size=5).val_dataloader()
    with torch.inference_mode():
        for batch in loader:
            logits = module(batch["x"])
            counted.update(logits, batch["y"], module.loss.total(logits, batch["y"])[0])
    assert read_record(finished).last_metrics == pytest.approx(counted.compute("val/"), abs=1e-6)


def test_a_run_of_two_that_was_told_to_end_ends_where_it_would_have(server, root, finished, tmp_path):
    assert server.call(train_two, root, tmp_path, "sigterm") == 128 + signal.SIGTERM
    directory = only_run(tmp_path)
    assert read_record(directory).status == "interrupted"
    assert "batches" in read_checkpoint(directory / "checkpoints" / "last.ckpt")["darts_train.mid_epoch"]
    assert server.call(train_two, root, tmp_path) == 0
    for name in ("best.ckpt", "last.ckpt"):
        assert weights_hash(directory / "checkpoints" / name) == weights_hash(finished / "checkpoints" / name)
    ours, theirs = learned_rows(directory), learned_rows(finished)
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    assert float(ours[-1]["train/loss_epoch"]) == pytest.approx(float(theirs[-1]["train/loss_epoch"]), rel=1e-12)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [("killed", "process 1 of the run ended before its time (signal 9)"), ("damaged", "patch 3 is damaged"),
     ("diverged", "loss is not finite")],
)  # fmt: skip
def test_trouble_in_one_process_ends_the_run(server, root, tmp_path, trouble, reason):
    assert server.call(train_two, root, tmp_path, trouble) == 1
    record = read_record(only_run(tmp_path))
    assert record.status == "failed"
    assert reason in record.error
