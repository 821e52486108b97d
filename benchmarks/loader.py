"""How fast training batches come: the set's own zarr, its cache, and float32 zarr as it is often stored and read.

    uv run python benchmarks/loader.py [PATCHES] [--bands 10] [--side 512] [--take 0] [--threads 2]

The baseline: float32 zarr with Blosc-lz4 chunks of one band (1,1,P,P), or of all bands (1,C,P,P), read a sample at a
time by a torch DataLoader with two worker processes, each sample augmented there by Albumentations where that is
installed (2.0.8: `uv run --with albumentations==2.0.8 ...`): HorizontalFlip, VerticalFlip, RandomRotate90, Blur,
RandomBrightnessContrast, MultiplicativeNoise, each with probability 0.5. Ours: encoded patches, read by threads, then
decoded, normalised and given the same six augmentations on the training device (CUDA where there is one, else the CPU),
as a run does it. Both sides end with float32 batches of eight that a network can take.

Wanted of the faster baseline: 3 times without a cache, 6 times with one; and that the cache, without augmentation,
reaches 60 % of what a bare copy of the same bytes does. Every reader makes two passes in shuffled order; the second
counts (the files are in the page cache). Images are smooth with noise, so that they compress as scenes do.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from numcodecs import Blosc
from torch.utils.data import DataLoader, Dataset

from darts_train.base.heap import keep_freed_memory
from darts_train.dataset.cache_build import open_cache
from darts_train.dataset.reader import TrainData
from darts_train.dataset.schema import PatchRow, SceneRecord, Tile
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.writer import TrainDataWriter
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.raster.band import Band
from darts_train.training.augmentation.pipeline import Pipeline
from darts_train.training.augmentation.usual import step_seed
from darts_train.training.loading.held import HeldPatches
from darts_train.training.loading.patches import EpochSampler, PatchDataset
from darts_train.training.loading.threaded_loader import ThreadedLoader

BATCH = 8
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
WANTED = {"our zarr": 3, "our cache": 6}


def images(count: int, bands: int, side: int, seed: int) -> np.ndarray:
    """uint16 codes [count, bands, side, side]: hills of 1000 codes with noise of 20."""
    rng = np.random.default_rng(seed)
    places = np.arange(side) / 20
    hills = np.sin(places)[:, None] + np.cos(places)[None, :]
    levels = rng.integers(2000, 9000, (count, bands, 1, 1))
    return (levels + 500 * hills + rng.normal(0, 20, (count, bands, side, side))).astype(np.uint16)


def make_set(root: Path, count: int, bands: int, side: int) -> None:
    """Write a set of ours, 50 patches to a scene."""
    names = tuple(Band(f"band{i}", 1e-4, -0.1, 0.0, 1.0, True) for i in range(bands))
    config = SetConfig(bands=names, patch_size=side, classes=("background", "positive"), command="benchmark")
    with TrainDataWriter.open(root, config) as writer:
        for scene, first in enumerate(range(0, count, 50)):
            n, name = min(50, count - first), f"scene{scene}"
            rows = [
                PatchRow(i, name, x=i * side, empty=False, positive_fraction=0.5, class_fractions=[0.5, 0.5])
                for i in range(n)
            ]
            x, y = images(n, bands, side, scene), np.zeros((n, side, side), np.uint8)
            y[:, : side // 2] = 1
            writer.commit(Tile(name, 0, rows, x, y, SceneRecord(name, patches=n)))
        writer.finalise()


def make_baseline(path: Path, data: TrainData, per_band: bool) -> None:
    """Write the same patches as float32 in zarr version 2, Blosc-lz4."""
    n, (c, side) = len(data), data.x.shape[1:3]
    group = zarr.create_group(str(path), zarr_format=2)
    codec = Blosc(cname="lz4", clevel=5, shuffle=Blosc.SHUFFLE)
    chunks = (1, 1 if per_band else c, side, side)
    x = group.create_array("x", shape=(n, c, side, side), dtype="f4", chunks=chunks, compressors=codec)
    y = group.create_array("y", shape=(n, side, side), dtype="u1", chunks=(1, side, side), compressors=codec)
    for i in range(n):
        codes, classes = data.read(i)
        x[i], y[i] = codes.astype(np.float32) * 1e-4 - 0.1, classes


class PerSample(Dataset[tuple[np.ndarray, np.ndarray]]):
    """The baseline: one sample, some bands of it, straight from zarr, augmented where `augment`."""

    def __init__(self, path: Path, bands: list[int], augment: bool, blur: bool = True) -> None:
        self.path, self.bands, self.augment, self.blur = path, bands, augment, blur

    def __len__(self) -> int:
        return int(zarr.open_group(str(self.path), mode="r")["y"].shape[0])

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        if not hasattr(self, "group"):
            self.group = zarr.open_group(str(self.path), mode="r")
            self.pipeline = albumentations_pipeline(self.blur) if self.augment else None
        x = self.group["x"].oindex[i, self.bands] if len(self.bands) < self.group["x"].shape[1] else self.group["x"][i]
        y = self.group["y"][i]
        if self.pipeline is None:
            return x, y
        done = self.pipeline(image=np.ascontiguousarray(x.transpose(1, 2, 0)), mask=y)
        return np.ascontiguousarray(done["image"].transpose(2, 0, 1)), np.ascontiguousarray(done["mask"])


def albumentations_pipeline(blur: bool = True) -> Any:
    """The six of them, or all but the blur; None where Albumentations is not installed."""
    if not importlib.util.find_spec("albumentations"):
        return None
    import albumentations as A
    import cv2

    cv2.setNumThreads(1)  # two processes share two cores
    return A.Compose(
        [
            A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5), A.RandomRotate90(p=0.5), A.Blur(p=0.5 * blur),
            A.RandomBrightnessContrast(p=0.5),
            A.MultiplicativeNoise(per_channel=True, elementwise=True, p=0.5),
        ]
    )  # fmt: skip


def pipeline(layer: InputLayer) -> Pipeline:
    """The same six of ours."""
    texts = [
        "HorizontalFlip", "VerticalFlip", "RandomRotate90", "Blur", "RandomBrightnessContrast:brightness_by_max=true",
        "MultiplicativeNoise",
    ]  # fmt: skip
    return Pipeline(texts, layer.spec.bands, 0.0, 255)


def seconds(epoch: Callable[[], Iterator[object]]) -> float:
    """Time of a second pass over the batches."""
    for _ in epoch():
        pass
    start = time.perf_counter()
    for _ in epoch():
        pass
    return time.perf_counter() - start


def ours(dataset: Dataset[Any], threads: int, layer: InputLayer | None) -> Callable[[], Iterator[object]]:
    """Epochs of our loader; with a layer decoded and augmented."""
    loader = ThreadedLoader(dataset, BATCH, threads, sampler=EpochSampler(len(dataset), 42))  # type: ignore[arg-type]
    if layer is None:
        return lambda: iter(loader)
    augment = pipeline(layer)

    def epoch() -> Iterator[object]:
        for step, batch in enumerate(loader):
            codes, y = (batch[name].to(DEVICE, non_blocking=True) for name in ("x", "y"))
            yield augment(codes, y, layer, step_seed(42, step))

    return epoch


def theirs(path: Path, bands: list[int], augment: bool) -> Callable[[], Iterator[object]]:
    """Epochs of the baseline."""
    loader = DataLoader(
        PerSample(path, bands, augment), BATCH, shuffle=True, num_workers=2, persistent_workers=True,
        multiprocessing_context="spawn",
    )  # fmt: skip
    return lambda: iter(loader)


def copying(count: int, bytes_each: int) -> float:
    """Time of copying the same bytes from memory into fresh batches."""
    source, order = np.zeros((count, bytes_each), np.uint8), np.random.default_rng(0).permutation(count)
    start = time.perf_counter()
    for first in range(0, count, BATCH):
        batch = np.empty((BATCH, bytes_each), np.uint8)
        for place, row in enumerate(order[first : first + BATCH]):
            batch[place] = source[row]
    return time.perf_counter() - start


def main() -> None:
    """Print one line per reader, and what was wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=int, nargs="?", default=64)
    for name, default in (("--bands", 10), ("--side", 512), ("--take", 0), ("--threads", 2)):
        parser.add_argument(name, type=int, default=default)
    a = parser.parse_args()
    keep_freed_memory()  # as every run does
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make_set(root / "set", a.patches, a.bands, a.side)
        whole = TrainData.open(root / "set")
        for per_band in (True, False):
            make_baseline(root / f"baseline{per_band}", whole, per_band)
        start = time.perf_counter()
        open_cache(root / "cache", whole)
        said = f"{a.patches} patches of {a.bands} bands, {a.side} x {a.side}"
        print(f"{said}; cache built in {time.perf_counter() - start:.1f} s", flush=True)
        for chosen in [list(range(a.bands)), *([list(range(0, a.bands, -(-a.bands // a.take)))] if a.take else [])]:
            for augment in (True, False):
                measure(root, chosen, a.threads, augment)


def measure(root: Path, chosen: list[int], threads: int, augment: bool) -> None:
    """Time every reader for the chosen bands."""
    data = TrainData.open(root / "set", [f"band{i}" for i in chosen])
    cached, rows = open_cache(root / "cache", data), np.arange(len(data))
    assert cached is not None
    layer = InputLayer(InputSpecification.from_set(data.bands, None, 0.0)).to(DEVICE) if augment else None
    readers = {
        "baseline (1,1,P,P), 2 processes": theirs(root / "baselineTrue", chosen, augment),
        "baseline (1,C,P,P), 2 processes": theirs(root / "baselineFalse", chosen, augment),
        "our zarr": ours(PatchDataset(data, rows), threads, layer),
        "our cache": ours(PatchDataset(cached, rows), threads, layer),
        "held on the device": ours(HeldPatches(cached, rows, DEVICE), 0, layer),
    }
    by = "Albumentations" if albumentations_pipeline() else "nothing (Albumentations is not installed)"
    print(f"{len(chosen)} bands, " + (f"augmented; the baseline by {by}:" if augment else "not augmented:"), flush=True)
    rates = {}
    for name, epoch in readers.items():
        rates[name] = len(data) / seconds(epoch)
        print(f"  {name:34} {rates[name]:9.1f} samples/s", flush=True)
    best = max(rate for name, rate in rates.items() if name.startswith("baseline"))
    for name, wanted in WANTED.items():
        print(f"  {name} / faster baseline{'':11} {rates[name] / best:9.1f} times (wanted {wanted})")
    if not augment:
        side = data.config.patch_size
        alone = len(data) / seconds(ours(PatchDataset(cached, rows), 0, None))
        copied = len(data) / copying(len(data), side * side * (2 * len(chosen) + 1))
        print(f"  bare copy {copied:.0f}/s; cache without threads {alone:.0f}/s: {alone / copied:.0%} (wanted 60%)")


if __name__ == "__main__":
    main()
