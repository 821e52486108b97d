"""Commands around chips, and around which patches a set keeps."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show
from darts_train.options.chips import Chips, ChipSet, ExportChips
from darts_train.options.filtering import Filter
from darts_train.options.preprocessing import Parallel


@command(app, "Train data")
def import_chips(chips: Chips, chip_set: ChipSet, parallel: Parallel) -> None:
    """Make train data of ready-cut chips.

    NPZ files with image and label, folders of pictures and masks, parquet shards.
    """
    from darts_train.preprocess.chips.import_chips import import_chips as run

    show(run(chips=chips, chip_set=chip_set, parallel=parallel))


@command(app, "Train data")
def export_chips(export_chips: ExportChips) -> None:
    """Write train data as NPZ chips.

    One file per patch, {sample_id}_{patch_id}.npz, with image and label; unlabelled is -100.
    """
    from darts_train.preprocess.chips.export_chips import export_chips as run

    show(run(export_chips=export_chips))


@command(app, "Train data")
def filter_train_data(filter: Filter) -> None:
    """Write a smaller set of train data.

    Chosen by its metadata, with some of the background by chance or by a model's errors.
    """
    from darts_train.preprocess.filter_train_data import filter_train_data as run

    show(run(filter=filter))
