"""Small real runs for tests: a network of 0.2 million weights, patches of 32 pixels, two or three seconds."""

import hashlib
import os
import signal
from pathlib import Path

import torch

from darts_train.experiments.one_run.settings import check_fit
from darts_train.experiments.run import RunPlace, RunResult, execute_run
from darts_train.options.learning import Data, Device, Hyperparameters, Split, Tracking, Training
from darts_train.training.names import HEALTH
from darts_train.training.tracking.metrics_file import MetricsFile, read_rows

__all__ = [
    "SMALL",
    "check_fit",
    "hyperparameters",
    "learned_rows",
    "place",
    "run",
    "run_and_die",
    "training",
    "weights_hash",
]

SMALL = {
    "model_arch": "Linknet",
    "model_encoder": "tu-lcnet_035",
    "batch_size": 4,
    "learning_rate": 0.01,
    "gamma": 0.95,
}


def hyperparameters(**changes) -> Hyperparameters:
    return Hyperparameters(**{**SMALL, **changes})


def training(**changes) -> Training:
    quick = {
        "max_epochs": 3,
        "check_val_every_n_epoch": 1,
        "log_every_n_steps": 2,
        "early_stopping_patience": 0,
        "plot_every_n_val_epochs": 0,
        "precision": "32",  # auto would be that of the machine
    }
    return Training(**{**quick, **changes})


def place(directory: Path, run_id: str = "aaaaaaaa") -> RunPlace:
    return RunPlace(directory, "run", run_id)


def run(root: Path, directory: Path, *, h=None, t=None, split=None, data=None, seed=42, fold=0, **further) -> RunResult:
    """`execute_run` on the CPU with one thread; `h` and `t` change hyperparameters and training."""
    torch.set_num_threads(1)
    return execute_run(
        place(directory, further.pop("run_id", "aaaaaaaa")),
        Data(train_data_dir=root, **(data or {})),
        Split(**(split or {})),
        hyperparameters(**(h or {})),
        training(**(t or {})),
        Device(device="cpu"),
        further.pop("tracking", Tracking()),
        fold,
        seed,
        **further,
    )


def learned_rows(directory: Path) -> list[dict[str, str]]:
    """Rows of a run's metrics.csv without what depends on the machine's mood."""
    rows = read_rows(directory / "metrics.csv")
    return [{name: text for name, text in row.items() if name not in HEALTH} for row in rows]


def weights_hash(checkpoint: Path) -> str:
    """Hash of all weights and of the optimiser's moments in a checkpoint."""
    content = torch.load(checkpoint, weights_only=True)
    digest = hashlib.sha256()
    for name, tensor in sorted(content["state_dict"].items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    for index, moments in sorted(content["optimizer_states"][0]["state"].items()):
        digest.update(str(index).encode() + moments["exp_avg"].numpy().tobytes())
    return digest.hexdigest()


def run_and_die(root: Path, directory: Path, death: str, options: dict) -> None:
    """`run`, killed: "before 5" and "after 5" at the fifth rename of a file, "torn 3" in the third row of metrics."""
    torch.set_num_threads(1)
    if death:
        when, number = death.split()
        (_die_in_row if when == "torn" else _die_at_rename)(when, int(number))
    run(root, directory, **options)


def _die_at_rename(when: str, number: int) -> None:
    rename, count = os.replace, [0]

    def counted(*args, **kwargs):
        count[0] += 1
        if when == "before" and count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(*args, **kwargs)
        if when == "after" and count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = counted


def _die_in_row(when: str, number: int) -> None:
    append, count = MetricsFile.append, [0]

    def torn(self, row, durable=False):
        count[0] += 1
        if count[0] < number:
            return append(self, row, durable)
        with self.path.open("ab") as file:
            file.write(self._line(row).encode()[:7])
        return os.kill(os.getpid(), signal.SIGKILL)

    MetricsFile.append = torn
