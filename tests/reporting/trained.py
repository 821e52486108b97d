"""Artifacts as training leaves them, written directly: a search, a cross-validation, a run, a baseline."""

import json
import math

import numpy as np
import pandas as pd

from darts_train.artifacts.baselines import BaselineRecord, write_baseline
from darts_train.artifacts.run_infos import RunRow, run_infos, write_run_infos, write_table
from darts_train.artifacts.run_record import RunRecord, write_record
from darts_train.base.files import write_json
from darts_train.figures.maps import png

SEEDS = (42, 21)
SETTINGS = {
    "data": {"train_data_dir": "train_data", "bands": None, "optical_range": "0,1"},
    "split": {"data_split_method": "region", "data_split_by": ["Herschel, Island"], "fold_method": "region-stratified",
              "total_folds": 3},
    "hyperparameters": {"model_encoder": "resnet18", "learning_rate": 3e-4, "loss": "dice:0.5+focal:0.5"},
    "training": {"max_epochs": 8},
    "device": {"device": "cpu"},
    "start": None,
}  # fmt: skip


def facts(**more):
    """Settings of a cv.json."""
    flat = {k: v for group in ("data", "split", "hyperparameters", "training") for k, v in SETTINGS[group].items()}
    return flat | {"n_folds": 3, "seeds": list(SEEDS), "scoring_metric": ["val/JaccardIndex"],
                   "multi_score_strategy": "harmonic", "data_hash": "d" * 32} | more  # fmt: skip


def write_run(directory, name, fold=0, seed=42, iou=0.7, run_id="abcdefgh", tested=False, **record):
    """A finished run with curves, splits and pictures; returns its directory."""
    place = directory / f"{name}-{run_id}"
    place.mkdir(parents=True)
    metrics = metrics_of(iou)
    values = {
        "run_name": name, "run_id": run_id, "status": "finished", "fingerprint": "f", "fold": fold, "seed": seed,
        "started": "2026-11-01T10:00:00+00:00", "ended": "2026-11-01T10:05:00+00:00", "duration": 300.0,
        "data_hash": "d" * 32, "split_hash": f"s{fold}", "versions": {"darts-train": "0.1.0", "torch": "2.15.0"},
        "host": {"host": "vm", "device": "cpu"}, "settings": SETTINGS, "best_metrics": metrics, "last_metrics": metrics,
    }  # fmt: skip
    write_record(place, RunRecord(**(values | record)))
    epochs = np.arange(8)
    curve = iou * (1 - 0.6 * np.exp(-epochs / 2))
    table = {"epoch": epochs, "val/JaccardIndex": curve, "val/loss": 1 - curve, "train/loss_epoch": 0.9 - curve}
    pd.DataFrame(table).to_csv(place / "metrics.csv", index=False)
    regions = ["Herschel, Island", "Banks", "Peel", "Novaya"]
    rows = [(f"scene{i}", regions[i % 4], i % 3 == 0, i % 4 != fold + 1, i % 4 == fold + 1, i % 4 == 0)
            for i in range(24)]  # fmt: skip
    split = pd.DataFrame(rows, columns=["sample_id", "region", "empty", "train", "val", "test"])
    split.to_parquet(place / "split.parquet")
    (place / "figures" / "val0-samples").mkdir(parents=True)
    picture = png(np.random.default_rng(fold).integers(0, 255, (24, 72, 3)).astype(np.uint8))
    for step in (8, 16):
        (place / "figures" / "val0-samples" / f"sample_{step}_3.png").write_bytes(picture)
    if tested:
        scores = {"patches": 6, "positive_pixels": 900, "JaccardIndex": 0.61, "F1Score": 0.75, "Precision": 0.8,
                  "Recall": 0.7, "Accuracy": 0.9}  # fmt: skip
        write_json(place / "test_metrics.json", {
            "metrics": {"test/JaccardIndex": 0.61, "test/loss": None}, "patches": 12, "interval": None,
            "per_region": {"Herschel, Island": scores, "Banks": scores | {"JaccardIndex": 0.4}, "Peel": {"patches": 1}},
        })  # fmt: skip
    return place


def metrics_of(iou):
    """Metrics that go with an IoU."""
    return {
        "val/JaccardIndex": iou,
        "val/Recall": min(iou + 0.1, 1.0),
        "val/Precision": iou + 0.05,
        "val/loss": 1 - iou,
    }


def row(name, fold, seed, iou=None, status="finished", error=None, kind=None):
    """A row of run_infos."""
    metrics = {} if iou is None else metrics_of(iou)
    return RunRow(name, "abcdefgh", fold, seed, status, 120.0, metrics=metrics, error=error, kind=kind)


def rows_of(name, offset, rng, folds=3):
    """Rows of a whole cross-validation around an IoU."""
    by_fold = rng.normal(0, 0.03, folds)
    return [
        row(f"{name}-run-f{f}s{s}", f, s, float(np.clip(offset + by_fold[f] + rng.normal(0, 0.008), 0.01, 0.97)))
        for s in SEEDS
        for f in range(folds)
    ]  # fmt: skip


def table_of(rows, planned=6):
    """run_infos with its score, NaN where runs are missing."""
    whole = len(rows) == planned and all(r.status == "finished" for r in rows)
    score = float(np.mean([r.metrics["val/JaccardIndex"] for r in rows])) if whole else math.nan
    return run_infos(rows, [False] * len(rows), score, False)


def write_cv(directory, rows, runs=True, **more):
    """A cross-validation's directory with the records of its finished runs; returns the table."""
    directory.mkdir(parents=True)
    write_json(directory / "cv.json", {"format_version": 1, "cv_name": directory.name, "settings": facts(**more)})
    table = table_of(rows)
    if rows:
        write_run_infos(directory, table)
    for one in rows if runs else ():
        if one.status == "finished":
            write_run(
                directory, one.run_name, one.fold, one.seed, one.metrics["val/JaccardIndex"], cv_name=directory.name
            )
    return table


def write_search(artifact_dir, name="encoders", trials=24, seed=0, going=True):
    """A random search: finished, pruned and failed trials, one that goes on, and the best one's runs."""
    rng = np.random.default_rng(seed)
    parts, drawn = [], []
    for number in range(trials):
        rate, encoder = float(10 ** rng.uniform(-5, -2)), str(rng.choice(["resnet18", "resnet34", "tu-convnext_nano"]))
        gamma, size = float(rng.uniform(0.8, 1.0)), int(rng.choice([4, 8, 16]))
        quality = 0.72 - 0.09 * (math.log10(rate) + 3.3) ** 2 + {"resnet18": 0.0, "resnet34": 0.03}.get(encoder, 0.06)
        rows = rows_of(f"{name}-cv{number}", quality, rng)
        if number % 7 == 5:
            rows[-1] = row(
                rows[-1].run_name, 2, 21, None, "failed", "OutOfMemoryError: 12 GiB were asked for", "memory"
            )
        elif quality < 0.6:
            rows = [*rows[:1], row(rows[1].run_name, 1, 42, None, "pruned", "0.11 behind the best on 2 of 2 folds")]
        values = {"learning_rate": rate, "model_encoder": encoder, "gamma": gamma, "batch_size": size}
        table = table_of(rows)
        for place, (key, value) in enumerate(values.items()):
            table.insert(place, key, value)
        table.insert(0, "cv_name", f"{name}-cv{number}")
        parts.append(table)
        drawn.append((table["score"].iloc[0], number, rows, values))
    directory = artifact_dir / name
    directory.mkdir(parents=True)
    whole = pd.concat(parts, ignore_index=True)
    write_table(directory / f"{name}.parquet", whole)
    _, best, rows, values = max(found for found in drawn if math.isfinite(found[0]))
    write_cv(directory / f"{name}-cv{best}", rows, **values)
    if going:
        write_cv(directory / f"{name}-cv{trials}", rows_of("x", 0.5, rng)[:2], runs=False, **values)
    write_run(directory / "_runs", f"{name}-retrain", iou=0.8, tested=True, tune_name=name)
    return directory


def write_baselines(artifact_dir, folds=3):
    """A pixel baseline for each fold."""
    for fold in range(folds):
        record = BaselineRecord(
            run_name=f"trees-f{fold}", run_id="abcdefgh", pixel_model="hist", started="2026-11-01", duration=1.0,
            data_hash="d" * 32, split_hash=f"s{fold}", test_hash="t", bands=("red",), fold=fold, seed=42, pixels={},
            metrics={"val/JaccardIndex": 0.55 + 0.02 * fold}, settings={"data": {"bands": None}},
        )  # fmt: skip
        write_baseline(artifact_dir / "_baselines" / f"trees-f{fold}-abcdefgh", record)


def read_facts(directory):
    """The settings of a cv.json."""
    return json.loads((directory / "cv.json").read_text())["settings"]
