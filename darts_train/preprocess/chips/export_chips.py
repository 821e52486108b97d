"""Train data as NPZ chips for other programs: the command export-chips.

A chip is `{sample_id}_{patch_id}.npz` with `image` [h, w, c], `label` int64 [h, w] (-100: unlabelled) and `valid` bool
[h, w, c] (or [h, w] where the bands agree): which pixels have data. `import-chips` makes the same patches of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError, listing
from darts_train.base.files import atomic_path, require_writable
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.dataset.expressions import matching_rows
from darts_train.dataset.reader import TrainData
from darts_train.options.chips import ExportChips
from darts_train.raster.band import NODATA, Band
from darts_train.raster.encoding import decode
from darts_train.scenes.chips.chips import SPLITS
from darts_train.scenes.class_values import IGNORED

SPLIT = "split"
_log = logger("preprocess")


@dataclass(frozen=True)
class ExportSummary:
    """Chips that were written: their number by folder (`.` where there are none), type of the images, bands."""

    directory: Path
    chips: dict[str, int]
    dtype: str
    bands: tuple[str, ...]

    def summary(self) -> str:
        """A few plain lines for the terminal."""
        parts = ", ".join(f"{count} in {folder}" for folder, count in self.chips.items())
        return (
            f"{self.directory}: {sum(self.chips.values())} chips ({parts})\nimage {self.dtype} [h, w, "
            f"{len(self.bands)}]: {', '.join(self.bands)}; label int64 [h, w], {IGNORED} where nobody labelled"
        )


@dataclass(frozen=True)
class Counts:
    """Whole counts of bands: count = code + shift, value = scale · count; `dtype` holds them all."""

    shifts: np.ndarray  # int64 [c, 1, 1]
    dtype: np.dtype[np.generic]

    @classmethod
    def of(cls, bands: Sequence[Band], narrow: bool) -> "Counts | None":
        """The counts of a set's bands, or None where a band has none; `narrow`: they are bytes."""
        shifts = [band.offset / band.scale for band in bands]
        if any(abs(shift - round(shift)) > 1e-6 * max(1.0, abs(shift)) for shift in shifts):
            return None
        whole = np.array([round(shift) for shift in shifts], np.int64)
        low, high = int(whole.min()), int(whole.max()) + (255 if narrow else NODATA - 1)
        kinds = ("uint8", "uint16", "int16", "int32")
        fitting = [np.dtype(kind) for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max]
        return cls(whole.reshape(-1, 1, 1), fitting[0]) if fitting else None

    def image(self, codes: np.ndarray) -> np.ndarray:
        """Counts [c, h, w] of codes; 0 where there is no data."""
        counts = codes.astype(np.int64) + self.shifts
        counts[codes == NODATA] = 0
        return np.asarray(counts.astype(self.dtype))


def export_chips(export_chips: ExportChips) -> ExportSummary:
    """Write the patches of a set as NPZ files, below train, val and test where the set has a column split.

    Raises:
        UserError: before anything is written where a chip is there already (without `overwrite`), two would have one
            name, no patch is chosen, or a band has no counts and counts are asked for.
    """
    options = export_chips
    require_writable(options.out_dir, "--out-dir")
    data = TrainData.open(options.train_data_dir)
    rows = _chosen(data.metadata, options.where)
    paths = chip_paths(data.metadata.iloc[rows])
    _check_paths(options, paths)
    counts = _counts(data, options.values, rows)
    for row, path in track(list(zip(rows.tolist(), paths, strict=True)), "export", len(paths)):
        _write(data, row, options.out_dir / path, counts)
    folders = pd.Series([path.parent.as_posix() for path in paths]).value_counts(sort=False)
    dtype = "float32" if counts is None else str(counts.dtype)
    names = tuple(band.name for band in data.bands)
    return ExportSummary(options.out_dir, {str(k): int(v) for k, v in folders.items()}, dtype, names)


def _chosen(metadata: pd.DataFrame, where: str | None) -> np.ndarray:
    rows = np.arange(len(metadata)) if where is None else np.flatnonzero(matching_rows(metadata, where, "--where"))
    if not len(rows):
        raise UserError(f"--where: none of {len(metadata)} patches satisfies {where}.")
    return rows


def chip_paths(metadata: pd.DataFrame) -> list[Path]:
    """Where the chip of each row lies below the directory. Raises UserError where two have one name."""
    numbers = metadata["patch_id"] if "patch_id" in metadata else pd.Series(metadata.index, metadata.index)
    splits = metadata[SPLIT] if SPLIT in metadata else pd.Series(None, metadata.index, object)
    paths = [
        Path(SPLITS.get(str(split).strip().lower(), ".")) / f"{str(sample).replace('/', '-')}_{int(number)}.npz"
        for split, sample, number in zip(splits, metadata["sample_id"], numbers, strict=True)
    ]
    doubled = [path.name for path, many in zip(paths, pd.Series(paths).duplicated(), strict=True) if many]
    if doubled:
        raise UserError(f"export-chips: two patches would be {doubled[0]}; patch_id must be unique within a sample.")
    return paths


def _check_paths(options: ExportChips, paths: Sequence[Path]) -> None:
    there = [path for path in paths if (options.out_dir / path).exists()]
    if there and not options.overwrite:
        raise UserError(
            f"--out-dir: {len(there)} of {len(paths)} chips are in {options.out_dir} already ({listing(there, 2)}); "
            "--overwrite replaces them."
        )


def _counts(data: TrainData, values: str, rows: np.ndarray) -> Counts | None:
    """The counts that are written; None for physical values."""
    found = Counts.of(data.bands, _are_bytes(data, rows)) if data.encoded and values != "physical" else None
    if found is None and values == "counts":
        raise UserError("--values counts: a band is not stored in whole counts; use --values physical.")
    if found is None and values == "auto":
        _log.warning("a band is not stored in whole counts: physical values are written")
    return found


def _are_bytes(data: TrainData, rows: np.ndarray) -> bool:
    """Whether the source had bytes: the range of all bands says so, and no code is beyond."""
    if data.x.dtype == np.uint8:
        return True
    if any((band.low, band.high) != (band.offset, band.offset + 255 * band.scale) for band in data.bands):
        return False
    for row in track(rows.tolist(), "look", len(rows)):
        codes = data.read(row)[0]
        if (codes[codes != NODATA] > 255).any():
            return False
    return True


def _write(data: TrainData, row: int, path: Path, counts: Counts | None) -> None:
    x, y = data.read(row)
    valid = x != NODATA if data.encoded else np.isfinite(x)
    values = decode(x, data.bands) if counts is None and data.encoded else x
    image = values.astype(np.float32) if counts is None else counts.image(x)
    label = y.astype(np.int64)
    label[y == data.config.ignore_index] = IGNORED
    same = bool((valid == valid[:1]).all())
    arrays = {
        "image": np.ascontiguousarray(image.transpose(1, 2, 0)),
        "label": label,
        "valid": valid[0] if same else np.ascontiguousarray(valid.transpose(1, 2, 0)),
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
