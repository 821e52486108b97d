"""What is in a train data directory: bands, classes, regions, scenes, dates, and the splits it would give.

Patches are read once, one at a time; what is kept is the count of every code of every band and two numbers per patch.
"""

from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.files import require_directory
from darts_train.base.progress import track
from darts_train.dataset import layout
from darts_train.dataset.describe_bands import BandCounts
from darts_train.dataset.describe_splits import preview_splits
from darts_train.dataset.describe_tables import count_regions, count_scenes, distinct
from darts_train.dataset.description import ClassCount, Description
from darts_train.dataset.metadata import read_metadata
from darts_train.dataset.reader import TrainData
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.store import check_arrays, open_arrays
from darts_train.options.learning import Split


def describe_set(data: TrainData, split: Split, strict: bool) -> Description:
    """Read a whole set once and say what is in it.

    Args:
        data: the opened set, all bands; it may be without patches (`open_or_empty`).
        split: the configuration whose splits are shown.
        strict: a configuration that cannot be made raises UserError; else the description says so.

    Raises:
        UserError: a patch is missing or damaged.
    """
    splits = preview_splits(data.metadata, data.config.patch_size, split, strict)  # first: it may refuse, at no cost
    bands, labels = BandCounts(data), _LabelCounts(data)
    for index in track(range(len(data)), "describe", len(data)):
        x, y = data.read(index)
        bands.add(x)
        labels.add(index, y)
    return Description(
        directory=data.root,
        data_hash=data.data_hash,
        patches=len(data),
        patch_size=data.config.patch_size,
        scenes=int(data.metadata["sample_id"].nunique()),
        positive=int((~data.metadata["empty"]).sum()),
        regions=count_regions(data.metadata, labels.positive, labels.labelled),
        bands=data.bands,
        profiles=bands.profiles(),
        classes=labels.classes(),
        ignored_share=labels.ignored_share,
        scene_count=count_scenes(data),
        groups=distinct(data.metadata, "group"),
        dates=distinct(data.metadata, "date"),
        splits=splits,
        positive_pixels=labels.positive,
    )


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


class _LabelCounts:
    """What y says, gathered patch by patch."""

    def __init__(self, data: TrainData) -> None:
        self._names = data.config.classes
        self._ignore = data.config.ignore_index
        self._pixels = np.zeros(256, np.int64)
        self._patches = np.zeros(256, np.int64)
        self.positive = np.zeros(len(data), np.int64)
        self.labelled = np.zeros(len(data), np.int64)

    def add(self, index: int, y: np.ndarray) -> None:
        counts = np.bincount(y.ravel(), minlength=256)
        self._pixels += counts
        self._patches += counts > 0
        self.labelled[index] = counts[: len(self._names)].sum()
        self.positive[index] = counts[1 : len(self._names)].sum()

    def classes(self) -> tuple[ClassCount, ...]:
        labelled = max(int(self.labelled.sum()), 1)
        return tuple(
            ClassCount(name, int(self._pixels[k]), int(self._pixels[k]) / labelled, int(self._patches[k]))
            for k, name in enumerate(self._names)
        )

    @property
    def ignored_share(self) -> float:
        return int(self._pixels[self._ignore]) / max(int(self._pixels.sum()), 1)
