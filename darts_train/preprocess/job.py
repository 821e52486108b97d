"""What preprocessing is asked to do, whatever the source."""

import dataclasses
from collections.abc import Sequence
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
    grid = sample.scene.grid
    return plan_tiles(grid.width, grid.height, recipe.patches.patch_size, recipe.patches.overlap)


def left_out(scene_id: str, reason: str, source: str = "") -> SceneRecord:
    """Record of a scene that cannot be used."""
    return SceneRecord(scene_id, LEFT_OUT, 0, reason, source)


def plain_settings(*groups: OptionGroup) -> dict[str, Any]:
    """All options of some groups as config.toml keeps them, without what only says how this call is to be done."""
    settings: dict[str, Any] = {}
    for group in groups:
        settings |= {f.name: getattr(group, f.name) for f in dataclasses.fields(group)}  # type: ignore[arg-type]
    return settings
