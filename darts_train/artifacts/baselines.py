"""Pixel baselines in the artifact directory: `_baselines/{name}-{id}/baseline.json`, beside the networks' runs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darts_train.artifacts.run_record import RunRecord
from darts_train.artifacts.tree import run_directory
from darts_train.base.files import write_text
from darts_train.base.log import logger

BASELINES, BASELINE_FILE = "_baselines", "baseline.json"
Part = Literal["val", "test"]
_log = logger("artifacts")


class BaselineRecord(BaseModel):
    """One pixel baseline: what it is, what it learned from, and how good it is. Written when all is done."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    format_version: Literal[1] = 1
    run_name: str
    run_id: str
    pixel_model: str
    started: str = Field(description="UTC, ISO 8601.")
    duration: float = Field(description="Seconds.")
    data_hash: str
    split_hash: str
    test_hash: str = Field(description="Hash of the rows that tested.")
    bands: tuple[str, ...]
    fold: int
    seed: int
    pixels: dict[str, tuple[int, int]] = Field(description="Of each stratum, training pixels there are, and drawn.")
    metrics: dict[str, float] = Field(description="val/… and, where a part tests, test/….")
    versions: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)

    def iou(self, part: Part) -> float:
        """`val/JaccardIndex` or `test/JaccardIndex`; NaN where that part was not measured."""
        return self.metrics.get(f"{part}/JaccardIndex", math.nan)

    def beside(self, iou: float, part: Part = "test") -> str:
        """A line that sets a network's IoU on the same patches against the baseline's."""
        return (
            f"pixel baseline {self.run_name} ({self.pixel_model}): IoU {self.iou(part):.4f} on the same patches; "
            f"the network is {_apart(iou, self.iou(part))}"
        )


@dataclass(frozen=True)
class Beside:
    """Several networks beside the baselines of their folds: IoU on validation patches, means over `compared` runs."""

    network: float
    baseline: float
    compared: int
    runs: int

    def summary(self) -> str:
        """A line that says how much of the networks' IoU pixels alone would give."""
        of = f"all {self.runs}" if self.compared == self.runs else f"{self.compared} of {self.runs}"
        return (
            f"pixel baseline: mean IoU {self.baseline:.4f} on the validation patches of {of} runs; "
            f"the networks have {self.network:.4f} there, {_apart(self.network, self.baseline)}"
        )


def baseline_dir(artifact_dir: Path, run_name: str, run_id: str) -> Path:
    """Directory of a baseline."""
    return run_directory(artifact_dir / BASELINES, run_name, run_id)


def write_baseline(directory: Path, record: BaselineRecord) -> Path:
    """Write baseline.json atomically; returns its path."""
    path = directory / BASELINE_FILE
    write_text(path, record.model_dump_json(indent=2) + "\n")
    return path


def read_baselines(artifact_dir: Path) -> list[BaselineRecord]:
    """All baselines of an artifact directory.

    A file that cannot be read is passed over with a warning: it is no reason for a command about networks to fail.
    """
    found = []
    for path in sorted((artifact_dir / BASELINES).glob(f"*/{BASELINE_FILE}")):
        try:
            found.append(BaselineRecord.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            _log.warning("%s is not a baseline's record; it is passed over.", path)
    return found


def matching_baseline(
    baselines: Iterable[BaselineRecord], run: RunRecord, part: Part = "val", test_hash: str | None = None
) -> BaselineRecord | None:
    """The baseline that stands beside a run: of the same set, split, fold and bands; the best of several, by its IoU.

    `part` is what is compared. `test_hash` says on which rows the network was tested, where that is not of its own
    split for certain. None where there is no such baseline, or none that was measured on this part.
    """
    bands = _asked_bands(run.settings)
    same = [
        baseline
        for baseline in baselines
        if (baseline.data_hash, baseline.split_hash) == (run.data_hash, run.split_hash)
        and test_hash in (None, baseline.test_hash)
        and _asked_bands(baseline.settings) == bands
        and not math.isnan(baseline.iou(part))
    ]
    return max(same, key=lambda baseline: baseline.iou(part), default=None)


def beside_baselines(baselines: Sequence[BaselineRecord], runs: Sequence[RunRecord]) -> Beside | None:
    """The finished ones of several runs beside the baselines of their folds; None where no run has one."""
    pairs = []
    for run in runs:
        iou, baseline = run.best_metrics.get("val/JaccardIndex"), matching_baseline(baselines, run)
        if baseline and iou is not None and math.isfinite(iou) and run.status == "finished":
            pairs.append((iou, baseline.iou("val")))
    if not pairs:
        return None
    network, baseline_iou = (math.fsum(values) / len(pairs) for values in zip(*pairs, strict=True))
    return Beside(network, baseline_iou, len(pairs), len(runs))


def _asked_bands(settings: dict[str, Any]) -> tuple[frozenset[str] | None, frozenset[str]]:
    """The bands that were asked for, whatever their order (None: all of the set), and those derived from them."""
    data = settings.get("data", {})
    bands = data.get("bands")
    return None if bands is None else frozenset(bands), frozenset(data.get("derive_bands") or ())


def _apart(iou: float, baseline: float) -> str:
    return f"{abs(iou - baseline):.4f} {'above' if iou >= baseline else 'below'} it"
