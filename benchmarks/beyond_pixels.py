"""Small networks beside what single pixels say, on real scenes that neither has seen: clouds, floods, felled forest.

    uv run python benchmarks/beyond_pixels.py [clouds floods forest] [--directory DIRECTORY] [--seeds 42 21 69]

Every task: preprocess, boosted trees on single pixels (`train-pixel-baseline`), then a network from random weights with
each seed, both tested on the same patches. The network's threshold is the one with the best IoU out of fold: networks
that were each trained without some of the training scenes (`cross-validation-smp --oof`) say what they see in these.
Clouds are of the scenes that come with the quickstart; the others need the data named in docs/benchmarks.md, in
DARTS_TEST_DATA or ../shared/data, and are passed over without it. Called again in the same directory it goes on. Prints
the IoU of each seed with its threshold and at 0.5, their medians, that of the trees, and that of calling everything
positive.
"""

import argparse
import os
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from darts_train.experiments.cross_validation import cross_validation_smp
from darts_train.experiments.evaluate_run import TestResult, test_smp
from darts_train.experiments.evaluating.tables import SWEEP_FILE
from darts_train.experiments.pixel_baseline import train_pixel_baseline
from darts_train.experiments.run import train_smp
from darts_train.options import learning
from darts_train.options.baseline import Baseline
from darts_train.options.photos import Photos
from darts_train.options.preprocessing import Output, Patches, Raster
from darts_train.options.searching import CrossValidation, Repeats, Scoring
from darts_train.preprocess.raster import preprocess_raster_train_data

REPOSITORY = Path(__file__).parents[1]
DATA = Path(os.environ.get("DARTS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
BYTE = 1 / 255
NEAR = {  # decides by the 15 x 15 pixels around
    "model_arch": "FCN",
    "model_encoder": "dilated",
    "batch_size": 6,
    "learning_rate": 2e-3,
    "lr_scheduler": "onecycle",
    "augmentations": ("D4",),
}
BY_SCENE = {"fold_method": "group-stratified", "group_by": "sample_id", "total_folds": 3}
WIDE = {  # decides by what is farther away, too
    "model_arch": "Unet",
    "model_encoder": "mobilenet_v2",
    "model_options": ("encoder_depth=4", "decoder_channels=64,48,32,16"),
    "batch_size": 4,
    "gamma": 0.96,
}


@dataclass(frozen=True)
class Task:
    """Train data, the part that tests, and the network."""

    source: Path
    raster: dict[str, Any]
    patches: dict[str, Any]
    split: dict[str, Any]
    folds: dict[str, Any]
    network: dict[str, Any]
    epochs: int
    photos: Photos = field(default_factory=Photos)
    loss: str = "bce:0.5+dice:0.5"
    data: dict[str, Any] = field(default_factory=dict)


def tasks() -> dict[str, Task]:
    """The three tasks by name."""
    scenes, photos, tiles = (
        REPOSITORY / "darts_train" / "quickstart" / "scenes",
        DATA / "flood_photos",
        DATA / "amazon_s2rgb",
    )
    held_out = ("Amazon_1110.tiff_25", "Amazon_1279.tiff_29", "Amazon_170.tiff_38", "Amazon_323.tiff_38")
    return {
        "clouds": Task(
            scenes,
            {"table": scenes / "table.csv", "scale": 1e-4, "remap": "0:0,1:0,2:0,3:0,4:1", "optical_range": "0,1"},
            {"patch_size": 128, "overlap": 64},
            {"data_split_method": "region", "data_split_by": ("landsat5",)},
            {"fold_method": "region", "total_folds": 2},
            NEAR,
            12,
            data={"normalisation": "zscore"},
        ),
        "floods": Task(
            photos,
            {"image_dir": photos / "images", "label_dir": photos / "masks", "scale": BYTE, "optical_range": "0,1"},
            {"patch_size": 192},
            {"data_split_method": "random", "data_split_by": ("0.3",)},
            BY_SCENE,
            WIDE,
            60,
            Photos(fit="resize", mask_threshold=127),
        ),
        "forest": Task(
            tiles,
            {
                "image_dir": tiles / "images",
                "label_dir": tiles / "masks",
                "remap": "1:0,2:1",
                "scale": BYTE,
                "band_names": ("red", "green", "blue"),
                "optical_range": "0,1",
            },
            {"patch_size": 128, "overlap": 0},
            {"data_split_method": "sample", "data_split_by": held_out},
            BY_SCENE,
            NEAR,
            12,
            data={"normalisation": "zscore"},
        ),
    }


def main() -> None:
    """Run the tasks that are asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", choices=[*tasks(), []], default=list(tasks()))
    parser.add_argument("--directory", type=Path, default=Path("beyond-pixels"))
    parser.add_argument("--seeds", type=int, nargs="+", default=(42, 21, 69))
    arguments = parser.parse_args()
    for name in arguments.tasks:
        task = tasks()[name]
        if task.source.exists():
            compare(name, task, arguments.directory / name, arguments.seeds)
        else:
            print(f"{name}: passed over, {task.source} is not there")


def train_data(task: Task, root: Path) -> learning.Data:
    """The task's scenes as train data below `root`."""
    data = learning.Data(train_data_dir=root / "set", **task.data)
    preprocess_raster_train_data(
        raster=Raster(**task.raster),
        output=Output(train_data_dir=data.train_data_dir),
        patches=Patches(**task.patches),
        photos=task.photos,
    )
    return data


def compare(name: str, task: Task, root: Path, seeds: list[int]) -> None:
    """Print what networks and trees reach on the part that tests."""
    data = train_data(task, root)
    split = learning.Split(fold_method=None, **task.split)
    artifacts = learning.Artifacts(artifact_dir=root / "artifacts")
    trees = train_pixel_baseline(Baseline(), data, split, artifacts).metrics["test/JaccardIndex"]
    chosen, halves = [], []
    threshold = out_of_fold_threshold(task, data, artifacts)
    for seed in seeds:
        result = learned(task, data, split, artifacts, seed)
        chosen.append(at_threshold(result, threshold))
        halves.append(result.metrics["test/JaccardIndex"])
        print(f"{name}: seed {seed:3d}  IoU {chosen[-1]:.4f} at {threshold:.3f}, {halves[-1]:.4f} at 0.5", flush=True)
    parts = result.per_region.values()
    everything = sum(part["positive_pixels"] for part in parts) / sum(part["pixels"] for part in parts)
    median, half = statistics.median(chosen), statistics.median(halves)
    print(
        f"{name}: median    IoU {median:.4f} ({median - trees:+.4f}), {half:.4f} at 0.5; trees {trees:.4f}, "
        f"everything {everything:.4f}"
    )


def at_threshold(result: TestResult, threshold: float) -> float:
    """IoU of the test part at a threshold, from the table of all of them."""
    table = pd.read_parquet(result.path.with_name(SWEEP_FILE))
    return float(table["JaccardIndex"].iloc[int(np.abs(table["threshold"] - threshold).argmin())])


def out_of_fold_threshold(task: Task, data: learning.Data, artifacts: learning.Artifacts) -> float:
    """The threshold with the best IoU in training scenes, as networks see them that were not trained on them."""
    found = cross_validation_smp(
        data=data,
        split=learning.Split(**task.split | task.folds),
        hyperparameters=hyperparameters(task),
        training=training(task.epochs),
        cross_validation=CrossValidation(cv_name="folds", oof=True),
        repeats=Repeats(n_randoms=1),
        scoring=Scoring(),
        artifacts=artifacts,
        device=learning.Device(device="cpu"),
        tracking=learning.Tracking(),
    )
    assert found.oof is not None, "a fold failed"
    (thresholds,) = found.oof.thresholds.values()
    return thresholds["best_iou"]["threshold"]


def hyperparameters(task: Task) -> learning.Hyperparameters:
    """Those of the task."""
    return learning.Hyperparameters(**{"loss": task.loss, "ema_decay": 0.98} | task.network)


def training(epochs: int) -> learning.Training:
    """All epochs, and what the network is at their end."""
    return learning.Training(
        max_epochs=epochs,
        check_val_every_n_epoch=epochs,
        early_stopping_patience=0,
        plot_every_n_val_epochs=0,
        precision="32",
        cache="memory",
    )


def learned(
    task: Task, data: learning.Data, split: learning.Split, artifacts: learning.Artifacts, seed: int
) -> TestResult:
    """A network that was trained for all its epochs, tested as it is at their end."""
    device, tracking = learning.Device(device="cpu"), learning.Tracking()
    run = train_smp(
        data=data,
        split=split,
        hyperparameters=hyperparameters(task),
        training=training(task.epochs),
        run=learning.Run(run_name=f"seed-{seed}", random_seed=seed),
        artifacts=artifacts,
        device=device,
        tracking=tracking,
    )
    test = learning.Test(run_name=run.run_name, run_id=run.run_id)
    return test_smp(test, data, split, artifacts, device, tracking)


if __name__ == "__main__":
    main()
