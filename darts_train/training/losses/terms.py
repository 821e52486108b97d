"""Losses as a user writes them: `dice`, or a sum `dice:0.5+focal:0.5`, and their options as name=value.

Nothing here needs torch: names and options are checked before anything is built.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darts_train.base.errors import UserError, nearest

AUTO = "auto"  # a number that is taken from the training pixels


@dataclass(frozen=True)
class Setting:
    """An option of a loss: a number between `low` and `high`; `auto` says whether the data may choose it."""

    low: float = 0.0
    high: float = math.inf
    auto: bool = False


@dataclass(frozen=True)
class Kind:
    """What there is to know of a loss before it is built."""

    settings: Mapping[str, Setting]
    binary_only: bool = False
    takes_weights: bool = False


_SMOOTH = Setting()
_SHARE = Setting(high=1.0)
KINDS: dict[str, Kind] = {
    "focal": Kind({"alpha": _SHARE, "gamma": Setting()}),
    "bce": Kind({"pos_weight": Setting(auto=True)}, binary_only=True),
    "ce": Kind({}, takes_weights=True),
    "soft-ce": Kind({"smoothing": _SHARE}),
    "dice": Kind({"smooth": _SMOOTH}, takes_weights=True),
    "jaccard": Kind({"smooth": _SMOOTH}, takes_weights=True),
    "tversky": Kind({"alpha": Setting(), "beta": Setting(), "smooth": _SMOOTH}, takes_weights=True),
    "focal-tversky": Kind(
        {"alpha": Setting(), "beta": Setting(), "gamma": Setting(), "smooth": _SMOOTH}, takes_weights=True
    ),
    "log-cosh-dice": Kind({"smooth": _SMOOTH}, takes_weights=True),
    "lovasz": Kind({}),
    "mcc": Kind({}),
}
# Names for sums that others have a name for.
SUMS = {"focal-dice": "focal+dice", "smoothed-lovasz": "lovasz:0.5+soft-ce:0.5"}
REGIONAL = ("dice", "jaccard", "tversky", "focal-tversky", "log-cosh-dice")  # one of two classes is scored


@dataclass(frozen=True)
class Term:
    """One loss of a sum: its name, its weight, its options (numbers, or `auto`)."""

    name: str
    weight: float
    options: Mapping[str, float | str]


def parse_terms(loss: str, options: Sequence[str] | None = None) -> tuple[Term, ...]:
    """The terms of `--loss`, with those of `--loss-options` that are theirs.

    An option is `name=value` where one term of the sum has it, or `dice.smooth=1` for the term `dice`.

    Raises:
        UserError: a name or an option does not exist (with the nearest), comes twice, or is beyond its limits.
    """
    sums = _split(loss)
    given: dict[str, dict[str, float | str]] = {name: {} for name, _ in sums}
    for text in options or ():
        term, name, value = _option(text, tuple(given))
        if name in given[term]:
            raise UserError(f"--loss-options: {name} is given twice for {term}.")
        given[term][name] = _value(term, name, value)
    return tuple(Term(name, weight, given[name]) for name, weight in sums)


def _split(loss: str) -> list[tuple[str, float]]:
    """`dice:0.5+focal` → [("dice", 0.5), ("focal", 1.0)]."""
    text = SUMS.get(_plain_name(loss), loss)
    terms = []
    # A plus sign within a number, such as 1e+2, does not part terms.
    for part in re.split(r"(?<![0-9.][eE])\+", text):
        said, mark, number = part.partition(":")
        name = _plain_name(said)
        if name not in KINDS:
            known = (*KINDS, *SUMS)
            hint = nearest(name, known) or f"; there are {', '.join(known)}"
            raise UserError(f"--loss: there is no loss {said.strip()!r}{hint}.")
        weight = _number(number, f"--loss: the weight of {name}") if mark else 1.0
        if not weight > 0:
            raise UserError(f"--loss: the weight of {name} must be greater than 0, not {weight:g}.")
        terms.append((name, weight))
    names = [name for name, _ in terms]
    if len(set(names)) < len(names):
        raise UserError(f"--loss: {loss!r} has a loss twice; add up the weights.")
    return terms


def _option(text: str, terms: Sequence[str]) -> tuple[str, str, str]:
    """(term, name, value) of `name=value` or `term.name=value`."""
    said, mark, value = (part.strip() for part in text.partition("="))
    term, dot, name = said.rpartition(".")
    if not mark or not name or not value:
        raise UserError(f"--loss-options: {text!r} is not name=value, such as smooth=1.")
    name = name.replace("-", "_")
    if dot and _plain_name(term) not in terms:
        raise UserError(f"--loss-options: {text!r}: --loss has no term {term!r}; it has {', '.join(terms)}.")
    searched = (_plain_name(term),) if dot else tuple(terms)
    owners = [one for one in searched if name in KINDS[one].settings]
    if not owners:
        known = sorted({known for one in searched for known in KINDS[one].settings})
        hint = nearest(name, known) or (f"; there are {', '.join(known)}" if known else "; it has none")
        raise UserError(f"--loss-options: {'+'.join(searched)} has no option {name!r}{hint}.")
    if len(owners) > 1:
        raise UserError(
            f"--loss-options: {name} may be that of {' or '.join(owners)}; write {owners[0]}.{name}={value}."
        )
    return owners[0], name, value


def _value(term: str, name: str, text: str) -> float | str:
    setting = KINDS[term].settings[name]
    if setting.auto and text.lower() == AUTO:
        return AUTO
    value = _number(text, f"--loss-options: {name}", setting.auto)
    if not setting.low <= value <= setting.high:
        limits = f"at least {setting.low:g}" + (f" and at most {setting.high:g}" if setting.high < math.inf else "")
        raise UserError(f"--loss-options: {name} of {term} must be {limits}, not {value:g}.")
    return value


def _number(text: str, what: str, auto: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{what}: {text!r} is not a number{' or auto' if auto else ''}.")
    return value


def _plain_name(text: str) -> str:
    return text.strip().lower().replace("_", "-")


def parse_class_weights(text: str | None, classes: int) -> tuple[float, ...] | str | None:
    """`--class-weights` as one number per class, background first; `auto` and None as they are.

    Raises UserError where these are not `classes` numbers of at least 0, one above.
    """
    if text is None or text.strip().lower() == AUTO:
        return None if text is None else AUTO
    weights = tuple(_number(part, "--class-weights", True) for part in text.split(","))
    if len(weights) != classes:
        raise UserError(f"--class-weights: the set has {classes} classes, and there are {len(weights)} weights.")
    if min(weights) < 0 or max(weights) == 0:
        raise UserError("--class-weights: weights must be at least 0, and one of them greater.")
    return weights


def check_terms(terms: Sequence[Term], weights: Sequence[float] | str | None, classes: int) -> None:
    """Raise UserError where a term is not for this number of classes, or class weights would have no effect."""
    for term in terms:
        if KINDS[term.name].binary_only and classes != 2:
            raise UserError(f"--loss: {term.name} is for two classes, the set has {classes}; use ce.")
    if weights is None:
        return
    takers = [t.name for t in terms if KINDS[t.name].takes_weights and not (classes == 2 and t.name in REGIONAL)]
    if not takers:
        names = "+".join(term.name for term in terms)
        known = [name for name, kind in KINDS.items() if kind.takes_weights and not (classes == 2 and name in REGIONAL)]
        raise UserError(f"--class-weights have no effect on {names} of {classes} classes, but on {', '.join(known)}.")
