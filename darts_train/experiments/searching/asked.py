"""What a command says of its search: the space and how points are proposed."""

from pathlib import Path
from typing import Literal

from darts_train.base.errors import UserError
from darts_train.experiments.searching.sampling import SamplerName
from darts_train.experiments.space.hyperparameters import read_hyperparameters
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.options.searching import Sampler


def asked_space(hpconfig: Path | None) -> SearchSpace:
    """The space of a file with a `hyperparameters` table. Raises UserError without one, and for what is wrong in it."""
    if hpconfig is None:
        raise UserError("--hpconfig: name a YAML or TOML file with a table `hyperparameters`: what is to be searched.")
    return read_hyperparameters(hpconfig)


def asked_sampler(n_trials: int | Literal["grid"], sampler: Sampler | None) -> SamplerName:
    """The sampler's name; random if none is given. Raises UserError for one beside a grid."""
    if n_trials != "grid":
        return sampler or "random"
    if sampler is not None:
        raise UserError(f"--n-trials grid tries everything; leave out --sampler {sampler}, or give a number.")
    return "grid"
