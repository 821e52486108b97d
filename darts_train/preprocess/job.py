"""What preprocessing is asked to do, whatever the source."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from darts_train.dataset.schema import LEFT_OUT, SceneRecord
from darts_train.dataset.set_config import SetConfig
from darts_train.options.fields import OptionGroup
from darts_train.options.preprocessing import Output, Parallel
from darts_train.preprocess.patching import Recipe, Sample
from darts_train.preprocess.tiles import plan_tiles
from darts_train.raster.patches import Window


@dataclass(frozen=True)
class Job:
    """What is to be done: usable samples in their order, the records of others, how to cut, what the set is."""

    samples: Sequence[Sample]
    left_out: Sequence[SceneRecord]
    recipe: Recipe
    config: SetConfig
    output: Output
    parallel: Parallel = field(default_factory=Parallel)


def plan_of(sample: Sample, recipe: Recipe) -> list[list[Window]]:
    """The tiles of a sample, each the windows of its patches."""
    grid, patches = sample.scene.grid, recipe.patches
    return plan_tiles(grid.width, grid.height, patches.patch_size, patches.shared, patches.edge)


def left_out(scene_id: str, reason: str, source: str = "") -> SceneRecord:
    """Record of a scene that cannot be used."""
    return SceneRecord(scene_id, LEFT_OUT, 0, reason, source)


def plain_settings(*groups: OptionGroup) -> dict[str, Any]:
    """All options of some groups as config.toml keeps them, without what only says how this call is to be done."""
    settings: dict[str, Any] = {}
    for group in groups:
        settings |= {f.name: getattr(group, f.name) for f in dataclasses.fields(group)}  # type: ignore[arg-type]
    if settings.get("edge") == "shift":  # what sets without the key were cut by
        del settings["edge"]
    return settings


def changed_settings(group: OptionGroup, leave: Collection[str] = ()) -> dict[str, Any]:
    """Options of a group that are not at their defaults, but for those to leave.

    So a set that was begun before the group had some option is still the same set.
    """
    fields = [field for field in dataclasses.fields(group) if field.name not in leave]  # type: ignore[arg-type]
    return {f.name: getattr(group, f.name) for f in fields if getattr(group, f.name) != f.default}
