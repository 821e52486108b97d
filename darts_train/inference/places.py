"""What --input names: scenes, each by its own path, from files, scene directories, folders and lists of paths.

A directory is a PLANET image (its name is an image id), an unpacked Sentinel-2 product (.SAFE), a Sentinel-2 folder
(it holds *_SR*.tif), or a folder that is searched for all of these and for rasters and pictures, at any depth.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from darts_train.base.errors import UserError
from darts_train.inference.writing.manifest import MANIFEST
from darts_train.scenes.planet import parse_planet_id
from darts_train.scenes.sentinel2 import images_of
from darts_train.scenes.sentinel2_safe import SAFE

RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".png", ".jpg", ".jpeg", ".jp2", ".img", ".bmp", ".webp")
LIST_SUFFIX, LIST_MARK, COMMENT = ".txt", "@", "#"


def scene_places(given: Iterable[Path], out_dir: Path | None = None) -> list[Path]:
    """Paths of all scenes, in order; those in `out_dir` and in maps of ours are none.

    Raises UserError for a path that is not there, a folder without a scene, and a list that cannot be read.
    """
    skipped = None if out_dir is None else os.path.realpath(out_dir)
    return [scene for path in given for place in _listed(path) for scene in _scenes(place, skipped)]


def _listed(path: Path) -> list[Path]:
    """The path itself, or what it lists: `@list` or a .txt, one path a line, from where the list lies."""
    if str(path).startswith(LIST_MARK):
        path = Path(str(path)[1:]).expanduser()
    elif path.suffix.lower() != LIST_SUFFIX or not path.is_file():
        return [path]
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise UserError(f"--input: the list {path} cannot be read ({reason}).") from None
    found = [path.parent / Path(line).expanduser() for line in lines if line and not line.startswith(COMMENT)]
    if not found:
        raise UserError(f"--input: the list {path} names no path.")
    return found


def _scenes(path: Path, skipped: str | None) -> list[Path]:
    if not path.exists():
        raise UserError(f"--input: {path} does not exist.")
    if not path.is_dir() or is_scene_directory(path):
        return [path]
    found = list(_walk(path, skipped))
    if not found:
        raise UserError(
            f"--input: no scene in {path}; a scene is a raster, a picture, a PLANET or a Sentinel-2 directory."
        )
    return found


def is_scene_directory(path: Path) -> bool:
    """Whether a directory is one scene."""
    if parse_planet_id(path.name) is not None or path.suffix == SAFE:
        return True
    return bool(images_of(path))


def _walk(root: Path, skipped: str | None) -> Iterator[Path]:
    """Scenes below a folder, by name; hidden files and directories are passed over, each directory is entered once."""
    seen: set[str] = {skipped} if skipped else set()
    for place, directories, files in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen or MANIFEST in files:
            directories.clear()
            continue
        seen.add(real)
        visible = sorted(name for name in directories if not name.startswith("."))
        scenes = [name for name in visible if is_scene_directory(Path(place) / name)]
        directories[:] = [name for name in visible if name not in scenes]
        pictures = [n for n in files if n.lower().endswith(RASTER_SUFFIXES) and not n.startswith(".")]
        yield from (Path(place) / name for name in sorted([*scenes, *pictures]))
