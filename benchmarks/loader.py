"""How fast patches come: the set's own zarr, its cache, and float32 zarr as it is often stored, read per sample.

    uv run python benchmarks/loader.py [PATCHES] [--bands 12] [--side 128] [--take 3]

Every reader is asked for shuffled batches of eight, twice; the second pass counts (the files are in the page cache).
The baselines are float32 zarr with Blosc-lz4 chunks of one band (1,1,P,P) and of all bands (1,C,P,P), read a sample at
a time by a torch DataLoader with two workers, as the first readers of such sets did. The last line says which share of
the cache's time a bare copy of the same bytes would need. Images are smooth with noise, so that they compress like
scenes do.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import zarr
from numcodecs import Blosc
from torch.utils.data import DataLoader, Dataset

from darts_train.dataset.cache_build import open_cache
from darts_train.dataset.reader import TrainData
from darts_train.dataset.schema import PatchRow, SceneRecord, Tile
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.writer import TrainDataWriter
from darts_train.raster.band import Band
from darts_train.training.patches import EpochSampler, PatchDataset, as_is

BATCH = 8


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
            rows = [PatchRow(i, name, x=i * side, class_fractions=[1.0, 0.0]) for i in range(n)]
            x, y = images(n, bands, side, scene), np.zeros((n, side, side), np.uint8)
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
    """The baseline: one sample, some bands of it, straight from zarr."""

    def __init__(self, path: Path, bands: list[int]) -> None:
        self.path, self.bands = path, bands

    def __len__(self) -> int:
        return int(zarr.open_group(str(self.path), mode="r")["y"].shape[0])

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        if not hasattr(self, "group"):
            self.group = zarr.open_group(str(self.path), mode="r")
        x = self.group["x"].oindex[i, self.bands] if len(self.bands) < self.group["x"].shape[1] else self.group["x"][i]
        return x, self.group["y"][i]


def seconds(epoch: Callable[[], Iterator[object]]) -> float:
    """Time of a second pass over the batches."""
    for _ in epoch():
        pass
    start = time.perf_counter()
    for _ in epoch():
        pass
    return time.perf_counter() - start


def ours(dataset: PatchDataset, workers: int) -> Callable[[], Iterator[object]]:
    """Epochs of our loader."""
    sampler = EpochSampler(len(dataset), 42)
    context = "spawn" if workers else None
    loader = DataLoader(
        dataset, BATCH, sampler=sampler, collate_fn=as_is, num_workers=workers, multiprocessing_context=context,
        persistent_workers=workers > 0,
    )  # fmt: skip
    return lambda: iter(loader)


def theirs(path: Path, bands: list[int]) -> Callable[[], Iterator[object]]:
    """Epochs of the baseline."""
    loader = DataLoader(
        PerSample(path, bands), BATCH, shuffle=True, num_workers=2, persistent_workers=True,
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
    """Print one line per reader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patches", type=int, nargs="?", default=1000)
    for name, default in (("--bands", 12), ("--side", 128), ("--take", 3)):
        parser.add_argument(name, type=int, default=default)
    a = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        measure(Path(place), a.patches, a.bands, a.side, a.take)


def measure(place: Path, count: int, bands: int, side: int, take: int) -> None:
    """Make the set and its forms, and time every reader for all bands and for `take` of them."""
    make_set(place / "set", count, bands, side)
    whole = TrainData.open(place / "set")
    for per_band in (True, False):
        make_baseline(place / f"baseline{per_band}", whole, per_band)
    start = time.perf_counter()
    open_cache(place / "cache", whole)
    print(f"{count} patches of {bands} bands, {side} x {side}; cache built in {time.perf_counter() - start:.1f} s")
    for chosen in (list(range(bands)), sorted({i * bands // take for i in range(take)})):
        data = TrainData.open(place / "set", [f"band{i}" for i in chosen])
        cached, rows = open_cache(place / "cache", data), np.arange(count)
        assert cached is not None
        readers = {
            "float32 zarr (1,1,P,P), per sample, 2 workers": theirs(place / "baselineTrue", chosen),
            "float32 zarr (1,C,P,P), per sample, 2 workers": theirs(place / "baselineFalse", chosen),
            "our zarr": ours(PatchDataset(data, rows), 0),
            "our zarr, 2 workers": ours(PatchDataset(data, rows), 2),
            "our cache": ours(PatchDataset(cached, rows), 0),
            "our cache, 2 workers": ours(PatchDataset(cached, rows), 2),
        }
        print(f"{len(chosen)} bands:")
        times = {name: seconds(epoch) for name, epoch in readers.items()}
        for name, taken in times.items():
            print(f"  {name:48} {count / taken:8.0f} samples/s")
        copied = copying(count, side * side * (2 * len(chosen) + 1))
        taken = seconds(readers["our cache"])
        print(
            f"  {'a bare copy of the same bytes':48} {count / copied:8.0f} samples/s, {copied / taken:.0%} of the time"
        )


if __name__ == "__main__":
    main()
