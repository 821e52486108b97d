"""How much of a random search pruning saves, and whether it finds the same: replayed on recorded learning curves.

    uv run python benchmarks/pruning.py [SEEDS]

data/curves.parquet (made by record_curves.py) holds the learning curves of random configurations on several folds.
A seed is an order of the configurations. A full search trains all of them on all folds; the others replay the same
order and stop by rules: those of `darts_train.experiments.pruning`, called as a search calls them, and, beside them,
pruners of Optuna. `epochs` is the share of the full search's training epochs. `found` says whether the configuration
that is chosen is the full search's, or one within its standard error (of the mean over folds). `regret` is how far its
score is below.
"""

import math
import statistics
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

from darts_train.experiments.pruning.decision import after_run, at_validation
from darts_train.experiments.pruning.done import standard_error
from darts_train.experiments.pruning.record import Key, Record
from darts_train.experiments.pruning.rule import PruningRule

CURVES = Path(__file__).parent / "data" / "curves.parquet"
METRIC, SEED = "val/JaccardIndex", 42
CHOSEN_ON = 36  # configurations, the first ones, on which the defaults of the rules were chosen
Table = dict[int, dict[int, list[float]]]  # configuration → fold → score of the best checkpoint after each epoch
RULES = {
    "--prune --prune-epochs": PruningRule(folds=True, epochs=True),
    "--prune": PruningRule(folds=True),
    "--prune-epochs": PruningRule(folds=False, epochs=True),
}


@dataclass(frozen=True)
class Searched:
    """What a search came to: epochs that it trained, and the configuration it would choose."""

    epochs: int
    chosen: int | None


def read_table(path: Path = CURVES) -> tuple[Table, int]:
    """Curves of the configurations that are recorded on every fold that any is, and epochs of a whole run."""
    rows = pd.read_parquet(path).sort_values(["config", "fold", "epoch"])
    table: Table = {}
    for (config, fold), part in rows.groupby(["config", "fold"]):
        table.setdefault(int(config), {})[int(fold)] = np.maximum.accumulate(part[METRIC].to_numpy(float)).tolist()
    folds = range(min(5, max(len(runs) for runs in table.values())))
    return {c: runs for c, runs in table.items() if len(runs) == len(folds)}, int(rows["epoch"].max())


def scores_of(table: Table, epochs: int) -> dict[int, float]:
    """The score of each configuration; none for one that diverged on a fold."""
    whole = {c: runs for c, runs in table.items() if all(len(run) == epochs for run in runs.values())}
    return {c: statistics.fmean(run[-1] for run in runs.values()) for c, runs in whole.items()}


def replay(table: Table, order: Sequence[int], max_epochs: int, rule: PruningRule) -> Searched:
    """Search in this order with our rules."""
    records: list[Record] = []
    spent = 0
    for number, config in enumerate(order):
        record, epochs = _trial(table[config], number, records, max_epochs, rule)
        records.append(record)
        spent += epochs
    best = max((r for r in records if r.complete), key=lambda r: r.score, default=None)
    return Searched(spent, None if best is None else order[best.number])


def _trial(
    runs: dict[int, list[float]], number: int, others: list[Record], max_epochs: int, rule: PruningRule
) -> tuple[Record, int]:
    planned: list[Key] = [(fold, SEED) for fold in runs]
    done: dict[Key, float] = {}
    curves: dict[Key, tuple[tuple[int, float], ...]] = {}
    spent, failed = 0, False
    for key in planned:
        curves[key] = ()
        for epoch, score in enumerate(runs[key[0]], start=1):
            spent += 1
            curves[key] += ((epoch, score),)
            if rule.epochs and at_validation(Record(number, done, curves), others, planned, max_epochs, rule):
                return Record(number, done, curves), spent
        failed |= len(curves[key]) < max_epochs
        if not failed:
            done[key] = curves[key][-1][1]
            if after_run(Record(number, done, curves), others, planned, rule):
                return Record(number, done, curves), spent
    return Record(number, done, curves, complete=not failed), spent


def replay_optuna(
    table: Table, order: Sequence[int], max_epochs: int, pruner: optuna.pruners.BasePruner, by_epoch: bool
) -> Searched:
    """Search in this order with a pruner of Optuna, told the mean over folds so far after each epoch, or the fold's
    score after each fold.
    """
    study = optuna.create_study(study_name="replay", direction="maximize", pruner=pruner)
    spent, chosen, best = 0, None, -math.inf
    for config in order:
        trial = study.ask()
        ended, epochs, state = _reported(table[config], trial, by_epoch, max_epochs)
        spent += epochs
        study.tell(trial, ended if state == optuna.trial.TrialState.COMPLETE else None, state)
        if state == optuna.trial.TrialState.COMPLETE and ended > best:
            chosen, best = config, ended
    return Searched(spent, chosen)


def _reported(
    runs: dict[int, list[float]], trial: optuna.Trial, by_epoch: bool, max_epochs: int
) -> tuple[float, int, optuna.trial.TrialState]:
    spent, done = 0, []
    for fold, run in runs.items():
        for score in run:
            spent += 1
            if by_epoch:
                trial.report(statistics.fmean([*done, score]), spent)
                if trial.should_prune():
                    return math.nan, spent, optuna.trial.TrialState.PRUNED
        if len(run) < max_epochs:
            return math.nan, spent, optuna.trial.TrialState.FAIL
        done.append(run[-1])
        if not by_epoch:
            trial.report(run[-1], fold)
            if trial.should_prune():
                return math.nan, spent, optuna.trial.TrialState.PRUNED
    return statistics.fmean(done), spent, optuna.trial.TrialState.COMPLETE


def optuna_methods(max_epochs: int, folds: int) -> dict[str, Callable[[Table, Sequence[int]], Searched]]:
    """Replays with pruners of Optuna, by name."""
    pruners = optuna.pruners
    made: dict[str, tuple[Callable[[], optuna.pruners.BasePruner], bool]] = {
        "Optuna's HyperbandPruner": (lambda: pruners.HyperbandPruner(2, folds * max_epochs, 3), True),
        "Optuna's SuccessiveHalvingPruner": (lambda: pruners.SuccessiveHalvingPruner(2, 3), True),
        "Optuna's MedianPruner": (pruners.MedianPruner, True),
        "Optuna's WilcoxonPruner": (pruners.WilcoxonPruner, False),
    }
    return {
        name: lambda table, order, make=make, by=by: replay_optuna(table, order, max_epochs, make(), by)
        for name, (make, by) in made.items()
    }


def measure(table: Table, max_epochs: int, seeds: int, others: bool) -> None:
    """Replay one table with all methods, and print what came of it; `others` adds Optuna's and a line per seed."""
    scores = scores_of(table, max_epochs)
    best = max(scores, key=lambda config: scores[config])
    error = standard_error([run[-1] for run in table[best].values()])
    full = sum(len(run) for runs in table.values() for run in runs.values())
    near = sum(score >= scores[best] - error for score in scores.values())
    print(f"{len(table)} configurations, {len(table[best])} folds, {max_epochs} epochs: {full} epochs in all")
    print(f"best: configuration {best}, IoU {scores[best]:.4f}, standard error {error:.4f}, which {near} are within")
    orders = [np.random.default_rng(seed).permutation(list(table)).tolist() for seed in range(seeds)]
    methods: dict[str, Callable[[Table, Sequence[int]], Searched]] = {
        name: lambda table, order, rule=rule: replay(table, order, max_epochs, rule) for name, rule in RULES.items()
    }
    methods |= optuna_methods(max_epochs, len(table[best])) if others else {}
    for name, method in methods.items():
        found = [method(table, order) for order in orders]
        regrets = [math.inf if s.chosen is None else scores[best] - scores[s.chosen] for s in found]
        shares = [searched.epochs / full for searched in found]
        if others and name == next(iter(methods)):
            for seed, (share, regret) in enumerate(zip(shares, regrets, strict=True)):
                said = "the best" if regret == 0 else "within its error" if regret <= error else "worse"
                print(f"  seed {seed:2d}: {share:6.1%} of the epochs, {said} ({regret:.4f} below)")
        print(
            f"{name:34s} epochs {statistics.median(shares):6.1%} ({min(shares):.1%} to {max(shares):.1%})  "
            f"best {sum(r == 0 for r in regrets)}/{seeds}  within {sum(r <= error for r in regrets)}/{seeds}  "
            f"regret: median {statistics.median(regrets):.4f}, worst {max(regrets):.4f}"
        )


def main() -> None:
    """All configurations; then those on which no default was chosen."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    table, max_epochs = read_table()
    measure(table, max_epochs, seeds, others=True)
    print("\nonly those on which no default was chosen:")
    measure({config: runs for config, runs in table.items() if config >= CHOSEN_ON}, max_epochs, seeds, others=False)


if __name__ == "__main__":
    main()
