"""What a search will need: disk, said before it begins, and hours, once a run has shown its speed."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from darts_train.artifacts.run_infos import RunRow
from darts_train.base.log import logger
from darts_train.experiments.searching.sampling import point
from darts_train.experiments.searching.study import Search
from darts_train.experiments.settings import Settings
from darts_train.options.keeping import Keeping
from darts_train.options.learning import Hyperparameters

FLOAT_BYTES = 4  # checkpoints hold float32, whatever training computes in
ALWAYS = 3  # best.ckpt, last.ckpt and the one before it
MOMENTS = {"adamw": 2, "adam": 2, "sgd": 1}  # numbers that an optimiser remembers of each weight
LOOKED_AT = 4  # trials whose networks are counted
_log = logger("experiments")


def checkpoint_bytes(parameters: int, h: Hyperparameters) -> int:
    """Bytes of a checkpoint: the weights, what the optimiser remembers of each, and their average where one is kept."""
    averages = int(bool(h.ema_decay or h.swa_start_epoch))
    return FLOAT_BYTES * parameters * (1 + MOMENTS.get(h.optimizer, 2) + averages)


def count_parameters(settings: Settings) -> int:
    """Weights of a network, which is built without memory. Raises UserError where there is none such."""
    from darts_train.models.arguments import parse_options
    from darts_train.models.factory import network_without_memory

    h = settings.hyperparameters
    network = network_without_memory(h.model_arch, h.model_encoder, parse_options(h.model_options))
    return sum(weight.numel() for weight in network.parameters())


@dataclass(frozen=True)
class DiskEstimate:
    """Bytes for the checkpoints of a search: `trials` of `runs` runs, whose `files` checkpoints have `size` bytes."""

    trials: int
    runs: int
    files: int
    size: float

    @property
    def total(self) -> float:
        """Bytes in all."""
        return self.trials * self.runs * self.files * self.size

    def line(self) -> str:
        """In words."""
        what = f"{self.trials} trials × {self.runs} runs × {self.files} files of {megabytes(self.size)}"
        return f"checkpoints: about {megabytes(self.total)} of disk ({what})"


def estimate_disk(search: Search, trials: int, keep: int | None, sizes: Iterable[float]) -> DiskEstimate:
    """The disk for `trials` trials, of which the best `keep` (None: all) keep checkpoints, beside the one in work."""
    stay = trials if keep is None else min(trials, keep + 1)
    # With -1 every validation is kept, too many to guess at: one per validation of all epochs.
    training = search.settings.training
    validations = max(1, training.max_epochs // max(1, training.check_val_every_n_epoch))
    top = validations if training.save_top_k < 0 else min(training.save_top_k, validations)
    return DiskEstimate(stay, search.folds * len(search.seeds), ALWAYS + top, mean(sizes))


def say_disk(search: Search, trials: int | None, keeping: Keeping | None) -> None:
    """Log what the checkpoints of a search will take; a warning where the disk has less. `trials` None: without end."""
    limits = [limit for limit in (trials, search.limit) if limit is not None]
    if not limits:
        return
    found = [search.settings.replace(point(search.space, number)) for number in range(min(LOOKED_AT, *limits, 1 << 30))]
    sizes = [size for settings in found if (size := _size(settings)) is not None]
    if not sizes:
        return
    keep = (keeping or Keeping()).kept_trials()
    disk = estimate_disk(search, min(limits), keep, sizes)
    _log.info("%s", disk.line())
    free = free_bytes(search.artifact_dir)
    if disk.total > free:
        less = estimate_disk(search, min(limits), 1, sizes).total
        hint = f"; --keep-checkpoints best needs {megabytes(less)}" if less < disk.total else ""
        _log.warning("%s has %s free, which is less%s", search.artifact_dir, megabytes(free), hint)


def free_bytes(directory: Path) -> int:
    """Bytes that are free where a directory is, or is going to be."""
    place = directory.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _size(settings: Settings) -> int | None:
    from darts_train.base.errors import UserError

    try:
        return checkpoint_bytes(count_parameters(settings), settings.hyperparameters)
    except UserError:  # a pair of network and encoder that does not go together: that trial fails
        return None


@dataclass
class HoursTold:
    """Says once, after the first run that a runner finished, how long the rest takes at that speed."""

    trials: int | None = None  # None: without end
    runs: int = 1  # of a trial
    said: bool = False

    def expect(self, limits: Iterable[int | None], runs: int) -> None:
        """Trials to come: the least of `limits`, None among them being no limit."""
        self.trials, self.runs = min((limit for limit in limits if limit is not None), default=None), runs

    def look(self, row: RunRow) -> None:
        """Take note of a run."""
        if self.said or row.status != "finished" or row.duration <= 0:
            return
        self.said = True
        trial = row.duration * self.runs / 3600
        rest = f"; {self.trials} trials: {hours(trial * self.trials)}" if self.trials is not None else ""
        _log.info("at the speed of this run a trial takes %s on one device%s", hours(trial), rest)


def hours(value: float) -> str:
    """`40 s`, `12 min`, `3.4 h`: hours for people."""
    if value * 3600 < 60:
        return f"{value * 3600:.0f} s"
    return f"{value * 60:.0f} min" if value < 1 else f"{value:.1f} h"


def megabytes(value: float) -> str:
    """`3.2 MB`, `1.7 GB`: bytes for people, in powers of ten."""
    return f"{value / 1e6:.1f} MB" if value < 1e9 else f"{value / 1e9:.1f} GB"
