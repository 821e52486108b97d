"""Serialised Albumentations pipelines of a configuration: those of training as a file, those of validation as options.

The file says what Albumentations 2.0.8 makes of it: a chance that is left out is 0.5 there for every transform, and is
written. What a transform uncovers is ignored (-100) where it was background; MaskDropout keeps 0, as it is meant to.
"""

import copy
from collections.abc import Iterator
from typing import Any

import yaml

from darts_train.base.errors import UserError
from darts_train.experiments.converting.draft import TRANSFORM, Draft, class_name

NETWORK = "network"
NORMALISES = ("Normalize", "ToFloat", "FromFloat", "ToTensorV2")
KEPT_FILL = "MaskDropout"  # the object was taken away
# `normalization` of Normalize → ours, and what differs
NORMALISATIONS = {
    "standard": ("zscore", "mean and deviation of the training patches, not of {given}"),
    "min_max": ("sample-minmax", "each band by itself, where the source took all bands together"),
    "min_max_per_channel": ("sample-minmax", ""),
    "image": ("zscore", "of the training patches, not of each image"),
    "image_per_channel": ("zscore", "of the training patches, not of each image"),
}
IMAGENET = [0.485, 0.456, 0.406]


def put_training_pipeline(draft: Draft, key: str, ending: str) -> None:
    """Make of the pipeline below a key a file beside the configuration, named by --augment-config."""
    tree = draft.take(key)
    if not tree:
        draft.put(NETWORK, "augment", False, f"{key}: none")
        return
    done = copy.deepcopy(_checked(key, tree))
    changed = [_mended(node) for node in nodes(done)]
    if all(class_name(node[TRANSFORM]) in (*NORMALISES, "Compose") for node in nodes(done)):
        draft.put(NETWORK, "augment", False, f"{key}: nothing but normalisation")
        _normalise(draft, key, done)
        return
    chances, fills = (sum(counts) for counts in zip(*changed, strict=True))
    said = [f"p = 0.5 where it was left out ({chances})"] * bool(chances)
    said += [f"fill_mask -100, ignored, where it was 0 ({fills})"] * bool(fills)
    draft.put(NETWORK, "augment_config", ending, "; ".join([key, *said]))
    draft.files[ending] = file_text(done)


def put_validation_pipeline(draft: Draft, key: str) -> None:
    """Make of the pipeline below a key --normalisation and --resize-to; what else is in it is listed."""
    tree = draft.take(key)
    if tree:
        _normalise(draft, key, _checked(key, tree))


def _normalise(draft: Draft, key: str, tree: dict[str, Any]) -> None:
    for number, node in enumerate(nodes(tree)):
        name = class_name(node[TRANSFORM])
        place = f"{key}[{number}].{name}"
        if name == "Normalize":
            _put_normalisation(draft, place, node)
        elif name == "Resize" and node.get("height") == node.get("width"):
            draft.put(NETWORK, "resize_to", node["height"], place)
        elif name not in (*NORMALISES, "Compose"):
            draft.rest[place] = {name: value for name, value in node.items() if name not in (TRANSFORM, "p")}
            draft.leave(place, "patches have the size of the train data: --patch-size when they are made")


def _put_normalisation(draft: Draft, place: str, node: dict[str, Any]) -> None:
    kind = str(node.get("normalization", "standard"))
    if kind not in NORMALISATIONS:
        draft.rest[place] = kind
        draft.leave(place, "no such normalisation here; see --normalisation")
        return
    ours, differs = NORMALISATIONS[kind]
    mean = node.get("mean", IMAGENET)
    given = "ImageNet" if list(mean) == IMAGENET else f"{mean} and {node.get('std')} of {node.get('max_pixel_value')}"
    note = differs.format(given=given)
    draft.put(NETWORK, "normalisation", ours, f"{place}: {kind}" + (f"; {note}" if note else ""))


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All transforms of a serialised pipeline, groups before their members."""
    if isinstance(tree, dict):
        if TRANSFORM in tree:
            yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from nodes(item)


def _mended(node: dict[str, Any]) -> tuple[int, int]:
    """Write the chance and the fill of a transform as they are meant; how many of each were written."""
    name, chances, fills = class_name(node[TRANSFORM]), 0, 0
    if node.get("p") is None:
        node["p"] = 1.0 if name == "Compose" else 0.5
        chances = int(name not in (*NORMALISES, "Compose"))
    if name != KEPT_FILL and node.get("fill_mask") == 0 and not isinstance(node["fill_mask"], bool):
        node["fill_mask"], fills = -100, 1
    return chances, fills


def _checked(key: str, tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict) or not any(True for _ in nodes(tree)):
        raise UserError(f"{key}: no serialised Albumentations pipeline: it has no {TRANSFORM}.")
    return tree


def file_text(tree: dict[str, Any]) -> str:
    """A pipeline as YAML that `--augment-config` and `albumentations.load` read."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=110, default_flow_style=None)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that repeats what an anchor stood for."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never refer to another place."""
        return True
