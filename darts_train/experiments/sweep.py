"""A sweep that several runners join: the front door with wandb's files and a database that all of them reach.

| sweep id | device | what happens                                                              |
|----------|--------|---------------------------------------------------------------------------|
| none     | none   | a new sweep is made; the line that joins it is shown                        |
| none     | given  | a new sweep is made, and its trials run there                               |
| given    | given  | the sweep goes on there; one that does not exist is made, if there is a file |
| given    | none   | an error: a sweep goes on somewhere                                         |
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_train.artifacts.baselines import Beside
from darts_train.artifacts.names import check_name, random_name
from darts_train.base.errors import UserError, nearest
from darts_train.base.log import logger
from darts_train.experiments.beside_baseline import beside_cross_validation
from darts_train.experiments.cross_validation import Execute
from darts_train.experiments.database.lease import LEASE_SECONDS
from darts_train.experiments.database.storage import DATABASE_FILE, database_file, database_url, open_database, shown
from darts_train.experiments.fleet.hands import hands_of
from darts_train.experiments.pruning.rule import PruningRule
from darts_train.experiments.pruning.setup import hyperband, with_pruning
from darts_train.experiments.searching.estimate import say_disk
from darts_train.experiments.searching.preparation import (
    open_search_database,
    prepare_search,
    taken_names,
    write_certificate,
)
from darts_train.experiments.searching.runner import Runner, open_runner
from darts_train.experiments.searching.sampling import SamplerName
from darts_train.experiments.searching.study import (
    Best,
    StoredSearch,
    best_trial,
    failed_trials,
    front,
    front_lines,
    pruned_trials,
    stored_search,
    study_names,
)
from darts_train.experiments.settings import Settings
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.experiments.space.wandb import WandbSweep, read_wandb_sweep
from darts_train.options.command_line import command_line
from darts_train.options.fleet import Fleet
from darts_train.options.keeping import Keeping
from darts_train.options.learning import Artifacts, Data, Hyperparameters, Split, Tracking, Training
from darts_train.options.pruning import Pruning
from darts_train.options.searching import Repeats, Scoring, Sweep
from darts_train.training.tracking.check import check_tracking

COMMAND = "optuna-sweep-smp"
OTHER_DEFAULTS = ("early_stopping_patience", "scoring_metric")  # the command has its own
_log = logger("experiments")


@dataclass(frozen=True)
class SweepResult:
    """A sweep as a runner leaves it. The best fields are None where no trial is complete and stable.

    `trials` have been begun by anyone, and `trials_failed` of them ended without a score; `trials_run` were ended by
    this runner. `storage_url` and `join_command` are without a password. `beside`: the runs of the best trial, where
    they lie here, beside pixel baselines, if there are any.
    """

    sweep_id: str
    directory: Path
    storage_url: str
    trials: int
    trials_failed: int
    trials_run: int
    best_score: float | None
    best_parameters: dict[str, Any] | None
    best_cv: str | None
    join_command: str
    beside: Beside | None = None
    front: tuple[Best, ...] = ()
    trials_pruned: int = 0

    @property
    def failed(self) -> bool:
        """Whether this runner ran trials, and no trial of the sweep came to its end."""
        return self.trials_run > 0 and self.trials_failed == self.trials

    def summary(self) -> str:
        """A few plain lines."""
        failed = f", {self.trials_failed} failed" if self.trials_failed else ""
        pruned = f", {self.trials_pruned} pruned" if self.trials_pruned else ""
        lines = [f"sweep {self.sweep_id}: {self.trials} trials{failed}{pruned}, {self.trials_run} by this runner"]
        if self.best_score is not None:
            lines.append(f"best: {self.best_cv}, score {self.best_score:.4f}")
            lines += [f"  {name} = {value}" for name, value in (self.best_parameters or {}).items()]
            lines += [self.beside.summary()] if self.beside else []
        elif self.trials_run:
            lines.append("no trial is complete and stable yet")
        lines += front_lines(self.front)
        lines += [f"database: {self.storage_url}", f"in {self.directory}", "another runner joins with:"]
        lines.append(self.join_command)
        if "***" in self.join_command:
            lines.append("with the password in place of ***.")
        return "\n".join(lines)


def optuna_sweep_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    sweep: Sweep,
    repeats: Repeats,
    scoring: Scoring,
    artifacts: Artifacts,
    tracking: Tracking,
    pruning: Pruning | None = None,
    fleet: Fleet | None = None,
    keeping: Keeping | None = None,
    *,
    execute: Execute | None = None,
    lease_seconds: float = LEASE_SECONDS,
) -> SweepResult:
    """Make a sweep, or join one, and run `n_trials` of its trials one after the other (grid: until all are done).

    The scoring metric is that of the sweep file, unless `scoring` names one. Raises UserError, before anything is
    trained, for what cannot work, a sweep that does not exist, and one that was made with other settings.
    """
    if sweep.sweep_id is not None and sweep.device is None:
        raise UserError(f"--sweep-id {sweep.sweep_id} goes on with that sweep, which needs a --device, such as auto.")
    if sweep.device is not None:  # else nothing runs here
        check_tracking(tracking)
    hands = hands_of(sweep.device or "cpu", fleet)
    config = read_wandb_sweep(sweep.sweep_config) if sweep.sweep_config is not None else None
    stored = None if sweep.sweep_id is None else _existing(sweep, artifacts.artifact_dir, config)
    name = sweep.sweep_id or _new_id(sweep, artifacts.artifact_dir, config)
    metrics = scoring.scoring_metric or _file_metric(config) or (stored.metrics if stored else None)
    search = prepare_search(
        check_name(name, "--sweep-id"), artifacts.artifact_dir, Settings(data, split, hyperparameters, training),
        _space(config, stored), _sampler(sweep, config, stored), repeats, metrics, scoring.multi_score_strategy,
        hands.first,
        multi_objective=sweep.multi_objective or _says(stored, "multi_objective"),
        enqueue_default=sweep.enqueue_default or _says(stored, "first_trial"), run_cap=_run_cap(config, stored),
    )  # fmt: skip
    search = with_pruning(search, pruning, _rule(config, stored, training))
    database = open_search_database(sweep.sweep_db, artifacts.artifact_dir, name)
    runner = open_runner(search, database, hands.first, tracking, execute, lease_seconds, keeping=keeping)
    write_certificate(search)
    done = 0
    say_disk(search, None if sweep.n_trials == "grid" else sweep.n_trials, keeping)
    if sweep.device is not None:
        _log.info("sweep %s: another runner joins with --sweep-id %s", name, name)
        done = hands.run(runner, None if sweep.n_trials == "grid" else sweep.n_trials)
    others = (pruning or Pruning(), fleet or Fleet(), keeping or Keeping())
    groups = (data, split, hyperparameters, training, sweep, *others, repeats, scoring, artifacts, tracking)
    changed = {"sweep_id": name, "device": sweep.device or "auto", "sweep_db": _join_address(sweep.sweep_db)}
    return _result(runner, done, command_line(COMMAND, *groups, always=OTHER_DEFAULTS, **changed))


def _result(runner: Runner, done: int, join_command: str) -> SweepResult:
    trials, search = runner.trials(), runner.search
    best = best_trial(search, trials)
    return SweepResult(
        sweep_id=search.name,
        directory=search.directory,
        storage_url=shown(runner.database.url),
        trials=len(trials),
        trials_failed=failed_trials(trials),
        trials_pruned=pruned_trials(trials),
        trials_run=done,
        best_score=best.score if best else None,
        best_parameters=best.parameters if best else None,
        best_cv=best.cv_name if best else None,
        join_command=join_command,
        beside=beside_cross_validation(search.artifact_dir, best.cv_name if best else None, search.name),
        front=tuple(front(search, trials)),
    )


def _existing(sweep: Sweep, artifact_dir: Path, config: WandbSweep | None) -> StoredSearch | None:
    """What is stored of the sweep of that id; None where it is to be made. Nothing is created by looking."""
    name = check_name(str(sweep.sweep_id), "--sweep-id")
    if sweep.sweep_db is not None:
        database = open_database(database_url(sweep.sweep_db))
        known = study_names(database)
        stored = stored_search(database, name)
    else:
        known = [path.parent.name for path in artifact_dir.glob(f"*/{DATABASE_FILE}")]
        is_there = database_file(artifact_dir, name).is_file()
        stored = stored_search(open_search_database(None, artifact_dir, name), name) if is_there else None
    if stored is None and config is None:
        hint = nearest(name, known) or "; name a --sweep-config to make it"
        raise UserError(f"--sweep-id: there is no sweep {name!r}{hint}.")
    if stored is None:
        _log.warning("there is no sweep %s%s; it is made now", name, nearest(name, known))
    return stored


def _new_id(sweep: Sweep, artifact_dir: Path, config: WandbSweep | None) -> str:
    """The name in the sweep file where it is free, else a random one."""
    if config is None:
        raise UserError("--sweep-config: a new sweep needs a file with its search space; or name a --sweep-id to join.")
    taken = taken_names(artifact_dir)
    if sweep.sweep_db is not None:
        taken |= set(study_names(open_database(database_url(sweep.sweep_db))))
    if config.name is not None and config.name not in taken:
        try:
            return check_name(config.name, "name")
        except UserError as error:
            _log.warning("%s The sweep gets a random name.", error)
    return f"sweep-{random_name({name.removeprefix('sweep-') for name in taken})}"


def _file_metric(config: WandbSweep | None) -> tuple[str, ...] | None:
    return (config.metric,) if config is not None and config.metric is not None else None


def _space(config: WandbSweep | None, stored: StoredSearch | None) -> SearchSpace:
    if config is not None:
        return config.space
    assert stored is not None  # else `_existing` or `_new_id` has refused
    return stored.space


def _says(stored: StoredSearch | None, fact: str) -> bool:
    """Whether the sweep that is joined was made with an option."""
    return stored is not None and bool(stored.facts.get(fact))


def _run_cap(config: WandbSweep | None, stored: StoredSearch | None) -> int | None:
    return config.run_cap if config is not None else stored.run_cap if stored is not None else None


def _rule(config: WandbSweep | None, stored: StoredSearch | None, training: Training) -> PruningRule | None:
    """When trials are stopped, as the sweep file says, or the sweep that is joined without one."""
    if config is not None:
        return hyperband(config.early_terminate, training) if config.early_terminate else None
    found = stored.facts.get("pruning") if stored is not None else None
    return None if found is None else PruningRule(**found)


def _sampler(sweep: Sweep, config: WandbSweep | None, stored: StoredSearch | None) -> SamplerName:
    if sweep.n_trials == "grid":
        return "grid"
    if config is not None:
        return config.method
    return stored.sampler if stored is not None else "random"


def _join_address(sweep_db: str | None) -> str | None:
    """The address as it was given, but without a password."""
    if sweep_db is None:
        return None
    url = shown(database_url(sweep_db))
    return url if "***" in url else sweep_db
