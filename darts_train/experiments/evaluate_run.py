"""A trained network on the test part: metrics, thresholds, regions and scenes, pictures.

Writes test_metrics.json and figures/test-samples/ into the run's directory. How the network sees its input comes from
the checkpoint, never from the command: a network is tested as it was trained. The set's own encoding is used, so
another set than the one of training may be given.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from darts_train.artifacts.run_record import RunRecord, read_record
from darts_train.artifacts.tree import parse_run_directory
from darts_train.base.errors import UserError, listing, nearest
from darts_train.base.files import require_directory, require_file, require_writable, write_bytes, write_json
from darts_train.base.log import logger
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splits import make_split
from darts_train.experiments.run_settings import check_fit
from darts_train.figures.panels import confusion_panel, curve_panel
from darts_train.metrics.curves import best_thresholds, curves
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.models.model_file import LoadedModel, load_model_file
from darts_train.models.torch_device import torch_device
from darts_train.options.learning import Artifacts, Data, Device, Split, Test, Tracking
from darts_train.training.data_module import TrainDataModule
from darts_train.training.devices import arithmetic
from darts_train.training.evaluate import Evaluation, evaluate
from darts_train.training.losses import FocalLoss
from darts_train.training.patches import Indices
from darts_train.training.sample_figures import chosen_patches, predicted_panels
from darts_train.training.trackers import make_wandb

RESULT_FILE, FIGURES = "test_metrics.json", "figures/test-samples"
_log = logger("experiments")


@dataclass(frozen=True)
class TestResult:
    """What a test gave.

    Attributes:
        metrics: `test/…`, over all pixels of the test part.
        per_region: of each region patches, positive_pixels, JaccardIndex, F1Score, Precision, Recall, Accuracy.
        per_sample: likewise of each scene.
        thresholds: for two classes the thresholds with the best F1 and IoU, and scores there and at 0.5; else empty.
        patches: number of patches tested.
        checkpoint: the file that was tested.
        path: test_metrics.json.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    metrics: dict[str, float]
    per_region: dict[str, dict[str, float]]
    per_sample: dict[str, dict[str, float]]
    thresholds: dict[str, dict[str, float]]
    patches: int
    checkpoint: Path
    path: Path

    def summary(self) -> str:
        """A few lines for the terminal."""
        names = ("test/JaccardIndex", "test/F1Score", "test/Precision", "test/Recall", "test/AUROC", "test/loss")
        lines = [
            f"tested {self.checkpoint.name} on {self.patches} patches",
            ", ".join(f"{name} {self.metrics[name]:.4f}" for name in names if name in self.metrics),
        ]
        if self.thresholds:
            best = self.thresholds["best_f1"]
            lines.append(f"best threshold for F1 {best['threshold']:.3f}: F1 {best['F1Score']:.4f}")
        worst = min(self.per_region.items(), key=lambda item: item[1]["JaccardIndex"])
        if len(self.per_region) > 1:
            lines.append(f"hardest of {len(self.per_region)} regions: {worst[0]}, IoU {worst[1]['JaccardIndex']:.4f}")
        return "\n".join([*lines, f"all of it: {self.path}"])


def test_smp(
    test: Test, data: Data, split: Split, artifacts: Artifacts, device: Device, tracking: Tracking
) -> TestResult:
    """Test a run's best checkpoint (or `model_ckp`) on the test part of the split.

    Raises:
        UserError: no such run or checkpoint, a set without a band or with other classes, or an impossible split.
    """
    where = torch_device(device.device)
    directory = find_run_directory(artifacts.artifact_dir, test.run_name, test.run_id)
    require_writable(directory, "--artifact-dir")  # the result goes there
    record = read_record(directory)
    checkpoint = require_file(test.model_ckp or directory / "checkpoints" / "best.ckpt", "--model-ckp")
    model = load_model_file(checkpoint)
    opened, spec = open_for_model(data, model)
    # Folds are of no concern here, and a set too small for them can be tested all the same.
    indices = make_split(opened.metadata, dataclasses.replace(split, fold_method=None, purge_overlap=False), fold=0)
    if not len(indices.test):
        raise UserError(f"--data-split-by: no patch of {len(opened.metadata)} is in the test part of this column.")
    _warn_if_seen(directory, record, opened, indices.test)
    module = TrainDataModule(opened, indices, batch_size=test.batch_size, num_workers=test.num_workers)
    loader = module.test_dataloader()
    layer = InputLayer(spec)
    with arithmetic(where):
        found = evaluate(
            model.network,
            layer,
            loader,
            model.classes,
            opened.config.ignore_index,
            _loss_of(record, model, opened),
            where,
        )
    result = _result(found, opened, checkpoint, directory)
    write_json(result.path, _report(result, found, opened, indices.hash))
    _draw(found, model, layer, opened, directory)
    _track(result, tracking, directory, record)
    return result


def find_run_directory(artifact_dir: Path, run_name: str, run_id: str) -> Path:
    """The directory of a run anywhere in the artifact tree: alone, of a cross-validation, or of a tune.

    Raises UserError, with the nearest runs, where there is none.
    """
    require_directory(artifact_dir, "--artifact-dir")
    name = f"{run_name}-{run_id}"
    found = [path for depth in ("*", "*/*", "*/*/*") for path in artifact_dir.glob(depth) if path.name == name]
    if found:
        return found[0]
    known = [p.name for depth in ("*", "*/*", "*/*/*") for p in artifact_dir.glob(depth) if parse_run_directory(p)]
    hint = nearest(name, known) or (f"; there are {listing(known)}" if known else "; there are no runs")
    raise UserError(f"--run-name, --run-id: {artifact_dir} has no run {name}{hint}.")


def open_for_model(data: Data, model: LoadedModel) -> tuple[TrainData, InputSpecification]:
    """Open a set with a model's bands, in its order, and describe them in the set's encoding and the model's ranges.

    Raises UserError where `bands` names others, one is not in the set, classes differ, or patches do not fit.
    """
    names = model.spec.names
    if data.bands is not None and tuple(data.bands) != names:
        raise UserError(f"--bands: the model was trained on {', '.join(names)}, in this order; leave the option out.")
    opened = TrainData.open(data.train_data_dir, names)
    if len(opened.config.classes) != len(model.classes):
        raise UserError(
            f"{data.train_data_dir} has the classes {', '.join(opened.config.classes)}, the model "
            f"{', '.join(model.classes)}; use a set with the same classes."
        )
    check_fit(model.arch, model.encoder, opened.config.patch_size, model.options)
    bands = [
        dataclasses.replace(theirs, scale=ours.scale, offset=ours.offset)
        for theirs, ours in zip(model.spec.bands, opened.bands, strict=True)
    ]
    return opened, InputSpecification(tuple(bands), model.spec.nodata_fill)


def _loss_of(record: RunRecord | None, model: LoadedModel, data: TrainData) -> FocalLoss:
    """The loss that the run was trained with; without a record that of the defaults."""
    settings: Mapping[str, Any] = record.settings.get("hyperparameters", {}) if record else {}
    alpha, gamma = settings.get("focal_loss_alpha"), settings.get("focal_loss_gamma", 2.0)
    return FocalLoss(len(model.classes), alpha, gamma, data.config.ignore_index)


def _warn_if_seen(directory: Path, record: RunRecord | None, data: TrainData, rows: Indices) -> None:
    """Say how many test patches the network was trained on."""
    path = directory / "split.parquet"
    if record is None or record.data_hash != data.data_hash or not path.is_file():
        return
    train = pd.read_parquet(path)["train"].to_numpy(dtype=bool)
    seen = int(train[rows].sum())
    if seen:
        _log.warning("the network was trained on %d of the %d test patches; the scores are too good.", seen, len(rows))


def _result(found: Evaluation, data: TrainData, checkpoint: Path, directory: Path) -> TestResult:
    rows = data.metadata.iloc[found.rows.numpy()]
    return TestResult(
        metrics=found.counts.compute("test/"),
        per_region=found.by_group(rows["region"].astype(str).tolist()),
        per_sample=found.by_group(rows["sample_id"].astype(str).tolist()),
        thresholds=best_thresholds(found.counts.counts.cpu()) if found.counts.binary else {},
        patches=len(rows),
        checkpoint=checkpoint,
        path=directory / RESULT_FILE,
    )


def _report(result: TestResult, found: Evaluation, data: TrainData, split_hash: str) -> dict[str, Any]:
    report = {
        "checkpoint": str(result.checkpoint),
        "data_hash": data.data_hash,
        "split_hash": split_hash,
        "patches": result.patches,
        "metrics": result.metrics,
        "thresholds": result.thresholds,
        "confusion": found.counts.confusion().tolist(),
        "per_region": result.per_region,
        "per_sample": result.per_sample,
    }
    without_nan: dict[str, Any] = _without_nan(report)
    return without_nan


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: a metric without support becomes null."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _draw(found: Evaluation, model: LoadedModel, layer: InputLayer, data: TrainData, directory: Path) -> None:
    """Write the pictures; what fails is said and left out."""
    target = directory / FIGURES
    try:
        write_bytes(target / "confusion.png", confusion_panel(found.counts.confusion().cpu().numpy(), model.classes))
        if found.counts.binary:
            curve = curves(found.counts.counts.cpu())
            roc = curve_panel(curve.fall_out, curve.recall, "false positive rate", "true positive rate", "ROC")
            write_bytes(target / "roc.png", roc)
            write_bytes(
                target / "precision_recall.png", curve_panel(curve.recall, curve.precision, "recall", "precision", "PR")
            )
        for earlier in target.glob("sample_*.png"):  # of another test of this run
            earlier.unlink()
        rows = chosen_patches(data, found.rows.numpy())
        for row, png in zip(rows, predicted_panels(model.network, layer, data, rows, found.counts.device), strict=True):
            write_bytes(target / f"sample_{row}.png", png)
    except Exception as error:  # a picture is no reason to lose a result
        _log.warning("figures of the test failed: %s", error)


def _track(result: TestResult, tracking: Tracking, directory: Path, record: RunRecord | None) -> None:
    if record is None:
        return
    names = {
        "run_name": record.run_name,
        "run_id": record.run_id,
        "cv_name": record.cv_name or "none",
        "tune_name": record.tune_name or "none",
    }
    tracker = make_wandb(directory, tracking, names, ())
    if tracker:
        tracker.log_metrics(result.metrics)
        tracker.finalize("success")
