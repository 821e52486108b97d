"""Where a checkpoint comes from, as far as the disk says: its run, the split, the test, and a record for its file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from darts_train import __version__
from darts_train.artifacts.run_record import RunRecord, read_record
from darts_train.base.errors import UserError
from darts_train.base.hashes import hash_file
from darts_train.base.log import logger
from darts_train.base.provenance import commit

SPLIT_FILE, TEST_FILE = "split.parquet", "test_metrics.json"
_log = logger("export")


@dataclass(frozen=True, eq=False)
class Lineage:
    """What is known of a checkpoint.

    Attributes:
        directory: of its run; None where it lies in none.
        record: run.json, None without one.
        split: split.parquet (sample_id, region, empty, train, val, test), None without one.
        test: test_metrics.json, where this checkpoint was tested; else empty.
    """

    directory: Path | None = None
    record: RunRecord | None = None
    split: pd.DataFrame | None = None
    test: Mapping[str, Any] = field(default_factory=dict)


def lineage_of(checkpoint: Path) -> Lineage:
    """The run that a checkpoint lies in. What is missing or damaged is left out, the latter with a warning."""
    directory = checkpoint.resolve().parent.parent
    if checkpoint.resolve().parent.name != "checkpoints":
        return Lineage()
    try:
        record = read_record(directory)
    except UserError as error:
        _log.warning("%s", error)
        record = None
    if record is None:
        return Lineage()
    return Lineage(directory, record, _split(directory / SPLIT_FILE), _test(directory / TEST_FILE, checkpoint))


def provenance(checkpoint: Path, lineage: Lineage, weights_hash: str) -> dict[str, Any]:
    """A table of plain values for the model file: no path of this machine, no name of its user."""
    known: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "checkpoint_hash": hash_file(checkpoint),
        "weights_hash": weights_hash,
        "darts_train_version": __version__,
        "commit": commit(),
    }
    record = lineage.record
    if record is not None:
        known |= {
            "run_name": record.run_name,
            "run_id": record.run_id,
            "trained": record.started,
            "data_hash": record.data_hash,
            "split_hash": record.split_hash,
            "fingerprint": record.fingerprint,
            "versions": dict(record.versions),
        }
    return {key: value for key, value in known.items() if value is not None}


def _split(path: Path) -> pd.DataFrame | None:
    try:
        found = pd.read_parquet(path)
    except FileNotFoundError:
        return None
    except Exception as error:  # pyarrow's classes share nothing with one another
        _log.warning("%s cannot be read (%s).", path, str(error).split("\n")[0][:80])
        return None
    wanted = {"region", "train", "val", "test"}
    return found if wanted <= set(found.columns) else None


def _test(path: Path, checkpoint: Path) -> Mapping[str, Any]:
    """The result of the test, where it is of this checkpoint."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be read (%s).", path, str(error)[:80])
        return {}
    tables = [found.get(key) or {} for key in ("metrics", "per_region", "interval")] if isinstance(found, dict) else [0]
    if not all(isinstance(table, dict) for table in tables):
        _log.warning("%s is not the result of a test; the model card leaves it out.", path)
        return {}
    of = PurePath(str(found.get("checkpoint")))
    if of.parts[-2:] != checkpoint.parts[-2:]:
        _log.warning("%s is of another checkpoint; the model card leaves it out.", path)
        return {}
    return dict(found)
