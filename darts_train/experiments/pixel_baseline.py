"""What a network has to beat: boosted trees that see one pixel at a time, on the same bands, split and metrics.

    {artifact_dir}/_baselines/{run_name}-{run_id}/
      baseline.json     hashes of data and split, settings, versions, pixels drawn, metrics of validation and test
      split.parquet     which patch trained, validated, tested

A network that is no better has learned nothing from shapes and neighbours.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from darts_train.artifacts.baselines import BASELINES, BaselineRecord, baseline_dir, write_baseline
from darts_train.artifacts.names import check_name, new_run_id, random_name
from darts_train.artifacts.tree import parse_run_directory
from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path, require_writable
from darts_train.base.hashes import hash_json
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.base.provenance import now, package_versions
from darts_train.dataset.pixel_table import PixelSampler, PixelTable
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.leakage import warn_split_leakage
from darts_train.dataset.splitting.splits import SplitIndices, make_split
from darts_train.experiments.one_run.settings import input_specification, plain_settings
from darts_train.features.derived import Derivation
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.options.baseline import Baseline
from darts_train.options.learning import Artifacts, Data, Split
from darts_train.training.deriving import input_layer, open_sources
from darts_train.training.evaluate import evaluate
from darts_train.training.loading.data_module import TrainDataModule
from darts_train.training.losses.build import recorded_loss
from darts_train.training.pixel_network import PixelNetwork, fit_pixels, make_classifier

SPLIT_FILE = "split.parquet"
BATCH = 8  # patches that are predicted at once
_CPU = torch.device("cpu")
_log = logger("experiments")


@dataclass(frozen=True)
class BaselineResult:
    """What a pixel baseline gave.

    Attributes:
        run_name: its name.
        run_id: its eight-character id.
        metrics: `val/…` and `test/…`; the loss is the cross-entropy. No `test/…` where no patch tests.
        pixels: of each stratum (foreground classes, ring, others) the training pixels there are and those drawn.
        directory: where its files are.
        path: baseline.json.
    """

    run_name: str
    run_id: str
    metrics: dict[str, float]
    pixels: dict[str, tuple[int, int]]
    directory: Path
    path: Path

    def summary(self) -> str:
        """For the terminal: scores of both parts, and where the rest is."""
        lines = [f"pixel baseline {self.run_name}-{self.run_id}, {sum(k for _, k in self.pixels.values())} pixels"]
        for part in ("val", "test"):
            names = [f"{part}/{name}" for name in ("JaccardIndex", "F1Score", "Precision", "Recall", "AUROC")]
            scores = [f"{name} {self.metrics[name]:.4f}" for name in names if name in self.metrics]
            lines += [", ".join(scores)] if scores else []
        return "\n".join([*lines, f"all of it: {self.path}"])


def train_pixel_baseline(baseline: Baseline, data: Data, split: Split, artifacts: Artifacts) -> BaselineResult:
    """Fit boosted trees to pixels of the training patches, and measure them as a network is measured.

    Runs on the CPU. The trees themselves are not stored (see `training.pixel_network`).

    Raises:
        UserError: the set is damaged, a band or region does not exist, the split is impossible or a part of it empty,
            the training pixels are of one class, XGBoost is asked for and missing, or nothing can be written.
    """
    began, started = time.monotonic(), now()
    make_classifier(baseline.pixel_model, baseline.boosting_rounds, baseline.random_seed)  # is it installed?
    opened, derivation = open_sources(data)
    indices = make_split(opened.metadata, split, baseline.fold, opened.config.patch_size)
    for part in ("train", "val"):
        if not len(getattr(indices, part)):
            raise UserError(f"--fold {baseline.fold}: its {part} part has no patches; use another --fold-method.")
    spec = input_specification(data, opened, indices, derivation)
    require_writable(artifacts.artifact_dir, "--artifact-dir")
    name, run_id = _name(artifacts.artifact_dir, baseline.run_name), new_run_id()
    _log.info("pixel baseline %s-%s: %s", name, run_id, indices.summary())
    warn_split_leakage(opened.metadata, indices, split, opened.config.patch_size)
    table = draw_pixels(opened, indices, spec, baseline, derivation)
    _log.info("fitting %s to %d pixels", baseline.pixel_model, len(table.y))
    network = fit_pixels(
        table,
        len(opened.config.classes),
        baseline.pixel_model,
        baseline.boosting_rounds,
        baseline.random_seed,
        baseline.balance_classes,
    )
    record = BaselineRecord(
        run_name=name,
        run_id=run_id,
        pixel_model=baseline.pixel_model,
        started=started,
        metrics=_measured(network, input_layer(spec, made=derivation), opened, indices),
        duration=time.monotonic() - began,
        data_hash=opened.data_hash,
        split_hash=indices.hash,
        test_hash=rows_hash(indices),
        bands=spec.names,
        fold=baseline.fold,
        seed=baseline.random_seed,
        pixels=table.drawn,
        versions=package_versions(),
        settings=plain_settings({"baseline": baseline, "data": data, "split": split}),
    )
    return _written(record, baseline_dir(artifacts.artifact_dir, name, run_id), indices, opened)


def draw_pixels(
    data: TrainData,
    indices: SplitIndices,
    spec: InputSpecification,
    baseline: Baseline,
    derivation: Derivation | None = None,
) -> PixelTable:
    """The table of training pixels, as the network sees them; one patch is in memory at a time."""
    config = data.config
    sampler = PixelSampler(
        config.classes,
        len(spec.bands),
        config.ignore_index,
        baseline.pixels_per_class,
        baseline.ring_width,
        baseline.random_seed,
    )
    for row in track(indices.train.tolist(), "drawing pixels", len(indices.train)):
        x, y = data.read(row)
        sampler.add(row, spec.normalise(x if derivation is None else derivation(x)), y)
    return sampler.table()


def rows_hash(indices: SplitIndices) -> str:
    """Hash of the rows that test; equal where two splits test on the same patches, however the rest is folded."""
    return hash_json(indices.test.tolist())


def _name(artifact_dir: Path, given: str | None) -> str:
    if given is not None:
        return check_name(given, "--run-name")
    parsed = (parse_run_directory(path) for path in (artifact_dir / BASELINES).glob("*"))
    return random_name({found[0] for found in parsed if found})


def _measured(network: PixelNetwork, layer: InputLayer, data: TrainData, indices: SplitIndices) -> dict[str, float]:
    """`val/…` and `test/…` of the trees; as of a network only a test measures objects."""
    module = TrainDataModule(data, indices, batch_size=BATCH, num_workers=0)
    classes, ignore = data.config.classes, data.config.ignore_index
    loss = recorded_loss({"loss": "ce"}, None, len(classes), ignore)
    found = evaluate(network, layer, module.val_dataloader(), classes, ignore, loss, _CPU).counts.compute("val/")
    if len(indices.test):
        found |= evaluate(network, layer, module.test_dataloader(), classes, ignore, loss, _CPU).metrics("test/")
    return found


def _written(record: BaselineRecord, directory: Path, indices: SplitIndices, data: TrainData) -> BaselineResult:
    directory.mkdir(parents=True, exist_ok=True)
    with atomic_path(directory / SPLIT_FILE) as temporary:
        indices.table(data.metadata).to_parquet(temporary)
    path = write_baseline(directory, record)  # last: it says that the rest is there
    return BaselineResult(record.run_name, record.run_id, record.metrics, record.pixels, directory, path)
