"""Augmentations as a user writes them, and the tree of steps they become.

    Rotate:limit=30:p=0.5                             a name, then parameters; two dots between the ends of a range
    OneOf:p=0.3/Blur/MotionBlur:blur_limit=3..5       one of those that follow, each as likely as its p says
    OneOf/(Sequential:p=0.5/Blur/GaussNoise)/Blur     in brackets, a group within a group

No commas, so that several can be given as `--augmentations D4,Rotate:limit=30`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from darts_train.base.errors import UserError, nearest
from darts_train.training.augmentation.parameters import Value, value_text
from darts_train.training.augmentation.registry import GROUPS, OPERATIONS, Group

OPTION = "--augmentations"


@dataclass(frozen=True)
class Step:
    """An operation with its parameters, all of them, or a group of steps; done with probability `p`."""

    name: str
    p: float
    parameters: Mapping[str, Value] = field(default_factory=dict)
    children: tuple["Step", ...] = ()

    def __str__(self) -> str:
        words = [self.name, f"p={value_text(self.p)}"]
        words += [f"{name}={value_text(value)}" for name, value in self.parameters.items()]
        children = [f"({child})" if child.children else str(child) for child in self.children]
        return "/".join([":".join(words), *children])


def parse_steps(texts: Sequence[str], where: str = OPTION) -> tuple[Step, ...]:
    """The steps of `--augmentations`, in their order.

    Raises UserError for a name or a parameter that does not exist (with the nearest), comes twice or is beyond its
    limits, and for groups without members.
    """
    return tuple(_parse(text.strip(), where) for text in texts)


def make_step(name: str, given: Mapping[str, Any], children: Sequence[Step], where: str) -> Step:
    """A step with its defaults filled in. Raises UserError as `parse_steps`."""
    known: dict[str, Group] = {**OPERATIONS, **GROUPS}
    if name not in known:
        hint = nearest(name, known) or f"; there are {', '.join(known)}"
        raise UserError(f"{where}: there is no augmentation {name!r}{hint}.")
    parameters = known[name].parameters
    for key in given:
        if key not in parameters:
            others = [other for other in parameters if other != "p"]
            hint = nearest(key, parameters) or (f"; it has {', '.join(others)} and p" if others else "; it has p alone")
            raise UserError(f"{where}: {name} has no parameter {key!r}{hint}.")
    if bool(children) != (name in GROUPS):
        wanted = "needs members: OneOf/Blur/MotionBlur" if name in GROUPS else "takes no members after /"
        raise UserError(f"{where}: {name} {wanted}.")
    values: dict[str, Value] = {key: parameter.default for key, parameter in parameters.items()}
    for key, raw in given.items():
        try:
            values[key] = parameters[key].read(raw)
        except ValueError as error:
            raise UserError(f"{where}: {name}: {key}: {error}.") from None
    chance = values.pop("p")
    if name == "OneOf" and not any(child.p for child in children):
        raise UserError(f"{where}: OneOf: one of its members must have a p above 0.")
    assert isinstance(chance, float | int)
    return Step(name, float(chance), values, tuple(children))


def _parse(text: str, where: str) -> Step:
    head, *members = _parted(text, where)
    name, *settings = (word.strip() for word in head.split(":"))
    given: dict[str, str] = {}
    for setting in settings:
        key, mark, value = (part.strip() for part in setting.partition("="))
        if not mark or not key or not value:
            raise UserError(f"{where}: {text!r}: {setting!r} is not name=value, such as p=0.5.")
        if key in given:
            raise UserError(f"{where}: {text!r}: {key} is given twice.")
        given[key] = value
    return make_step(name, given, [_parse(_bare(member), where) for member in members], where)


def _parted(text: str, where: str) -> list[str]:
    """Split at `/` outside of brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            break
        if letter == "/" and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    if depth:
        raise UserError(f"{where}: {text!r}: its brackets do not match.")
    return parts


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1].strip() if text.startswith("(") and text.endswith(")") else text
