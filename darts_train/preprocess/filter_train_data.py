"""A smaller set, chosen by metadata, by chance and by a model's errors: the command filter-train-data."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from darts_train.artifacts.patch_errors import PatchErrors, read_patch_errors
from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.dataset import layout
from darts_train.dataset.choosing.choice import BackgroundRule, Choice, choose_patches
from darts_train.dataset.choosing.subset import write_subset
from darts_train.dataset.choosing.table import Line, as_text, choice_lines, class_lines
from darts_train.dataset.reader import TrainData
from darts_train.dataset.set_config import SetConfig
from darts_train.options.filtering import Filter

COMMAND = "filter-train-data"


@dataclass(frozen=True)
class FilterSummary:
    """What was kept, or would be.

    Attributes:
        source: the set that was chosen from.
        directory: the new set.
        patches: patches of the source.
        kept: patches of the new set.
        dropped: patches that fail each condition, and background that was not drawn.
        lines: patches of several kinds, and how many of each are kept.
        shares: mean share of each class in all patches, and in those that are kept.
        bytes: size of the new set's pixels on the disk; of a dry run as the source has them.
        data_hash: of the new set; None of a dry run.
    """

    source: Path
    directory: Path
    patches: int
    kept: int
    dropped: dict[str, int]
    lines: tuple[Line, ...]
    shares: tuple[tuple[str, float, float], ...]
    bytes: int
    data_hash: str | None = None

    def summary(self) -> str:
        """A table for the terminal."""
        done = "holds" if self.data_hash else "would hold"
        text = as_text(self.lines, self.shares)
        text += [f"dropped {count}: {reason}" for reason, count in self.dropped.items()]
        text.append(f"{self.directory} {done} {self.kept} of {self.patches} patches, {self.bytes / 1e6:.1f} MB")
        return "\n".join(text)


def filter_train_data(filter: Filter) -> FilterSummary:
    """Write the patches of a set that are wanted to another directory, or (dry run) say which these are.

    The new set says in its config.toml of which set it was made and how. It is whole: nothing is added to it later.

    Raises:
        UserError: before anything is written where a condition cannot be understood, nothing is kept, errors are
            missing or of another set, or the directory holds another set.
    """
    parsed = BackgroundRule.parse(filter.background, filter.background_per_positive, filter.hard_negatives, filter.seed)
    rule = replace(parsed, thin_where=filter.thin_where)
    if filter.thin_where is not None and rule.keeps_all:
        raise UserError("--thin-where: how much? Give --background, --background-per-positive or --hard-negatives.")
    require_writable(filter.out_dir, "--out-dir")
    if filter.out_dir.resolve() == filter.train_data_dir.resolve():
        raise UserError("--out-dir: is the set itself; choose another directory.")
    data = TrainData.open(filter.train_data_dir)
    errors = _errors(filter, data)
    metadata = data.metadata if errors is None else pd.concat([data.metadata, errors.columns], axis=1)
    choice = choose_patches(metadata, filter.where, rule, None if errors is None else errors.values)
    summary = _summary(filter, data, choice)
    if filter.dry_run:
        return summary
    config = _config(filter, data, errors)
    written = write_subset(data, choice.kept, filter.out_dir, config, filter.overwrite)
    return replace(summary, bytes=written.bytes, data_hash=written.data_hash)


def _errors(filter: Filter, data: TrainData) -> PatchErrors | None:
    if filter.errors is None:
        return None
    return read_patch_errors(filter.errors, filter.error_column, data.metadata, data.data_hash)


def _summary(filter: Filter, data: TrainData, choice: Choice) -> FilterSummary:
    pixels = sum(path.stat().st_size for path in (data.root / layout.DATA).rglob("*") if path.is_file())
    return FilterSummary(
        source=filter.train_data_dir,
        directory=filter.out_dir,
        patches=len(data),
        kept=len(choice.kept),
        dropped=choice.dropped,
        lines=tuple(choice_lines(data.metadata, choice.kept)),
        shares=tuple(class_lines(data.metadata, choice.kept, data.config.classes)),
        bytes=pixels * len(choice.kept) // len(data),
    )


def _config(filter: Filter, data: TrainData, errors: PatchErrors | None) -> SetConfig:
    """What the new set is: the source's bands, classes and settings, and how it was chosen."""
    chosen: dict[str, Any] = {
        "source_train_data_dir": filter.train_data_dir,  # as train_data_dir, a training with this file would take it
        "source_command": data.config.command,
        "source_data_hash": data.data_hash,
        "where": filter.where,
        "background": filter.background,
        "background_per_positive": filter.background_per_positive,
        "thin_where": filter.thin_where,
        "seed": filter.seed,
        "errors": None if errors is None else errors.path,
        "error_column": filter.error_column,
        "hard_negatives": filter.hard_negatives,
    }
    return replace(data.config, command=COMMAND, settings={**data.config.settings, **chosen})
