"""An ensemble of a cross-validation beside its members, on real scenes that none of them saw: felled forest, floods.

    uv run python benchmarks/ensemble.py [forest floods] [--directory DIRECTORY] [--epochs N]

Every task (`beyond_pixels.py` says on what): some scenes are held out, the rest is cross-validated scene by scene with
out-of-fold predictions, `build-ensemble` puts the folds' networks together, and all are asked about the held-out scenes
at the threshold that the ensemble chose out of fold, and at one half. Called again in the same directory it goes on.
Prints the IoU of each member, their median, the ensemble's, and an interval of ensemble minus median over scenes.
"""

import argparse
import dataclasses
from pathlib import Path

from beyond_pixels import Task, hyperparameters, tasks, train_data, training

from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import make_split
from darts_train.experiments.cross_validation import cross_validation_smp
from darts_train.options import learning
from darts_train.options.searching import CrossValidation, Repeats, Scoring

FOLDS = 5
EPOCHS = {"forest": 12, "floods": 24}


def main() -> None:
    """Run the tasks that are asked for, and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=list(EPOCHS), choices=[*EPOCHS, []])
    parser.add_argument("--directory", type=Path, default=Path("ensemble"))
    parser.add_argument("--epochs", type=int)
    arguments = parser.parse_args()
    for name in arguments.tasks:
        task, root = tasks()[name], arguments.directory / name
        if not task.source.exists():
            print(f"{name}: passed over, {task.source} is not there")
            continue
        data, split, directory = cross_validated(task, root, arguments.epochs or EPOCHS[name])
        compare(name, data, split, directory, root / "ensemble.ckpt")


def cross_validated(task: Task, root: Path, epochs: int) -> tuple[learning.Data, learning.Split, Path]:
    """Train data, split and directory of a cross-validation over what is not held out."""
    data = train_data(task, root)
    split = learning.Split(fold_method="group-stratified", group_by="sample_id", total_folds=FOLDS, **task.split)
    result = cross_validation_smp(
        data=data,
        split=split,
        hyperparameters=hyperparameters(task),
        training=training(epochs),
        cross_validation=CrossValidation(cv_name="folds", oof=True),
        repeats=Repeats(n_randoms=1),
        scoring=Scoring(scoring_metric=("val/JaccardIndex",)),
        artifacts=learning.Artifacts(artifact_dir=root / "artifacts"),
        device=learning.Device(device="cpu"),
        tracking=learning.Tracking(),
    )
    return data, split, result.directory


def compare(name: str, data: learning.Data, split: learning.Split, directory: Path, out: Path) -> None:
    """Print what members and ensemble reach on the part that tests."""
    from darts_train.export.ensemble import build_ensemble
    from darts_train.export.fitting.member_scores import member_scores
    from darts_train.options.ensembles import Ensemble

    built = build_ensemble(Ensemble(cv_dir=(directory,), out=out, overwrite=True))
    print(f"{name}: {built.summary()}")
    held_out = make_split(TrainData.open(data.train_data_dir).metadata, dataclasses.replace(split, fold_method=None))
    for threshold in (built.threshold, 0.5):
        print(f"{name}: {member_scores(out, data.train_data_dir, held_out.test, threshold).summary()}", flush=True)


if __name__ == "__main__":
    main()
