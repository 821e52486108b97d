"""What is in a train data directory, as tables for the terminal, as JSON, and as a page."""

import dataclasses
import os
from pathlib import Path

from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.dataset.describing.describe import describe_set, open_or_empty
from darts_train.dataset.describing.description import Description
from darts_train.dataset.reader import TrainData
from darts_train.dataset.statistics_file import check_stats_file, write_stats
from darts_train.options.learning import Split
from darts_train.options.preprocessing import Describe, Inspect

SUFFIXES = (".html", ".htm")


def describe_train_data(
    inspect: Inspect, describe: Describe | None = None, split: Split | None = None, *, strict: bool | None = None
) -> Description:
    """Read a whole set once and say what is in it: bands, classes, regions, scenes, and the splits it would give.

    The train data directory is not changed.

    Args:
        inspect: the set. It may be without patches.
        describe: of which patches the numbers of the bands are, and what else is written; None: of all, and nothing.
        split: the configuration whose splits are shown; None: that of the defaults.
        strict: whether a configuration that cannot be made is an error, or said in the description; None: an error
            where `split` is given.

    Returns:
        The description; `summary()` is the tables, `to_dict()` the JSON. An unknown number is NaN.

    Raises:
        UserError: it is no set, or damaged; the page or the file of numbers cannot be written where it is wanted;
            strict, or only the training patches are wanted, and the configuration cannot be made.
    """
    describe = describe or Describe()
    wanted = describe.page
    if wanted is not None:
        _check_page(wanted, inspect.train_data_dir)
    data = open_or_empty(inspect.train_data_dir)
    check_stats_file(describe, inspect.train_data_dir, data.config.band_names)
    found = describe_set(data, split or Split(), split is not None if strict is None else strict, describe)
    if describe.stats_file is not None:
        found = dataclasses.replace(found, stats_file=write_stats(describe, found.profiles, found.lit))
    return found if wanted is None else _with_page(data, found, wanted)


def _with_page(data: TrainData, found: Description, wanted: Path) -> Description:
    # only now: drawing libraries and templates take a second to be imported
    from darts_train.reporting.describe_page import page
    from darts_train.reporting.page import write_page

    found = dataclasses.replace(found, page=wanted)
    content = page(data, found)
    try:
        write_page(wanted, content)
    except OSError as error:
        raise UserError(f"--page: {wanted} cannot be written: {error.strerror}.") from None
    return found


def _check_page(path: Path, root: Path) -> None:
    """Refuse, before anything is read, a page that would change the set or replace something that is no page."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"--page: {path} must end in .html.")
    if path.is_dir():
        raise UserError(f"--page: {path} is a directory; name a file in it.")
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise UserError(f"--page: {path} lies in the train data directory, which stays as it is; choose another place.")
    require_writable(path.parent, "--page")
