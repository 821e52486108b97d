"""A server that refuses, a server that stops, a network that is cut, many runners on one file."""

import dataclasses
import errno
import multiprocessing
import os
import time

import pandas as pd
import pytest

from darts_train.base.disk_room import told_when_full
from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path
from darts_train.experiments.database import storage
from darts_train.experiments.database.storage import database_url, open_database, sqlite_url
from darts_train.experiments.searching.runner import open_runner
from darts_train.experiments.searching.table import table_path
from tests.support.proxy import Proxy

from . import stub
from .stub import DEVICE, EPOCHS, TRACKING, execute, make_search

METRIC = ["val/JaccardIndex"]


@pytest.fixture(scope="module")
def guarded(postgres_server):
    """The address of a user who needs the password `geheim`."""
    return postgres_server.add_user("guarded", "geheim")


def with_password(address, password):
    return address.replace("guarded@", f"guarded:{password}@")


@pytest.mark.parametrize("password", ["", "falsch"])
def test_a_refused_password_is_told_at_once(guarded, monkeypatch, password):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setattr(storage, "OPENING_PATIENCE", 30.0)
    started = time.monotonic()
    with pytest.raises(UserError, match=r"refuses: .*password") as caught:
        open_database(database_url(with_password(guarded, password) if password else guarded))
    assert time.monotonic() - started < 10
    assert "falsch" not in str(caught.value)


def test_a_database_that_is_not_there_is_told_at_once(postgres, monkeypatch):
    monkeypatch.setattr(storage, "OPENING_PATIENCE", 30.0)
    with pytest.raises(UserError, match=r"refuses: .*does not exist"):
        open_database(database_url(postgres.replace("/postgres?", "/nowhere?")))


@pytest.mark.parametrize("way", ["address", "environment", "file"])
def test_a_password_is_taken_and_told_nowhere(guarded, tmp_path, monkeypatch, caplog, way):
    """From the address, PGPASSWORD or a password file; afterwards it is in no file and no line of the log."""
    caplog.set_level("DEBUG")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    if way == "environment":
        monkeypatch.setenv("PGPASSWORD", "geheim")
    if way == "file":
        secret = tmp_path.parent / f"pgpass-{tmp_path.name}"
        secret.write_text("*:*:*:guarded:geheim\n")
        secret.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(secret))
    database = open_database(database_url(with_password(guarded, "geheim") if way == "address" else guarded))
    runner = open_runner(make_search(tmp_path, f"secret-{way}", metrics=METRIC), database, DEVICE, TRACKING, execute)
    assert runner.run(1) == 1
    assert "geheim" not in caplog.text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if b"geheim" in path.read_bytes()]


def test_a_full_disk_costs_one_run_and_leaves_the_old_checkpoint(tmp_path, local):
    """The second checkpoint of one run finds no room: a row with one line, and the search goes on."""

    def full(place, *args):
        last = place.directory / "checkpoints" / "last.ckpt"
        with told_when_full(place.directory):
            for content in (b"first epoch", b"second epoch"):
                with atomic_path(last) as temporary:
                    temporary.write_bytes(content[:5])
                    if content.startswith(b"second") and place.run_name.endswith("cv0-run-f1s42"):
                        raise OSError(errno.ENOSPC, "No space left on device", str(temporary))
                    temporary.write_bytes(content)
        return execute(place, *args)

    runner = open_runner(make_search(tmp_path, "full", metrics=METRIC), local, DEVICE, TRACKING, full)
    dataclasses.replace(runner, retry_seconds=0.0).run(2)
    first, second = runner.trials()
    assert (first.state.name, second.state.name) == ("FAIL", "COMPLETE")
    (row,) = [row for row in runner.rows(first) if row.status == "failed"]
    assert "No space left on device. Make room" in row.error
    assert "\n" not in row.error
    assert sum(row.status == "finished" for row in runner.rows(first)) == 3
    (old,) = tmp_path.glob("full/full-cv0/full-cv0-run-f1s42-*/checkpoints/*")
    assert old.read_bytes() == b"first epoch"


def work(address, directory, name, total, lease_seconds, epoch_seconds=0.02):
    """Work until `total` trials have ended; for a forked process, which ends here."""
    stub.epoch_seconds = epoch_seconds
    try:
        search = make_search(directory, name, metrics=METRIC)
        database = open_database(database_url(address))
        runner = open_runner(search, database, DEVICE, TRACKING, execute, lease_seconds)
        runner.run(None, total=total, wait=True)
    except BaseException as error:
        (directory / f"error-{os.getpid()}").write_text(repr(error))
        os._exit(1)
    os._exit(0)


def start(count, *args):
    context = multiprocessing.get_context("fork")
    runners = [context.Process(target=work, args=args) for _ in range(count)]
    for runner in runners:
        runner.start()
    return runners


def require_whole(runners, directory, name, address, total):
    """Every runner came to its end, and every trial has each of its runs once."""
    for runner in runners:
        runner.join(120)
    assert not list(directory.glob("error-*")), [path.read_text() for path in directory.glob("error-*")]
    assert [runner.exitcode for runner in runners] == [0] * len(runners)
    search = make_search(directory, name, metrics=METRIC)
    runner = open_runner(search, open_database(database_url(address)), DEVICE, TRACKING, execute)
    trials = runner.trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * total
    table = pd.read_parquet(table_path(search))
    assert len(table) == len(set(table["run_name"])) == 4 * total
    for directory in search.directory.glob("*/*-run-*"):
        assert len((directory / "epochs.txt").read_bytes()) == EPOCHS  # no epoch was trained twice


@pytest.mark.slow
def test_a_server_that_stops_and_a_network_that_is_cut(postgres_server, tmp_path, request):
    """Two runners through a proxy: the server stops as by a power cut, the network is gone for longer than a lease."""
    name, total = f"outage-{time.time_ns()}", 3
    proxy = Proxy(postgres_server.socket)
    address = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
    runners = start(2, address, tmp_path, name, total, 1.5, 0.1)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*/*/*/epochs.txt"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    postgres_server.restart()
    time.sleep(0.5)
    proxy.cut()
    time.sleep(2.0)
    proxy.mend()
    postgres_server.restart(0.3)
    require_whole(runners, tmp_path, name, address, total)
    assert proxy.cuts == 1


@pytest.mark.slow
def test_eight_runners_on_one_file(tmp_path):
    address = sqlite_url(tmp_path / "sweep.db").render_as_string()
    runners = start(8, address, tmp_path, "eight", 10, 60.0)
    require_whole(runners, tmp_path, "eight", address, 10)
