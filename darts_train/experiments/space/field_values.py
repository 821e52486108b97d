"""A value from a file becomes the value of an option: `"none"` None, `8.0` 8, a list a tuple; or is refused.

Strict where a guess would hide a mistake: `true` is no number, and the text `"true"` no truth value.
"""

import dataclasses
import math
import typing
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError, nearest
from darts_train.experiments.settings import GROUPS, OPTION_LISTS, WITHOUT_EFFECT, accepted_types, field_types
from darts_train.models.arguments import DECODER, KNOWN, is_known

AUGMENT = "augment"  # a truth value, or the list of `augmentations`, as in a configuration file
PATCHES = "it decides which patches a run is validated on, and scores on different patches do not compare"
NO_TRIAL = "it is the same for all trials"
# What no search goes over, and why; all else that trains is open.
REFUSED = {
    "train_data_dir": "scores on different data do not compare",
    **dict.fromkeys(("total_folds", "fold_method", "group_by", "stratify_by"), PATCHES),
    **dict.fromkeys(("data_split_method", "data_split_by", "where", "subsample"), PATCHES),
    **dict.fromkeys(("n_folds", "n_randoms", "fold", "random_seed", "seed"), "all trials have the same"),
    **dict.fromkeys(("device", "devices", "accelerator", "strategy", "num_nodes"), "no score depends on where it runs"),
    **dict.fromkeys(("scoring_metric", "multi_score_strategy"), "scores of different metrics do not compare"),
    **dict.fromkeys(("artifact_dir", "tune_name", "sweep_id", "sweep_db", "n_trials", "sampler"), NO_TRIAL),
}
SIMPLE = (bool, int, float, str)


def field_name(name: str, where: str) -> str:
    """The field that a key of a search means, hyphens or not: `batch_size`, or `model_options.encoder_depth`.

    Raises UserError with the reason for what cannot be searched, with the nearest for what does not exist.
    """
    field = name.replace("-", "_")
    if field in REFUSED:
        raise UserError(f"{where}: {name!r} cannot be searched: {REFUSED[field]}; set it on the command line.")
    known = [known for known in field_types() if known not in REFUSED]
    group, dot, key = field.partition(".")
    if dot and group in OPTION_LISTS and key:
        if group == "model_options" and not is_known(key):
            raise UserError(f"{where}: model_options has no {key!r}{nearest(key, (*KNOWN, f'{DECODER}channels'))}.")
        return field
    if field not in known:
        raise UserError(f"{where}: {name!r} is not a setting that can be searched{nearest(field, known)}.")
    return field


def require_effect(name: str) -> None:
    """Raise UserError for a setting on which no score depends: to vary it is a waste."""
    if name in WITHOUT_EFFECT:
        raise UserError("no score depends on it; give it one value, here or on the command line.")


def limits(name: str) -> tuple[float | None, float | None]:
    """The least and the greatest number that a field takes; None: no limit."""
    if "." in name:
        return None, None
    group, _ = field_types()[name]
    (metadata,) = (field.metadata for field in dataclasses.fields(GROUPS[group]) if field.name == name)
    low, above = metadata.get("low"), metadata.get("above")
    return (low if above is None else math.nextafter(above, math.inf)), metadata.get("high")


def field_value(name: str, value: Any) -> Any:
    """`value` as field `name` takes it, its limits checked. Raises UserError saying what is expected."""
    if "." in name:
        return _single_option(name, value)
    group, annotation = field_types()[name]
    if name == AUGMENT and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value) or False
    for kind in sorted(accepted_types(annotation), key=_strictness):
        accepted, result = _convert(value, kind)
        if accepted:
            _check_limits(group, name, result)
            return result
    raise UserError(f"{value!r} is not {describe(name)}.")


def takes_numbers(name: str) -> bool:
    """Whether a range of numbers makes sense for a field."""
    return any(kind in (int, float) for kind in _types(name))


def takes_fractions(name: str) -> bool:
    """Whether a field takes any number, and not only whole ones."""
    return float in _types(name)


def takes_lists(name: str) -> bool:
    """Whether a value of a field can be a list."""
    return name == AUGMENT or any(typing.get_origin(kind) is tuple for kind in _types(name))


def describe(name: str) -> str:
    """What a field takes, in words: `a number or none`."""
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "none"}
    parts = []
    for kind in _types(name):
        if typing.get_origin(kind) is typing.Literal:
            parts.append("one of " + ", ".join(map(str, typing.get_args(kind))))
        else:
            parts.append("a list" if typing.get_origin(kind) is tuple else words.get(kind, "text"))
    return " or ".join(parts + ["a list of augmentations"] * (name == AUGMENT))


def _types(name: str) -> tuple[Any, ...]:
    """What a field takes; one option of a list of options takes any plain value."""
    return (*SIMPLE, type(None)) if "." in name else accepted_types(field_types()[name][1])


def _single_option(name: str, value: Any) -> Any:
    """A value of `model_options.encoder_depth`: what it may be, its network or loss says when it is made."""
    if isinstance(value, list | tuple) and value and all(type(item) in SIMPLE for item in value):
        return tuple(value)
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        return None
    if type(value) not in SIMPLE or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        raise UserError(f"{value!r} is no value of an option.")
    return value


def _strictness(kind: Any) -> int:
    """Text comes last: whatever else a text may mean, it means."""
    return 1 if kind is str else 0


def _convert(value: Any, kind: Any) -> tuple[bool, Any]:
    """(whether `value` is a `kind`, the value as such)."""
    if kind is type(None):
        return value is None or (isinstance(value, str) and value.lower() == "none"), None
    if kind is bool:
        return isinstance(value, bool), value
    if kind in (int, float):
        return _number(value, kind)
    if typing.get_origin(kind) is typing.Literal:
        return value in typing.get_args(kind), value
    if typing.get_origin(kind) is tuple:
        fits = isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(item, str) for item in value)
        return fits, tuple(value) if fits else value
    if kind is Path:
        return isinstance(value, str | Path), Path(value) if isinstance(value, str) else value
    return kind is str and isinstance(value, str) and value != "", value


def _number(value: Any, kind: type[int] | type[float]) -> tuple[bool, Any]:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False, value
    try:  # a text too: YAML 1.1 takes 1e-3 for one
        number = float(value)
    except (ValueError, OverflowError):
        return False, value
    if kind is int:
        return number.is_integer(), int(number) if number.is_integer() else value
    return True, number


def _check_limits(group: str, name: str, value: Any) -> None:
    """Make the option group once with this value: it refuses what is beyond its limits."""
    kind = GROUPS[group]
    required = {
        field.name: Path()
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.name != name
    }
    kind(**required, **{name: value})
