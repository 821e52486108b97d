"""How long the next trial and the status take in a study of many finished trials.

    uv run python benchmarks/many_trials.py [--trials 10000] [--runs 15] [--sampler random tpe] [--database URL]

The study is written by bulk inserts into Optuna's tables, with the rows of its runs, 40 metrics each, as the runner
writes them (`--attributes`: as attributes of the trials, the form of older studies). Then a new process does what a
runner does: joins, takes trials, tells them; and looks at the status. SQLite unless an address is given.
"""

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models

from darts_train.artifacts.run_infos import RunRow
from darts_train.experiments.database.storage import Database, database_url, look_into, open_database, runs
from darts_train.experiments.scoring import parse_scoring
from darts_train.experiments.searching.runner import Runner, open_runner
from darts_train.experiments.searching.sampling import distribution, point, to_stored
from darts_train.experiments.searching.study import RUN, UNSTABLE, Search
from darts_train.experiments.settings import Settings
from darts_train.experiments.space.hyperparameters import parse_hyperparameters
from darts_train.experiments.status import status_of
from darts_train.options.learning import Data, Device, Hyperparameters, Split, Tracking, Training

SPACE = {
    "learning_rate": {"low": 1e-5, "high": 1e-1, "distribution": "loguniform"},
    "weight_decay": {"low": 1e-6, "high": 1e-1, "distribution": "loguniform"},
    "focal_loss_gamma": {"low": 0.0, "high": 3.0},
    "batch_size": [4, 8, 16],
    "augment": [True, False],
}
METRICS = [f"val/metric{number}" for number in range(39)] + ["val/JaccardIndex"]


def make_search(directory: Path, sampler: str, runs: int) -> Search:
    settings = Settings(Data(train_data_dir="d"), Split(), Hyperparameters(), Training())  # type: ignore[arg-type]
    space = parse_hyperparameters(SPACE, "space")
    rule = parse_scoring(["val/JaccardIndex"], "harmonic")
    seeds = tuple(range(max(1, runs // 5)))
    return Search(f"many-{sampler}", directory, settings, space, sampler, min(5, runs), seeds, rule, "d")  # type: ignore[arg-type]


def execute(*_: object, **__: object) -> SimpleNamespace:
    metrics = dict.fromkeys(METRICS, 0.5)
    return SimpleNamespace(best_checkpoint=Path("best.ckpt"), metrics=metrics, last_metrics=metrics, duration=1.0)


def row(fold: int, seed: int, score: float) -> RunRow:
    metrics = dict.fromkeys(METRICS, score)
    name = f"run-f{fold}s{seed}"
    return RunRow(name, "a1b2c3d4", fold, seed, "finished", 100.0, "x.ckpt", metrics=metrics, last_metrics=metrics)


def fill(database: Database, search: Search, count: int, attributes: bool) -> None:
    """Trials 0 to `count` - 1, finished; their parameters are those of the random sampler."""
    tables = dict(models.BaseModel.metadata.tables) | {"darts_run": runs}
    chance, studies, trials = random.Random(0), tables["studies"], tables["trials"]
    with database.engine.begin() as connection:
        chosen = sa.select(studies.c.study_id).where(studies.c.study_name == search.name)
        study = connection.execute(chosen).scalar_one()
        first = connection.execute(sa.select(sa.func.coalesce(sa.func.max(trials.c.trial_id), 0))).scalar_one() + 1
        for start in range(0, count, 500):
            rows: dict[str, list[dict[str, object]]] = {}
            for number in range(start, min(count, start + 500)):
                add_trial(rows, search, study, number, first + number, chance.random())
                add_runs(rows, search, number, first + number, attributes)
            for name, some in rows.items():
                connection.execute(tables[name].insert(), some)


def add_trial(rows, search: Search, study: int, number: int, trial: int, score: float) -> None:
    at = datetime(2026, 1, 1) + timedelta(hours=number)
    times = {"datetime_start": at, "datetime_complete": at + timedelta(hours=1)}
    values = point(search.space, number)
    for name, parameter in search.space.parameters.items():
        drawn = distribution(parameter)
        rows.setdefault("trial_params", []).append(
            {
                "trial_id": trial,
                "param_name": name,
                "param_value": drawn.to_internal_repr(to_stored(parameter, values[name])),
                "distribution_json": distribution_to_json(drawn),
            }
        )
    told = {"trial_id": trial, "objective": 0, "value": score, "value_type": "FINITE"}
    mark = {"trial_id": trial, "key": UNSTABLE, "value_json": "false"}
    rows.setdefault("trials", []).append(
        {"trial_id": trial, "number": number, "study_id": study, "state": "COMPLETE", **times}
    )
    rows.setdefault("trial_values", []).append(told)
    rows.setdefault("trial_user_attributes", []).append(mark)


def add_runs(rows, search: Search, number: int, trial: int, attributes: bool) -> None:
    for fold, seed in itertools.product(range(search.folds), search.seeds):
        text = json.dumps(row(fold, seed, 0.5 + 0.01 * fold).to_json())
        if attributes:
            attribute = {"trial_id": trial, "key": f"{RUN}f{fold}s{seed}", "value_json": text}
            rows["trial_user_attributes"].append(attribute)
        else:
            stored = {"study": search.name, "trial": number, "fold": fold, "seed": seed}
            rows.setdefault("darts_run", []).append(stored | {"duration": 100.0, "content": text})


def measure(runner: Runner) -> dict[str, float]:
    """Seconds of the first take, of the later ones, of telling a trial with its table."""
    found: dict[str, float] = {}
    takes, works = [], []
    for _ in range(6):
        started = time.perf_counter()
        taken = runner._take(None)
        takes.append(time.perf_counter() - started)
        assert taken is not None
        started = time.perf_counter()
        runner._work(taken)
        works.append(time.perf_counter() - started)
    found["first take"], found["take"] = takes[0], max(takes[1:])
    found["first work"], found["work"] = works[0], max(works[1:])
    return found


def child(arguments: argparse.Namespace) -> None:
    search = make_search(Path(arguments.directory), arguments.sampler[0], arguments.runs)
    database, device = open_database(database_url(arguments.database)), Device(device="cpu")
    started = time.perf_counter()
    runner = open_runner(search, database, device, Tracking(), execute)
    found = {"open": time.perf_counter() - started} | measure(runner)
    started = time.perf_counter()
    runner.run(0)
    found["last table"] = time.perf_counter() - started
    started = time.perf_counter()
    status_of(look_into(database.url), search.name)
    found["status"] = time.perf_counter() - started
    print(json.dumps(found))


def study(arguments: argparse.Namespace, sampler: str, directory: str) -> None:
    address = arguments.database or f"sqlite:///{directory}/sweep.db"
    search, database = make_search(Path(directory), sampler, arguments.runs), open_database(database_url(address))
    open_runner(search, database, Device(device="cpu"), Tracking(), execute)
    fill(database, search, arguments.trials, arguments.attributes)
    command = [sys.executable, __file__, "--directory", directory, "--database", address, "--sampler", sampler]
    command += ["--runs", str(arguments.runs)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(f"{sampler}, {arguments.trials} trials of {arguments.runs} runs")
    print("  " + ", ".join(f"{name} {value:.2f} s" for name, value in json.loads(said).items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=15, help="of each trial: folds times seeds")
    parser.add_argument("--sampler", nargs="+", default=["random", "tpe"], choices=["random", "tpe"])
    parser.add_argument("--database", help="address; none: a SQLite file")
    parser.add_argument("--attributes", action="store_true", help="rows of runs as attributes of trials")
    parser.add_argument("--directory", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.directory:
        child(arguments)
        return
    for sampler in arguments.sampler:
        with tempfile.TemporaryDirectory() as directory:
            study(arguments, sampler, directory)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
