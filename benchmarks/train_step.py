"""What an epoch costs beside the network's own steps.

    uv run python benchmarks/train_step.py 128

Two rates, patches per second, same network, batch and precision (float32), on one machine:

* bare: decode, augment, forward, backward, update, on one batch that stays where it is (`training/bare.py`);
* ours: epochs of a whole run (Lightning, loader, metrics, files), as its own `health/samples_per_second` says, each
  measurement of it between two of the bare loop, because a shared machine is not equally fast all the time.

Wanted on a CPU: ours at least 0.95 of bare.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from loader import make_set

from darts_train.artifacts.tree import RunPlace
from darts_train.dataset.reader import TrainData
from darts_train.experiments.run import execute_run
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config
from darts_train.models.torch_device import torch_device
from darts_train.options.learning import Data, Device, Hyperparameters, Split, Tracking, Training
from darts_train.training.bare import BareSteps
from darts_train.training.devices import arithmetic
from darts_train.training.metrics_file import read_rows
from darts_train.training.module import SegmentationModule
from darts_train.training.patches import PatchDataset

BATCH, WANTED = 8, 0.95


def bare(root: Path, encoder: str, steps: int) -> float:
    """Patches per second on one resident batch."""
    data, device = TrainData.open(root), torch_device("auto")
    spec = InputSpecification.from_set(data.bands, None, 0.0)
    config = make_model_config("Unet", encoder, None, spec, data.config.classes, data.config.patch_size, 255)
    loop = BareSteps(SegmentationModule(config), "32", device)
    batch = {k: v.to(device) for k, v in PatchDataset(data, range(len(data))).__getitems__(range(BATCH)).items()}  # type: ignore[arg-type]
    with arithmetic(device):
        for _ in range(2):
            loop(batch)
        loop.wait()
        start = time.perf_counter()
        for _ in range(steps):
            loop(batch)
        loop.wait()
    return steps * BATCH / (time.perf_counter() - start)


def ours(root: Path, encoder: str, directory: Path, epochs: int, cache: str | None) -> tuple[float, float]:
    """Patches per second of a run's epochs after its first, their median, and the largest share of waiting."""
    often = {"max_epochs": epochs, "check_val_every_n_epoch": epochs, "plot_every_n_val_epochs": 0}
    training = Training(**often, precision="32", cache=cache)
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
    )  # fmt: skip
    rows = [row for row in read_rows(directory / "metrics.csv") if row["learning_rate"]][1:]
    rates = [float(row["health/samples_per_second"]) for row in rows]
    return statistics.median(rates), max(float(row["health/data_wait"]) for row in rows)


def main() -> None:
    """Print the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=int, nargs="?", default=128)
    for name, default in (("--bands", 6), ("--side", 128), ("--repeats", 3), ("--epochs", 4)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--encoder", default="resnet18")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make_set(root / "set", a.patches, a.bands, a.side)
        ratios: dict[str | None, list[float]] = {None: [], "memory": []}
        before = bare(root / "set", a.encoder, a.patches // BATCH)
        for repeat in range(a.repeats):
            for cache, found in ratios.items():
                rate, waited = ours(root / "set", a.encoder, root / f"run{repeat}{cache}", a.epochs, cache)
                after = bare(root / "set", a.encoder, a.patches // BATCH)
                found.append(2 * rate / (before + after))
                said = f"bare {before:.1f}, ours {rate:.1f}, bare {after:.1f}/s; waited {waited:.1%}"
                print(f"  cache {cache}: {said}", flush=True)
                before = after
        for cache, found in ratios.items():
            print(f"ours / bare, cache {cache}: {statistics.median(found):.2f} (wanted {WANTED})")


if __name__ == "__main__":
    main()
