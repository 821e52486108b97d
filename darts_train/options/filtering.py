"""Options of the choice of patches of which a smaller set is made."""

from dataclasses import dataclass
from pathlib import Path

from darts_train.options.fields import OptionGroup, option


@dataclass(frozen=True, kw_only=True)
class Filter(OptionGroup):
    """Which patches of a set are kept. Patches with foreground are kept where --where holds."""

    train_data_dir: Path = option("Train data directory that is chosen from.")
    out_dir: Path = option("Train data directory to write.")
    where: str | None = option(
        'Keep only patches that satisfy this, such as "valid_fraction > 0.5 and zero_fraction < 1".', None
    )
    background: str | None = option(
        "Patches without foreground that are kept, by chance: a number (500), or a share (0.2, 20%).", None
    )
    background_per_positive: float | None = option(
        "The same, as a number for every patch with foreground; 1: as many.", None, low=0, high=1e6
    )
    thin_where: str | None = option(
        "Background is thinned only where this holds, such as \"split == 'train'\"; none: everywhere.", None
    )
    seed: int = option("Which are kept by chance.", 42, low=0)
    errors: Path | None = option(
        "Errors of a model on the patches: a parquet file, a tested run, or a cross-validation with --oof.", None
    )
    error_column: str | None = option("Column of the errors; none: loss, error or score.", None)
    hard_negatives: int | None = option(
        "Patches without foreground that are kept because their error is greatest.", None, low=0
    )
    overwrite: bool = option("Start the directory anew.", False)
    dry_run: bool = option("Only say what would be kept, and what dropped.", False)
