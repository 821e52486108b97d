import json
import time

import optuna
import pytest

from darts_train.base.errors import UserError
from darts_train.cli.main import main
from darts_train.experiments.database.lease import Leases
from darts_train.experiments.database.storage import database_url, look_into, open_database, sqlite_url
from darts_train.experiments.searching.runner import open_runner
from darts_train.experiments.searching.study import best_trial, remember_total
from darts_train.experiments.status import status_of, sweep_status
from darts_train.options.learning import Artifacts
from darts_train.options.status import Status

from .stub import DEVICE, TRACKING, execute, make_search

METRIC = ["val/JaccardIndex"]


def open_in(directory, name, address=None, execute=execute, **options):
    search = make_search(directory, name, metrics=METRIC, **options)
    (directory / name).mkdir(exist_ok=True)
    url = address or sqlite_url(directory / name / "sweep.db").render_as_string()
    return open_runner(search, open_database(database_url(url)), DEVICE, TRACKING, execute)


def test_a_search_is_counted(tmp_path, address, request):
    """Four runs of a second each in a trial; one trial fails, one is pruned, one waits, one is in work."""
    name = f"status-{abs(hash(request.node.name)) % 10**8}-{time.time_ns()}"

    def fail(place, *args):
        if "-cv1-" in place.run_name:
            raise UserError("gone")
        if place.run_name.endswith("cv2-run-f0s21"):
            raise KeyboardInterrupt
        return execute(place, *args)

    runner = open_in(tmp_path, name, address, fail)
    remember_total(runner.database, runner.study, 8)
    with pytest.raises(KeyboardInterrupt):
        runner.run(3)  # the third waits, with two of its runs
    runner.study.tell(runner.study.ask(), state=optuna.trial.TrialState.PRUNED)
    Leases(runner.database, name, "another", 60.0).claim(runner.study.ask().number)
    found = status_of(look_into(runner.database.url), name)
    assert (found.complete, found.failed, found.pruned, found.running, found.waiting) == (1, 1, 1, 1, 1)
    best = best_trial(runner.search, runner.trials())
    assert (found.best_trial, found.best_score) == (best.number, best.score)
    assert 6 <= found.hours_used * 3600 < 16  # and what the clock says of the trial without runs
    assert (found.total, found.ended) == (8, 3)
    assert found.hours_left == pytest.approx((found.hours_used - 2 / 3600) / 3 * 5 - 2 / 3600)


def test_an_unstable_trial_is_not_the_best_and_a_grid_has_a_total(tmp_path):
    def spoil(place, *args):
        result = execute(place, *args)
        if "-cv0-" in place.run_name:
            result.metrics = {"val/JaccardIndex": 0.0 if place.run_name.endswith("f0s42") else 9.0}
        return result

    table = {"learning_rate": [1e-4, 1e-3, 1e-2]}
    runner = open_in(tmp_path, "grid", execute=spoil, table=table, sampler="grid")
    runner.run(2)
    found = status_of(look_into(runner.database.url), "grid")
    assert (found.total, found.best_trial, found.complete) == (3, 1, 2)
    runner.run(None)
    assert status_of(look_into(runner.database.url), "grid").hours_left == 0


def test_all_below_the_artifact_directory_are_listed(tmp_path, capsys):
    for name in ("first", "second"):
        open_in(tmp_path, name).run(1)
    listing = sweep_status(Status(), Artifacts(artifact_dir=tmp_path))
    assert [search.name for search in listing.searches] == ["first", "second"]
    assert main(["sweep-status", "--artifact-dir", str(tmp_path), "--sweep-id", "second", "--json"]) == 0
    (second,) = json.loads(capsys.readouterr().out)["searches"]
    assert (second["name"], second["complete"], second["hours_left"]) == ("second", 1, None)
    assert main(["sweep-status", "--artifact-dir", str(tmp_path), "--sweep-id", "secnd"]) == 2
    assert "nearest: second" in capsys.readouterr().err


def test_what_cannot_be_looked_at(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        sweep_status(Status(sweep_db=f"sqlite:///{tmp_path}/none.db"), Artifacts())
    look = tmp_path / "other.db"
    look.touch()
    with pytest.raises(UserError, match="holds no search"):
        sweep_status(Status(sweep_db=f"sqlite:///{look}"), Artifacts())
    assert look.stat().st_size == 0  # nothing is made by looking
    with pytest.raises(UserError, match="--artifact-dir"):
        sweep_status(Status(), Artifacts(artifact_dir=tmp_path / "none"))


@pytest.mark.parametrize(("running", "said"), [(0, "left"), (1, "left"), (2, "with 2 runners")])
def test_what_is_left_is_shared_by_those_at_work(tmp_path, running, said):
    runner = open_in(tmp_path, "s")
    remember_total(runner.database, runner.study, 6)
    runner.run(1)
    for _ in range(running):
        number = runner.study.ask().number
        Leases(runner.database, "s", f"runner {number}", 60.0).claim(number)
    line = status_of(look_into(runner.database.url), "s").lines()[-1]
    assert "about " in line
    assert line.endswith(said)
