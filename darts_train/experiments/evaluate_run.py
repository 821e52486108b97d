"""A trained network on the test part: metrics, thresholds, regions and scenes, objects, pictures.

Writes test_metrics.json, test_scores.parquet, test_thresholds.parquet (two classes), test_patches.parquet (the loss of
every patch) and figures/test-samples/ into the run's directory. How the network sees its input comes from the
checkpoint, never from the command: a network is tested as it was trained. The set's own encoding is used, so another
set than the one of training may be given.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from darts_train.artifacts.baselines import BaselineRecord, matching_baseline, read_baselines
from darts_train.artifacts.kept import require_kept
from darts_train.artifacts.patch_errors import TEST_PATCHES
from darts_train.artifacts.run_record import RunRecord, read_record
from darts_train.artifacts.tree import parse_run_directory
from darts_train.base.errors import UserError, listing, nearest
from darts_train.base.files import require_directory, require_file, require_writable, write_json
from darts_train.base.hashes import hash_json
from darts_train.base.log import logger
from darts_train.dataset.parquet import write_parquet
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import make_split
from darts_train.experiments.evaluating.figures import FIGURES, draw
from darts_train.experiments.evaluating.tables import (
    SCORES_FILE,
    SWEEP_FILE,
    by_name,
    lines_of,
    patch_table,
    ranked,
    score_rows,
    score_table,
    sweep_table,
    without_nan,
)
from darts_train.experiments.one_run.settings import check_fit
from darts_train.metrics.curves import best_thresholds
from darts_train.metrics.groups import Row
from darts_train.metrics.intervals import Interval, jaccard_interval
from darts_train.metrics.names import BOUNDARY_METRIC
from darts_train.models.input_spec import InputLayer
from darts_train.models.model_file import LoadedModel, load_model_file
from darts_train.models.normalisation import OF_SET
from darts_train.models.torch_device import torch_device
from darts_train.options.learning import Artifacts, Data, Device, Split, Test, Tracking
from darts_train.training.deriving import deriving_from, input_layer
from darts_train.training.evaluate import Evaluation, evaluate
from darts_train.training.hardware.devices import arithmetic
from darts_train.training.loading.data_module import TrainDataModule
from darts_train.training.loading.patches import Indices
from darts_train.training.losses.build import recorded_loss
from darts_train.training.losses.common import Loss
from darts_train.training.tracking.check import check_tracking
from darts_train.training.tracking.trackers import make_services, read_settings

FEW = 10  # scenes, below which an interval of theirs says too little
DEPTHS = ("*", "*/*", "*/*/*", "*/*/*/*")  # of a nested cross-validation: {name}/outer{f}/{cv_name}/{run}
RESULT_FILE = "test_metrics.json"
_OUTCOMES = ("tp", "fp", "fn")
_log = logger("experiments")


@dataclass(frozen=True)
class TestResult:
    """What a test gave.

    Attributes:
        metrics: `test/…`, over all pixels and objects of the test part.
        per_region: of each region counts (patches, pixels, positive_pixels, tp, fp, fn, objects_tp, objects_fp,
            objects_fn) and JaccardIndex, F1Score, Precision, Recall, Accuracy; NaN without support.
        per_sample: likewise of each scene.
        interval: confidence interval of the IoU over scenes; None where there are too few.
        thresholds: for two classes the thresholds with the best F1 and IoU, and scores there and at 0.5; else empty.
        patches: number of patches tested.
        checkpoint: the file that was tested.
        path: test_metrics.json.
        baseline: the best pixel baseline of the run's split and these test patches; None where there is none.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    metrics: dict[str, float]
    per_region: dict[str, dict[str, float]]
    per_sample: dict[str, dict[str, float]]
    interval: Interval | None
    thresholds: dict[str, dict[str, float]]
    patches: int
    checkpoint: Path
    path: Path
    baseline: BaselineRecord | None = None

    def summary(self) -> str:
        """For the terminal: scores and their doubt, threshold, objects, the worst regions and scenes."""
        names = ("test/JaccardIndex", "test/F1Score", "test/Precision", "test/Recall", "test/AUROC", "test/loss")
        lines = [
            f"tested {self.checkpoint.name} on {self.patches} patches",
            ", ".join(f"{name} {self.metrics[name]:.4f}" for name in names if name in self.metrics),
            self._doubt(),
        ]
        if self.baseline:
            lines.append(self.baseline.beside(self.metrics["test/JaccardIndex"]))
        if self.thresholds:
            f1, overlap = self.thresholds["best_f1"], self.thresholds["best_iou"]
            lines.append(
                f"best threshold for F1 {f1['threshold']:.3f}: F1 {f1['F1Score']:.4f}; "
                f"for IoU {overlap['threshold']:.3f}: IoU {overlap['JaccardIndex']:.4f}"
            )
        lines.append(self._objects())
        hardest = ranked(self.per_region)[:1]
        if hardest and len(self.per_region) > 1:
            iou = self.per_region[hardest[0]]["JaccardIndex"]
            lines.append(f"hardest of {len(self.per_region)} regions: {hardest[0]}, IoU {iou:.4f}")
        lines += lines_of("region", self.per_region)
        if len(self.per_sample) > 1:
            lines += lines_of("scene", self.per_sample)
        return "\n".join([*lines, f"all of it: {self.path}, {SCORES_FILE}, {FIGURES}"])

    def _doubt(self) -> str:
        if self.interval is None:
            few = "one scene" if len(self.per_sample) == 1 else "no scene has foreground"
            return f"no confidence interval of the IoU: {few}"
        i = self.interval
        doubt = f"{i.level:.0%} bootstrap interval" + ("; too narrow with so few scenes" if i.scenes < FEW else "")
        return f"IoU over {i.scenes} scenes: {i.low:.4f} to {i.high:.4f} ({doubt})"

    def _objects(self) -> str:
        found, extra, missed = (sum(scores[f"objects_{c}"] for scores in self.per_region.values()) for c in _OUTCOMES)
        if not found + extra + missed:
            return "objects: none, neither labelled nor predicted"
        f1, outline = (self.metrics[f"test/{name}"] for name in ("InstanceF1Score", BOUNDARY_METRIC))
        return f"objects: {found} found, {missed} missed, {extra} extra (F1 {f1:.4f}); boundary IoU {outline:.4f}"


def test_smp(
    test: Test, data: Data, split: Split, artifacts: Artifacts, device: Device, tracking: Tracking
) -> TestResult:
    """Test a run's best checkpoint (or `model_ckp`) on the test part of the split.

    Raises:
        UserError: no such run or checkpoint, a set without a band or with other classes, or an impossible split.
    """
    check_tracking(tracking)
    where = torch_device(device.device)
    directory = find_run_directory(artifacts.artifact_dir, test.run_name, test.run_id)
    require_writable(directory, "--artifact-dir")  # the result goes there
    record = read_record(directory)
    if test.model_ckp is None:
        require_kept(directory, "--run-name")
    checkpoint = require_file(test.model_ckp or directory / "checkpoints" / "best.ckpt", "--model-ckp")
    model = load_model_file(checkpoint)
    opened, layer = open_for_model(data, model)
    # Folds are of no concern here, and a set too small for them can be tested all the same.
    indices = make_split(opened.metadata, dataclasses.replace(split, fold_method=None, purge_overlap=False), fold=0)
    if not len(indices.test):
        raise UserError(f"--data-split-by: no patch of {len(opened.metadata)} is in the test part of this column.")
    _warn_if_seen(directory, record, opened, indices.test)
    module = TrainDataModule(opened, indices, batch_size=test.batch_size, num_workers=test.num_workers)
    loader = module.test_dataloader()
    with arithmetic(where):
        found = evaluate(
            model.whole,
            layer,
            loader,
            model.classes,
            opened.config.ignore_index,
            _loss_of(record, directory, model, opened),
            where,
        )
    metadata = opened.metadata.iloc[found.rows.numpy()]
    regions, scenes = (metadata[column].astype(str).tolist() for column in ("region", "sample_id"))
    rows = score_rows(found, regions, scenes)
    result = _result(found, rows, scenes, checkpoint, directory)
    result = dataclasses.replace(result, baseline=_baseline(record, opened, indices.test, artifacts.artifact_dir))
    write_parquet(directory / SCORES_FILE, score_table(rows))
    write_parquet(directory / TEST_PATCHES, patch_table(found, metadata))
    if found.counts.binary:
        write_parquet(directory / SWEEP_FILE, sweep_table(found.counts.histograms[0].cpu()))
    write_json(result.path, _report(result, found, opened, indices.hash))  # last: it says that the rest is there
    draw(found, model, layer, opened, result.per_sample, directory)
    _track(result, tracking, directory, record)
    return result


def find_run_directory(artifact_dir: Path, run_name: str, run_id: str) -> Path:
    """The directory of a run anywhere in the artifact tree: alone, of a cross-validation, or of a tune.

    Raises UserError, with the nearest runs, where there is none.
    """
    require_directory(artifact_dir, "--artifact-dir")
    name = f"{run_name}-{run_id}"
    found = [path for depth in DEPTHS for path in artifact_dir.glob(depth) if path.name == name]
    if found:
        return found[0]
    known = [p.name for depth in DEPTHS for p in artifact_dir.glob(depth) if parse_run_directory(p)]
    hint = nearest(name, known) or (f"; there are {listing(known)}" if known else "; there are no runs")
    raise UserError(f"--run-name, --run-id: {artifact_dir} has no run {name}{hint}.")


def open_for_model(data: Data, model: LoadedModel) -> tuple[TrainData, InputLayer]:
    """Open a set with what a model's bands are made of; the layer knows the set's encoding and the model's ranges.

    Bands that were derived in training are so here, unless this set holds them.

    Raises UserError where `bands` names others, one is not in the set, classes differ, or patches do not fit.
    """
    names = model.spec.names
    _check_asked(data, model)
    opened, made = TrainData.open(data.train_data_dir, None if model.derived else names), None
    if model.derived:
        stored = opened.config.band_names
        opened, made = deriving_from(opened, names, [name for name in model.derived if name not in stored])
    if len(opened.config.classes) != len(model.classes):
        raise UserError(
            f"{data.train_data_dir} has the classes {', '.join(opened.config.classes)}, the model "
            f"{', '.join(model.classes)}; use a set with the same classes."
        )
    check_fit(model.arch, model.encoder, model.fit.side(opened.config.patch_size), model.options)
    bands = [
        dataclasses.replace(theirs, scale=ours.scale, offset=ours.offset)
        for theirs, ours in zip(model.spec.bands, opened.bands if made is None else made.bands, strict=True)
    ]
    if model.spec.normalisation in OF_SET and not opened.encoded:
        raise UserError(f"{data.train_data_dir} holds values without units; the model knows its bands by their units.")
    return opened, input_layer(dataclasses.replace(model.spec, bands=tuple(bands)), model.fit.marked, made)


def _check_asked(data: Data, model: LoadedModel) -> None:
    """Raise UserError where the options name other bands than the model's."""
    names, derived = model.spec.names, data.derive_bands or ()
    if data.bands is not None and (*data.bands, *derived) != names:
        raise UserError(f"--bands: the model was trained on {', '.join(names)}, in this order; leave the option out.")
    if data.bands is None and derived and derived != model.derived:
        whose = ", ".join(model.derived) or "none"
        raise UserError(f"--derive-bands: the model was trained with {whose}; leave the option out.")


def _loss_of(record: RunRecord | None, directory: Path, model: LoadedModel, data: TrainData) -> Loss:
    """The loss that the run was trained with; without a record that of the defaults."""
    settings: Mapping[str, Any] = record.settings.get("hyperparameters", {}) if record else {}
    recipe = read_settings(directory).get("recipe")
    return recorded_loss(settings, recipe, len(model.classes), data.config.ignore_index)


def _warn_if_seen(directory: Path, record: RunRecord | None, data: TrainData, rows: Indices) -> None:
    """Say how many test patches the network was trained on."""
    path = directory / "split.parquet"
    if record is None or record.data_hash != data.data_hash or not path.is_file():
        return
    train = pd.read_parquet(path)["train"].to_numpy(dtype=bool)
    seen = int(train[rows].sum())
    if seen:
        _log.warning("the network was trained on %d of the %d test patches; the scores are too good.", seen, len(rows))


def _result(
    found: Evaluation, rows: Sequence[Row], scenes: Sequence[str], checkpoint: Path, directory: Path
) -> TestResult:
    return TestResult(
        metrics=found.metrics("test/"),
        per_region=by_name(rows, "region"),
        per_sample=by_name(rows, "scene"),
        interval=jaccard_interval(found.by_group(scenes).confusion),
        thresholds=best_thresholds(found.counts.histograms[0].cpu()) if found.counts.binary else {},
        patches=len(scenes),
        checkpoint=checkpoint,
        path=directory / RESULT_FILE,
    )


def _baseline(record: RunRecord | None, data: TrainData, rows: Indices, artifact_dir: Path) -> BaselineRecord | None:
    """The best pixel baseline that learned from the run's own training patches and was tested on these."""
    if record is None or record.split_hash is None or record.data_hash != data.data_hash:
        return None
    return matching_baseline(read_baselines(artifact_dir), record, "test", hash_json(rows.tolist()))


def _brief(baseline: BaselineRecord | None) -> dict[str, Any] | None:
    if baseline is None:
        return None
    named = {"run_name": baseline.run_name, "run_id": baseline.run_id, "pixel_model": baseline.pixel_model}
    return named | {"test/JaccardIndex": baseline.iou("test")}


def _report(result: TestResult, found: Evaluation, data: TrainData, split_hash: str) -> dict[str, Any]:
    report = {
        "checkpoint": str(result.checkpoint),
        "data_hash": data.data_hash,
        "split_hash": split_hash,
        "patches": result.patches,
        "metrics": result.metrics,
        "interval": dataclasses.asdict(result.interval) | {"metric": "test/JaccardIndex"} if result.interval else None,
        "objects": {name: dict(zip(_OUTCOMES, o.counts(), strict=True)) for name, o in found.objects.instances.items()},
        "thresholds": result.thresholds,
        "baseline": _brief(result.baseline),
        "confusion": found.counts.confusion().tolist(),
        "per_region": result.per_region,
        "per_sample": result.per_sample,
    }
    as_json: dict[str, Any] = without_nan(report)
    return as_json


def _track(result: TestResult, tracking: Tracking, directory: Path, record: RunRecord | None) -> None:
    if record is None:
        return
    names = {
        "run_name": record.run_name,
        "run_id": record.run_id,
        "cv_name": record.cv_name or "none",
        "tune_name": record.tune_name or "none",
    }
    for tracker in make_services(directory, tracking, names, ()):
        tracker.log_metrics(result.metrics)
        for picture in sorted((directory / FIGURES).glob("*.png")):
            tracker.log_image(f"test-samples/{picture.stem}", picture)
        tracker.finalize("success")
