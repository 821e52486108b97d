"""What is checked and said before the work: the classes, and a table of what can be used and what cannot."""

from collections.abc import Sequence

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.dataset.schema import SceneRecord
from darts_train.options.preprocessing import Patches
from darts_train.preprocess.patching import Sample
from darts_train.scenes.scene import Scene

_SHOWN = 3  # examples of a row
_log = logger("preprocess")


def check_classes(classes: Sequence[str]) -> None:
    """Raise UserError where --classes are not a background and others, each once."""
    if not 2 <= len(set(classes)) == len(classes) <= 255:
        raise UserError("--classes: name the background and at least one other, each once.")


def check_size(scene: Scene, patches: Patches) -> None:
    """Raise UserError where a scene is smaller than a patch, and --small-images or --edge leaves such ones out."""
    width, height = scene.grid.width, scene.grid.height
    leave = patches.small_images == "skip" or patches.edge == "drop"
    if leave and min(width, height) < patches.patch_size:
        raise UserError(f"smaller than a patch ({width} x {height} pixels)")


def check_usable(samples: Sequence[Sample], records: Sequence[SceneRecord]) -> None:
    """Say before the work what cannot be used, one line per reason; raise UserError where that is everything."""
    if records:
        for line in usable_table(len(samples), records):
            _log.warning("%s", line)
    if not samples:
        reasons = "; ".join(f"{len(scenes)}: {reason}" for reason, scenes in list(by_reason(records).items())[:3])
        raise UserError(f"No scene can be used ({reasons or 'none was found'}).")


def usable_table(used: int, records: Sequence[SceneRecord]) -> list[str]:
    """Lines of count, what, and examples."""
    lines = [f"{used:6d}  scenes can be used"]
    lines += [
        f"{len(ids):6d}  left out: {reason} ({listing(ids, _SHOWN)})" for reason, ids in by_reason(records).items()
    ]
    return lines


def by_reason(records: Sequence[SceneRecord]) -> dict[str, list[str]]:
    """Ids of the scenes that were left out, by reason, the most frequent first; each of a kind of its own stays so."""
    found: dict[str, list[str]] = {}
    for record in records:
        found.setdefault(record.reason or "", []).append(record.scene_id)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
