"""What a map was made of, as map.json beside it: model, scene, settings, and a key over all that decides its pixels.

The key tells a map that is there already from one that only has its name, and finished strips that may be taken up
from those of another model or scene.
"""

import dataclasses
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from darts_train.base.errors import listing
from darts_train.base.files import write_json
from darts_train.base.hashes import hash_file, hash_json
from darts_train.inference.windows.streaming import Mapper
from darts_train.options.predicting import Maps
from darts_train.scenes.photos.fit import FittedScene
from darts_train.scenes.scene import Scene

MANIFEST = "map.json"
FORMAT = 1
_PLACES = ("out_dir", "overwrite")  # of Maps: where it lies decides nothing
_NOT_WINDOWS = ("model", "stack", "readers")  # of Mapper; how many threads read decides nothing either
_SHARED = ("overlap", "halo", "blend")  # of Mapper: these decide nothing where one window is the whole scene
_WHOLE = {  # where facts differ that a reader could not compare → words
    ("model", "hash"): "of another model file",
    ("model", "served"): "of another model on the server",
    ("model", "threshold"): "of another threshold",
    ("model", "device"): "made on another kind of device",
    ("model", "arithmetic"): "made in another arithmetic",
    ("model", "settings"): "of scenes in other units",
    ("scene_hash",): "of another scene, or of this one before it changed",
}
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def facts(mapper: Mapper, scene: Scene, maps: Maps) -> dict[str, Any]:
    """All that decides a map, plain values; `key` is the hash of the rest, however the scene's path was typed."""
    found = {
        "format": FORMAT,
        "scene": scene.scene_id,
        "source": scene.source,
        "scene_hash": _scene_hash(scene),
        "model": _model(mapper),
        "windows": _windows(mapper, scene),
        "maps": _plain(maps, _PLACES),
    }
    return {"key": hash_json({**found, "source": None}), **found}


def _windows(mapper: Mapper, scene: Scene) -> dict[str, Any]:
    """How windows of this scene are joined, whatever other scenes are mapped beside it."""
    found = _plain(mapper, _NOT_WINDOWS)
    return found | (dict.fromkeys(_SHARED) if mapper.window_count(scene) == 1 else {})


def _model(mapper: Mapper) -> dict[str, Any]:
    model, stack = mapper.model, mapper.stack
    return {
        "hash": _file_hash(model.path) if model.path.is_file() else str(model.path),
        "backend": type(model.backend).__name__,
        "arithmetic": str(getattr(model.backend, "autocast", None)),
        "device": getattr(getattr(model.backend, "device", None), "type", "cpu"),
        "bands": list(stack.names),
        "classes": list(model.classes),
        "threshold": model.threshold,
        "served": getattr(model.backend, "served", None),
        "settings": hash_json(model.source),
    }


def _plain(group: Any, leave: tuple[str, ...]) -> dict[str, Any]:
    """Fields of a dataclass by name, as JSON has them; those beyond that as text."""
    values = {field.name: getattr(group, field.name) for field in dataclasses.fields(group) if field.name not in leave}
    whole: dict[str, Any] = json.loads(json.dumps(values, default=lambda value: _ADDRESS.sub("", repr(value))))
    return whole


def _scene_hash(scene: Scene) -> str:
    """Hash of how a scene is read, and of size and time of the files that hold it."""
    text, files = _ADDRESS.sub("", repr(scene)), []
    for file in _files(scene):
        state = file.stat()
        text = text.replace(repr(file), repr(file.resolve()))
        files.append((str(file.resolve()), state.st_size, state.st_mtime_ns))
    return hash_json([text, files])


def _files(scene: Scene) -> list[Path]:
    original: Any = scene.original if isinstance(scene, FittedScene) else scene
    auxiliary = [path for raster in getattr(original, "auxiliaries", ()) for path in raster.files_of(original.grid, 0)]
    return [file.path for file in original.files] + auxiliary


@lru_cache(maxsize=8)
def _hash_of(path: Path, size: int, time: int) -> str:
    return hash_file(path)


def _file_hash(path: Path) -> str:
    state = path.stat()
    return _hash_of(path, state.st_size, state.st_mtime_ns)


def write_manifest(directory: Path, found: dict[str, Any], **results: Any) -> None:
    """Write map.json: what decided the map, and what came of it."""
    write_json(directory / MANIFEST, {**found, "results": results})


def differences(directory: Path, found: dict[str, Any]) -> str:
    """What the map in a directory was made of that is not in `found`, in a few words."""
    there = read_manifest(directory)
    if there is None:
        return "not made by this program, or not whole"
    said = [words for key, words in _WHOLE.items() if _at(there, key) != _at(found, key)]
    for group in ("windows", "maps"):
        for name, now in found[group].items():
            before = _at(there, (group, name))
            if before != now:
                said.append(f"{name} {before} there, {now} now")
    return listing(said) or "of another model or version"


def _at(facts: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        facts = facts.get(name) if isinstance(facts, dict) else None
    return facts


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """What map.json in a directory says; None where there is none of ours, or a file that it names is gone."""
    try:
        found = json.loads((directory / MANIFEST).read_bytes())
        files = found["results"]["files"]
        return found if found["key"] and all((directory / name).is_file() for name in files) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
