"""The pictures of a test, in figures/test-samples of the run; what cannot be drawn is said and left out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from darts_train.base.files import write_bytes
from darts_train.base.log import logger
from darts_train.dataset.reader import TrainData
from darts_train.experiments.evaluating.tables import ranked
from darts_train.figures.scores import confusion_panel, curve_panel, scenes_panel, threshold_panel
from darts_train.metrics.curves import best_thresholds, curves
from darts_train.models.input_spec import InputLayer
from darts_train.models.model_file import LoadedModel
from darts_train.training.evaluate import Evaluation
from darts_train.training.loading.patches import Indices
from darts_train.training.pictures.of_samples import chosen_patches, predicted_samples
from darts_train.training.pictures.of_scores import score_pictures

FIGURES = "figures/test-samples"
WORST_SCENES = 12  # bars
WORST_PATCHES = 3  # pictures, each of another scene
_log = logger("experiments")
Scenes = Mapping[str, Mapping[str, float]]


def draw(
    found: Evaluation, model: LoadedModel, layer: InputLayer, data: TrainData, scenes: Scenes, directory: Path
) -> None:
    """Write all pictures into a run's directory; `scenes` are the scores by scene. Those of an earlier test go."""
    target = directory / FIGURES
    try:
        for earlier in target.glob("*.png"):
            earlier.unlink()
        for name, picture in score_pictures(found.counts).items():
            write_bytes(target / f"{name}.png", picture())
        if found.counts.binary:
            _draw_thresholds(found.counts.histograms[0].cpu(), target)
        _draw_objects(found, target)
        _draw_worst(scenes, found.counts.compute()["JaccardIndex"], target)
        names = data.metadata["sample_id"].astype(str).to_numpy()[found.rows.numpy()]
        rows = {
            "sample": chosen_patches(data, found.rows.numpy()),
            "worst": worst_patches(found, names, ranked(scenes)),
        }
        for kind, chosen in rows.items():
            for sample in predicted_samples(model.whole, layer, data, chosen, found.counts.device):
                write_bytes(target / f"{kind}_{sample.row}.png", sample.draw())
    except Exception as error:  # a picture is no reason to lose a result
        _log.warning("figures of the test failed: %s", error)


def worst_patches(found: Evaluation, names: Sequence[str], worst: Sequence[str]) -> Indices:
    """Of each of the worst scenes the patch with most wrong pixels: rows of the set.

    `names[i]` is the scene of patch i of the evaluation.
    """
    wrong = (found.per_patch.sum((1, 2)) - found.per_patch.diagonal(dim1=1, dim2=2).sum(1)).numpy()
    scene = np.asarray(names)
    chosen = [int(np.argmax(np.where(scene == name, wrong, -1))) for name in worst[:WORST_PATCHES]]
    return np.asarray(found.rows.numpy()[chosen], dtype=np.int64)


def _draw_thresholds(histogram: torch.Tensor, target: Path) -> None:
    curve, best = curves(histogram), best_thresholds(histogram)
    lines = {"IoU": curve.iou, "F1": curve.f1, "precision": curve.precision, "recall": curve.recall}
    marks = {"default": best["default"]["threshold"], "best F1": best["best_f1"]["threshold"]}
    write_bytes(target / "thresholds.png", threshold_panel(curve.thresholds, lines, marks))


def _draw_objects(found: Evaluation, target: Path) -> None:
    """Objects found, made up and missed, and precision over recall as ever lower scores are let in, of each class."""
    for name, state in found.objects.instances.items():
        if not sum(state.counts()):
            continue
        end = "" if found.counts.binary else f"_{name}"
        area = state.compute()["InstanceAveragePrecision"]
        lines = {f"{name} (average {area:.3f})": state.precision_recall()}
        png = curve_panel(lines, ("recall", "precision"), f"objects of {name}: average precision {area:.3f}")
        write_bytes(target / f"instance_precision_recall{end}.png", png)
        tp, fp, fn = state.counts()
        matrix = np.array([[0, fp], [fn, tp]])
        png = confusion_panel(matrix, ("no object", name), "objects", of_all=True)
        write_bytes(target / f"instance_confusion{end}.png", png)


def _draw_worst(scenes: Scenes, overall: float, target: Path) -> None:
    names = ranked(scenes)[:WORST_SCENES]
    if names:
        scores = [scenes[name]["JaccardIndex"] for name in names]
        positives = [int(scenes[name]["positive_pixels"]) for name in names]
        png = scenes_panel(names, scores, positives, overall, f"the {len(names)} worst of {len(scenes)} scenes")
        write_bytes(target / "worst_scenes.png", png)
