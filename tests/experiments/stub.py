"""A run without a network: what `run.execute_run` promises, in milliseconds.

It keeps the promises that reliability is built on: one process at a time in a directory, progress on disk, a finished
run returned as it is. It adds up what was really trained, so that a test sees work that was done twice.
"""

import math
import os
import time
from dataclasses import asdict
from types import SimpleNamespace

from darts_train.artifacts.run_record import RunRecord, read_record, write_record
from darts_train.base.errors import UserError
from darts_train.base.hashes import hash_json
from darts_train.base.locks import exclusive_lock
from darts_train.experiments.scoring import parse_scoring
from darts_train.experiments.searching.study import Search
from darts_train.experiments.settings import Settings, plain
from darts_train.experiments.space.hyperparameters import parse_hyperparameters
from darts_train.options.learning import Data, Device, Hyperparameters, Split, Tracking, Training

EPOCHS = 3
epoch_seconds = 0.0  # tests that kill set it
DEVICE, TRACKING = Device(device="cpu"), Tracking()


def iou(hyperparameters, fold, seed):
    """Best near a learning rate of 1e-3; folds and seeds differ."""
    off = abs(math.log10(hyperparameters.learning_rate) + 3)
    return 0.8 / (1 + off) + 0.01 * fold + (seed % 7) / 1000


def execute(place, data, split, hyperparameters, training, device, tracking, fold, seed):
    fingerprint = hash_json([plain(value) for value in asdict(hyperparameters).values()] + [fold, seed])
    with exclusive_lock(place.directory / "run.lock", "the run"):
        record = read_record(place.directory)
        if record is not None and record.fingerprint != fingerprint:
            raise UserError("another run is here")
        if record is None or record.status != "finished":
            record = _train(place, hyperparameters, fold, seed, fingerprint)
    best = place.directory / "checkpoints" / "best.ckpt"
    return SimpleNamespace(
        status="finished",
        best_checkpoint=best,
        metrics=record.best_metrics,
        last_metrics=record.last_metrics,
        duration=record.duration,
    )


def _train(place, hyperparameters, fold, seed, fingerprint):
    record = RunRecord(
        run_name=place.run_name, run_id=place.run_id, cv_name=place.cv_name, tune_name=place.tune_name,
        status="running", fingerprint=fingerprint, fold=fold, seed=seed, started="now", data_hash="d",
        split_hash=f"s{fold}",
    )  # fmt: skip
    write_record(place.directory, record)
    journal = place.directory / "epochs.txt"
    done = len(journal.read_bytes()) if journal.exists() else 0
    for _ in range(done, EPOCHS):
        time.sleep(epoch_seconds)
        handle = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, b".")
        os.close(handle)
    value = iou(hyperparameters, fold, seed)
    metrics = {"val/JaccardIndex": value, "val/Recall": value + 0.1, "val/loss": 1 - value}
    finished = record.model_copy(
        update={"status": "finished", "best_metrics": metrics, "last_metrics": metrics, "duration": 1.0}
    )
    write_record(place.directory, finished)
    return finished


def make_settings(**hyperparameters):
    return Settings(Data(train_data_dir="d"), Split(), Hyperparameters(**hyperparameters), Training())


def make_search(directory, name="t", table=None, sampler="random", folds=2, seeds=(42, 21), metrics=None, **settings):
    table = table or {
        "learning_rate": {"low": 1e-5, "high": 1e-1, "distribution": "loguniform"},
        "augment": [True, False],
    }
    return Search(
        name=name,
        artifact_dir=directory,
        settings=make_settings(**settings),
        space=parse_hyperparameters(table, "f"),
        sampler=sampler,
        folds=folds,
        seeds=seeds,
        rule=parse_scoring(metrics, "harmonic"),
        data_hash="d",
    )
