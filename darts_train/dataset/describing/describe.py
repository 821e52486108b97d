"""What is in a train data directory: bands, classes, regions, scenes, dates, and the splits it would give.

Patches are read once, a few at a time; what is kept is the count of every code of every band, and of each patch the
pixels of each class and those without data.
"""

from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.files import require_directory
from darts_train.base.progress import track
from darts_train.dataset import layout
from darts_train.dataset.describing.bands import BandCounts
from darts_train.dataset.describing.columns import describe_columns
from darts_train.dataset.describing.description import ALL, ClassCount, Description
from darts_train.dataset.describing.splits import preview_splits
from darts_train.dataset.describing.suspects import find_suspects
from darts_train.dataset.describing.tables import count_regions, count_scenes, distinct
from darts_train.dataset.lit_pixels import LitSums
from darts_train.dataset.metadata import read_metadata
from darts_train.dataset.reader import TrainData
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.splitting.splits import available_folds, make_split
from darts_train.dataset.statistics_file import wants_lit
from darts_train.dataset.store import check_arrays, open_arrays
from darts_train.options.learning import Split
from darts_train.options.preprocessing import Describe
from darts_train.raster.band import NODATA


def describe_set(data: TrainData, split: Split, strict: bool, describe: Describe | None = None) -> Description:
    """Read a whole set once and say what is in it.

    Args:
        data: the opened set, all bands; it may be without patches (`open_or_empty`).
        split: the configuration whose splits are shown.
        strict: a configuration that cannot be made raises UserError; else the description says so.
        describe: of which patches the numbers of the bands are, and whether those of pixels that are not black are
            needed too; None: of all patches.

    Raises:
        UserError: a patch is missing or damaged; the training patches are wanted and the split cannot be made.
    """
    wanted = describe or Describe()
    chosen, words = _chosen(data, split, wanted)  # these first: they may refuse, at no cost
    splits = preview_splits(data.metadata, data.config.patch_size, split, strict)
    bands, lit = BandCounts(data), LitSums(data) if wants_lit(wanted) else None
    pixels = _PatchPixels(data)
    for index in track(range(len(data)), "describe", len(data)):
        x, y = data.read(index)
        pixels.add(index, x, y)
        for sums in (bands, lit) if chosen[index] else ():
            if sums is not None:
                sums.add(x)
    shares, overall = pixels.shares(), {each.name: each.share for each in pixels.classes()}
    return Description(
        directory=data.root,
        data_hash=data.data_hash,
        patches=len(data),
        patch_size=data.config.patch_size,
        scenes=int(data.metadata["sample_id"].nunique()),
        positive=int((~data.metadata["empty"]).sum()),
        regions=count_regions(data.metadata, pixels.positive, pixels.labelled),
        bands=data.bands,
        profiles=bands.profiles(),
        statistics_of=words,
        lit=None if lit is None else lit.numbers(),
        classes=pixels.classes(),
        ignored_share=pixels.ignored_share,
        scene_count=count_scenes(data),
        groups=distinct(data.metadata, "group"),
        dates=distinct(data.metadata, "date"),
        splits=splits,
        columns=describe_columns(data.metadata, shares),
        suspects=find_suspects(data.metadata, shares, overall, pixels.without_data),
        positive_pixels=pixels.positive,
    )


def _chosen(data: TrainData, split: Split, describe: Describe) -> tuple[np.ndarray, str]:
    """Which patches the numbers of the bands are of, bool [n], and that in words."""
    if describe.statistics_of == "all":
        return np.ones(len(data), bool), ALL
    folds = available_folds(data.metadata, split)
    if describe.fold >= folds:
        raise UserError(f"--fold: {describe.fold} does not exist; the folds are 0 to {folds - 1}.")
    rows = make_split(data.metadata, split, describe.fold, data.config.patch_size).train
    chosen = np.zeros(len(data), bool)
    chosen[rows] = True
    return chosen, f"the {len(rows):,} training patches of fold {describe.fold}"


def open_or_empty(root: Path) -> TrainData:
    """Open a set, also one without patches: why its scenes gave none is worth a look. Raises as `TrainData.open`."""
    try:
        return TrainData.open(root)
    except UserError:
        require_directory(root, "--train-data-dir")
        if not all((root / name).exists() for name in (layout.CONFIG, layout.DATA, layout.METADATA)):
            raise
        metadata = read_metadata(root / layout.METADATA)
        if len(metadata):
            raise
        config, arrays = SetConfig.read(root / layout.CONFIG), open_arrays(root)
        check_arrays(root, config, *arrays)
        return TrainData(root, config, metadata, arrays, tuple(range(len(config.bands))))


class _PatchPixels:
    """What is counted of every patch: pixels of each class, and those that lack a band."""

    def __init__(self, data: TrainData) -> None:
        self._names = data.config.classes
        self._ignore = data.config.ignore_index
        self._area = data.config.patch_size**2
        self._ignored = 0
        self._of_class = np.zeros((len(data), len(self._names)), np.int32)
        self._lacking = np.zeros(len(data), np.int32)

    def add(self, index: int, x: np.ndarray, y: np.ndarray) -> None:
        counts = np.bincount(y.ravel(), minlength=256)
        self._ignored += int(counts[self._ignore])
        self._of_class[index] = counts[: len(self._names)]
        missing = x == NODATA if x.dtype == np.uint16 else np.isnan(x)
        self._lacking[index] = missing.any(axis=0).sum()

    @property
    def positive(self) -> np.ndarray:
        """Foreground pixels of each patch, int64 [n]."""
        return np.asarray(self._of_class[:, 1:].sum(axis=1, dtype=np.int64))

    @property
    def labelled(self) -> np.ndarray:
        """Labelled pixels of each patch, int64 [n]."""
        return np.asarray(self._of_class.sum(axis=1, dtype=np.int64))

    @property
    def without_data(self) -> np.ndarray:
        """Share of the pixels of each patch that lack a band, float64 [n]."""
        return np.asarray(self._lacking / self._area)

    def shares(self) -> dict[str, np.ndarray]:
        """Share of each foreground class of the pixels of each patch, float64 [n], as in `class_fractions`."""
        return {name: self._of_class[:, k] / self._area for k, name in enumerate(self._names) if k}

    def classes(self) -> tuple[ClassCount, ...]:
        pixels, patches = self._of_class.sum(axis=0, dtype=np.int64), (self._of_class > 0).sum(axis=0)
        labelled = max(int(pixels.sum()), 1)
        return tuple(
            ClassCount(name, int(pixels[k]), int(pixels[k]) / labelled, int(patches[k]))
            for k, name in enumerate(self._names)
        )

    @property
    def ignored_share(self) -> float:
        return self._ignored / max(len(self._of_class) * self._area, 1)
