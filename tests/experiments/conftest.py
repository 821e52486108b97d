import os
from pathlib import Path

import pytest

from darts_train.experiments.database.storage import database_url, open_database, sqlite_url
from tests.support.postgres import Postgres


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    """A real server, made for the tests and gone with them."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    server = Postgres(Path("/tmp") / f"darts_pg_{os.getpid()}")
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres(postgres_server):
    """The address of a real server."""
    return postgres_server.uri


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    """The same tests for every kind of database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "sweep.db").render_as_string()
    return request.getfixturevalue("postgres")


@pytest.fixture
def database(address):
    return open_database(database_url(address))


@pytest.fixture
def local(tmp_path):
    """A database where one kind is enough."""
    return open_database(sqlite_url(tmp_path / "sweep.db"))
