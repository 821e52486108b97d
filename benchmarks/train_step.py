"""What an epoch costs beside the network's own steps, and beside the reference recipe.

    uv run --with albumentations==2.0.8 python benchmarks/train_step.py [PATCHES] [--repeats 5] [--cache memory]

Three rates, patches per second, same patches, network and batch size, on one machine:

* bare: decode, augment, forward, backward, update, on one batch that stays where it is (`training/bare.py`);
* ours: epochs of a whole run (Lightning, loader, metrics, files), as its own `health/samples_per_second` says;
* the reference recipe: float32 network in NCHW with a sigmoid at its end, float32 zarr (Blosc-lz4, all bands of a
  patch in a chunk) read a sample at a time by a DataLoader with worker processes, each sample augmented there by
  Albumentations where that is installed (flips, turns, brightness and contrast, noise), focal loss, AdamW, and a
  torchmetrics collection of eight called on every step. Bare, too: no Lightning, no files.

Ours and bare take the arithmetic of `--precision auto` (bfloat16 on CUDA and with AMX). A shared machine is
not equally fast all the time, so the other two are measured before and after every epoch of ours, within its run, and
a ratio is that of an epoch to the mean of its neighbours; the median of all ratios counts. First epochs, which warm
up, do not. On CUDA the share of the time in which the device was busy is that of nvidia-smi.

Wanted: ours at least 0.95 of bare; and at least 1.8 times the reference on a CPU with AVX512-BF16, 4 times on CUDA
(goal on an H200: Unet-resnet34, 896 x 896, 10 bands: 400 patches/s, busy 95 %). The defaults on CUDA are those.
"""

import argparse
import itertools
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import segmentation_models_pytorch as smp
import torch
from loader import PerSample, albumentations_pipeline, make_baseline, make_set
from torch.utils.data import DataLoader, RandomSampler
from torchmetrics import MetricCollection
from torchmetrics import classification as tm

import darts_train.training.fit as fitting
from darts_train.artifacts.tree import RunPlace
from darts_train.base.executor import core_count
from darts_train.dataset.reader import TrainData
from darts_train.experiments.run import execute_run
from darts_train.metrics.names import COUNT_METRICS
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config
from darts_train.models.torch_device import torch_device
from darts_train.options.learning import Data, Device, Hyperparameters, Split, Tracking, Training
from darts_train.training.bare import BareSteps
from darts_train.training.hardware.devices import arithmetic, resolve_precision
from darts_train.training.health import EpochHealth
from darts_train.training.loading.patches import PatchDataset
from darts_train.training.module import SegmentationModule
from darts_train.training.tracking.metrics_file import read_rows

BATCH, BARE_WANTED = 8, 0.95
IGNORE = 2  # of the reference
DEVICE = torch_device("auto")
ON_CUDA = DEVICE.type == "cuda"
CPU_HAS_BF16 = torch.cpu._is_avx512_bf16_supported()
# patches, bands, side, patches of an epoch (0: all), of a reference measurement, of a bare one; encoder
DEFAULTS = (64, 10, 896, 4096, 512, 512, "resnet34") if ON_CUDA else (128, 10, 128, 0, 64, 64, "resnet18")
Rate = Callable[[], float]


def bare_rate(root: Path, encoder: str, precision: Any, patches: int) -> Rate:
    """Patches per second of our steps on one resident batch."""
    data = TrainData.open(root)
    spec = InputSpecification.from_set(data.bands, None, 0.0)
    config = make_model_config("Unet", encoder, None, spec, data.config.classes, data.config.patch_size, 255)
    loop = BareSteps(SegmentationModule(config), precision, DEVICE)
    batch = {k: v.to(DEVICE) for k, v in PatchDataset(data, range(len(data))).__getitems__(range(BATCH)).items()}  # type: ignore[arg-type]

    def measured() -> float:
        with arithmetic(DEVICE):
            loop(batch)
            loop.wait()
            start = time.perf_counter()
            for _ in range(patches // BATCH):
                loop(batch)
            loop.wait()
        return patches // BATCH * BATCH / (time.perf_counter() - start)

    return measured


class Reference:
    """The reference recipe on float32 zarr; a call trains on `patches` and gives patches per second."""

    def __init__(self, path: Path, bands: int, encoder: str, patches: int) -> None:
        dataset = PerSample(path, list(range(bands)), augment=True, blur=False)
        # In rounds over the set, so that an epoch's end, at which its workers run dry, weighs no more than in ours.
        sampler = RandomSampler(dataset, num_samples=patches)
        self.loader = DataLoader(
            dataset, BATCH, sampler=sampler, num_workers=max(2, min(core_count(), 8)), persistent_workers=True,
            drop_last=True, multiprocessing_context="spawn",
        )  # fmt: skip
        self.network = smp.create_model(
            "Unet", encoder, encoder_weights=None, in_channels=bands, classes=1, activation="sigmoid"
        ).to(DEVICE)
        self.loss = smp.losses.FocalLoss("binary", gamma=2.0, ignore_index=IGNORE)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=1e-3)
        options = {"ignore_index": IGNORE, "validate_args": False}
        self.metrics = MetricCollection({m: getattr(tm, f"Binary{m}")(**options) for m in COUNT_METRICS}).to(DEVICE)

    def __call__(self) -> float:
        """One measurement."""
        with reference_arithmetic():
            start, done = time.perf_counter(), 0
            for x, y in self.loader:
                self.step(x.to(DEVICE), y.to(DEVICE).long())
                done += len(y)
            self.metrics.reset()
            if ON_CUDA:
                torch.cuda.synchronize()
        return done / (time.perf_counter() - start)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """One update, and the metrics of its step, x float32 [n, c, h, w], y int64 [n, h, w]."""
        found = self.network(x)[:, 0]
        loss = self.loss(found, y)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.metrics(found.detach(), y)


@contextmanager
def reference_arithmetic() -> Iterator[None]:
    """As the reference sets it: nothing deterministic, float32 products of medium precision."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    matmul = torch.get_float32_matmul_precision()
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.set_float32_matmul_precision(matmul)


class Busy:
    """How busy a CUDA device is, a look every 100 ms; nothing where there is no nvidia-smi."""

    def __init__(self) -> None:
        command = [
            "nvidia-smi",
            f"--id={DEVICE.index or 0}",
            "--query-gpu=utilization.gpu",
            "--format=csv,noheader,nounits",
        ]
        try:
            self.process: Any = ON_CUDA and subprocess.Popen(
                [*command, "-lms", "100"], stdout=subprocess.PIPE, text=True
            )
        except OSError:
            self.process = None

    def stop(self) -> list[float]:
        """End, and give the percentages but the first ones, which are of what went before."""
        if not self.process:
            return []
        self.process.terminate()
        return [float(line) for line in self.process.communicate()[0].split() if line.isdecimal()][5:]


class PausingHealth(EpochHealth):
    """An epoch's health, whose clock begins when others were measured, too."""

    others: Callable[[], None]

    def on_train_epoch_start(self, *arguments: Any) -> None:
        """Called before an epoch's loader is."""
        if not hasattr(self, "_begun") or self._begun != arguments[0].current_epoch:
            self._begun = arguments[0].current_epoch
            with torch.enable_grad():
                type(self).others()
        super().on_train_epoch_start(*arguments)


def ours(
    root: Path, directory: Path, encoder: str, precision: Any, cache: str | None, epochs: int, samples: int | None,
    others: Callable[[], None],
) -> tuple[list[float], float]:  # fmt: skip
    """Patches per second of every epoch of a run, and the largest share of waiting but the first epoch's.

    `others` is called before every epoch, and after the last.
    """
    often: dict[str, Any] = {"max_epochs": epochs, "check_val_every_n_epoch": epochs, "plot_every_n_val_epochs": 0}
    training = Training(**often, precision=precision, cache=cache, samples_per_epoch=samples)
    health = type("Health", (PausingHealth,), {"others": staticmethod(others)})
    with mock.patch.object(fitting, "EpochHealth", health):
        execute_run(
            RunPlace(directory, "run", "aaaaaaaa"),
            Data(train_data_dir=root),
            Split(fold_method=None),
            Hyperparameters(model_arch="Unet", model_encoder=encoder, batch_size=BATCH),
            training,
            Device(),
            Tracking(),
            0,
            42,
        )
    others()
    rows = [row for row in read_rows(directory / "metrics.csv") if row["learning_rate"]]
    rates = [float(row["health/samples_per_second"]) for row in rows]
    return rates, max(float(row["health/data_wait"]) for row in rows[1:])


def between(rates: list[float], others: list[float]) -> list[float]:
    """Ratios of all rates but the first to the mean of the other before and the other after it."""
    pairs = itertools.pairwise(others)
    return [2 * rate / sum(pair) for rate, pair in list(zip(rates, pairs, strict=True))[1:]]


def compared(name: str, cache: str | None, root: Path, bare: Rate, reference: Rate, a: argparse.Namespace) -> None:
    """One run of ours among the others, and what came out."""
    found: dict[str, list[float]] = {"bare": [], "reference": []}
    busy: list[float] = []
    watching: list[Busy] = []

    def others() -> None:
        busy.extend(watching.pop().stop() if watching else ())
        found["bare"].append(bare())
        found["reference"].append(reference())
        watching.append(Busy())

    epochs = a.repeats + 1
    rates, waited = ours(
        root / "set", root / f"run-{name}", a.encoder, a.precision, cache, epochs, a.epoch or None, others
    )
    watching.pop().stop()
    rate, wait = statistics.median(rates[1:]), f"waited for data {waited:.1%}"
    said = ", ".join(f"{other} {statistics.median(values):.1f}" for other, values in found.items())
    print(f"cache {name}: patches/s: ours {rate:.1f}, {said}; {wait}", flush=True)
    if busy:
        print(f"  device busy {statistics.mean(busy):.0f} % (goal 95)")
    wanted = {"bare": f"wanted {BARE_WANTED}", "reference": reference_wanted()}
    for other, values in found.items():
        ratios = between(rates, values)
        said = f"{min(ratios):.2f} to {max(ratios):.2f}; {wanted[other]}"
        print(f"  ours / {other}: {statistics.median(ratios):.2f} ({said})", flush=True)


def reference_wanted() -> str:
    """What is asked of the ratio on this device."""
    if ON_CUDA:
        return "wanted 4"
    return "wanted 1.8" if CPU_HAS_BF16 else "no figure is wanted of a CPU without AVX512-BF16"


def main() -> None:
    """Print the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=int, nargs="?", default=DEFAULTS[0])
    for name, default in zip(("bands", "side", "epoch", "reference", "bare"), DEFAULTS[1:-1], strict=True):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--encoder", default=DEFAULTS[-1])
    parser.add_argument("--precision", default=resolve_precision("auto", DEVICE))
    parser.add_argument("--cache", help="only this one: none, memory, device, or a directory")
    a = parser.parse_args()
    names = [a.cache] if a.cache else ["none", "device" if ON_CUDA else "memory"]
    where = torch.cuda.get_device_name() if ON_CUDA else f"CPU {'with' if CPU_HAS_BF16 else 'without'} AVX512-BF16"
    print(f"{where}, {torch.get_num_threads()} threads, {a.encoder}, {a.bands} x {a.side} x {a.side}, {a.precision}")
    if albumentations_pipeline() is None:
        print("Albumentations is not installed: the reference augments nothing")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make_set(root / "set", a.patches, a.bands, a.side)
        make_baseline(root / "baseline", TrainData.open(root / "set"), per_band=False)
        bare = bare_rate(root / "set", a.encoder, a.precision, a.bare)
        reference = Reference(root / "baseline", a.bands, a.encoder, a.reference)
        bare(), reference()
        for name in names:
            compared(name, None if name == "none" else name, root, bare, reference, a)


if __name__ == "__main__":
    main()
