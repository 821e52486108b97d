"""Learning curves of random configurations of a small network on the bundled scenes: what `pruning.py` replays.

    uv run python benchmarks/record_curves.py [CONFIGURATIONS] [WORK_DIRECTORY]

The three bundled scenes (Sentinel-2, Landsat-7, Landsat-5) are cut into patches without overlap and every eighth pixel
is taken; configurations are those that `--sampler random` draws from SPACE, each trained on the five folds of
`stratified` and validated after each of 18 epochs. Networks, losses, augmentation, optimisers, schedules, averaging and
metrics are those of a run; there is no Lightning, no checkpoint and no early stopping around them. A row of
data/curves.parquet is one epoch of one fold of one configuration. A call that was stopped goes on where it was.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from torch.func import functional_call

from darts_train.base.files import atomic_path
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import make_split
from darts_train.experiments.one_run.network import make_module
from darts_train.experiments.one_run.settings import prepare_run
from darts_train.experiments.searching.sampling import point
from darts_train.experiments.space.hyperparameters import parse_hyperparameters
from darts_train.metrics.state import SegmentationMetrics
from darts_train.options.learning import Data, Device, Hyperparameters, Split, Training
from darts_train.quickstart.state import State
from darts_train.quickstart.steps import Work, cut_patches
from darts_train.quickstart.task import CLOUD, Recipe
from darts_train.training.augmentation.usual import step_seed
from darts_train.training.loading.patches import EpochSampler, as_tensor
from darts_train.training.optimising.optimisers import make_optimiser
from darts_train.training.optimising.schedules import Position, set_rate

CURVES = Path(__file__).parent / "data" / "curves.parquet"
FOLDS, EPOCHS, SEED, EVERY = 5, 18, 42, 8
SPLIT = Split(fold_method="stratified", total_folds=FOLDS)
FIXED = {"model_arch": "Unet", "model_encoder": "mobilenet_v2"} | {
    "model_options": ("encoder_depth=2", "decoder_channels=12,8")
}
SPACE = {
    "learning_rate": {"distribution": "loguniform", "low": 1e-5, "high": 1e-1},
    "loss": ["bce", "focal", "dice", "bce:0.5+dice:0.5"],
    "focal_loss_gamma": {"distribution": "uniform", "low": 0.5, "high": 4.0},
    "gamma": {"distribution": "uniform", "low": 0.8, "high": 1.0},
    "batch_size": [4, 8, 16],
    "optimizer": ["adamw", "adam", "sgd"],
    "weight_decay": {"distribution": "loguniform", "low": 1e-6, "high": 1e-1},
    "augment": [True, False],
    "ema_decay": [0.0, 0.9, 0.98],
}


def main() -> None:
    """Record the configurations that are not recorded yet, one after the other."""
    torch.set_num_threads(1)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 72
    root = Path(sys.argv[2] if len(sys.argv) > 2 else "curves-data")
    data = train_data(root)
    table = pd.read_parquet(CURVES) if CURVES.exists() else pd.DataFrame({"config": []})
    for number in sorted(set(range(count)) - set(table["config"])):
        started = time.process_time()
        rows = rows_of(data, number)
        table = pd.concat([table, rows], ignore_index=True)
        CURVES.parent.mkdir(exist_ok=True)
        kinds = {"config": "int16", "fold": "int8", "epoch": "int16"}
        with atomic_path(CURVES) as temporary:
            table.astype(kinds).to_parquet(temporary, compression="zstd", index=False)
        best = rows.groupby("fold")["val/JaccardIndex"].max().mean()
        print(f"configuration {number:3d}  IoU {best:.3f}  {time.process_time() - started:5.1f} s", flush=True)


def train_data(root: Path) -> Path:
    """The train data of the bundled scenes, cut when first needed."""
    if not (root / "train_data" / "config.toml").exists():
        root.mkdir(parents=True, exist_ok=True)
        recipe = Recipe(overlap=0)
        cut_patches(Work(root, CLOUD, recipe, SEED, "cpu", State.open(root, {})))
    return root / "train_data"


def rows_of(directory: Path, number: int) -> pd.DataFrame:
    """The curves of configuration `number`, with its parameters. They end where training diverged."""
    values = point(parse_hyperparameters(SPACE, "space"), number)
    settings = Hyperparameters(**FIXED, **values)
    folds = Folds(directory, settings)
    rows = []
    for epoch in range(EPOCHS):
        folds.train(epoch)
        rows += [{"config": number, "fold": fold, "epoch": epoch + 1, **found} for fold, found in folds.validate()]
    table = pd.DataFrame(rows).astype({"val/JaccardIndex": "float32", "val/loss": "float32"})
    return table.assign(**values)


class Folds:
    """One configuration on all folds at once, as `SegmentationModule` trains each under Lightning.

    All begin with the same weights, and small networks cost what their calls cost: so the networks of the folds are
    one, with a first axis of folds in every weight, statistic and moment, none of which mixes folds.
    """

    def __init__(self, directory: Path, settings: Hyperparameters) -> None:
        opened = TrainData.open(directory)
        prepared = prepare_run(Data(train_data_dir=directory), SPLIT, settings, Device(device="cpu"), 0)
        self.module = make_module(prepared, settings, Training(max_epochs=EPOCHS), SEED).train()
        splits = [make_split(opened.metadata, SPLIT, fold, opened.config.patch_size) for fold in range(FOLDS)]
        self.seen = [coarse(opened, split.train) for split in splits]
        self.unseen = [coarse(opened, split.val) for split in splits]
        self.network = self.module.model
        for tensor in [*self.network.parameters(), *self.network.buffers()]:
            tensor.data = tensor.data.expand(FOLDS, *tensor.shape).clone(memory_format=torch.contiguous_format)
        self.optimiser = make_optimiser(self.network, settings)
        self.size, self.step, self.diverged = settings.batch_size, 0, [False] * FOLDS
        if self.module.average is not None:
            self.module.average.begin()

    def train(self, epoch: int) -> None:
        """One epoch."""
        module = self.module
        orders = [self._order(len(y), epoch) for _, y in self.seen]
        totals = torch.zeros(FOLDS)
        for batches in zip(*orders, strict=True):
            place = Position(epoch, self.step, len(orders[0]), len(orders[0]) * EPOCHS)
            set_rate(self.optimiser.param_groups, module.schedule.at(place))
            draw = step_seed(SEED, self.step)
            inputs = [module.step_input(x[b], y[b], draw) for (x, y), b in zip(self.seen, batches, strict=True)]
            logits = self._logits(torch.stack([mixed.x for mixed in inputs]))
            losses = torch.stack([mixed.loss(module.loss, own) for mixed, own in zip(inputs, logits, strict=True)])
            self.optimiser.zero_grad()
            losses.sum().backward()
            self.optimiser.step()
            if module.average is not None:
                module.average.update()
            totals, self.step = totals + losses.detach(), self.step + 1
        self.diverged = [was or not ok for was, ok in zip(self.diverged, totals.isfinite().tolist(), strict=True)]

    def _order(self, count: int, epoch: int) -> tuple[torch.Tensor, ...]:
        sampler = EpochSampler(count, SEED)
        sampler.multiple = self.size
        sampler.set_epoch(epoch)
        return torch.tensor(list(sampler)).split(self.size)

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [folds, n, 1, h, w] of x [folds, n, c, h, w]."""
        state = dict(self.network.named_parameters()) | dict(self.network.named_buffers())
        return torch.vmap(lambda own, image: functional_call(self.network, own, (image,)))(state, x)

    @torch.no_grad()
    def validate(self) -> Iterator[tuple[int, dict[str, float]]]:
        """val/JaccardIndex and val/loss of the folds that did not diverge, of averaged weights where there are any."""
        module, most = self.module, max(len(y) for _, y in self.unseen)
        if module.average is not None:
            module.average.swap()
        self.network.eval()
        shown = [module.input(x) for x, _ in self.unseen]
        padded = torch.stack([torch.cat([x, x[: most - len(x)]]) for x in shown])
        for fold, (logits, (_, y)) in enumerate(zip(self._logits(padded), self.unseen, strict=True)):
            state = SegmentationMetrics(module.classes, module.ignore_index)
            state.update(logits[: len(y)], y, module.loss.total(logits[: len(y)], y)[0])
            found = state.compute("val/")
            if not self.diverged[fold]:
                yield fold, {name: found[name] for name in ("val/JaccardIndex", "val/loss")}
        self.network.train()
        if module.average is not None:
            module.average.swap()


def coarse(data: TrainData, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes and labels of some patches, every eighth pixel."""
    x, y = data.read_many(rows)
    return as_tensor(x[..., ::EVERY, ::EVERY].copy()), torch.from_numpy(y[..., ::EVERY, ::EVERY].copy())


if __name__ == "__main__":
    main()
