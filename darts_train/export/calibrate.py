"""Temperature and threshold of one trained model: the command calibrate-threshold.

Looked at are the patches that validated the run: the network did not learn from them, and no test part is spent. They
did choose the checkpoint and the epoch, so what they say is a little too good; a set that the network never saw
(`--part all`) is better where there is one. The new file holds the same weights; its logits are divided by the
temperature (`models/tempering.py`), and the threshold is of the probabilities that come of it.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_train import __version__
from darts_train.base.errors import UserError
from darts_train.base.files import require_directory, write_bytes
from darts_train.base.hashes import hash_json
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.export.ensemble import check_out, cut_words, keep_sources
from darts_train.export.fitting.members import RunParts, run_parts
from darts_train.export.fitting.seen_set import SeenSet, batches, chosen_pixels, open_seen
from darts_train.figures.reliability import reliability_panel
from darts_train.metrics.reliability import COLDEST, HOTTEST, Reliability, cross_entropy, reliability, temperature
from darts_train.metrics.thresholds import Cut, best_cut
from darts_train.models.locate import locate_model
from darts_train.models.model_config import plain_config
from darts_train.models.model_file import LoadedModel, load_model_file, save_model_file
from darts_train.models.tempering import TemperedNetwork
from darts_train.models.torch_device import torch_device
from darts_train.options.ensembles import Calibrate

PIXELS = 2**20  # at most, from all patches alike, of which the temperature is learned
EDGES, WIDTH = 4096, 1 / 64  # bins of logits from -32 to 32, whose edges are the thresholds that are tried
TEST_FILE, FIGURES = "test_metrics.json", "figures"
Rows = NDArray[np.int64]
_log = logger("export")


@dataclass(frozen=True)
class CalibrationResult:
    """What was written. Losses and errors are on the pixels that the temperature was learned from, before and after."""

    path: Path
    figure: Path
    temperature: float
    threshold: float
    cut: Cut | None
    why: str
    log_loss: tuple[float, float]
    error: tuple[float, float]
    patches: int

    def summary(self) -> str:
        """A few lines for the terminal."""
        return (
            f"{self.path}: temperature {self.temperature:.3f}, threshold {self.threshold:.3f}\n"
            f"log loss {self.log_loss[0]:.4f} before, {self.log_loss[1]:.4f} after; expected calibration error "
            f"{self.error[0]:.4f} before, {self.error[1]:.4f} after ({self.patches} patches)\n"
            f"threshold: {self.why}\n{self.figure}"
        )


@dataclass(frozen=True, eq=False)
class _Seen:
    """Logits [n, k] and labels [n] of some pixels; histograms of logits [scenes, 2, EDGES] of all, of two classes."""

    logits: NDArray[np.float32]
    labels: NDArray[np.uint8]
    histograms: NDArray[np.int64]


def calibrate_threshold(calibrate: Calibrate) -> CalibrationResult:
    """Write a model file with a temperature and a threshold, and a reliability diagram below figures/ beside it.

    Raises UserError, before anything is computed, where the file is there, the model cannot be read, its validation
    patches are not known, or a test part is asked for or meant.
    """
    if calibrate.part == "test":
        raise UserError("--part test: a test part that chose the threshold tests nothing any more; use val.")
    check_out(calibrate.out, calibrate.overwrite)
    device = torch_device(calibrate.device)
    source = locate_model(calibrate.model)
    keep_sources(calibrate.out, [source])
    parts = run_parts(source)
    model = untempered(load_model_file(source))
    seen = open_seen(_root(calibrate, parts), model, device, source.name)
    rows = _rows(calibrate, source, model, parts, seen)
    found = _look(seen, model, rows)
    if not len(found.labels):
        raise UserError(f"{seen.data.root}: no pixel of the {len(rows)} patches is labelled; nothing can be learned.")
    heat = _temperature(found)
    cut = best_cut(found.histograms, calibrate.criterion, EDGES // 2) if len(model.classes) == 2 else None
    if cut is not None and cut.edges is None:
        _log.warning(
            "the threshold is the best one of a single scene, and may be worse than 0.5 on others; a set of several"
            " scenes that the network never saw (--train-data-dir, --part all) says more."
        )
    before, after = (reliability(found.logits / one, found.labels) for one in (1.0, heat))
    threshold, why = _threshold(calibrate, model, cut, heat)
    losses = (cross_entropy(found.logits, found.labels), cross_entropy(found.logits / heat, found.labels))
    errors = (before.error, after.error)
    facts = {"temperature": heat, "threshold": why, "log_loss": list(losses), "calibration_error": list(errors)}
    figure = _draw(calibrate, before, after, heat)
    config = _config(model, threshold, facts | _fitted_on(calibrate, parts, seen, rows))
    save_model_file(calibrate.out, config, model.network.state_dict())
    return CalibrationResult(calibrate.out, figure, heat, threshold, cut, why, losses, errors, len(rows))


def _temperature(found: _Seen) -> float:
    heat = temperature(found.logits, found.labels)
    if not COLDEST * 1.01 < heat < HOTTEST / 1.01:
        _log.warning("temperature %g is the end of what is tried: these patches are too few, or too easy.", heat)
    return heat


def _config(model: LoadedModel, threshold: float, calibration: dict[str, Any]) -> dict[str, Any]:
    """The model's config with what was chosen; what an ensemble says of its members stays."""
    config = plain_config(model.config)
    config["model"].pop("encoder_weights", None)
    kept = {key: value for key, value in (config.get("calibration") or {}).items() if key in ("members", "seen")}
    return config | {
        "threshold": threshold,
        "calibration": kept | calibration,
        "darts_train_version": __version__,
    }


def untempered(model: LoadedModel) -> LoadedModel:
    """The model without the temperature that its file has: a second calibration starts where the first one did."""
    network = model.network
    return dataclasses.replace(model, network=network.network if isinstance(network, TemperedNetwork) else network)


def _root(calibrate: Calibrate, parts: RunParts | None) -> Path:
    if calibrate.train_data_dir is not None:
        return calibrate.train_data_dir
    recorded = parts.record.settings.get("data", {}).get("train_data_dir") if parts else None
    if not recorded:
        raise UserError(f"--train-data-dir: {calibrate.model} does not say on what it was trained; say where it is.")
    return require_directory(Path(recorded), "--train-data-dir")


def _rows(calibrate: Calibrate, source: Path, model: LoadedModel, parts: RunParts | None, seen: SeenSet) -> Rows:
    """The patches that are looked at. Raises UserError where they are not known, were learned from, or test."""
    root, data_hash = seen.data.root, seen.data.data_hash
    own = parts is not None and parts.record.data_hash == data_hash
    if not own:
        _refuse_tested(source, data_hash, root)
    if calibrate.part == "all":
        if own or data_hash in _trained_on(model):
            raise UserError(f"--part all: the network was trained on {root}; use val, or a set that it never saw.")
        return np.arange(len(seen.data))
    if parts is None:
        raise UserError(
            f"--part val: {source} lies in no run directory, so its validation patches are not known; give the run, or "
            "a set that the network never saw and --part all."
        )
    if not own:
        raise UserError(f"--train-data-dir: {root} is not the set of that run; with a set it never saw use --part all.")
    if not len(parts.validated):
        raise UserError(
            f"{source.parents[1]} was trained on all that validated it (--fold-method none); use --part all."
        )
    return parts.validated


def _trained_on(model: LoadedModel) -> set[str]:
    """Hashes of sets that a model's file says its networks learned from."""
    record = model.config.get("calibration") or {}
    known = [record.get("seen"), record.get("fitted_on")]
    tables = [one for one in known if isinstance(one, Mapping) and one.get("part") != "all"]
    return {str(one["data_hash"]) for one in tables if one.get("data_hash")}


def _refuse_tested(source: Path, data_hash: str, root: Path) -> None:
    """Raise UserError where the run was tested on that very set."""
    if len(source.parents) < 2:
        return
    try:
        tested = json.loads((source.absolute().parents[1] / TEST_FILE).read_bytes())["data_hash"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if tested == data_hash:
        raise UserError(f"--train-data-dir: the run was tested on {root}; what tests a network chooses no threshold.")


def _look(seen: SeenSet, model: LoadedModel, rows: Rows) -> _Seen:
    classes, most = len(model.classes), max(PIXELS // max(len(rows), 1), 64)
    scenes = seen.data.metadata["sample_id"].astype(str).to_numpy()[rows].astype(np.str_)
    names, place = np.unique(scenes, return_inverse=True)
    histograms = np.zeros((len(names), 2, EDGES), np.int64)
    network, logits, labels = model.whole.to(seen.device), [], []
    parts = list(zip(batches(rows), batches(place), strict=True))
    for part, scene in track(parts, "looking", len(parts)):
        said = seen.logits(network, part).cpu().numpy()
        _, y = seen.data.read_many(part)
        for one, target, row, number in zip(said, y, part, scene, strict=True):
            chosen = chosen_pixels(target, int(row), classes, most)
            logits.append(one.reshape(len(one), -1)[:, chosen].T)
            labels.append(target.reshape(-1)[chosen])
            if classes == 2:
                histograms[number] += logit_histogram(one[0], target)
    return _Seen(np.concatenate(logits), np.concatenate(labels), histograms)


def logit_histogram(logits: NDArray[np.float32], y: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Counts int64 [2, EDGES] of logits by label 0 and 1: edge k is the logit (k - EDGES / 2) · WIDTH."""
    # Ceiling, as a pixel is positive where its logit is above the edge, not at it.
    place = np.clip(np.ceil(logits.astype(np.float64) / WIDTH) - 1 + EDGES // 2, 0, EDGES - 1).astype(np.int64)
    return np.stack([np.bincount(place[y == label], minlength=EDGES) for label in (0, 1)])


def edge_probability(edge: float, heat: float) -> float:
    """The probability that an edge between bins of logits means at a temperature."""
    return 1 / (1 + math.exp(-(edge - EDGES // 2) * WIDTH / heat))


def _threshold(calibrate: Calibrate, model: LoadedModel, cut: Cut | None, heat: float) -> tuple[float, str]:
    if len(model.classes) > 2:
        return model.threshold, "of no use with several classes; the most probable one is taken"
    if cut is None:
        return model.threshold, "as it was: no pixel that was looked at is positive"
    threshold = edge_probability(cut.edge, heat)
    return threshold, cut_words(cut, calibrate.criterion, lambda edge: edge_probability(edge, heat))


def _fitted_on(calibrate: Calibrate, parts: RunParts | None, seen: SeenSet, rows: Rows) -> dict[str, Any]:
    run = {} if parts is None else {"run": f"{parts.record.run_name}-{parts.record.run_id}"}
    return {
        "method": "temperature of least log loss, then the threshold of the best score",
        "criterion": calibrate.criterion,
        "date": date.today().isoformat(),
        "fitted_on": run | {
            "part": calibrate.part,
            "set": seen.data.root.name,
            "data_hash": seen.data.data_hash,
            "patches": len(rows),
            "rows": hash_json(rows.tolist()),
        },
    }  # fmt: skip


def _draw(calibrate: Calibrate, before: Reliability, after: Reliability, heat: float) -> Path:
    path = calibrate.out.parent / FIGURES / f"{calibrate.out.stem}-reliability.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = {"as trained": before, f"temperature {heat:.2f}": after}
    said = {name: (one.said, one.true, one.pixels, one.error) for name, one in lines.items()}
    write_bytes(path, reliability_panel(said))
    return path
