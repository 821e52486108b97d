"""Maps beside labels: how good they are, where, and where not.

{out_dir}/evaluation.json     scores with intervals, best thresholds, settings, what was left out
          scores.parquet      a row for all, each region and each scene, and each class
          thresholds.parquet  scores at every threshold, where the maps have probabilities
          atlas.png           the worst tiles first; atlas.parquet and atlas.geojson say where they are
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from darts_train.base.directories import appearing_directory
from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_writable, write_json
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.base.provenance import now, package_versions
from darts_train.inference.evaluating.atlas import Image, open_images, write_atlas
from darts_train.inference.evaluating.counting import PERCENT_BINS, UNIT_BINS, Scene, Tile, count_pixels
from darts_train.inference.evaluating.objects import compare_objects, compare_outlines
from darts_train.inference.evaluating.pairs import Pairs, pair_up
from darts_train.inference.evaluating.report import lines, record
from darts_train.inference.evaluating.scores import (
    Row,
    SceneScores,
    pooled_histogram,
    score_rows,
    score_table,
    threshold_table,
)
from darts_train.inference.evaluating.truth import open_truth
from darts_train.inference.map_files import MapFile, find_maps
from darts_train.options.evaluating import Atlas, Evaluate, LabelValues, Matching
from darts_train.scenes.class_values import parse_remap
from darts_train.scenes.regions import Regions
from darts_train.scenes.scene import NO_REGION

RECORD, SCORES, THRESHOLDS = "evaluation.json", "scores.parquet", "thresholds.parquet"
_log = logger("inference")


@dataclass(frozen=True)
class Evaluation:
    """What came out: rows of scores.parquet, and all of evaluation.json."""

    directory: Path
    rows: tuple[Row, ...]
    record: Mapping[str, Any]

    def summary(self) -> str:
        """Scores with intervals, the worst scenes and regions, and where the rest is."""
        return "\n".join([*lines(self.rows, self.record), f"all of it: {self.directory}"])

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints: evaluation.json."""
        return dict(self.record)


def evaluate(evaluate: Evaluate, matching: Matching, values: LabelValues, atlas: Atlas) -> Evaluation:
    """Compare maps with labels.

    Raises:
        UserError: before any work where files cannot be read, names or grids do not fit, labels hold what is no class,
            or a result is there already; later where nothing labelled meets a map. Then nothing is written.
    """
    _check_place(evaluate)
    pairs, scenes = _scenes(evaluate, matching, values)
    images = open_images(scenes, atlas.images, atlas.band_names)
    started = time.monotonic()
    found, tiles = _compare(scenes, evaluate.match_iou, atlas)
    counted = _counted(found)
    classes = scenes[0].prediction.names
    rows = score_rows(counted, classes, matching.admin_dir is not None)
    told = {"maps_without_labels": list(pairs.maps_alone), "labels_without_maps": list(pairs.labels_alone)}
    told |= {"nothing_labelled": [scene.name for scene in found if not scene.pixels.labelled]}
    settings = {"threshold": evaluate.threshold, "unpredicted": evaluate.unpredicted, "match_iou": evaluate.match_iou}
    facts = record(rows, counted, classes, evaluate.match_iou) | {
        "left_out": told,
        "settings": settings | {"remap": values.remap, "atlas_tile_size": atlas.atlas_tile_size},
        "seconds": round(time.monotonic() - started, 1),
        "time": now(),
        "versions": package_versions(),
    }
    _write(evaluate.out_dir, rows, counted, facts, tiles, {scene.name: scene for scene in scenes}, images, atlas)
    return Evaluation(evaluate.out_dir, tuple(rows), facts)


def _check_place(evaluate: Evaluate) -> None:
    """Raise UserError where the result would replace something: only an evaluation is ever replaced."""
    place = require_writable(evaluate.out_dir, "--out-dir")
    if not place.exists() or not any(place.iterdir()):
        return
    if not (place / RECORD).is_file():
        raise UserError(f"--out-dir: {place} holds other files; name a directory of its own.")
    if not evaluate.overwrite:
        raise UserError(f"--out-dir: {place} is there already; give --overwrite to replace it.")


def _scenes(evaluate: Evaluate, matching: Matching, values: LabelValues) -> tuple[Pairs, list[Scene]]:
    """Everything that is compared, opened and checked."""
    maps = find_maps(evaluate.predictions, "--predictions", evaluate.map_values, values.classes)
    pairs = pair_up(maps, evaluate.labels, matching)
    predictions = [_remapped(pair.prediction, values.prediction_remap) for pair in pairs.pairs]
    _check_maps(predictions, evaluate.threshold)
    names = predictions[0].names
    truths = open_truth(pairs.pairs, names, values, matching.align)
    regions = None if matching.admin_dir is None else Regions.open(matching.admin_dir, matching.region_column)
    as_background = evaluate.unpredicted == "background"
    scenes = [
        Scene(
            pair.name,
            NO_REGION if regions is None else regions.name_of(one.grid, pair.name),
            one,
            truth,
            evaluate.threshold,
            as_background,
        )
        for pair, one, truth in zip(pairs.pairs, predictions, truths, strict=True)
    ]
    return pairs, scenes


def _remapped(one: MapFile, remap: str | None) -> MapFile:
    if remap is None or one.classes is None:
        return one
    mapping = tuple(parse_remap(remap, len(one.names), "pairs" if ":" in remap else "list").items())
    return MapFile(one.name, one.source, one.classes, one.probabilities, one.names, one.unit, mapping)


def _check_maps(maps: Sequence[MapFile], threshold: float | None) -> None:
    names = maps[0].names
    for one in maps:
        if one.names != names:
            ours, theirs = ",".join(one.names), ",".join(names)
            raise UserError(f"{one.source} has the classes {ours}, {maps[0].source} has {theirs}; evaluate them apart.")
        if threshold is not None and (len(names) > 2 or one.probabilities is None):
            why = f"{len(names)} classes" if len(names) > 2 else "no probabilities"
            raise UserError(f"--threshold: {one.source} has {why}.")
    without = [one.name for one in maps if one.probabilities is None]
    if without:
        _log.warning(
            "no probabilities of %s: scores are those of the classes, without curves and thresholds",
            listing(without, 3),
        )


def _compare(scenes: Sequence[Scene], match_iou: float, atlas: Atlas) -> tuple[list[SceneScores], list[Tile]]:
    """Counts of every scene, and the worst tiles of all, the worst first."""
    chances = [scene.prediction for scene in scenes if scene.prediction.probabilities is not None]
    bins = UNIT_BINS if any(one.unit for one in chances) else PERCENT_BINS
    found: list[SceneScores] = []
    worst: list[Tile] = []
    for scene in track(scenes, "compare", len(scenes)):
        pixels, tiles = count_pixels(scene, bins, atlas.atlas_tile_size)
        worst = sorted([*worst, *tiles])[: atlas.atlas_tiles]
        objects = tuple(compare_objects(scene, match_iou))
        found.append(SceneScores(scene.name, scene.region, pixels, objects, compare_outlines(scene)))
    return found, worst


def _counted(found: Sequence[SceneScores]) -> list[SceneScores]:
    """Scenes with something to compare; what has nothing is said. UserError where that is all."""
    counted = [scene for scene in found if scene.pixels.labelled]
    empty = [scene.name for scene in found if not scene.pixels.labelled]
    if not counted:
        raise UserError(f"No labelled pixel meets a map ({listing(empty, 3)}): all is ignored, or lies elsewhere.")
    if empty:
        _log.warning("nothing labelled meets the map of %s; it counts nowhere", listing(empty, 3))
    missing = sum(scene.pixels.unpredicted for scene in counted)
    if missing:
        whole = missing + sum(scene.pixels.labelled for scene in counted)
        _log.warning("of %.1f %% of the labelled pixels the maps say nothing (--unpredicted)", 100 * missing / whole)
    return counted


def _write(
    place: Path,
    rows: Sequence[Row],
    counted: Sequence[SceneScores],
    facts: Mapping[str, Any],
    tiles: Sequence[Tile],
    scenes: Mapping[str, Scene],
    images: Mapping[str, Image],
    atlas: Atlas,
) -> None:
    classes = tuple(facts["classes"])
    histogram = pooled_histogram(counted)
    try:
        with appearing_directory(place) as directory:
            pq.write_table(score_table(rows), directory / SCORES)
            if histogram is not None:
                pq.write_table(threshold_table(histogram, classes), directory / THRESHOLDS)
            if atlas.atlas_tiles:
                write_atlas(directory, tiles, scenes, images, classes)
            write_json(directory / RECORD, dict(facts))
    except OSError as error:
        raise UserError(f"{place} cannot be written: {error.strerror or error}.") from error
