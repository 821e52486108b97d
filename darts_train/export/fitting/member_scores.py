"""What an ensemble and each of its members reach on patches that none of them saw.

Refused are patches that a member learned from or was chosen by, which the file names: an ensemble that is tested where
most of its members trained looks better than it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from darts_train.base.errors import UserError
from darts_train.base.progress import track
from darts_train.export.calibrate import untempered
from darts_train.export.ensemble import seen_rows
from darts_train.export.fitting.seen_set import SeenSet, batches, open_seen
from darts_train.metrics.confusion import confusion_matrix
from darts_train.metrics.intervals import LEVEL, RESAMPLES, SEED, jaccard
from darts_train.models.ensemble import EnsembleNetwork
from darts_train.models.model_file import LoadedModel, load_model_file
from darts_train.models.tempering import TemperedNetwork
from darts_train.models.torch_device import torch_device

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MemberScores:
    """IoU of the ensemble and of its members.

    Attributes:
        ensemble: over all patches.
        members: likewise of each.
        interval: of ensemble minus median member, over draws of scenes; None with fewer than two scenes.
        scenes: how many there are.
        threshold: at which they were compared.
        counts: int64 [1 + members, scenes, k, k] confusion matrices, the ensemble's first.
    """

    ensemble: float
    members: tuple[float, ...]
    interval: tuple[float, float] | None
    scenes: int
    threshold: float
    counts: Counts

    @property
    def median(self) -> float:
        """IoU of the median member."""
        return float(np.median(self.members))

    def summary(self) -> str:
        """A few lines for the terminal."""
        each = ", ".join(f"{iou:.4f}" for iou in sorted(self.members))
        lines = [
            f"IoU on {self.scenes} scenes at {self.threshold:.3f}: ensemble {self.ensemble:.4f}, median member "
            f"{self.median:.4f} ({self.ensemble - self.median:+.4f})",
            f"  members: {each}",
        ]
        if self.interval:
            lines.append(
                f"  {LEVEL:.0%} interval of the difference: {self.interval[0]:+.4f} to {self.interval[1]:+.4f}"
            )
        return "\n".join(lines)


def member_scores(
    path: Path, train_data_dir: Path, rows: Sequence[int] | NDArray[np.int64], threshold: float | None = None,
    device: str | None = "cpu",
) -> MemberScores:  # fmt: skip
    """Compare an ensemble with its members.

    Args:
        path: its model file.
        train_data_dir: a set with its bands.
        rows: patches of the set.
        threshold: of two classes; None: the ensemble's own.
        device: as `--device`.

    Raises UserError where the file is no ensemble, the set does not fit, no patch is given, or one was seen before.
    """
    model = load_model_file(path)
    network = untempered(model).network
    if not isinstance(network, EnsembleNetwork):
        raise UserError(f"{path} is no ensemble; darts build-ensemble makes one.")
    seen = open_seen(train_data_dir, model, torch_device(device), path.name)
    rows = np.asarray(rows, np.int64)
    if not len(rows):
        raise UserError(f"{path}: no patch of {train_data_dir} to compare on.")
    _refuse_seen(path, model.config.get("calibration") or {}, seen, rows)
    cut = model.threshold if threshold is None else threshold
    names, place = np.unique(seen.data.metadata["sample_id"].astype(str).to_numpy()[rows].astype(np.str_),
                             return_inverse=True)  # fmt: skip
    classes = len(model.classes)
    counts = np.zeros((1 + len(network.members), len(names), classes, classes), np.int64)
    model.whole.to(seen.device)
    parts = list(zip(batches(rows), batches(place), strict=True))
    for part, scenes in track(parts, "comparing", len(parts)):
        _, y = seen.data.read_many(part)
        for number, logits in enumerate(_everyone(model, network, seen, part)):
            decided = logits.argmax(1) if classes > 2 else (logits.sigmoid()[:, 0] > cut).long()
            each = confusion_matrix(decided.cpu(), torch.from_numpy(y), classes, seen.data.config.ignore_index)
            np.add.at(counts[number], scenes, each.numpy())
    ious = [float(jaccard(one.sum(0))) for one in counts]
    return MemberScores(ious[0], tuple(ious[1:]), difference_interval(counts), len(names), cut, counts)


def _everyone(model: LoadedModel, network: EnsembleNetwork, seen: SeenSet, rows: NDArray[np.int64]) -> Any:
    """Logits of the ensemble, then of each member, of the same patches."""
    with torch.inference_mode():
        x, _ = seen.images(rows)
        image = model.fit.image(x) if model.fit.kind != "tile" else x
        size = x.shape[-2:]
        each = network.each(image)
        heat = model.network.temperature if isinstance(model.network, TemperedNetwork) else 1.0
        for logits in (network.together(each) / heat, *each):
            yield model.fit.logits(logits, *size)


def _refuse_seen(path: Path, record: dict[str, Any], seen: SeenSet, rows: NDArray[np.int64]) -> None:
    known = record.get("seen")
    if not isinstance(known, Mapping) or known.get("data_hash") != seen.data.data_hash:
        return
    try:
        both = int(seen_rows(str(known["rows"]), len(seen.data))[rows].sum())
    except (KeyError, ValueError):
        raise UserError(f"{path}: what its networks saw cannot be read; build it again.") from None
    if both:
        raise UserError(f"{path}: {both} of {len(rows)} patches trained or validated its networks; compare on others.")


def difference_interval(counts: Counts, resamples: int = RESAMPLES, level: float = LEVEL) -> tuple[float, float] | None:
    """The percentile interval, over draws of scenes, of the first's IoU minus the median of the others'.

    `counts` int64 [1 + m, scenes, k, k]. All are scored on the same draws. None with fewer than two scenes, and where
    no draw has anything to score.
    """
    scenes = counts.shape[1]
    if scenes < 2:
        return None
    draws = np.random.default_rng(SEED).multinomial(scenes, np.full(scenes, 1 / scenes), resamples)
    scores = jaccard(np.tensordot(draws, counts, axes=(1, 1)))
    found = scores[:, 0] - np.median(scores[:, 1:], axis=1)
    found = found[np.isfinite(found)]
    if not len(found):
        return None
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
