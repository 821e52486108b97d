"""The settings of a run as one thing: taken together, varied by a search, compared with those of an earlier call."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError, listing
from darts_train.options.learning import Data, Hyperparameters, Split, Training

GROUPS: dict[str, type[Any]] = {
    "hyperparameters": Hyperparameters, "data": Data, "split": Split, "training": Training,
}  # fmt: skip
SPACE = "space of "  # before the name of a setting, among the facts of a search: how it is varied
OPTION_LISTS = ("model_options", "loss_options", "lr_options")  # lists of name=value; a search may vary one of them
# A run gives the same numbers whatever these say, so a later call may change them.
WITHOUT_EFFECT = frozenset(
    {
        "train_data_dir",
        "log_every_n_steps",
        "plot_every_n_val_epochs",
        "save_top_k",
        "num_workers",
        "in_memory",
        "cache",
        "auto_batch",
        "compile",
    }
)


@dataclass(frozen=True)
class Settings:
    """What a run is made of: its data, their split, the network and its training."""

    data: Data
    split: Split
    hyperparameters: Hyperparameters
    training: Training

    def replace(self, values: Mapping[str, Any]) -> "Settings":
        """These settings with some fields, named as the options are, changed. Raises UserError beyond limits.

        `model_options.encoder_depth` is that one option of the list; None takes it out.
        """
        values = _with_single_options(_with_augmentations(values), self.hyperparameters)
        groups = {}
        for group, kind in GROUPS.items():
            names = {field.name for field in dataclasses.fields(kind)} & set(values)
            groups[group] = dataclasses.replace(getattr(self, group), **{name: values[name] for name in names})
        return Settings(**groups)

    def deciding(self) -> dict[str, Any]:
        """All that decides a run's result but the data themselves, as plain values."""
        fields = {name: getattr(getattr(self, group), name) for name, (group, _) in field_types().items()}
        return {name: plain(value) for name, value in fields.items() if name not in WITHOUT_EFFECT}


def _with_augmentations(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A list under `augment` says which augmentations, in place of whatever else said so."""
    if not isinstance(values.get("augment"), tuple):
        return values
    if {"augmentations", "augment_config"} & set(values):
        raise UserError("a list of augment says which augmentations; leave out augmentations and augment_config.")
    return {**values, "augment": True, "augmentations": values["augment"], "augment_config": None}


def _with_single_options(values: Mapping[str, Any], own: Hyperparameters) -> Mapping[str, Any]:
    """Single options of lists (`loss_options.dice.smooth`) put into their lists."""
    single = {name: value for name, value in values.items() if "." in name}
    found = {name: value for name, value in values.items() if "." not in name}
    for name, value in single.items():
        field, _, key = name.partition(".")
        others = [text for text in found.get(field, getattr(own, field)) or () if option_name(text) != key]
        found[field] = (*others, *([] if value is None else [f"{key}={option_text(value)}"])) or None
    return found


def option_name(text: str) -> str:
    """The name in `name=value`."""
    return text.partition("=")[0].strip().replace("-", "_")


def option_text(value: Any) -> str:
    """The value in `name=value`: `true`, `3`, `48,24`."""
    if isinstance(value, tuple | list):
        return ",".join(map(option_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def field_types() -> dict[str, tuple[str, Any]]:
    """Every field of the settings by name: its group, and its type."""
    found: dict[str, tuple[str, Any]] = {}
    for group, kind in GROUPS.items():
        hints = typing.get_type_hints(kind)
        found |= {field.name: (group, hints[field.name]) for field in dataclasses.fields(kind)}
    return found


def group_of(name: str) -> str:
    """The group of a field, or, of one option of a list (`loss_options.gamma`), that of the list."""
    return field_types()[name.partition(".")[0]][0]


def default_value(name: str) -> Any:
    """The default of a field as JSON has it; None where it has none."""
    fields = {field.name: field for field in dataclasses.fields(GROUPS[group_of(name)])}
    default = fields[name].default
    return None if default is dataclasses.MISSING else plain(default)


def plain(value: Any) -> Any:
    """A value as JSON has it: tuples become lists, paths text."""
    if isinstance(value, Path):
        return str(value)
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def require_same(stored: Mapping[str, Any], given: Mapping[str, Any], what: str) -> None:
    """Check that an earlier call was made with the same settings.

    Raises UserError saying which differ, for `what`, such as `cross-validation x`: results of different settings
    must not meet under one name.
    """
    # An option that came after the earlier call was at its default then.
    stored = {name: default_value(name) for name in given if name in field_types()} | dict(stored)
    differing = {name for name in stored.keys() | given.keys() if stored.get(name) != given.get(name)}
    # What is searched has no default: that one is there and here not says no more than that the spaces differ.
    differing -= {name for name in differing if f"{SPACE}{name}" in differing}
    said = [f"{name} ({stored.get(name)!s:.60} there, {given.get(name)!s:.60} here)" for name in sorted(differing)]
    if differing:
        raise UserError(f"{what} was made with other settings: {listing(said, 3)}; choose another name.")


def accepted_types(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the type alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)
