"""A search by one command: many configurations, each cross-validated, the best one trained again and tested.

The engine is that of sweeps (`searching/`). Called again under the same name it goes on; with more trials it goes
further.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darts_train.artifacts.baselines import Beside
from darts_train.artifacts.names import check_name, random_name
from darts_train.base.log import logger
from darts_train.experiments.beside_baseline import beside_cross_validation
from darts_train.experiments.cross_validation import Execute
from darts_train.experiments.database.lease import LEASE_SECONDS
from darts_train.experiments.fleet.hands import hands_of
from darts_train.experiments.pruning.setup import with_pruning
from darts_train.experiments.searching.asked import asked_sampler, asked_space
from darts_train.experiments.searching.estimate import say_disk
from darts_train.experiments.searching.preparation import (
    open_search_database,
    prepare_search,
    taken_names,
    write_certificate,
)
from darts_train.experiments.searching.retrain import retrain_and_test
from darts_train.experiments.searching.runner import Runner, open_runner
from darts_train.experiments.searching.study import (
    Best,
    best_trial,
    failed_trials,
    front,
    front_lines,
    pruned_trials,
    remember_total,
)
from darts_train.experiments.searching.table import table_path
from darts_train.experiments.settings import Settings
from darts_train.options.fleet import Fleet
from darts_train.options.keeping import Keeping
from darts_train.options.learning import Artifacts, Data, Device, Hyperparameters, Split, Tracking, Training
from darts_train.options.pruning import Pruning
from darts_train.options.searching import Repeats, Scoring, Tune
from darts_train.training.tracking.check import check_tracking

if TYPE_CHECKING:
    from darts_train.experiments.run import RunResult, TestResult

_log = logger("experiments")


@dataclass(frozen=True)
class TuneResult:
    """A tune. The best fields are None where no configuration is complete and stable.

    `trials` configurations were tried, of which `trials_failed` have no score, and `trials_pruned` were stopped early.
    `beside`: the runs of the best one beside pixel baselines, if there are any. `front`: of several objectives, all
    configurations to which no other is preferable; the best is the one among them with the best combined score.
    """

    name: str
    directory: Path
    trials: int
    trials_failed: int
    best_score: float | None
    best_parameters: dict[str, Any] | None
    best_cv: str | None
    table: Path
    retrain: "RunResult | None" = None
    test: "TestResult | None" = None
    beside: Beside | None = None
    front: tuple[Best, ...] = ()
    trials_pruned: int = 0

    @property
    def failed(self) -> bool:
        """Whether there is no best configuration."""
        return self.best_score is None

    def summary(self) -> str:
        """A few plain lines."""
        failed = f", {self.trials_failed} of them failed" if self.trials_failed else ""
        pruned = f", {self.trials_pruned} pruned" if self.trials_pruned else ""
        lines = [f"tune {self.name}: {self.trials} configurations{failed}{pruned}"]
        if self.best_score is None:
            lines.append("no configuration is complete and stable, so none is the best")
        else:
            lines.append(f"best: {self.best_cv}, score {self.best_score:.4f}")
            lines += [f"  {name} = {value}" for name, value in (self.best_parameters or {}).items()]
            lines += [self.beside.summary()] if self.beside else []
        lines += front_lines(self.front)
        lines.append(f"all runs: {self.table}")
        lines += [part.summary() for part in (self.retrain, self.test) if part is not None]
        return "\n".join(lines)


def tune_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    tune: Tune,
    repeats: Repeats,
    scoring: Scoring,
    artifacts: Artifacts,
    device: Device,
    tracking: Tracking,
    pruning: Pruning | None = None,
    fleet: Fleet | None = None,
    keeping: Keeping | None = None,
    *,
    execute: Execute | None = None,
    lease_seconds: float = LEASE_SECONDS,
) -> TuneResult:
    """Cross-validate `n_trials` configurations in all, or every one of a grid, and find the best.

    Configurations that failed, or are unstable, are never the best. Raises UserError before anything is trained.
    """
    check_tracking(tracking)
    space = asked_space(tune.hpconfig)
    settings, hands = Settings(data, split, hyperparameters, training), hands_of(device.device, fleet)
    name = check_name(tune.tune_name or random_name(taken_names(artifacts.artifact_dir)), "--tune-name")
    search = prepare_search(
        name, artifacts.artifact_dir, settings, space, asked_sampler(tune.n_trials, tune.sampler), repeats,
        scoring.scoring_metric, scoring.multi_score_strategy, hands.first,
        multi_objective=tune.multi_objective, enqueue_default=tune.enqueue_default,
    )  # fmt: skip
    search = with_pruning(search, pruning)
    database = open_search_database(tune.sweep_db, artifacts.artifact_dir, name)
    runner = open_runner(search, database, hands.first, tracking, execute, lease_seconds, keeping=keeping)
    write_certificate(search)
    total = None if tune.n_trials == "grid" else tune.n_trials
    _log.info("tune %s: %s configurations", name, min(filter(None, (total, search.limit)), default="all"))
    say_disk(search, total, keeping)
    remember_total(database, runner.study, total)
    hands.run(runner, None, total, wait=True)
    return _result(runner, tune.retrain_and_test)


def _result(runner: Runner, retrained: bool) -> TuneResult:
    """What all trials came to; with the best one trained again and tested where that is wanted."""
    search, trials = runner.search, runner.trials()
    best = best_trial(search, trials)
    if best is None:
        _log.warning("tune %s: no configuration is complete and stable, so none is the best", search.name)
    retrain = test = None
    if best and retrained:
        settings = search.settings.replace(best.parameters)
        retrain, test = retrain_and_test(search.name, search.artifact_dir, settings, runner.device, runner.tracking)
    return TuneResult(
        name=search.name,
        directory=search.directory,
        trials=len(trials),
        trials_failed=failed_trials(trials),
        trials_pruned=pruned_trials(trials),
        best_score=best.score if best else None,
        best_parameters=best.parameters if best else None,
        best_cv=best.cv_name if best else None,
        table=table_path(search),
        retrain=retrain,
        test=test,
        beside=beside_cross_validation(search.artifact_dir, best.cv_name if best else None, search.name),
        front=tuple(front(search, trials)),
    )
