"""The command line's own values as a point of a search space: what a search begins with on request."""

from typing import Any

from darts_train.base.errors import UserError
from darts_train.experiments.settings import Settings, group_of, option_name, option_text, plain
from darts_train.experiments.space.densities import Density
from darts_train.experiments.space.parameters import Choice, Constant, Parameter, QUniform, Range
from darts_train.experiments.space.search_space import SearchSpace


def default_point(space: SearchSpace, settings: Settings) -> dict[str, Any]:
    """The values of `settings` for the parameters that are there with them.

    Raises UserError naming the first that is not in the space.
    """
    found: dict[str, Any] = {}
    for name in space.order:
        if not space.lives(name, found):
            continue
        value, parameter = _setting(settings, name), space.parameters[name]
        if "." in name:
            value = _as_written(parameter, value)
        if not contains(parameter, value):
            raise UserError(
                f"--enqueue-default: {name} is {plain(value)}, which is not in the space; widen one of them."
            )
        found[name] = value
    return {name: found[name] for name in space.parameters if name in found}


def contains(parameter: Parameter, value: Any) -> bool:
    """Whether a parameter can have a value."""
    if isinstance(parameter, Constant):
        return bool(parameter.value == value)
    if isinstance(parameter, Choice):
        return value in parameter.values
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    step = parameter.q if isinstance(parameter, QUniform | Density) else 1.0 if parameter.whole else None
    on_step = step is None or abs(round(value / step) * step - value) < 1e-9 * max(1.0, abs(value))
    if isinstance(parameter, Range):
        return on_step and parameter.low <= value <= parameter.high
    return on_step and 0 < parameter.share(value) < 1


def _setting(settings: Settings, name: str) -> Any:
    """The value of a setting; of one option of a list its text, None where the list has it not."""
    field, dot, key = name.partition(".")
    value = getattr(getattr(settings, group_of(name)), field)
    if not dot:
        return value
    texts = [text for text in value or () if option_name(text) == key]
    return texts[-1].partition("=")[2].strip() if texts else None


def _as_written(parameter: Parameter, text: str | None) -> Any:
    """A text as the value of the parameter that is written so."""
    if text is None:
        return None
    values = parameter.values if isinstance(parameter, Choice) else ()
    values = (parameter.value,) if isinstance(parameter, Constant) else values
    for value in values:
        if value is not None and option_text(value) == text:
            return value
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number
