"""The `hyperparameters` table of a YAML or TOML file.

[hyperparameters]
model_encoder = ["resnet18", "resnet50"]           # a list: one of them
gamma = 0.997                                      # a value: always this
focal_loss_gamma = { low = 0.0, high = 2.0 }       # a range: whole numbers where both ends are
learning_rate = { distribution = "loguniform", low = 1e-5, high = 1e-3 }
augment = [true, ["D4", "Blur"]]                   # as in a configuration file; ["D4", "Blur"] alone is always this
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError, nearest
from darts_train.experiments.field_values import AUGMENT, field_name
from darts_train.experiments.parameters import (
    Choice,
    Constant,
    IntUniform,
    LogUniform,
    Parameter,
    ReversedLogUniform,
    Uniform,
)
from darts_train.experiments.search_space import SearchSpace, checked
from darts_train.experiments.space_file import read_mapping

TABLE = "hyperparameters"
# distribution → (class, keys it must have, keys it may have)
EXPLICIT: dict[str, tuple[Callable[..., Any], tuple[str, ...], tuple[str, ...]]] = {
    "uniform": (Uniform, ("low", "high"), ()),
    "loguniform": (LogUniform, ("low", "high"), ()),
    "reversedloguniform": (ReversedLogUniform, ("low", "high"), ("n",)),
    "intuniform": (IntUniform, ("low", "high"), ()),
    "choice": (lambda choices: _choice(choices), ("choices",), ()),
    "value": (Constant, ("value",), ()),
    "constant": (Constant, ("value",), ()),
}


def read_hyperparameters(path: Path) -> SearchSpace:
    """The search space of a file's `hyperparameters` table. Raises UserError naming file and key."""
    content = read_mapping(path, "--hpconfig")
    table = content.get(TABLE)
    if not isinstance(table, dict) or not table:
        missing = f"has no table {TABLE!r}" if table is None else f"{TABLE!r} is not a table of settings"
        raise UserError(f"--hpconfig: {path}: {missing}{nearest(TABLE, content) if table is None else ''}.")
    return parse_hyperparameters(table, str(path))


def parse_hyperparameters(table: Mapping[str, Any], source: str) -> SearchSpace:
    """The search space of a table of settings; `source` names the file in messages."""
    parameters: dict[str, Parameter] = {}
    for key, spec in table.items():
        name = field_name(key, f"{source}: {TABLE}")
        if name in parameters:
            raise UserError(f"{source}: {TABLE}: {name} comes twice, with and without hyphens.")
        try:
            parameters[name] = checked(name, _parameter(name, spec))
        except UserError as error:
            raise UserError(f"{source}: {TABLE}.{key}: {error}") from None
    return SearchSpace(parameters)


def _parameter(name: str, spec: Any) -> Parameter:
    if name == AUGMENT and isinstance(spec, list) and all(isinstance(item, str) for item in spec):
        return Constant(tuple(spec))
    if isinstance(spec, list):
        return _choice(spec)
    if not isinstance(spec, dict):
        return Constant(spec)
    return _explicit(spec) if "distribution" in spec else _implicit(spec)


def _explicit(spec: Mapping[str, Any]) -> Parameter:
    said = str(spec["distribution"])
    distribution = said.lower().replace("_", "").replace("-", "")
    if distribution not in EXPLICIT:
        raise UserError(f"no distribution {said!r}{nearest(said, EXPLICIT)}; there are: {', '.join(EXPLICIT)}.")
    kind, required, optional = EXPLICIT[distribution]
    arguments = {key: value for key, value in spec.items() if key != "distribution"}
    require_keys(arguments, required, optional, f"distribution {said}")
    made: Parameter = kind(
        **{key: _end(value) if key in ("low", "high", "n") else value for key, value in arguments.items()}
    )
    return made


def _implicit(spec: Mapping[str, Any]) -> Parameter:
    require_keys(spec, ("low", "high"), (), "a range")
    low, high = _end(spec["low"]), _end(spec["high"])
    if isinstance(low, int) != isinstance(high, int):
        raise UserError(f"one of {low} and {high} is a whole number; write both with a decimal point, or both without.")
    return IntUniform(low, high) if isinstance(low, int) else Uniform(low, high)


def require_keys(spec: Mapping[str, Any], required: tuple[str, ...], optional: tuple[str, ...], what: str) -> None:
    """Check that a table has the keys it needs and no others; UserError naming the first that is wrong."""
    for key in required:
        if key not in spec:
            raise UserError(f"{what} needs the key {key!r}.")
    for key in spec:
        if key not in required + optional:
            raise UserError(f"{what} has no key {key!r}{nearest(str(key), required + optional)}.")


def number(value: Any) -> int | float:
    """A number from a file, where YAML may have left it as text; raises UserError for anything else."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{value!r} is not a number.")
    return value


_end = number


def _choice(choices: Any) -> Choice:
    if not isinstance(choices, list):
        raise UserError(f"choices must be a list, not {choices!r}.")
    return Choice(tuple(tuple(item) if isinstance(item, list) else item for item in choices))
