"""The `hyperparameters` table of a YAML or TOML file.

[hyperparameters]
model_encoder = ["resnet18", "resnet50"]           # a list: one of them
gamma = 0.997                                      # a value: always this
focal_loss_gamma = { low = 0.0, high = 2.0 }       # a range: whole numbers where both ends are
learning_rate = { distribution = "loguniform", low = 1e-5, high = 1e-3 }
augment = [true, ["D4", "Blur"]]                   # as in a configuration file; ["D4", "Blur"] alone is always this
model_options.encoder_depth = [3, 4, 5]            # one option of a list of name=value
loss_options.alpha = { low = 0.1, high = 0.9, when = { loss = ["tversky"] } } # there only where loss is tversky
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError, nearest
from darts_train.experiments.settings import OPTION_LISTS
from darts_train.experiments.space.densities import Beta, LogNormal, Normal
from darts_train.experiments.space.field_values import AUGMENT
from darts_train.experiments.space.file import Source, as_source, read_source
from darts_train.experiments.space.parameters import (
    Choice,
    Constant,
    IntUniform,
    LogUniform,
    Parameter,
    QLogUniform,
    QUniform,
    ReversedLogUniform,
    Uniform,
)
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.experiments.space.table import read_space

TABLE = "hyperparameters"
SAYING = frozenset({"distribution", "low", "high", "choices", "value"})  # keys that say what is drawn
NUMBERS = ("low", "high", "n", "q", "mu", "sigma", "a", "b")
# distribution → (class, keys it must have, keys it may have)
EXPLICIT: dict[str, tuple[Callable[..., Any], tuple[str, ...], tuple[str, ...]]] = {
    "uniform": (Uniform, ("low", "high"), ()),
    "loguniform": (LogUniform, ("low", "high"), ()),
    "reversedloguniform": (ReversedLogUniform, ("low", "high"), ("n",)),
    "intuniform": (IntUniform, ("low", "high"), ()),
    "quniform": (QUniform, ("low", "high"), ("q",)),
    "qloguniform": (QLogUniform, ("low", "high"), ("q",)),
    "normal": (Normal, ("mu", "sigma"), ("q",)),
    "lognormal": (LogNormal, ("mu", "sigma"), ("q",)),
    "beta": (Beta, ("a", "b"), ("q",)),
    "choice": (lambda choices, probabilities=None: choice(choices, probabilities), ("choices",), ("probabilities",)),
    "value": (Constant, ("value",), ()),
    "constant": (Constant, ("value",), ()),
}


def read_hyperparameters(path: Path) -> SearchSpace:
    """The search space of a file's `hyperparameters` table. Raises UserError naming file, line and key."""
    content, source = read_source(path, "--hpconfig")
    table = content.get(TABLE)
    if not isinstance(table, dict) or not table:
        missing = f"has no table {TABLE!r}" if table is None else f"{TABLE!r} is not a table of settings"
        raise UserError(f"--hpconfig: {path}: {missing}{nearest(TABLE, content) if table is None else ''}.")
    return parse_hyperparameters(table, source)


def parse_hyperparameters(table: Mapping[str, Any], source: Source | str) -> SearchSpace:
    """The search space of a table of settings; `source` names the file in messages."""
    return read_space(table, TABLE, as_source(source), _nested, _parameter)


def _nested(names: tuple[str, ...], spec: Any) -> tuple[tuple[str, ...], Mapping[str, Any]] | None:
    """A table within `model_options`, that does not say what is drawn, is of single options."""
    inside = names[0].replace("-", "_").partition(".")[0] in OPTION_LISTS
    return ((), spec) if inside and isinstance(spec, dict) and not SAYING & spec.keys() else None


def _parameter(name: str, spec: Any) -> Parameter:
    if name == AUGMENT and isinstance(spec, list) and all(isinstance(item, str) for item in spec):
        return Constant(tuple(spec))
    if isinstance(spec, list):
        return choice(spec)
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
    made: Parameter = kind(**{key: number(value) if key in NUMBERS else value for key, value in arguments.items()})
    return made


def _implicit(spec: Mapping[str, Any]) -> Parameter:
    for key, distribution in (("choices", "choice"), ("value", "value")):
        if key in spec:
            return _explicit({**spec, "distribution": distribution})
    require_keys(spec, ("low", "high"), (), "a range")
    low, high = number(spec["low"]), number(spec["high"])
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


def choice(choices: Any, probabilities: Any = None) -> Choice:
    """One of a file's list, by its list of probabilities if there is one."""
    if not isinstance(choices, list):
        raise UserError(f"choices must be a list, not {choices!r}.")
    values = tuple(tuple(item) if isinstance(item, list) else item for item in choices)
    if probabilities is None:
        return Choice(values)
    if not isinstance(probabilities, list):
        raise UserError(f"probabilities must be a list, not {probabilities!r}.")
    return Choice(values, tuple(float(number(item)) for item in probabilities))
