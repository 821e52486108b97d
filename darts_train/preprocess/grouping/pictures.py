"""Pictures of the largest groups."""

from collections.abc import Sequence

import numpy as np

from darts_train.dataset.grouping.mosaic import Mosaics
from darts_train.dataset.grouping.report import Group
from darts_train.dataset.grouping.units import Units
from darts_train.dataset.reader import TrainData
from darts_train.figures.group_sheet import GroupLine, group_sheet

GROUPS, MEMBERS, SIDE = 10, 8, 96
VISIBLE = ("red", "green", "blue")


def largest_groups(data: TrainData, units: Units, groups: Sequence[Group]) -> bytes:
    """PNG of up to GROUPS groups of two or more, with up to MEMBERS pictures each, first and last among them."""
    names = [band.name for band in data.bands]
    visible = set(VISIBLE) <= set(names)
    channels = [names.index(name) for name in VISIBLE] if visible else list(range(3 if len(names) >= 3 else 1))
    mosaics = Mosaics(data, units, SIDE)
    number = {name: i for i, name in enumerate(units.names)}
    lines = []
    for group in [group for group in groups if len(group.members) > 1][:GROUPS]:
        last = len(group.members) - 1
        chosen = sorted({round(k * last / (MEMBERS - 1)) for k in range(MEMBERS)})
        members = [group.members[i] for i in chosen]
        pictures = [_picture(mosaics, number[name], channels) for name in members]
        lines.append(GroupLine(f"{group.name}: {len(group.members)}", pictures, members))
    return group_sheet(lines, visible)


def _picture(mosaics: Mosaics, unit: int, channels: list[int]) -> np.ndarray:
    cells = mosaics.cells(unit)
    return np.where(cells.valid > 0, cells.means, np.nan)[channels].astype(np.float32)
