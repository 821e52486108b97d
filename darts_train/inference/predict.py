"""Scenes to maps: the command predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darts_train.base.errors import UserError
from darts_train.inference.inputs import feature_stack, open_scenes
from darts_train.inference.models import MapModel, open_model
from darts_train.inference.scene_maps import SceneMap, check_places, map_scenes
from darts_train.inference.streaming import Mapper
from darts_train.options.predicting import Maps, Predict, SceneFiles, Windows
from darts_train.raster.patches import patch_windows
from darts_train.scenes.scene import Scene


@dataclass(frozen=True)
class PredictSummary:
    """What was mapped; of a dry run, what would be: windows, and bytes of uncompressed rasters."""

    maps: tuple[SceneMap, ...]
    out_dir: Path
    planned_windows: int = 0
    planned_bytes: int = 0
    dry_run: bool = False

    def summary(self) -> str:
        """A few lines for the terminal."""
        if self.dry_run:
            return f"would map {self.planned_windows} windows, at most {self.planned_bytes / 1e6:.0f} MB of rasters"
        return "\n".join(found.summary() for found in self.maps)


def predict(predict: Predict, scenes: SceneFiles, windows: Windows, maps: Maps) -> PredictSummary:
    """Map scenes with a model.

    Raises:
        UserError: before any work where the model or a scene cannot be read, a band is missing, a map is there
            already, or the output cannot be written; later where a file turns out to be damaged. Maps of scenes that
            were finished stay; of the others nothing does.
    """
    model, size = open_model(predict.model, windows.window_size, predict.device)
    mapper, opened = prepare(model, size, scenes, windows, maps)
    if predict.dry_run:
        return plan(mapper, opened, maps)
    return PredictSummary(tuple(map_scenes(mapper, opened, maps)), maps.out_dir)


def prepare(
    model: MapModel, size: int, scenes: SceneFiles, windows: Windows, maps: Maps
) -> tuple[Mapper, Sequence[Scene]]:
    """How the scenes will be mapped, and the scenes, opened and checked. Raises UserError before any work."""
    overlap = _overlap(windows.window_overlap, size)
    stack = feature_stack(model)
    opened = open_scenes(scenes, model, stack)
    mapper = Mapper(model, stack, size, overlap, windows.window_batch)
    check_places(maps, opened, mapper)
    return mapper, opened


def plan(mapper: Mapper, scenes: Sequence[Scene], maps: Maps) -> PredictSummary:
    """What mapping the scenes would take."""
    sizes = [(scene.grid.width, scene.grid.height) for scene in scenes]
    windows = sum(len(patch_windows(width, height, mapper.window_size, mapper.overlap)) for width, height in sizes)
    planned = sum(width * height * (mapper.model.channels + 1) for width, height in sizes)
    return PredictSummary((), maps.out_dir, windows, planned, dry_run=True)


def _overlap(wanted: int | None, size: int) -> int:
    if wanted is None:
        return size // 4
    if wanted >= size:
        raise UserError(f"--window-overlap: {wanted} must be less than the window, {size} pixels.")
    return wanted
