"""A wandb sweep file: what is tried, how, and by which metric.

Ends of a range are whole numbers or not by the type of the setting (`min: 0, max: 2` of focal_loss_gamma has
fractions), where wandb goes by how they are written. A quantised range has all multiples equally likely. A normal
distribution is cut off at the limits of its setting. `when` (on what others a parameter depends) is ours.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from darts_train.base.errors import UserError, nearest
from darts_train.base.log import logger
from darts_train.experiments.space.densities import Beta, LogNormal, Normal
from darts_train.experiments.space.early_terminate import EarlyTerminate, parse_early_terminate
from darts_train.experiments.space.field_values import takes_fractions
from darts_train.experiments.space.file import Source, as_source, read_source
from darts_train.experiments.space.hyperparameters import choice, number, require_keys
from darts_train.experiments.space.parameters import (
    Constant,
    IntUniform,
    LogUniform,
    Parameter,
    QLogUniform,
    QUniform,
    Uniform,
)
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.experiments.space.table import read_space

Method = Literal["grid", "random", "tpe", "gp", "qmc", "cmaes"]
# wandb's three, and the names of our samplers
METHODS: dict[str, Method] = {
    "grid": "grid", "random": "random", "bayes": "tpe", "tpe": "tpe", "gp": "gp", "qmc": "qmc", "cmaes": "cmaes",
}  # fmt: skip
GOALS = {"maximize": "", "minimize": ":lower"}
USED = ("name", "method", "metric", "parameters", "early_terminate", "run_cap")
PASSED_OVER = ("program", "command", "description", "project", "entity", "controller")
TABLE = "parameters"
NUMBERS = ("min", "max", "q", "mu", "sigma", "a", "b")
ENDS, BELL = ("min", "max"), ("mu", "sigma")
# distribution → (made of its keys, keys it must have, keys it may have)
DISTRIBUTIONS: dict[str, tuple[Callable[..., Any], tuple[str, ...], tuple[str, ...]]] = {
    "constant": (lambda value: Constant(value), ("value",), ()),
    "categorical": (lambda values, probabilities=None: _choice(values, probabilities), ("values",), ("probabilities",)),
    "categorical_w_probabilities": (
        lambda values, probabilities: _choice(values, probabilities),
        ("values", "probabilities"),
        (),
    ),
    "uniform": (lambda min, max: Uniform(min, max), ENDS, ()),
    "int_uniform": (lambda min, max: IntUniform(min, max), ENDS, ()),
    "q_uniform": (lambda min, max, q=1: QUniform(min, max, q), ENDS, ("q",)),
    "log_uniform_values": (lambda min, max: LogUniform(min, max), ENDS, ()),
    "q_log_uniform_values": (lambda min, max, q=1: QLogUniform(min, max, q), ENDS, ("q",)),
    # The logarithm of 1/x is uniform where that of x is: the same draws.
    "inv_log_uniform_values": (lambda min, max: LogUniform(min, max), ENDS, ()),
    # Those without _values have exponents of e.
    "log_uniform": (lambda min, max: LogUniform(_exp(min), _exp(max)), ENDS, ()),
    "q_log_uniform": (lambda min, max, q=1: QLogUniform(_exp(min), _exp(max), q), ENDS, ("q",)),
    "inv_log_uniform": (lambda min, max: LogUniform(_exp(-max), _exp(-min)), ENDS, ()),
    "normal": (Normal, (), BELL),
    "q_normal": (lambda q=1, **bell: Normal(q=q, **bell), (), (*BELL, "q")),
    "log_normal": (LogNormal, (), BELL),
    "q_log_normal": (lambda q=1, **bell: LogNormal(q=q, **bell), (), (*BELL, "q")),
    "beta": (Beta, (), ("a", "b")),
}
_log = logger("experiments")


@dataclass(frozen=True)
class WandbSweep:
    """What a wandb sweep file says.

    `metric` ends in `:lower` where its goal is to minimise. `run_cap`: trials of all runners together, at most.
    """

    name: str | None
    method: Method
    metric: str | None
    space: SearchSpace
    run_cap: int | None = None
    early_terminate: EarlyTerminate | None = None


def read_wandb_sweep(path: Path) -> WandbSweep:
    """Read a sweep file, YAML or JSON. Raises UserError naming file, line and key."""
    return parse_wandb_sweep(*read_source(path, "--sweep-config"))


def parse_wandb_sweep(content: Mapping[str, Any], source: Source | str) -> WandbSweep:
    """The sweep of a file's content; `source` names the file in messages."""
    source = as_source(source)
    for key in content:
        if key not in USED + PASSED_OVER:
            hint = nearest(str(key), USED + PASSED_OVER)
            raise UserError(f"{source.place(str(key))}: no key {key!r} in a sweep file{hint}.")
    if passed := [key for key in PASSED_OVER if key in content]:
        _log.warning("%s: %s: without effect here", source.name, ", ".join(passed))
    table = content.get(TABLE)
    if not isinstance(table, dict) or not table:
        raise UserError(f"{source.at(TABLE)}: a table of settings to vary was expected.")
    return WandbSweep(
        name=_name(content.get("name"), source),
        method=_method(content.get("method", "random"), source),
        metric=_metric(content.get("metric"), source),
        space=read_space(table, TABLE, source, _nested, _parameter),
        run_cap=_run_cap(content.get("run_cap"), source),
        early_terminate=parse_early_terminate(content.get("early_terminate"), source),
    )


def _name(name: Any, source: Source) -> str | None:
    if name is not None and not isinstance(name, str):
        raise UserError(f"{source.at('name')}: {name!r} is not text.")
    return name


def _method(method: Any, source: Source) -> Method:
    if not isinstance(method, str) or method not in METHODS:
        close = nearest(str(method), METHODS)
        raise UserError(f"{source.at('method')}: {method!r} is none of {', '.join(METHODS)}{close}.")
    return METHODS[method]


def _run_cap(cap: Any, source: Source) -> int | None:
    if cap is not None and (not isinstance(cap, int) or isinstance(cap, bool) or cap < 1):
        raise UserError(f"{source.at('run_cap')}: a whole number of trials, 1 or more, was expected, not {cap!r}.")
    return cap


def _metric(spec: Any, source: Source) -> str | None:
    if spec is None:
        return None
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise UserError(f"{source.at('metric')}: a name and a goal were expected.")
    for key in spec.keys() - {"name", "goal"}:
        if key != "target":  # wandb ends a sweep there
            hint = nearest(str(key), ("name", "goal"))
            raise UserError(f"{source.at('metric', str(key))}: a metric has no key {key!r}{hint}.")
        _log.warning("%s: without effect here", source.at("metric", "target"))
    goal = spec.get("goal")  # wandb minimises where there is none: not what anyone wants of a JaccardIndex
    if goal not in ("maximize", "minimize"):
        raise UserError(f"{source.at('metric', 'goal')}: maximize or minimize was expected, not {goal!r}.")
    return f"{spec['name']}{GOALS[goal]}"


def _nested(names: tuple[str, ...], spec: Any) -> tuple[tuple[str, ...], Mapping[str, Any]] | None:
    inner = spec.get(TABLE) if isinstance(spec, dict) and spec.keys() == {TABLE} else None
    return ((TABLE,), inner) if isinstance(inner, dict) else None


def _parameter(name: str, spec: Any) -> Parameter:
    if not isinstance(spec, dict):
        raise UserError(f"a table with value, values, or min and max was expected, not {spec!r:.40}.")
    if TABLE in spec:
        raise UserError("what has nested parameters has nothing else, and some of them.")
    distribution = spec.get("distribution", _implied(name, spec))
    if distribution not in DISTRIBUTIONS:
        close = nearest(str(distribution), DISTRIBUTIONS)
        raise UserError(f"no distribution {distribution!r}{close}; there are: {', '.join(DISTRIBUTIONS)}.")
    kind, required, optional = DISTRIBUTIONS[distribution]
    arguments = {key: value for key, value in spec.items() if key != "distribution"}
    require_keys(arguments, required, optional, f"distribution {distribution}")
    made: Parameter = kind(**{key: number(value) if key in NUMBERS else value for key, value in arguments.items()})
    return made


def _implied(name: str, spec: Mapping[str, Any]) -> str:
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    return "uniform" if takes_fractions(name) else "int_uniform"


def _choice(values: Any, probabilities: Any = None) -> Parameter:
    if not isinstance(values, list):
        raise UserError(f"values must be a list, not {values!r}.")
    return choice(values, probabilities)


def _exp(exponent: float) -> float:
    try:
        return math.exp(exponent)
    except OverflowError:
        return math.inf  # refused as an end that is not finite
