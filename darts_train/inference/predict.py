"""Scenes to maps: the command predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darts_train.inference.models import open_model
from darts_train.inference.parallel import device_names, map_in_parallel
from darts_train.inference.places import scene_places
from darts_train.inference.preparation import prepare
from darts_train.inference.scene_maps import SceneMap, map_scenes
from darts_train.inference.windows.fitted import map_grid
from darts_train.inference.windows.streaming import Mapper
from darts_train.inference.writing.room import told_when_unwritable
from darts_train.inference.writing.submission import member_names, write_previews, write_submission
from darts_train.options.predicting import Devices, Maps, Predict, SceneFiles, Submission, Windows
from darts_train.scenes.scene import Scene


@dataclass(frozen=True)
class PredictSummary:
    """What was mapped; of a dry run, what would be: windows, and bytes of uncompressed rasters."""

    maps: tuple[SceneMap, ...]
    out_dir: Path
    planned_windows: int = 0
    planned_bytes: int = 0
    dry_run: bool = False
    submission: str | None = None

    def summary(self) -> str:
        """A few lines for the terminal."""
        if self.dry_run:
            return f"would map {self.planned_windows} windows, at most {self.planned_bytes / 1e6:.0f} MB of rasters"
        lines = [found.summary() for found in self.maps]
        return "\n".join(lines if self.submission is None else [*lines, self.submission])


def predict(
    predict: Predict,
    scenes: SceneFiles,
    windows: Windows,
    maps: Maps,
    submission: Submission = Submission(),
    devices: Devices = Devices(),
) -> PredictSummary:
    """Map scenes with a model.

    Scenes whose maps are there already, made of the same, are not done again; one that was interrupted goes on.

    Raises:
        UserError: before any work where the model or a scene cannot be read, a band is missing, a map of something
            else is there already, or the output cannot be written; later where a file turns out to be damaged or the
            disk is full. Maps of scenes that were finished stay; of the others nothing that can be seen does.
    """
    names = device_names(predict.device, devices)
    model, size = open_model(predict.model, windows.window_size, names[0], predict.precision)
    mapper, opened = prepare(model, size, scenes, windows, maps)
    if submission.submission is not None:
        member_names(submission, [scene.scene_id for scene in opened], mapper.model.channels)
    if predict.dry_run:
        return plan(mapper, opened, maps)
    if devices.scheduler is None and (len(names) == 1 or len(opened) == 1):
        found = tuple(map_scenes(mapper, opened, maps))
    else:
        places = scene_places(scenes.input, maps.out_dir)
        shared = (mapper.overlap, mapper.halo)
        found = tuple(map_in_parallel(predict, scenes, windows, maps, devices, places, shared))
    return PredictSummary(found, maps.out_dir, submission=_submission(found, maps.out_dir, submission))


def _submission(found: tuple[SceneMap, ...], out_dir: Path, submission: Submission) -> str | None:
    with told_when_unwritable(out_dir):
        if submission.previews:
            write_previews(out_dir, found, submission.previews)
        return None if submission.submission is None else write_submission(out_dir, found, submission)


def plan(mapper: Mapper, scenes: Sequence[Scene], maps: Maps) -> PredictSummary:
    """What mapping the scenes would take."""
    windows = sum(mapper.window_count(scene) for scene in scenes)
    grids = [map_grid(scene) for scene in scenes]
    planned = sum(grid.width * grid.height * (mapper.model.channels + 1) for grid in grids)
    return PredictSummary((), maps.out_dir, windows, planned, dry_run=True)
