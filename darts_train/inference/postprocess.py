"""Maps made fit for use: what is not to be trusted becomes no data, specks and gaps go, objects of scenes are joined.

{out_dir}/{map}/classes.tif          class index, 255 no data
                probabilities.tif    those of the map, no data where nothing is trusted
                segments.gpkg        polygons of the foreground classes
                postprocess.json     what was done, and how many pixels each step changed
{out_dir}/merged.gpkg                with --merge
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.base.log import logger
from darts_train.inference.map_files import MapFile, find_maps
from darts_train.inference.postprocessing.merge import MERGED, Merged, check_mergeable, merge_maps
from darts_train.inference.postprocessing.one_map import MendedMap, Recipe, mend_map
from darts_train.inference.postprocessing.quality import qualities
from darts_train.inference.writing.rasters import CLASSES
from darts_train.options.postprocessing import MapFiles, Mending, Trusted

_log = logger("inference")


@dataclass(frozen=True)
class PostprocessSummary:
    """Mended maps, and the merged layer, where one was asked for."""

    maps: tuple[MendedMap, ...]
    out_dir: Path
    merged: Merged | None = None

    def summary(self) -> str:
        """A line for each map, and one for the merged layer."""
        lines = list(map(_line, self.maps))
        if self.merged is not None:
            found = self.merged
            lines.append(
                f"{found.path}: {found.objects} objects of {found.pieces} polygons, {found.across} in several maps"
            )
        return "\n".join(lines)


def _line(one: MendedMap) -> str:
    steps = ", ".join(f"{step} {pixels}" for step, pixels in one.changed.items() if pixels) or "none"
    return f"{one.directory}: {one.polygons} polygons, pixels changed: {steps}; {one.seconds:.1f} s"


def postprocess(maps: MapFiles, trusted: Trusted, mending: Mending) -> PostprocessSummary:
    """Mend maps, each into a directory of its own; the maps given are only read.

    Raises:
        UserError: before any work where a map or a quality raster cannot be read or does not fit, a result is there
            already or would lie on its input; later where a file turns out to be damaged. Maps that were finished stay.
    """
    found = find_maps(maps.maps, "--maps", maps.map_values)
    recipe = Recipe(trusted, mending, maps.threshold)
    _check(found, maps)
    places = [maps.out_dir / one.name for one in found]
    work = list(zip(found, qualities(trusted, found), places, strict=True))
    done = tuple(mend_map(one, quality, recipe, place) for one, quality, place in work)
    merged = merge_maps(found, places, maps.out_dir / MERGED) if maps.merge else None
    if merged is not None and not merged.across and trusted.frame:
        _log.warning("no object lies in several maps; their edges were cleared (--edge-erosion %d)", trusted.frame)
    return PostprocessSummary(done, maps.out_dir, merged)


def _check(found: Sequence[MapFile], maps: MapFiles) -> None:
    require_writable(maps.out_dir, "--out-dir")
    for one in found:
        if maps.threshold is not None and len(one.names) > 2:
            raise UserError(f"--threshold: {one.source} has {len(one.names)} classes; the most probable one counts.")
        if maps.threshold is not None and one.probabilities is None:
            raise UserError(f"--threshold: {one.source} has classes only, no probabilities.")
        own = one.source if one.source.is_dir() else one.source.parent
        place = maps.out_dir / one.name
        if place.resolve() == own.resolve():
            raise UserError(f"--out-dir: {place} is the map itself, which is never changed; name another directory.")
    if maps.merge:
        check_mergeable(found)
    targets = [maps.out_dir / one.name for one in found] + ([maps.out_dir / MERGED] if maps.merge else [])
    for place in (target for target in targets if target.exists()):
        if not maps.overwrite:
            raise UserError(f"--out-dir: {place} is there already; give --overwrite to replace it.")
        if place.is_dir() and any(place.iterdir()) and not (place / CLASSES).is_file():
            raise UserError(f"--out-dir: {place} is no map, so it is not replaced; name another directory.")
