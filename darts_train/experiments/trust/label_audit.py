"""Which labels to look at again: patches whose labels every network contradicts that was not trained on them.

A pixel is disputed where all seeds say another class than its label; how sure they are is the weight. Patches are
ranked by the sum: large areas, of which all networks are sure, come first. A disputed label may be right, and the
patch hard; the sheet is for people to look at.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from darts_train.artifacts.out_of_fold import OutOfFold
from darts_train.artifacts.patch_errors import AUDIT_FILE
from darts_train.artifacts.run_infos import write_table
from darts_train.base.files import write_bytes
from darts_train.base.log import logger
from darts_train.dataset.reader import TrainData
from darts_train.figures.contact_sheet import SheetRow, contact_sheet
from darts_train.raster.encoding import decode

SHEET_FILE = "label_audit.png"
WORST = 12  # patches on the sheet
MUCH = 0.1  # share of disputed labels of a patch from which it is counted
SURE = 1e-4  # probability below which a loss does not grow: float16 knows little below
VISIBLE = ("red", "green", "blue")
_log = logger("experiments")


def audit_patch(seeds: np.ndarray, y: np.ndarray, ignore_index: int) -> dict[str, float]:
    """What the networks say of a patch's labels.

    Args:
        seeds: probabilities of the foreground classes, float32 [s, k, h, w].
        y: labels, uint8 [h, w].
        ignore_index: the label that says nothing.

    Returns:
        labelled and positive: pixels; disputed_pixels: those that every seed contradicts; disputed: the sum over these
        of one minus the mean probability of the label; iou: of the mean's foreground, NaN where there is none; loss:
        mean of -log of the mean probability of the label, NaN where nothing is labelled.
    """
    labelled = y != ignore_index
    label = np.where(labelled, y, 0)
    whole = np.concatenate([1 - seeds.sum(axis=1, keepdims=True), seeds], axis=1)
    mean = whole.mean(axis=0)
    disputed = (_decided(seeds) != label).all(axis=0) & labelled
    of_label = np.clip(np.take_along_axis(mean, label[None].astype(np.int64), axis=0)[0], 0, 1)
    predicted = _decided(mean[None, 1:])[0]
    either = labelled & ((label > 0) | (predicted > 0))
    hit = either & (label == predicted)
    return {
        "labelled": int(labelled.sum()),
        "positive": int((label > 0).sum()),
        "disputed_pixels": int(disputed.sum()),
        "disputed": float((1 - of_label)[disputed].sum()),
        "iou": float(hit.sum() / either.sum()) if either.any() else math.nan,
        "loss": float(-np.log(np.maximum(of_label[labelled], SURE)).mean()) if labelled.any() else math.nan,
    }


def _decided(probability: np.ndarray) -> np.ndarray:
    """Classes [s, h, w] of foreground probabilities [s, k, h, w]: above one half of two classes, else the largest."""
    if probability.shape[1] == 1:
        return np.asarray((probability[:, 0] > 0.5).astype(np.int64))
    background = 1 - probability.sum(axis=1, keepdims=True)
    return np.asarray(np.concatenate([background, probability], axis=1).argmax(axis=1))


def audit_table(found: Mapping[int, Mapping[str, float]], metadata: pd.DataFrame, folds: np.ndarray) -> pd.DataFrame:
    """One row per predicted patch, the most disputed first: patch, fold, its scene and region, and `audit_patch`."""
    rows = [{"patch": row, "fold": int(folds[row]), **numbers} for row, numbers in found.items()]
    table = pd.DataFrame(rows).sort_values(["disputed", "patch"], ascending=[False, True], ignore_index=True)
    for place, name in enumerate(("sample_id", "region"), start=1):
        table.insert(place, name, metadata[name].to_numpy(object)[table["patch"]])
    return table


def write_audit(table: pd.DataFrame, out: OutOfFold, data: TrainData) -> None:
    """Write label_audit.parquet and, of the worst patches, label_audit.png into the cross-validation's directory."""
    write_table(out.directory / AUDIT_FILE, table)
    worst = table[table["disputed_pixels"] > 0].head(WORST)
    try:
        rows = [_sheet_row(row, out, data) for row in worst.to_dict("records")]
        if rows:
            write_bytes(out.directory / SHEET_FILE, contact_sheet(rows, data.config.ignore_index))
    except Exception as error:  # a picture is no reason to lose a result
        _log.warning("the sheet of the label audit failed: %s", error)


def _sheet_row(row: dict[Any, Any], out: OutOfFold, data: TrainData) -> SheetRow:
    index = int(row["patch"])
    x, y = data.read(index)
    channels, together = _channels([band.name for band in data.bands])
    values = decode(x, data.bands) if data.encoded else np.where(np.isfinite(x), x, np.nan).astype(np.float32)
    title = f"patch {index} of {row['sample_id']}: {row['disputed_pixels']} pixels disputed, IoU {row['iou']:.2f}"
    return SheetRow(values[channels], together, y, out.read([index])[0].sum(axis=0), title)


def _channels(names: Sequence[str]) -> tuple[list[int], bool]:
    """Bands that are shown, and whether they are red, green and blue."""
    if set(VISIBLE) <= set(names):
        return [names.index(name) for name in VISIBLE], True
    return list(range(3 if len(names) >= 3 else 1)), False
