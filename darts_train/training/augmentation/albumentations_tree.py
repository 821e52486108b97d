"""A serialised Albumentations pipeline becomes steps of ours. The tree is read here; the library is not needed.

What the tree leaves out has Albumentations' default (2.0.8). Normalisation and conversions to tensors are left out:
the network's input specification does that. Borders are no data here, whatever they are filled with there. Where
anything else has no counterpart, the whole pipeline is Albumentations' to run (`augmentation/reader.py`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from darts_train.base.errors import UserError
from darts_train.training.augmentation.registry import GROUPS, OPERATIONS
from darts_train.training.augmentation.text import Step, make_step

CLASS = "__class_fullname__"
OTHER_NAMES = {"SquareSymmetry": "D4", "ChannelDropout": "BandDropout"}
OTHER_PARAMETERS = {"channel_drop_range": "num_bands_range"}
LEFT_OUT = ("Normalize", "ToFloat", "FromFloat", "ToTensorV2")  # the input specification's
# Where ours differ. Chances of flips and of most others are 0.5 in either.
DEFAULTS: dict[str, dict[str, Any]] = {
    "RandomBrightnessContrast": {"brightness_by_max": True},
    "GaussNoise": {"std_range": (0.2, 0.44)},
    "MultiplicativeNoise": {"per_channel": False, "elementwise": False},
    "Posterize": {"num_bits": 4, "p": 0.5},
    "RandomResizedCrop": {"scale": (0.08, 1.0)},
    "CoarseDropout": {"ignore": False},
}
# Parameters without an effect here, and those that must have one of these values to mean the same.
SILENT = frozenset(
    {"interpolation", "mask_interpolation", "fill", "fill_mask", "size", "noise_scale_factor", "is_check_shapes"}
)
FIXED: dict[str, tuple[Any, ...]] = {
    "border_mode": (0,),
    "crop_border": (False,),
    "fit_output": (False,),
    "keep_size": (True,),
    "rotate_method": ("largest_box",),
    "balanced_scale": (False,),
    "translate_px": (None,),
    "ensure_safe_range": (False,),
    "allow_shifted": (True, False),
    "blur_limit": (0, [0, 0], (0, 0)),
    "angle_range": ([0, 360], (0, 360)),
    "direction_range": ([-1, 1], (-1, 1), [-1.0, 1.0]),
}


class NoCounterpart(UserError):
    """A transform, or a parameter of one, that is not among ours, or means something else."""


def top_of(tree: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The outermost transform of what `albumentations.to_dict` or `save` wrote, with or without its `transform` key.

    Raises UserError where there is none.
    """
    top = tree.get("transform", tree)
    if not isinstance(top, Mapping) or CLASS not in top:
        raise UserError(f"{where}: no serialised Albumentations pipeline: it has no 'transform' with {CLASS}.")
    return top


def steps_of(tree: Mapping[str, Any], where: str) -> tuple[Step, ...]:
    """The steps of a serialised pipeline.

    Raises NoCounterpart, one line, naming what has none, and UserError for what is no pipeline.
    """
    top = top_of(tree, where)
    if _name(top) != "Compose":
        return _members([top], where)
    chance = _number(top.get("p", 1.0))
    members = _members(_list(top, where), where)
    return members if chance == 1.0 or not members else (make_step("Sequential", {"p": chance}, members, where),)


def without_counterpart(tree: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Names of the transforms that `steps_of` would refuse, each once, in their order. Raises UserError likewise."""
    return tuple(dict.fromkeys(_unmatched(top_of(tree, where), where)))


def _unmatched(node: Any, where: str) -> Iterator[str]:
    if isinstance(node, Mapping) and isinstance(node.get("transforms"), list):
        if _name(node) not in ("Compose", *GROUPS):
            yield _name(node)
        for child in node["transforms"]:
            yield from _unmatched(child, where)
        return
    try:
        _step(node, where)
    except NoCounterpart:
        yield _name(node)


def _members(nodes: list[Any], where: str) -> tuple[Step, ...]:
    return tuple(step for node in nodes if (step := _step(node, where)) is not None)


def _step(node: Any, where: str) -> Step | None:
    if not isinstance(node, Mapping) or CLASS not in node:
        raise UserError(f"{where}: a transform without {CLASS}: {str(node)[:60]}.")
    name = OTHER_NAMES.get(_name(node), _name(node))
    if name in LEFT_OUT:
        return None
    if name in ("Compose", *GROUPS):
        children = _members(_list(node, where), where)
        default = 1.0 if name == "Compose" else 0.5
        if not children:
            return None
        group = "Sequential" if name == "Compose" else name
        return make_step(group, {"p": node.get("p", default)}, children, where)
    if name not in OPERATIONS:
        raise NoCounterpart(
            f"{where}: {_name(node)} has no counterpart here; there are {', '.join((*OPERATIONS, *GROUPS))}."
        )
    try:
        return make_step(name, _parameters(name, node, where), (), where)
    except UserError as error:  # beyond our limits, which may be within theirs
        raise NoCounterpart(str(error)) from None


def _parameters(name: str, node: Mapping[str, Any], where: str) -> dict[str, Any]:
    known, found = OPERATIONS[name].parameters, dict(DEFAULTS.get(name, {}))
    if name == "CoarseDropout":
        found["ignore"] = node.get("fill_mask") is not None
    for key, value in node.items():
        own = OTHER_PARAMETERS.get(key, key)
        if own in known:
            if value is not None:
                found[own] = _both_ways(value, f"{where}: {name}: {key}")
        elif key in FIXED:
            if value not in FIXED[key]:
                raise NoCounterpart(f"{where}: {name}: {key}={value} has no counterpart here.")
        elif key not in SILENT and not key.startswith("__"):
            raise NoCounterpart(f"{where}: {name}: its parameter {key!r} has no counterpart here.")
    return found


def _both_ways(value: Any, what: str) -> Any:
    """Affine's `{x: …, y: …}`, which must agree."""
    if not isinstance(value, Mapping):
        return value
    if set(value) != {"x", "y"} or value["x"] != value["y"]:
        raise NoCounterpart(f"{what}: different values of x and y have no counterpart here.")
    return value["x"]


def _list(node: Mapping[str, Any], where: str) -> list[Any]:
    nodes = node.get("transforms")
    if not isinstance(nodes, list):
        raise UserError(f"{where}: {_name(node)} has no list 'transforms'.")
    return nodes


def _name(node: Mapping[str, Any]) -> str:
    return str(node.get(CLASS)).rpartition(".")[2]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 1.0
