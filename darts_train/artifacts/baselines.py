"""Pixel baselines in the artifact directory: `_baselines/{name}-{id}/baseline.json`, beside the networks' runs."""

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darts_train.artifacts.tree import run_directory
from darts_train.base.files import write_text
from darts_train.base.log import logger

BASELINES, BASELINE_FILE = "_baselines", "baseline.json"
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

    @property
    def test_iou(self) -> float:
        """`test/JaccardIndex`; NaN where nothing tested."""
        return self.metrics.get("test/JaccardIndex", math.nan)

    def beside(self, iou: float) -> str:
        """A line that sets a network's IoU on the same test patches against the baseline's."""
        return (
            f"pixel baseline {self.run_name} ({self.pixel_model}): IoU {self.test_iou:.4f} on the same patches; "
            f"the network is {abs(iou - self.test_iou):.4f} {'above' if iou >= self.test_iou else 'below'} it"
        )


def baseline_dir(artifact_dir: Path, run_name: str, run_id: str) -> Path:
    """Directory of a baseline."""
    return run_directory(artifact_dir / BASELINES, run_name, run_id)


def write_baseline(directory: Path, record: BaselineRecord) -> Path:
    """Write baseline.json atomically; returns its path."""
    path = directory / BASELINE_FILE
    write_text(path, record.model_dump_json(indent=2) + "\n")
    return path


def find_baseline(artifact_dir: Path, data_hash: str, split_hash: str, test_hash: str) -> BaselineRecord | None:
    """The best baseline (by its test IoU) of the same data, split and test patches; None where there is none.

    A file that cannot be read is passed over with a warning: it is no reason for a test of a network to fail.
    """
    found = []
    for path in sorted((artifact_dir / BASELINES).glob(f"*/{BASELINE_FILE}")):
        try:
            record = BaselineRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            _log.warning("%s is not a baseline's record; it is passed over.", path)
            continue
        same = (record.data_hash, record.split_hash, record.test_hash) == (data_hash, split_hash, test_hash)
        if same and not math.isnan(record.test_iou):
            found.append(record)
    return max(found, key=lambda record: record.test_iou, default=None)
