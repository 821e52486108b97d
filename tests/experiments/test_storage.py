import sqlite3
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from darts_train.base.errors import UserError
from darts_train.experiments.database import storage
from darts_train.experiments.database.storage import database_url, open_database, retry, shown, sqlite_url


@pytest.mark.parametrize(
    "text", ["postgresql://u@h:5432/d", "postgres://u@h:5432/d", "postgresql+psycopg2://u@h:5432/d"]
)
def test_postgresql_means_psycopg2(text):
    assert database_url(text).render_as_string() == "postgresql+psycopg2://u@h:5432/d"


def test_the_guides_address_is_read():
    assert (
        shown(database_url("postgresql://pguser@localhost:5432/sweeps"))
        == "postgresql+psycopg2://pguser@localhost:5432/sweeps"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "://",
        "/tmp/geheim.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:geheim@h/d",
        "postgresql://u:geheim@h:port/d",
        "postgresql+asyncpg://u:geheim@h/d",
    ],
)
def test_addresses_that_are_refused(text):
    with pytest.raises(UserError, match="--sweep-db") as caught:
        database_url(text)
    assert "geheim" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_line_without_the_password(monkeypatch):
    monkeypatch.setattr(storage, "OPENING_PATIENCE", 0.2)
    with pytest.raises(UserError) as caught:
        open_database(database_url("postgresql://u:geheim@127.0.0.1:1/d"))
    assert "refused" in str(caught.value)
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_database(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "OPENING_PATIENCE", 0.2)
    (tmp_path / "text.db").write_text("this is no database, " * 100)
    (tmp_path / "dir.db").mkdir()
    for path in (tmp_path / "text.db", tmp_path / "dir.db", Path("/proc/none/x.db")):
        with pytest.raises(UserError, match="--sweep-db") as caught:
            open_database(sqlite_url(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("table", ["trials", "studies"])
def test_a_table_of_the_same_name_is_not_touched(tmp_path, table):
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"create table {table} (x)")
    with pytest.raises(UserError, match=f"holds a table '{table}' of another program; name another database"):
        open_database(sqlite_url(path))
    with sqlite3.connect(path) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [(table,)]


def test_tables_of_another_program(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "OPENING_PATIENCE", 0.2)
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("create table studies (name text)")
        connection.execute("create table version_info (x text)")
    with pytest.raises(UserError, match="--sweep-db") as caught:
        open_database(sqlite_url(tmp_path / "other.db"))
    assert "\n" not in str(caught.value)


def test_sqlite_has_a_write_ahead_log(tmp_path):
    open_database(sqlite_url(tmp_path / "new" / "sweep.db"))
    with sqlite3.connect(tmp_path / "new" / "sweep.db") as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


def trouble(kind=sa.exc.OperationalError):
    return kind("select 1", {}, Exception("server closed the connection\nunexpectedly"))


def test_passing_trouble_is_tried_again():
    tries = []

    def work():
        tries.append(1)
        if len(tries) < 4:
            raise trouble()
        return "done"

    assert retry(work, 10.0, sqlite_url(Path("x"))) == "done"


def test_patience_ends_in_one_line():
    def work():
        raise trouble()

    started = time.monotonic()
    with pytest.raises(UserError, match="server closed the connection unexpectedly"):
        retry(work, 0.3, sqlite_url(Path("x")))
    assert time.monotonic() - started < 3


def test_what_is_wrong_for_good_is_not_tried_again():
    tries = []

    def work():
        tries.append(1)
        raise trouble(sa.exc.ProgrammingError)

    with pytest.raises(sa.exc.ProgrammingError):
        retry(work, 10.0, sqlite_url(Path("x")))
    assert tries == [1]
