"""What is settled before the first window: how scenes will be mapped, and that they can be."""

from collections.abc import Sequence

from darts_train.inference.inputs import feature_stack, open_scenes
from darts_train.inference.models import MapModel
from darts_train.inference.scene_maps import check_maps
from darts_train.inference.windows.reach import check_overlap, mapper_of
from darts_train.inference.windows.streaming import Mapper
from darts_train.options.predicting import Maps, SceneFiles, Windows
from darts_train.scenes.scene import Scene


def prepare(
    model: MapModel,
    size: int,
    scenes: SceneFiles,
    windows: Windows,
    maps: Maps,
    shared: tuple[int, int] | None = None,
) -> tuple[Mapper, Sequence[Scene]]:
    """How the scenes will be mapped, and the scenes, opened and checked; `shared` as for `mapper_of`.

    Raises UserError before any work.
    """
    check_overlap(windows, size)
    stack = feature_stack(model)
    opened = open_scenes(scenes, model, stack, maps.out_dir)
    mapper = mapper_of(model, stack, size, windows, opened, shared)
    check_maps(maps, opened, mapper)
    return mapper, opened
