"""Options of many runs: cross-validation, tuning, sweeps and their score."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option

Strategy = Literal["arithmetic", "geometric", "harmonic", "min"]
Sampler = Literal["random", "tpe", "gp", "qmc", "cmaes"]
ENQUEUE = "Begin with the values of the command line, where they lie in the space."
OBJECTIVES = "Every scoring metric is an objective of its own; the best are a Pareto front."
DEFAULT_METRICS = ("val/JaccardIndex", "val/Recall")


@dataclass(frozen=True, kw_only=True)
class Scoring(OptionGroup):
    """How the metrics of many runs become one score."""

    scoring_metric: tuple[str, ...] | None = option(
        "Metrics of the score; end one with :lower where less is better.", DEFAULT_METRICS
    )
    multi_score_strategy: Strategy = option("How several metrics of a run are combined.", "harmonic")


@dataclass(frozen=True, kw_only=True)
class Repeats(OptionGroup):
    """Runs of one configuration: folds times seeds."""

    n_folds: int | None = option("Folds that are run; none: all of total-folds.", None, low=1)
    n_randoms: int = option("Seeds for each fold.", 3, low=1)


@dataclass(frozen=True, kw_only=True)
class CrossValidation(OptionGroup):
    """One cross-validation."""

    cv_name: str | None = option("Name; none: a random one. An unfinished one of that name goes on.", None)
    oof: bool = option("Keep what the networks say of patches they were not trained on; audit the labels.", False)


@dataclass(frozen=True, kw_only=True)
class Tune(OptionGroup):
    """A search over configurations, each cross-validated."""

    tune_name: str | None = option("Name; none: a random one. An unfinished one of that name goes on.", None)
    hpconfig: Path | None = option("YAML or TOML with a hyperparameters table; none: that of the config file.", None)
    n_trials: int | Literal["grid"] = option("Configurations to try, or grid for every combination.", 100, low=1)
    sampler: Sampler | None = option("How configurations are proposed; cmaes needs an extra; none: random.", None)
    enqueue_default: bool = option(ENQUEUE, False)
    multi_objective: bool = option(OBJECTIVES, False)
    retrain_and_test: bool = option("Train the best on all training data and test it.", False)
    sweep_db: str | None = option("SQLAlchemy URL of the study; none: sweep.db in the tune directory.", None)


@dataclass(frozen=True, kw_only=True)
class Sweep(OptionGroup):
    """An Optuna sweep that several runners can join."""

    sweep_config: Path | None = option("wandb-style YAML or JSON of the search space.", None)
    n_trials: int | Literal["grid"] = option("Trials of this runner, or grid for every combination.", 10, low=1)
    enqueue_default: bool = option(ENQUEUE, False)
    multi_objective: bool = option(OBJECTIVES, False)
    sweep_db: str | None = option("SQLAlchemy URL of the study; none: sweep.db in the sweep directory.", None)
    sweep_id: str | None = option("Sweep to go on with; none: a new one.", None)
    device: str | None = option(
        "auto, cpu, a CUDA index (0), cuda:1, or a list (0,1); none: make the sweep, run nothing.", None
    )
