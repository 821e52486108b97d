"""The command that groups samples: what shows one place must not train and validate."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError
from darts_train.base.files import require_writable, write_bytes, write_json
from darts_train.base.log import logger
from darts_train.dataset.added_columns import add_columns
from darts_train.dataset.grouping.budget import class_pixels, describe_groups, split_values
from darts_train.dataset.grouping.components import group_names
from darts_train.dataset.grouping.report import Group, GroupReport
from darts_train.dataset.grouping.units import Units
from darts_train.dataset.reader import TrainData
from darts_train.options.grouping import Grouping
from darts_train.options.learning import Device
from darts_train.options.preprocessing import Inspect
from darts_train.preprocess.grouping.cues import Found, find_groups

_log = logger("groups")


def group_train_data(inspect: Inspect, grouping: Grouping | None = None, device: Device | None = None) -> GroupReport:
    """Find samples that show the same place, or look the same, and write their group into the set.

    Groups are the connected components over all pairs of all cues: where A is with B, and B with C, all three are
    together. Pixels are not changed and the data hash stays; `group-stratified` folds then keep groups whole.

    Args:
        inspect: the set.
        grouping: cues, thresholds, and what else is written.
        device: of an encoder.

    Returns:
        The groups; `summary()` tells of the largest, of those that are too large, and of those that straddle a split.

    Raises:
        UserError: it is no set, or damaged; a cue has nothing to go by; a band, column, encoder or its weights are not
            there; a file cannot be written where it is wanted.
    """
    grouping = grouping or Grouping()
    for path, option in ((grouping.sheet, "--sheet"), (grouping.report, "--report")):
        if path is not None:
            _check_file(path, inspect.train_data_dir, option)
    if not grouping.dry_run and inspect.train_data_dir.is_dir():
        require_writable(inspect.train_data_dir, "--train-data-dir")
    data = TrainData.open(inspect.train_data_dir, grouping.bands)
    column, parts = split_values(data.metadata, grouping.split_column)
    units = Units.of(data.metadata, grouping.unit)
    found = find_groups(data, units, grouping, device or Device())
    names = group_names(found.labels, units.names)
    groups = _groups(data, units, names, parts)
    report = _report(data, units, grouping, found, groups, column)
    if not grouping.dry_run:
        add_columns(inspect.train_data_dir, pd.DataFrame({"group": names[units.of_patch]}))
    return _with_files(data, units, grouping, dataclasses.replace(report, written=not grouping.dry_run))


def _groups(data: TrainData, units: Units, names: np.ndarray, parts: np.ndarray) -> list[Group]:
    size = int(np.prod(data.y.shape[1:]))
    pixels = class_pixels(data.metadata, len(data.config.classes), size)
    return describe_groups(units, names, parts, pixels, data.config.classes)


def _report(
    data: TrainData, units: Units, grouping: Grouping, found: Found, groups: list[Group], column: str | None
) -> GroupReport:
    report = GroupReport(
        unit=grouping.unit,
        units=len(units),
        cues=found.pairs,
        groups=groups,
        classes=data.config.classes,
        max_group=grouping.max_group,
        likeness=found.likeness,
        tightened=found.tightened,
        split_column=column,
    )
    if report.oversized:
        _log.warning("%d groups of more than %d are kept whole.", len(report.oversized), grouping.max_group)
    return report


def _with_files(data: TrainData, units: Units, grouping: Grouping, report: GroupReport) -> GroupReport:
    files = []
    try:
        if grouping.report is not None:
            write_json(grouping.report, report.to_dict())
            files.append(grouping.report)
        if grouping.sheet is not None and len(report.groups) == report.units:
            _log.warning("--sheet: no group has two members; there is nothing to draw.")
        elif grouping.sheet is not None:
            from darts_train.preprocess.grouping.pictures import largest_groups  # drawing takes a second to be imported

            write_bytes(grouping.sheet, largest_groups(data, units, report.groups))
            files.append(grouping.sheet)
    except OSError as error:
        raise UserError(f"{error.filename or grouping.sheet} cannot be written: {error.strerror}.") from None
    return dataclasses.replace(report, files=tuple(files))


def _check_file(path: Path, root: Path, option: str) -> None:
    """Refuse, before anything is read, a file that would change the set, or that cannot be written."""
    suffix = ".png" if option == "--sheet" else ".json"
    if path.suffix.lower() != suffix:
        raise UserError(f"{option}: {path} must end in {suffix}.")
    if path.is_dir():
        raise UserError(f"{option}: {path} is a directory; name a file in it.")
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise UserError(f"{option}: {path} lies in the train data directory; choose another place.")
    require_writable(path.parent, option)
