"""Nested cross-validation: what a search's winner is worth on data that no part of the search has seen.

In each outer fold a search of its own (`{name}/outer{f}`, the engine of tunes) sees the rest of the data; its winner is
trained again on all of that rest and tested on the outer fold. The score of a search is the best of many and so too
good; the outer scores are not, and the difference is the optimism (Cawley and Talbot 2010).

The outer fold reaches everything within it as its test part (`--data-split-method fold`), which tuning, statistics of
the normalisation and early stopping never see. Called again under the same name it goes on where it was.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darts_train.artifacts import tree
from darts_train.artifacts.names import check_name, random_name
from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_writable, write_json
from darts_train.base.log import logger
from darts_train.dataset.splitting.certificate import Certificate
from darts_train.dataset.splitting.outer_fold import outer_fold
from darts_train.experiments.alone import alone_in
from darts_train.experiments.cross_validation import Execute, fold_count
from darts_train.experiments.database.lease import LEASE_SECONDS
from darts_train.experiments.fleet.hands import Hands, hands_of
from darts_train.experiments.pruning.setup import with_pruning
from darts_train.experiments.scoring import ScoringRule, score_runs
from darts_train.experiments.searching.asked import asked_sampler, asked_space
from darts_train.experiments.searching.preparation import open_search_database, prepare_search, taken_names
from darts_train.experiments.searching.retrain import retrain_and_test
from darts_train.experiments.searching.runner import open_runner
from darts_train.experiments.searching.study import Best, Search, best_trial
from darts_train.experiments.settings import Settings, group_of, plain, require_same
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.experiments.trust.certificates import certify_outer
from darts_train.experiments.trust.nested_result import NestedResult, OuterFold, write_nested_table
from darts_train.options.fleet import Fleet
from darts_train.options.keeping import Keeping
from darts_train.options.learning import (
    Artifacts,
    Data,
    Device,
    FoldMethod,
    Hyperparameters,
    Split,
    Tracking,
    Training,
)
from darts_train.options.nested import Nested, Trust
from darts_train.options.pruning import Pruning
from darts_train.options.searching import Repeats, Scoring
from darts_train.training.tracking.check import check_tracking

if TYPE_CHECKING:
    from darts_train.experiments.evaluate_run import TestResult

NESTED_FILE, OUTER_FILE = "nested.json", "outer.json"
RANDOM_METHOD: FoldMethod = "stratified"  # patches drawn one by one, positives spread evenly
_log = logger("experiments")


@dataclass(frozen=True)
class _Work:
    """What is done in every outer fold, and with what."""

    name: str
    directory: Path
    options: Nested
    searches: list[Search]
    hands: Hands
    keeping: Keeping | None
    tracking: Tracking
    execute: Execute | None
    test: "Callable[..., TestResult] | None"
    lease_seconds: float

    @property
    def device(self) -> Device:
        return self.hands.first

    @property
    def rule(self) -> ScoringRule:
        return self.searches[0].rule


def nested_cross_validation_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    nested: Nested,
    repeats: Repeats,
    scoring: Scoring,
    trust: Trust,
    artifacts: Artifacts,
    device: Device,
    tracking: Tracking,
    pruning: Pruning | None = None,
    fleet: Fleet | None = None,
    keeping: Keeping | None = None,
    *,
    execute: Execute | None = None,
    test: "Callable[..., TestResult] | None" = None,
    lease_seconds: float = LEASE_SECONDS,
) -> NestedResult:
    """Search in every outer fold, train each winner on all of the rest, and test it on the outer fold.

    Raises UserError, before anything is trained, for what cannot work, for a name that was used for something else,
    and for folds whose parts share pixels or ground (unless `purge_overlap`; with `require_leak_free` anything).
    """
    check_tracking(tracking)
    settings, hands = Settings(data, split, hyperparameters, training), hands_of(device.device, fleet)
    space = _checked_space(nested, split)
    root = require_writable(artifacts.artifact_dir, "--artifact-dir")
    name = check_name(nested.nested_name or random_name(taken_names(root)), "--nested-name")
    folds = fold_count(repeats, split)
    certificates = certify_outer(settings, nested.outer_method, nested.outer_folds, folds)
    for certificate in certificates:
        certificate.require(trust.require_leak_free)
    whole = Certificate(tuple(fold for certificate in certificates for fold in certificate.folds))
    searches = [
        with_pruning(_search(name, root / name, settings, space, nested, outer, repeats, scoring, hands.first), pruning)
        for outer in range(nested.outer_folds)
    ]
    work = _Work(name, root / name, nested, searches, hands, keeping, tracking, execute, test, lease_seconds)
    _require_free(work)
    with alone_in(work.directory, f"nested cross-validation {name}"):
        _keep_facts(work)
        whole.write(work.directory, searches[0].data_hash)
        rows: list[OuterFold] = []
        for outer, certificate in enumerate(certificates):
            certificate.write(searches[outer].directory, searches[outer].data_hash)
            rows.append(_outer(work, outer))
            table = write_nested_table(work.directory, name, rows)
    return NestedResult(name, work.directory, tuple(rows), work.rule.direction, whole, table)


def _checked_space(nested: Nested, split: Split) -> SearchSpace:
    """The space that is searched in every outer fold. Raises UserError where it, or the split, moves the test part."""
    if split.data_split_method is not None:
        raise UserError(
            f"--data-split-method {split.data_split_method}: the outer folds are the test parts; leave it out (--where "
            "takes patches out altogether)."
        )
    if split.fold_method is None:
        raise UserError("--fold-method none: the searches would choose by patches they were trained on; name a method.")
    space = asked_space(nested.hpconfig)
    splitting = [name for name in space.parameters if group_of(name) == "split"]
    if splitting:
        raise UserError(f"--hpconfig: {listing(splitting)} cannot be searched here: it decides what tests.")
    return space


def _search(
    name: str,
    directory: Path,
    settings: Settings,
    space: SearchSpace,
    nested: Nested,
    outer: int,
    repeats: Repeats,
    scoring: Scoring,
    device: Device,
) -> Search:
    """The search of one outer fold, all of it checked."""
    split = outer_fold(settings.split, nested.outer_method, outer, nested.outer_folds)
    search = prepare_search(
        f"{name}-{tree.outer_name(outer)}", directory, replace(settings, split=split), space,
        asked_sampler(nested.n_trials, nested.sampler), repeats,
        scoring.scoring_metric, scoring.multi_score_strategy, device,
    )  # fmt: skip
    return replace(search, folder=tree.outer_name(outer))


def _outer(work: _Work, outer: int) -> OuterFold:
    """One outer fold: its search, its winner trained again and tested; what was finished is taken as it is."""
    search, options = work.searches[outer], work.options
    path = search.directory / OUTER_FILE
    found = _read(path, options)
    if found is None:
        best = _searched(work, search)
        found = OuterFold(outer, options.n_trials) if best is None else _tested(work, search, outer, best)
        write_json(path, found.to_json())
    if options.with_random_split and found.parameters is not None and found.random_score is None:
        found = replace(found, random_score=_random_score(work, search, outer, found.parameters))
        write_json(path, found.to_json())
    _log.info("%s", found.words())
    return found


def _searched(work: _Work, search: Search) -> Best | None:
    """The best of `n_trials` configurations, tried by the engine of tunes."""
    database = open_search_database(None, search.artifact_dir, str(search.folder))
    runner = open_runner(
        search, database, work.device, work.tracking, work.execute, work.lease_seconds, keeping=work.keeping
    )
    work.hands.run(runner, None, None if work.options.n_trials == "grid" else work.options.n_trials, wait=True)
    best = best_trial(search, runner.trials())
    if best is None:
        _log.warning("%s: no configuration is complete and stable, so nothing can be tested", search.name)
    return best


def _tested(work: _Work, search: Search, outer: int, best: Best) -> OuterFold:
    run, tested = _retrained(work, search.name, str(search.folder), search.settings.replace(best.parameters))
    return OuterFold(
        outer=outer,
        n_trials=work.options.n_trials,
        inner_score=best.score,
        outer_score=_score(tested.metrics, work.rule),
        best_cv=best.cv_name,
        parameters={name: plain(value) for name, value in best.parameters.items()},
        checkpoint=str(run.best_checkpoint),
        metrics=dict(tested.metrics),
    )


def _random_score(work: _Work, search: Search, outer: int, parameters: Mapping[str, Any]) -> float:
    """The score of the winner on a fold of patches that were drawn one by one, whatever they share with others."""
    settings = search.settings.replace(parameters)
    plain_split = replace(settings.split, purge_overlap=False)
    split = outer_fold(plain_split, RANDOM_METHOD, outer, work.options.outer_folds)
    folder = tree.random_name(outer)
    _, tested = _retrained(work, f"{work.name}-{folder}", folder, replace(settings, split=split))
    return _score(tested.metrics, work.rule)


def _retrained(work: _Work, name: str, folder: str, settings: Settings) -> Any:
    return retrain_and_test(
        name, work.directory, settings, work.device, work.tracking,
        folder=folder, execute=work.execute, test=work.test,
    )  # fmt: skip


def _score(metrics: Mapping[str, float], rule: ScoringRule) -> float:
    """The score of a test: metrics of the same names, of the test part."""
    as_val = {f"val/{name.removeprefix('test/')}": value for name, value in metrics.items()}
    return score_runs([as_val], rule).value


def _read(path: Path, options: Nested) -> OuterFold | None:
    """What an earlier call found in this outer fold with as many trials; None where there is none."""
    try:
        found = OuterFold.from_json(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} cannot be read; delete it, and the outer fold is tested again.") from None
    complete = found.n_trials == options.n_trials and math.isfinite(found.outer_score)
    return found if complete else None


def _require_free(work: _Work) -> None:
    """Raise UserError where the name is taken by what is no nested cross-validation."""
    directory = work.directory
    if directory.exists() and not (directory / NESTED_FILE).exists() and any(directory.glob("[!.]*")):
        raise UserError(f"--nested-name: {directory} is there and no nested cross-validation; choose another name.")


def _keep_facts(work: _Work) -> None:
    """Write nested.json, or compare with the one that is there."""
    path, search = work.directory / NESTED_FILE, work.searches[0]
    facts = {name: value for name, value in search.facts().items() if name != "data_split_by"}
    facts |= {"outer_folds": work.options.outer_folds, "outer_method": work.options.outer_method}
    if not path.exists():
        return write_json(path, {"format_version": 1, "name": work.name, "settings": facts})
    try:
        stored = json.loads(path.read_bytes())["settings"]
        require_same(stored, facts, f"nested cross-validation {work.name}")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} cannot be read; delete the directory, or choose another name.") from None
    return None
