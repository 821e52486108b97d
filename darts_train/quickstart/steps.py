"""The steps of the quickstart: each calls the public function that a user would call, and says what it left.

Heavy modules are imported inside the steps, so that a finished quickstart, which runs none, answers at once.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError
from darts_train.base.files import write_text
from darts_train.options import learning, preprocessing, searching
from darts_train.options.exporting import Export
from darts_train.options.model_files import Convert
from darts_train.options.predicting import Maps, Predict, SceneFiles, Windows
from darts_train.quickstart.commands import validation_interval
from darts_train.quickstart.state import State
from darts_train.quickstart.task import HELD_OUT, REFLECTANCE_SCALE, Recipe, Task

SEARCH, FINAL, MODEL = "search", "final", "clouds"


@dataclass(frozen=True, eq=False)
class Work:
    """What every step needs to know."""

    directory: Path
    task: Task
    recipe: Recipe
    seed: int
    device: str | None
    state: State

    @property
    def data(self) -> learning.Data:
        """The train data."""
        return learning.Data(train_data_dir=self.directory / "train_data")

    @property
    def artifacts(self) -> learning.Artifacts:
        """Where runs go."""
        return learning.Artifacts(artifact_dir=self.directory / "artifacts")

    def relative(self, path: Path) -> str:
        """A path below the directory, for quickstart.json: the directory may be moved."""
        return path.relative_to(self.directory).as_posix()


@dataclass(frozen=True)
class Outcome:
    """What a step gave: a line for the terminal, files or directories it left (relative), values for later steps."""

    said: str
    outputs: tuple[str, ...]
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """A step's name in quickstart.json, what is shown while it runs, and what it does."""

    name: str
    title: str
    run: Callable[[Work], Outcome]


def cut_patches(work: Work) -> Outcome:
    """Copy the bundled scenes and cut all three into train data; which of them tests is decided by the split."""
    from darts_train.preprocess.raster import preprocess_raster_train_data

    scenes = work.directory / "scenes"
    with as_file(files("darts_train.quickstart") / "scenes") as bundled:
        shutil.copytree(bundled, scenes, dirs_exist_ok=True)
    summary = preprocess_raster_train_data(
        raster=preprocessing.Raster(
            table=scenes / "table.csv",
            scale=REFLECTANCE_SCALE,
            classes=work.task.classes,
            remap=work.task.remap_text,
            optical_range=work.recipe.optical_range,
        ),
        output=preprocessing.Output(train_data_dir=work.data.train_data_dir),
        patches=preprocessing.Patches(patch_size=work.recipe.patch_size, overlap=work.recipe.overlap),
    )
    said = f"{summary.patches} patches of {summary.scenes} scenes"
    return Outcome(said, ("scenes/table.csv", "train_data/metadata.parquet"), {"patches": summary.patches})


def search(work: Work) -> Outcome:
    """Cross-validate every configuration of the recipe's space: one satellite trains, the other validates."""
    import yaml

    from darts_train.experiments.tune import tune_smp

    space = work.directory / "search.yaml"
    write_text(space, yaml.safe_dump({"hyperparameters": dict(work.recipe.space)}, sort_keys=False))
    result = tune_smp(
        data=work.data,
        split=split("region-stratified"),
        hyperparameters=network(work.recipe),
        training=training(work.recipe.search_epochs, work.recipe.search_epochs),
        tune=searching.Tune(tune_name=SEARCH, hpconfig=space, n_trials="grid"),
        repeats=searching.Repeats(n_randoms=1),
        scoring=searching.Scoring(scoring_metric=("val/JaccardIndex",)),
        artifacts=work.artifacts,
        device=learning.Device(device=work.device),
        tracking=learning.Tracking(),
    )
    if result.best_parameters is None:
        raise UserError(f"The search found no stable configuration; see {result.table}.")
    chosen = ", ".join(f"{name} {value}" for name, value in result.best_parameters.items())
    table = work.relative(result.table)
    found = {"best_cv": result.best_cv, "parameters": result.best_parameters, "table": table}
    said = f"best of {result.trials}: {chosen}, IoU {result.best_score:.3f} over both folds"
    return Outcome(said, (table,), found)


def train(work: Work) -> Outcome:
    """Train the best configuration on both training scenes."""
    from darts_train.experiments.run import train_smp

    epochs = work.recipe.epochs
    result = train_smp(
        data=work.data,
        split=split(None),
        hyperparameters=network(work.recipe, work.state.result("search")["parameters"]),
        training=training(epochs, validation_interval(epochs)),
        run=learning.Run(run_name=FINAL, random_seed=work.seed),
        artifacts=work.artifacts,
        device=learning.Device(device=work.device),
        tracking=learning.Tracking(),
    )
    checkpoint = work.relative(result.best_checkpoint)
    found = {"run_id": result.run_id, "directory": work.relative(result.directory), "checkpoint": checkpoint}
    said = f"{epochs} epochs, IoU {result.metrics['val/JaccardIndex']:.3f} on the training scenes"
    return Outcome(said, (checkpoint,), found)


def test(work: Work) -> Outcome:
    """Test the trained network on the patches of the satellite that nothing has seen so far."""
    from darts_train.experiments.run import test_smp

    result = test_smp(
        test=learning.Test(run_name=FINAL, run_id=work.state.result("train")["run_id"]),
        data=work.data,
        split=split(None),
        artifacts=work.artifacts,
        device=learning.Device(device=work.device),
        tracking=learning.Tracking(),
    )
    metrics = {name: value for name, value in result.metrics.items() if value == value}  # NaN is no JSON
    said = f"IoU {result.metrics['test/JaccardIndex']:.3f} on {result.patches} patches of {HELD_OUT}"
    baseline = result.baseline.iou("test") if result.baseline else None
    return Outcome(said, (work.relative(result.path),), {"metrics": metrics, "baseline": baseline})


def convert(work: Work) -> Outcome:
    """Make one safe file of the checkpoint."""
    from darts_train.export.convert import convert_lightning_checkpoint

    checkpoint = work.directory / work.state.result("train")["checkpoint"]
    result = convert_lightning_checkpoint(
        convert=Convert(
            lightning_checkpoint=checkpoint,
            out_directory=work.directory / "model",
            checkpoint_name=MODEL,
            overwrite=True,
        )
    )
    path = work.relative(result.path)
    return Outcome(path, (path,), {"model": path})


def export(work: Work) -> Outcome:
    """Export the model as ONNX, compared with the original."""
    from darts_train.export.export import export_model

    model = work.directory / work.state.result("convert")["model"]
    out = work.directory / "model" / f"{MODEL}.onnx"
    result = export_model(export=Export(model=model, out=out, overwrite=True))
    path = work.relative(result.path)
    return Outcome(f"{path}, differs by at most {result.max_difference:.1e}", (path,), {"onnx": path})


def predict(work: Work) -> Outcome:
    """Map the whole held-out scene, window by window."""
    from darts_train.inference.predict import predict as run

    result = run(
        predict=Predict(model=work.directory / work.state.result("convert")["model"], device=work.device),
        scenes=SceneFiles(input=(work.directory / "scenes" / f"{HELD_OUT}_toa6.tif",), scale=REFLECTANCE_SCALE),
        windows=Windows(),
        maps=Maps(out_dir=work.directory / "maps", overwrite=True),
    )
    path = work.relative(result.maps[0].classes)
    return Outcome(path, (path,), {"classes": path})


def split(fold_method: learning.FoldMethod | None) -> learning.Split:
    """Landsat-5 tests; the other two are the folds, or train together."""
    return learning.Split(data_split_method="region", data_split_by=(HELD_OUT,), fold_method=fold_method, total_folds=2)


def network(recipe: Recipe, chosen: Mapping[str, Any] | None = None) -> learning.Hyperparameters:
    """The recipe's hyperparameters, with those that the search chose."""
    settings: dict[str, Any] = {
        "model_arch": recipe.model_arch,
        "model_encoder": recipe.model_encoder,
        "batch_size": recipe.batch_size,
        "gamma": recipe.gamma,
        "ema_decay": recipe.ema_decay,
        "model_options": recipe.model_options or None,
    }
    return learning.Hyperparameters(**settings | dict(chosen or {}))


def training(epochs: int, validate_every: int) -> learning.Training:
    """Fixed length, no figures: minutes count here. Patches fit into memory. The same arithmetic on every machine."""
    return learning.Training(
        max_epochs=epochs,
        check_val_every_n_epoch=validate_every,
        early_stopping_patience=0,
        plot_every_n_val_epochs=0,
        in_memory=True,
        precision="32",
    )
