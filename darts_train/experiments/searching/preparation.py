"""What tune and sweep have in common before the first trial: everything checked, and put together."""

from collections.abc import Sequence
from pathlib import Path

from darts_train.artifacts.names import check_name, cv_seeds
from darts_train.artifacts.run_infos import RUN_INFOS_FILE
from darts_train.artifacts.run_record import RECORD_FILE
from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.dataset.splitting.certificate import CERTIFICATE_FILE
from darts_train.experiments.checks import check_space, open_train_data
from darts_train.experiments.cross_validation import CV_FILE, fold_count
from darts_train.experiments.database.storage import (
    DATABASE_FILE,
    Database,
    database_file,
    database_url,
    open_database,
    sqlite_url,
)
from darts_train.experiments.scoring import parse_scoring
from darts_train.experiments.searching.sampling import SamplerName, check_sampler
from darts_train.experiments.searching.study import Search
from darts_train.experiments.settings import Settings, group_of
from darts_train.experiments.space.default_point import default_point
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.experiments.trust.certificates import certify_folds
from darts_train.options.learning import Device
from darts_train.options.searching import Repeats, Strategy


def prepare_search(
    name: str,
    artifact_dir: Path,
    settings: Settings,
    space: SearchSpace,
    sampler: SamplerName,
    repeats: Repeats,
    metrics: Sequence[str] | None,
    strategy: Strategy,
    device: Device,
    *,
    multi_objective: bool = False,
    enqueue_default: bool = False,
    run_cap: int | None = None,
) -> Search:
    """Put a search together, and look at everything that can be wrong with it. Raises UserError; nothing is written."""
    require_writable(artifact_dir, "--artifact-dir")
    require_no_other(artifact_dir, name)
    folds = fold_count(repeats, settings.split)
    seeds = tuple(cv_seeds(repeats.n_randoms))
    train_data = open_train_data(settings.data)
    rule = parse_scoring(metrics, strategy, train_data.classes)
    if multi_objective and len(rule.metrics) < 2:
        raise UserError(f"--multi-objective needs two or more metrics; there is {rule.metrics[0]}.")
    check_sampler(sampler, space, len(rule.metrics) if multi_objective else 1)
    first = default_point(space, settings) if enqueue_default else None
    check_space(settings, space, folds, device)
    return Search(
        name, artifact_dir, settings, space, sampler, folds, seeds, rule, train_data.data_hash,
        multi_objective, first, run_cap,
    )  # fmt: skip


def write_certificate(search: Search) -> None:
    """Write leakage.json into a search's directory; nothing where the space decides what is split, and how."""
    if any(group_of(name) == "split" for name in search.space.parameters):
        return
    if not (search.directory / CERTIFICATE_FILE).exists():
        certify_folds(search.settings, search.folds).write(search.directory, search.data_hash)


def require_no_other(artifact_dir: Path, name: str) -> None:
    """Raise UserError where something lies under a search's name that is no search: a file, a run, other files."""
    place = artifact_dir / name
    if place.exists() and not place.is_dir():
        raise UserError(f"{place} is a file; choose another name for the search.")
    entries = {path.name for path in place.iterdir()} if place.is_dir() else set()
    foreign = entries & {RECORD_FILE, CV_FILE, RUN_INFOS_FILE}
    ours = any(
        entry.startswith((DATABASE_FILE, CERTIFICATE_FILE, f"{name}.", f"{name}-", ".", "_")) for entry in entries
    )
    if foreign or (entries and not ours):
        what = "a run" if RECORD_FILE in foreign else "a cross-validation" if foreign else "no search"
        raise UserError(f"{place} is {what}; choose another name for the search.")


def open_search_database(sweep_db: str | None, artifact_dir: Path, name: str) -> Database:
    """Open the database that was given, or the file in the search's directory, which is made. Raises UserError."""
    if sweep_db is not None:
        return open_database(database_url(sweep_db))
    return open_database(sqlite_url(database_file(artifact_dir, check_name(name, "name")).absolute()))


def taken_names(artifact_dir: Path) -> set[str]:
    """Names below the artifact directory."""
    return {path.name for path in artifact_dir.iterdir()} if artifact_dir.is_dir() else set()
