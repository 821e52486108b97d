"""Trained networks that are to be put together, and which patches each of them did not learn from.

A run says in split.parquet what it learned from, what chose its checkpoint, and what is left to test it. Patches that
validated it are out of its fold. A test part is for nobody to choose anything by.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from darts_train.artifacts.kept import require_kept
from darts_train.artifacts.lookup import CV_FILE, recognise
from darts_train.artifacts.run_infos import RUN_INFOS_FILE, read_run_infos
from darts_train.artifacts.run_record import RunRecord, read_record
from darts_train.artifacts.tree import run_directory
from darts_train.base.errors import UserError
from darts_train.base.files import require_directory
from darts_train.models.locate import BEST_CHECKPOINT, locate_model
from darts_train.models.model_file import LoadedModel, load_model_file

SPLIT_FILE = "split.parquet"
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RunParts:
    """What a run did with the patches of its set, int64 each.

    `validated`: chose its checkpoint and were not learned from. `learned`: were. `tested`: are for testing alone.
    """

    record: RunRecord
    validated: Rows
    learned: Rows
    tested: Rows
    patches: int


@dataclass(frozen=True, eq=False)
class Member:
    """A network: its name in messages, its file, its run where it has one, and the cross-validation of that."""

    name: str
    checkpoint: Path
    model: LoadedModel
    parts: RunParts | None
    cross_validation: Path | None = None


def members_of_list(places: Sequence[Path]) -> list[Member]:
    """Members of `--models`. Raises UserError where one cannot be read."""
    found = []
    for place in places:
        checkpoint = locate_model(place, "--models")
        found.append(_member(place.name, checkpoint, None))
    return found


def members_of_cross_validation(place: Path) -> list[Member]:
    """The networks of a cross-validation, or of the best one of a search, by fold and seed.

    Raises UserError where it is neither, is not finished, or its checkpoints were not kept.
    """
    directory = _cross_validation(require_directory(place, "--cv-dir"))
    infos = read_run_infos(directory)
    _require_finished(directory, infos)
    found = []
    for row in infos.sort_values(["fold", "seed"], kind="stable").to_dict("records"):
        run = run_directory(directory, row["run_name"], row["run_id"])
        require_kept(run, "--cv-dir")
        found.append(_member(run.name, run / BEST_CHECKPOINT, directory))
    return found


def _member(name: str, checkpoint: Path, cross_validation: Path | None) -> Member:
    return Member(name, checkpoint, load_model_file(checkpoint), run_parts(checkpoint), cross_validation)


def run_parts(checkpoint: Path) -> RunParts | None:
    """What is known of the run whose directory a checkpoint lies in; None where it lies in none.

    Raises UserError where its split cannot be read.
    """
    if checkpoint.absolute().parent.name != BEST_CHECKPOINT.parent.name:
        return None
    directory = checkpoint.absolute().parents[1]
    record, path = read_record(directory), directory / SPLIT_FILE
    if record is None or not path.is_file():
        return None
    try:
        table = pd.read_parquet(path, columns=["train", "val", "test"])
    except (OSError, KeyError, ValueError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    train, val, test = (table[part].to_numpy(bool) for part in ("train", "val", "test"))
    # Without a method for the test part every patch is said to be of it, those of training too.
    validated, learned, tested = (np.flatnonzero(part) for part in (val & ~train, train, test & ~train & ~val))
    return RunParts(record, validated, learned, tested, len(table))


def _cross_validation(place: Path) -> Path:
    found = recognise(place.resolve())
    if found is None or found.kind not in ("cv", "tune"):
        what = f"is a {found.kind}" if found else "is neither"
        raise UserError(f"--cv-dir: a cross-validation or a search is wanted; {place} {what}. Runs go to --models.")
    return place if found.kind == "cv" else _best_of_search(place)


def _best_of_search(place: Path) -> Path:
    """The finished cross-validation with the greatest score; of equal ones the first by name."""
    scores: dict[Path, float] = {}
    for path in sorted(place.glob(f"*/{RUN_INFOS_FILE}")):
        infos = read_run_infos(path.parent)
        whole = len(infos) and (infos["status"] == "finished").all() and not infos["score_is_unstable"].any()
        if whole and np.isfinite(infos["score"].iloc[0]):
            scores[path.parent] = float(infos["score"].iloc[0])
    if not scores:
        raise UserError(f"--cv-dir: no cross-validation of the search {place} is finished and stable.")
    return max(scores, key=lambda path: scores[path])


def _require_finished(directory: Path, infos: pd.DataFrame) -> None:
    done, wanted = int((infos["status"] == "finished").sum()), len(infos)
    try:
        settings = json.loads((directory / CV_FILE).read_bytes())["settings"]
        wanted = int(settings["n_folds"]) * len(settings["seeds"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # then the table is all that is known
    if done < wanted or done < len(infos):
        raise UserError(
            f"--cv-dir: {directory} is not finished: {done} of {wanted} runs are; call the cross-validation again."
        )
