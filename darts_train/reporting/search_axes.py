"""Parameters of a search as axes: numbers, or levels where a value is no number."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from darts_train.figures.parallel import Axis, wants_log
from darts_train.reporting.search_evidence import Trial
from darts_train.reporting.words import setting

FEW = 6  # numbers of so few values are levels


@dataclass(frozen=True)
class Parameter:
    """A searched parameter: its axis, and by trial the place on it (None where the trial has no value there)."""

    axis: Axis
    places: dict[int, float | None]

    @property
    def varied(self) -> bool:
        """Whether trials differ in it."""
        return len(set(self.places.values())) > 1


def parameters_of(trials: Sequence[Trial], names: Sequence[str]) -> list[Parameter]:
    """All parameters of a search in their order."""
    return [_parameter(name, [(trial.number, trial.values.get(name)) for trial in trials]) for name in names]


def _parameter(name: str, values: Sequence[tuple[int, Any]]) -> Parameter:
    known = [value for _, value in values if value is not None]
    few = len(set(map(str, known))) <= FEW < len(known)
    if known and not few and all(_is_number(value) for value in known):
        numbers = [float(value) for value in known]
        axis = Axis(name, log=wants_log(numbers))
        return Parameter(axis, {number: None if v is None else float(v) for number, v in values})
    texts = {number: "none" if value is None else setting(value) for number, value in values}
    levels = sorted(set(texts.values()), key=_order)
    return Parameter(Axis(name, levels), {number: float(levels.index(text)) for number, text in texts.items()})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _order(text: str) -> tuple[int, float, str]:
    """Numbers among the levels by size, before all other texts."""
    try:
        number = json.loads(text)
    except ValueError:
        return (1, 0.0, text)
    return (0, float(number), text) if _is_number(number) else (1, 0.0, text)
