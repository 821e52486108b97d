"""A wandb sweep file: what is tried, how, and by which metric.

Ends of a range are whole numbers or not by the type of the setting (`min: 0, max: 2` of focal_loss_gamma has
fractions), where wandb goes by how they are written. A quantised range has all multiples equally likely.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from darts_train.base.errors import UserError, nearest
from darts_train.base.log import logger
from darts_train.experiments.field_values import field_name, takes_fractions
from darts_train.experiments.hyperparameter_space import number, require_keys
from darts_train.experiments.parameters import (
    Choice,
    Constant,
    IntUniform,
    LogUniform,
    Parameter,
    QUniform,
    Uniform,
)
from darts_train.experiments.search_space import SearchSpace, checked
from darts_train.experiments.space_file import read_mapping

Method = Literal["grid", "random", "tpe"]
METHODS: dict[str, Method] = {"grid": "grid", "random": "random", "bayes": "tpe", "tpe": "tpe"}
GOALS = {"maximize": "", "minimize": ":lower"}
USED = ("name", "method", "metric", "parameters")
PASSED_OVER = ("program", "command", "description", "project", "entity", "early_terminate", "run_cap", "controller")
# distribution → (made of its keys, keys it must have, keys it may have)
DISTRIBUTIONS: dict[str, tuple[Callable[..., Any], tuple[str, ...], tuple[str, ...]]] = {
    "constant": (lambda value: Constant(value), ("value",), ()),
    "categorical": (lambda values: _choice(values), ("values",), ()),
    "uniform": (lambda min, max: Uniform(min, max), ("min", "max"), ()),
    "int_uniform": (lambda min, max: IntUniform(min, max), ("min", "max"), ()),
    "q_uniform": (lambda min, max, q=1: QUniform(min, max, q), ("min", "max"), ("q",)),
    "log_uniform_values": (lambda min, max: LogUniform(min, max), ("min", "max"), ()),
    "log_uniform": (lambda min, max: LogUniform(_exp(min), _exp(max)), ("min", "max"), ()),  # exponents of e
}
_log = logger("experiments")


@dataclass(frozen=True)
class WandbSweep:
    """What a wandb sweep file says; `metric` ends in `:lower` where its goal is to minimise."""

    name: str | None
    method: Method
    metric: str | None
    space: SearchSpace


def read_wandb_sweep(path: Path) -> WandbSweep:
    """Read a sweep file, YAML or JSON. Raises UserError naming file and key."""
    return parse_wandb_sweep(read_mapping(path, "--sweep-config"), str(path))


def parse_wandb_sweep(content: Mapping[str, Any], source: str) -> WandbSweep:
    """The sweep of a file's content; `source` names the file in messages."""
    for key in content:
        if key not in USED + PASSED_OVER:
            raise UserError(f"{source}: no key {key!r} in a sweep file{nearest(key, USED + PASSED_OVER)}.")
    if passed := [key for key in PASSED_OVER if key in content]:
        _log.warning("%s: %s: without effect here", source, ", ".join(passed))
    name = content.get("name")
    if name is not None and not isinstance(name, str):
        raise UserError(f"{source}: name: {name!r} is not text.")
    method = content.get("method", "random")
    if not isinstance(method, str) or method not in METHODS:
        raise UserError(f"{source}: method: {method!r} is none of {', '.join(METHODS)}.")
    return WandbSweep(name, METHODS[method], _metric(content.get("metric"), source), _space(content, source))


def _metric(spec: Any, source: str) -> str | None:
    if spec is None:
        return None
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise UserError(f"{source}: metric: a name and a goal were expected.")
    goal = spec.get("goal")  # wandb minimises where there is none: not what anyone wants of a JaccardIndex
    if goal not in ("maximize", "minimize"):
        raise UserError(f"{source}: metric.goal: maximize or minimize was expected, not {goal!r}.")
    return f"{spec['name']}{GOALS[goal]}"


def _space(content: Mapping[str, Any], source: str) -> SearchSpace:
    table = content.get("parameters")
    if not isinstance(table, dict) or not table:
        raise UserError(f"{source}: parameters: a table of settings to vary was expected.")
    parameters: dict[str, Parameter] = {}
    for key, spec in table.items():
        name = field_name(key, f"{source}: parameters")
        if name in parameters:
            raise UserError(f"{source}: parameters: {name} comes twice, with and without hyphens.")
        try:
            parameters[name] = checked(name, _parameter(name, spec))
        except UserError as error:
            raise UserError(f"{source}: parameters.{key}: {error}") from None
    return SearchSpace(parameters)


def _parameter(name: str, spec: Any) -> Parameter:
    if not isinstance(spec, dict):
        raise UserError(f"a table with value, values, or min and max was expected, not {spec!r:.40}.")
    distribution = spec.get("distribution", _implied(name, spec))
    if distribution not in DISTRIBUTIONS:
        close = nearest(str(distribution), DISTRIBUTIONS)
        raise UserError(f"no distribution {distribution!r}{close}; there are: {', '.join(DISTRIBUTIONS)}.")
    kind, required, optional = DISTRIBUTIONS[distribution]
    arguments = {key: value for key, value in spec.items() if key != "distribution"}
    require_keys(arguments, required, optional, f"distribution {distribution}")
    made: Parameter = kind(
        **{key: number(value) if key in ("min", "max", "q") else value for key, value in arguments.items()}
    )
    return made


def _implied(name: str, spec: Mapping[str, Any]) -> str:
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    return "uniform" if takes_fractions(name) else "int_uniform"


def _choice(values: Any) -> Choice:
    if not isinstance(values, list):
        raise UserError(f"values must be a list, not {values!r}.")
    return Choice(tuple(tuple(item) if isinstance(item, list) else item for item in values))


def _exp(exponent: float) -> float:
    try:
        return math.exp(exponent)
    except OverflowError:
        return math.inf  # refused as an end that is not finite
