"""The scenes of a STAC API that fit the footprints of the labels, fetched into a store and remembered.

<store>/matches.json says which item was chosen for which image, or that none fits, and what was asked: with the same
question nothing is asked again.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_writable, write_json
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.options.preprocessing import Stac
from darts_train.scenes.label_repository import LabelRepository
from darts_train.scenes.planet import parse_planet_id
from darts_train.scenes.raster_file import RasterFile
from darts_train.scenes.sentinel2 import images_of
from darts_train.scenes.sentinel2_fetch import fetch_scene
from darts_train.scenes.sentinel2_match import Match, Wanted, best_match

MATCHES = "matches.json"
_log = logger("preprocess")


def fetch_matches(store: Path, repository: LabelRepository, stac: Stac, bands: Sequence[str], dry_run: bool) -> int:
    """Fetch what is missing in a store, one folder per image; returns how many scenes that were (or would be).

    Raises UserError where the labels have no footprints, the store cannot be written or the API does not answer; what
    was fetched stays.
    """
    require_writable(store, "--sentinel2-dir")
    wanted = _wanted(repository)
    known = _Matches(store, asdict(stac))
    missing = [one for one in wanted if not known.settled(one.image_id, bands)]
    if dry_run:
        _log.info("%d of %d footprints would be asked for at %s", len(missing), len(wanted), stac.stac_url)
        return len(missing)
    fetched = 0
    for one in track(missing, "fetch", len(missing)):
        match = best_match(one, stac)
        if match is not None and not _holds(store / one.image_id, str(match.item["id"]), bands):
            try:
                fetch_scene(match.item, bands, one.footprint, store / one.image_id)
            except UserError as error:
                _log.warning("%s: not fetched: %s", one.image_id, error)
                continue
            fetched += 1
        known.keep(one.image_id, None if match is None else _plain(match))
    without = [one.image_id for one in wanted if known.is_without(one.image_id)]
    if without:
        _log.warning("%d footprints have no scene within the limits: %s", len(without), listing(without, 3))
    return fetched


def _wanted(repository: LabelRepository) -> list[Wanted]:
    """Footprints with the day of their image, in the order of their ids. UserError where there is none."""
    dated = [(image_id, parse_planet_id(image_id)) for image_id in sorted(repository.footprints)]
    undated = [image_id for image_id, day in dated if day is None]
    if undated:
        _log.warning("%d footprints with an image id that says no day: %s", len(undated), listing(undated, 3))
    found = [Wanted(image_id, repository.footprints[image_id], day) for image_id, day in dated if day is not None]
    if not found:
        raise UserError("--stac-url: the labels have no footprints (ImageFootprints*.gpkg) to find scenes for.")
    return found


def _plain(match: Match) -> dict[str, Any]:
    return {
        "item": match.item["id"],
        "cloud": match.cloud,
        "share": round(match.share, 4),
        "days": round(match.days, 3),
    }


class _Matches:
    """matches.json of a store; forgotten where another question was asked before."""

    def __init__(self, store: Path, question: dict[str, Any]) -> None:
        self._path = store / MATCHES
        self._store = store
        self._question = question
        self._found: dict[str, dict[str, Any] | None] = {}
        try:
            content = json.loads(self._path.read_bytes()) if self._path.exists() else {}
            if content.get("question") == question:
                self._found = dict(content["matches"])
            elif content:
                _log.warning("%s answers another question; asking anew", self._path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("%s: damaged (%s); asking anew", self._path, error)

    def settled(self, image_id: str, bands: Sequence[str]) -> bool:
        """Whether nothing is to be asked: there is no scene, or it is in the store with all bands."""
        if image_id not in self._found:
            return False
        match = self._found[image_id]
        return match is None or _holds(self._store / image_id, str(match["item"]), bands)

    def is_without(self, image_id: str) -> bool:
        """Whether the API had no scene for this image."""
        return image_id in self._found and self._found[image_id] is None

    def keep(self, image_id: str, match: dict[str, Any] | None) -> None:
        """Remember an answer."""
        self._found[image_id] = match
        write_json(self._path, {"question": self._question, "matches": self._found})


def _holds(folder: Path, item: str, bands: Sequence[str]) -> bool:
    images = images_of(folder) if folder.is_dir() else []
    if not images or images[0].name != f"{item}_SR.tif":
        return False
    try:
        return set(bands) <= set(RasterFile.open(images[0]).descriptions)
    except UserError:
        return False
